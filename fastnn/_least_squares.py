"""Ridge regression: minimises sum_i w_i |y_i - W x_i - b|^2 + sum_t alpha_t |W_t|^2.

The normal equations (S + alpha I) W^T = T, with S and T the centred sums of w x x^T and w x y^T,
are solved by Cholesky; for more features than rows their dual, a matrix of the rows. The error of
that is eps over the smallest pivot of the matrix with its diagonal scaled to 1, relative to W.

- float32 sums are good enough for pivots of at least 1/16; else they are taken again in float64.
- Where a pivot is below d sqrt(eps) even so, half of the digits would go. Then the singular values
  of the rows decide, whose condition is the root of that, by NumPy's LAPACK, which alone says what
  the last bits are.

Reference: G. H. Golub, C. F. Van Loan, Matrix Computations (2013), sections 5.3, 5.5 and 6.1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import _check, _sparse_linear
from ._newton import Factor
from ._nonnegative import least_nonnegative
from ._sparse import Csr
from .runtime import backend_module as _backend

Array = NDArray[Any]

_EPS = float(np.finfo(np.float64).eps)
_FLOAT32_PIVOT = 1 / 16
_CONSTANT = 16 * _EPS  # a deviation of less than that share of the mean is rounding


def targets(y: Any, n: int, dtype: np.dtype[Any]) -> Array:
    """Return the targets (n,) or (n, t), t >= 1, finite and of that dtype."""
    if y is None:
        raise ValueError("this method requires y to be passed, but the target y is None")
    a = _check._as_ndarray("y", y)
    if a.dtype.kind not in "biufO":
        raise ValueError(f"y must hold real numbers, not {a.dtype} (shape {a.shape})")
    if a.ndim not in (1, 2) or a.size == 0 or len(a) != n:
        raise ValueError(f"y has shape {a.shape}, expected ({n},) or ({n}, t), as X has {n} rows")
    try:
        with np.errstate(over="ignore"):
            a = a.astype(dtype, order="C", copy=False)
    except (TypeError, ValueError) as error:
        raise type(error)(f"y (dtype {a.dtype}) holds what is not a number: {error}") from None
    if not _backend.all_finite(a):
        raise ValueError(f"y contains NaN, infinity or a value too large for {dtype}")
    return a


class _Rows(NamedTuple):
    """Features x (n, d) and targets y (n, t), and their weights w (n,) or None, of one dtype."""

    x: Any  # an array, or Csr where that is said
    y: Array
    w: Array | None

    def wide(self) -> _Rows:
        """Return the same in float64."""
        w = None if self.w is None else self.w.astype(np.float64)
        return _Rows(self.x.astype(np.float64), self.y.astype(np.float64), w)

    def moments(self, kind: str) -> tuple[float, Array, Array]:
        """Return the sum of the weights, the means (d + t,), and the scatter of x and y."""
        (total,), (means,), scatter, *_ = _backend.class_moments(
            self.x, None, 1, self.w, kind, extra=self.y
        )
        return float(total), means, scatter[0] if kind == "diag" else scatter


def _constant(total: float, means: Array, squares: Array) -> Array:
    """Tell which columns are constant but for rounding, from their sums of squares."""
    return squares <= total * (_CONSTANT * means) ** 2


def _solved(h: Array, b: Array, least: float) -> Array | None:
    """Return h^-1 b unless a pivot is below `least`."""
    if not _backend.all_finite(h):
        return None
    factor = Factor(h)
    return factor.solve(b) if factor.pivot >= least and not factor.damping else None


def _for_each(alpha: Array, solve: Callable[[float, Array], Array | None]) -> Array | None:
    """Return W^T (d, t) of solve(penalty, which targets have it), or None where that is None."""
    parts = []
    for penalty in (penalties := np.unique(alpha)):
        part = solve(float(penalty), alpha == penalty)
        if part is None:
            return None
        parts.append(part)
    if len(parts) == 1:
        return parts[0]
    coef = np.empty((len(parts[0]), len(alpha)))
    for penalty, part in zip(penalties, parts):
        coef[:, alpha == penalty] = part
    return coef


def _sums(rows: _Rows, centred: bool) -> tuple[Array, Array, Array]:
    """Return the sums of w x x^T (d, d) and w x y^T (d, t), and the means (d + t,)."""
    d = rows.x.shape[1]
    total, means, scatter = rows.moments("shared")
    if centred:
        constant = _constant(total, means[:d], scatter.diagonal()[:d])
        scatter[:d][constant] = scatter[:, :d][:, constant] = 0.0
    else:
        scatter = scatter + total * means[:, np.newaxis] * means
    return scatter[:d, :d], scatter[:d, d:], means


def _tall(rows: _Rows, alpha: Array, centred: bool, least: float) -> tuple[Array | None, Array]:
    """Solve the normal equations: W^T (d, t) or None, and the means."""
    s, t, means = _sums(rows, centred)
    eye = np.eye(len(s))
    return _for_each(alpha, lambda a, of: _solved(s + a * eye, t[:, of], least)), means


def _nonnegative(rows: _Rows, alpha: Array, centred: bool) -> tuple[Array, Array]:
    """Return W^T (d, t) without negative entries, and the means."""
    s, t, means = _sums(rows.wide(), centred)
    eye = np.eye(len(s))
    columns = [least_nonnegative(s + a * eye, b) for a, b in zip(alpha, t.T)]
    return np.stack(columns, axis=1), means


def _centred(rows: _Rows, centred: bool) -> tuple[Array, Array, Array]:
    """Return x and y as deviations from the means, times sqrt(w), float64; and the means."""
    d = rows.x.shape[1]
    total, means, squares = rows.moments("diag")
    rows = rows.wide()
    shift = means if centred else np.zeros_like(means)
    x, y = rows.x - shift[:d], rows.y - shift[d:]
    if centred:
        x[:, _constant(total, means[:d], squares[:d])] = 0.0
    if rows.w is not None:
        root = np.sqrt(rows.w)[:, np.newaxis]
        x *= root
        y *= root
    return x, y, means


def _dual(x: Array, y: Array, alpha: Array) -> Array | None:
    """Return x^T (x x^T + alpha I)^-1 y, or None where that is too inexact."""
    n, d = x.shape
    # x x^T is the Gram matrix of a least-squares problem whose rows are the features.
    no_labels, theta = np.zeros(d, np.int64), np.zeros((1, n))
    _, _, mean = _backend.linear_terms("squared_error", x.T, no_labels, theta, 0.0, None, True)
    gram, eye, least = d * mean, np.eye(n), n * math.sqrt(_EPS)
    solution = _for_each(alpha, lambda a, of: _solved(gram + a * eye, y[:, of], least))
    return None if solution is None else _backend.dense_forward(x.T, solution)


def _by_singular_values(x: Array, y: Array, alpha: Array, eps: float) -> Array:
    """Return the solution of least norm by x = u s v^T; s that rounding, eps, hides counts as 0."""
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    kept = s > max(x.shape) * eps * s.max(initial=0.0)
    s = s[kept, np.newaxis]
    return vt[kept].T @ ((u[:, kept].T @ y) / (s + alpha / s))


SOLVERS = ("cholesky", "svd", "sparse_cg", "active_set")


class Solution(NamedTuple):
    """W (t, d) and b (t,), float64, and what has found them."""

    coef: Array
    intercept: Array
    solver: str


def _dense_ridge(
    rows: _Rows, alpha: Array, fit_intercept: bool, way: str
) -> tuple[Array, Array, str]:
    """Return W^T (d, t), the means, and what has found it."""
    (n, d), dtype = rows.x.shape, rows.x.dtype
    if way == "positive":
        return *_nonnegative(rows, alpha, fit_intercept), "active_set"
    coef = None
    if way == "auto" and d <= n and dtype == np.float32:
        coef, means = _tall(rows, alpha, fit_intercept, max(_FLOAT32_PIVOT, d * math.sqrt(_EPS)))
    if way == "auto" and coef is None and d <= n:
        coef, means = _tall(rows.wide(), alpha, fit_intercept, d * math.sqrt(_EPS))
    if coef is not None:
        return coef, means, "cholesky"
    u, v, means = _centred(rows, fit_intercept)
    if way == "auto" and d > n and alpha.all():
        coef = _dual(u, v, alpha)
        if coef is not None:
            return coef, means, "cholesky"
    return _by_singular_values(u, v, alpha, float(np.finfo(dtype).eps)), means, "svd"


def _sparse_ridge(rows: _Rows, alpha: Array, fit_intercept: bool, way: str) -> Solution:
    x, y = rows.x.astype(np.float64), rows.y.astype(np.float64)
    w = None if rows.w is None else rows.w.astype(np.float64)
    if way == "positive":
        s, t, x_mean, y_mean = _sparse_linear.sums(x, y, w, fit_intercept)
        eye = np.eye(len(s))
        coef = np.stack([least_nonnegative(s + a * eye, b) for a, b in zip(alpha, t.T)])
        return Solution(coef, y_mean - coef @ x_mean, "active_set")
    coef, intercept = np.empty((y.shape[1], x.shape[1])), np.empty(y.shape[1])
    for penalty in np.unique(alpha):
        of = alpha == penalty
        coef[of], intercept[of], solver = _sparse_linear.ridge(
            x, np.ascontiguousarray(y[:, of]), w, float(penalty), fit_intercept
        )
    return Solution(coef, intercept, solver)


def ridge(
    x: Array | Csr,
    y: Array,
    w: Array | None,
    alpha: Array,
    fit_intercept: bool,
    way: str = "auto",
) -> Solution:
    """Return the solution, that of least norm where there are many.

    x (n, d), y (n, t) and the weights w (n,) have one dtype; alpha is (t,). `way` is "auto", "svd"
    (of dense rows), or "positive" for W >= 0.
    """
    rows = _Rows(x, y, w)
    if isinstance(x, Csr):
        return _sparse_ridge(rows, alpha, fit_intercept, way)
    coef, means, solver = _dense_ridge(rows, alpha, fit_intercept, way)
    coef, d = np.ascontiguousarray(coef.T), x.shape[1]
    if not fit_intercept:
        return Solution(coef, np.zeros(len(coef)), solver)
    shares = [_backend.dot(a, means[:d].copy()) for a in coef]
    return Solution(coef, means[d:] - shares, solver)
