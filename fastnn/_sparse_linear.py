"""Linear models of sparse rows, without ever making more than a block of them dense; all in float64.

- The loss and its gradient come from two products with the values that are stored: z = x w + b, and
  x^T delta with the transposed matrix.
- x^T diag(h) x, for Hessians and normal equations, is x^T times a block of dense rows after another.
- Ridge regression solves the normal equations where there are few features, else it takes
  conjugate gradients on the least-squares problem (CGLS), which only needs products.

Reference: A. Bjorck, Numerical Methods for Least Squares Problems (1996), section 7.4.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._newton import Factor
from ._peers import ConvergenceWarning, known_to_peers
from ._sparse import Csr
from .runtime import backend_module as _backend

Array = NDArray[Any]

_BLOCK_VALUES = 1 << 21  # of dense rows at a time, 16 MB

_EPS = float(np.finfo(np.float64).eps)
_MOST_NORMAL = 2048  # features, up to which the normal equations are solved
_LEAST_PIVOT = 1e-6  # below which of their digits too many would be lost
_RESIDUAL = 1e-12  # of the gradient, relative, where conjugate gradients stop
_GOOD_ENOUGH = 1e-6  # where they may end without a warning
_ITERATIONS = 4  # times the number of unknowns, but no less than
_LEAST_ITERATIONS = 1000
_IDLE = 50  # iterations without progress, after which only rounding is left


def product(x: Csr, w: Array, b: Array | None = None) -> Array:
    """Return x w + b."""
    return _backend.sparse_forward(x, w, b)


def gram(x: Csr, h: Array | None = None) -> Array:
    """Return x^T diag(h) x (d, d), h all 1 if not given."""
    n, d = x.shape
    step = max(64, _BLOCK_VALUES // max(d, 1))
    total = np.zeros((d, d))
    for start in range(0, n, step):
        rows = x[start : start + step]
        dense = rows.toarray()
        if h is not None:
            dense *= h[start : start + step, np.newaxis]
        total += product(rows.transpose(), dense)
    return total


def linear_terms(
    loss: str,
    x: Csr,
    y: Array,
    theta: Array,
    alpha: float,
    sample_weight: Array | None,
    hessian: bool,
) -> tuple[float, Array, Array | None]:
    """Return what the backend's `linear_terms` does, for labels y, from sparse rows in float64."""
    d, c = x.shape[1], len(theta)
    bias = theta[:, d].copy() if theta.shape[1] > d else None
    z = product(x, theta[:, :d].T, bias)
    value, delta = getattr(_backend, loss)(z, y, sample_weight=sample_weight)
    gradient = np.empty_like(theta)
    gradient[:, :d] = product(x.transpose(), delta).T
    if bias is not None:
        gradient[:, d] = delta.sum(axis=0)
    value += 0.5 * alpha * float((theta[:, :d] ** 2).sum())
    gradient[:, :d] += alpha * theta[:, :d]
    return (
        value,
        gradient,
        _hessian(loss, x, z, alpha, sample_weight, c, bias is not None) if hessian else None,
    )


def _bordered(x: Csr, h: Array, alpha: float, intercept: bool) -> Array:
    """Return [x | 1]^T diag(h) [x | 1], with alpha on the diagonal of the part of x."""
    d = x.shape[1]
    block = np.empty((d + intercept, d + intercept))
    block[:d, :d] = gram(x, h)
    block[np.arange(d), np.arange(d)] += alpha
    if intercept:
        block[d, :d] = block[:d, d] = product(x.transpose(), h[:, np.newaxis])[:, 0]
        block[d, d] = h.sum()
    return block


def _hessian(
    loss: str,
    x: Csr,
    z: Array,
    alpha: float,
    sample_weight: Array | None,
    c: int,
    intercept: bool,
) -> Array:
    n = len(x)
    share = np.full(n, 1 / n) if sample_weight is None else sample_weight / sample_weight.sum()
    if loss == "squared_error":
        return _bordered(x, share, alpha, intercept)
    if loss == "sigmoid_cross_entropy":
        p, q = _backend.sigmoid(z), _backend.sigmoid(-z)
        return np.stack(
            [_bordered(x, share * p[:, a] * q[:, a], alpha, intercept) for a in range(c)]
        )
    p = _backend.softmax(z)
    blocks = [[np.empty(0)] * c for _ in range(c)]
    for a in range(c):
        for b in range(a + 1):
            if a == b:  # the sum of the others', for 1 - p would cancel
                h = share * p[:, a] * np.delete(p, a, axis=1).sum(axis=1)
            else:
                h = -share * p[:, a] * p[:, b]
            blocks[a][b] = blocks[b][a] = _bordered(x, h, alpha if a == b else 0.0, intercept)
    return np.block(blocks)


def mean_squares(x: Csr, weights: Array | None, mean: Array | None = None) -> Array:
    """Return the mean of the squares (d,) of each feature, or of its distance from `mean` (d,)."""
    total = len(x) if weights is None else weights.sum()
    w = 1.0 if weights is None else np.repeat(weights, np.diff(x.indptr))
    if mean is None:
        return np.bincount(x.indices, w * x.data**2, x.shape[1]) / total
    apart = x.data - mean[x.indices]
    stored = np.bincount(x.indices, np.broadcast_to(w, apart.shape), x.shape[1])
    return (np.bincount(x.indices, w * apart**2, x.shape[1]) + (total - stored) * mean**2) / total


# Ridge regression


class _Centred:
    """The matrix sqrt(w) (x - 1 mean^T), by products; mean 0 without an intercept."""

    def __init__(self, x: Csr, root: Array, mean: Array) -> None:
        self.x, self.root, self.mean = x, root[:, np.newaxis], mean[:, np.newaxis]

    def times(self, v: Array) -> Array:
        """Return the product with v (d, t)."""
        return self.root * (product(self.x, v) - (self.mean * v).sum(axis=0))

    def transposed_times(self, u: Array) -> Array:
        """Return the transposed matrix's with u (n, t)."""
        u = self.root * u
        return product(self.x.transpose(), u) - self.mean * u.sum(axis=0)


def _divided(a: Array, b: Array) -> Array:
    """a / b, and 0 where b is 0."""
    return np.divide(a, b, out=np.zeros_like(a), where=b != 0)


def _conjugate_gradients(a: _Centred, y: Array, alpha: float, scale: Array) -> tuple[Array, float]:
    """Return w (d, t) that minimises |y - a w|^2 + alpha |w|^2, by CGLS, and the relative gradient.

    The unknowns are w / scale. Each target has steps of its own; one that is done takes none.
    """
    d, t = len(scale), y.shape[1]
    scale = scale[:, np.newaxis]
    w, residual = np.zeros((d, t)), y.copy()
    s = scale * a.transposed_times(residual)
    first = gamma = (s * s).sum(axis=0)
    best, best_gamma, idle = w, gamma, 0
    p = s.copy()
    for _ in range(max(_LEAST_ITERATIONS, _ITERATIONS * min(d, len(y)))):
        going = gamma > _RESIDUAL**2 * first
        if not going.any() or idle == _IDLE:
            break
        step_w = scale * p
        q = a.times(step_w)
        curvature = (q * q).sum(axis=0) + alpha * (step_w * step_w).sum(axis=0)
        step = np.where(going, _divided(gamma, curvature), 0.0)
        w = w + step * step_w
        residual -= step * q
        s = scale * (a.transposed_times(residual) - alpha * w)
        before, gamma = gamma, (s * s).sum(axis=0)
        better = gamma < best_gamma
        idle = 0 if better.any() else idle + 1
        best, best_gamma = np.where(better, w, best), np.where(better, gamma, best_gamma)
        p = s + np.where(going, _divided(gamma, before), 0.0) * p
    return best, float(np.sqrt(_divided(best_gamma, first).max()))


def _spread(a: _Centred) -> tuple[Array, Array]:
    """Return a^T a (d, d), and the same before the means are taken off."""
    weights = a.root[:, 0] ** 2
    squares = gram(a.x, weights)
    return squares - weights.sum() * a.mean * a.mean.T, squares


def _normal_equations(a: _Centred, y: Array, alpha: float) -> Array | None:
    """Return the same by Cholesky; None where too many digits would be lost."""
    spread, squares = _spread(a)
    cancelled = spread.diagonal() < _LEAST_PIVOT * squares.diagonal()
    if cancelled.any() or not _backend.all_finite(spread):
        return None
    factor = Factor(spread + alpha * np.eye(len(a.mean)))
    if factor.pivot < _LEAST_PIVOT or factor.damping:
        return None
    return factor.solve(a.transposed_times(y))


def _centre(
    x: Csr, y: Array, w: Array | None, fit_intercept: bool
) -> tuple[_Centred, Array, Array]:
    """Return the matrix and the targets of the least-squares problem, and the targets' means."""
    weights = np.ones(len(x)) if w is None else w
    x_mean, y_mean = np.zeros(x.shape[1]), np.zeros(y.shape[1])
    if fit_intercept:
        total = weights.sum()
        x_mean = product(x.transpose(), weights[:, np.newaxis])[:, 0] / total
        y_mean = (weights @ y) / total
    root = np.sqrt(weights)
    return _Centred(x, root, x_mean), root[:, np.newaxis] * (y - y_mean), y_mean


def sums(
    x: Csr, y: Array, w: Array | None, fit_intercept: bool
) -> tuple[Array, Array, Array, Array]:
    """Return the sums of w x x^T (d, d) and w x y^T (d, t) about the means, and these."""
    a, rhs, y_mean = _centre(x, y, w, fit_intercept)
    return _spread(a)[0], a.transposed_times(rhs), a.mean[:, 0], y_mean


def ridge(
    x: Csr, y: Array, w: Array | None, alpha: float, fit_intercept: bool
) -> tuple[Array, Array, str]:
    """Return W (t, d) and b (t,), float64, the solution of least norm where there are many.

    And "cholesky" or "sparse_cg", what has found it.

    x is float64, as are y (n, t) and the weights w (n,).
    """
    n, d = x.shape
    a, rhs, y_mean = _centre(x, y, w, fit_intercept)
    solver = "cholesky"
    coef = _normal_equations(a, rhs, alpha) if d <= min(n, _MOST_NORMAL) else None
    if coef is None:
        # Scaled unknowns converge faster, but only unscaled ones to the solution of least norm,
        # which is what a penalty that rounding hides leaves to be found.
        solver, total = "sparse_cg", n if w is None else w.sum()
        spread = total * mean_squares(x, w, a.mean[:, 0]) + alpha
        hidden = alpha <= _EPS * spread.max()
        scale = np.ones(d) if hidden else 1 / np.sqrt(spread)
        coef, left = _conjugate_gradients(a, rhs, alpha, scale)
        if left > _GOOD_ENOUGH:
            warnings.warn(
                f"conjugate gradients have not converged, the gradient is still {left:.1g} of what "
                "it was at first; scale the features of X, or raise alpha",
                known_to_peers(ConvergenceWarning),
                stacklevel=6,
            )
    coef = np.ascontiguousarray(coef.T)
    return coef, y_mean - coef @ a.mean[:, 0], solver
