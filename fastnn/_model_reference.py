"""NumPy oracles of the kernels of Gaussian and linear models, and what the estimators rest on.

The last part mirrors `fastnn._model_kernels`; what stands before it takes arguments that its
callers have checked. Everything is computed in float64; results of the dtype of x are rounded once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _check, _check_models
from . import _numpy_rows as rows
from ._moments import Moments
from ._numpy_rows import delivered, quiet

Array = NDArray[Any]
_Sums = tuple[Any, ...]  # weights, means, scatter, third, fourth; the last two may be None


# Triangular factors


@quiet
def cholesky(a: Array) -> tuple[Array, Array]:
    """Factors L of a = L L^T (..., d, d), and the first column without a positive pivot, or -1."""
    d = a.shape[-1]
    factors = np.zeros(a.shape)
    pivots = np.full(a.shape[:-2], -1, np.int64)
    for i in np.ndindex(pivots.shape):
        l = factors[i]
        for j in range(d):
            column = a[i][j:, j] - l[j:, :j] @ l[j, :j]
            if not 0 < column[0] < np.inf:
                pivots[i] = j
                break
            l[j:, j] = column / np.sqrt(column[0])
    return factors, pivots


def _forward(l: Array, b: Array) -> Array:
    """Solve l z = b by substitution, for l (..., d, d) and b (..., d); broadcasts."""
    z = np.empty(np.broadcast_shapes(l.shape[:-1], b.shape))
    for j in range(l.shape[-1]):
        known = (l[..., j, :j] * z[..., :j]).sum(axis=-1)
        z[..., j] = (b[..., j] - known) / l[..., j, j]
    return z


def _backward(l: Array, b: Array) -> Array:
    """Solve l^T z = b by substitution, for l (d, d) and b (..., d)."""
    return _forward(l.T[::-1, ::-1], b[..., ::-1])[..., ::-1]


@quiet
def cholesky_solve(l: Array, b: Array) -> Array:
    """Solution of (l l^T) x = b for l (d, d) and b (d,) or (d, t)."""
    return np.ascontiguousarray(_backward(l, _forward(l, b.T)).T)


@quiet
def triangular_inverse(l: Array) -> Array:
    """Inverse of the lower triangle of l (d, d)."""
    return np.ascontiguousarray(_forward(l, np.eye(len(l))).T)


# Sums


def all_finite(a: Array) -> bool:
    """Whether no element is NaN or infinite."""
    return bool(np.isfinite(a).all())


@quiet
def dot(a: Array, b: Array) -> float:
    """sum_i a_i b_i, added from the first to the last."""
    return float(np.add.accumulate(a * b)[-1]) if a.size else 0.0


def _gram(w: Array, u: Array) -> Array:
    """sum_i w_i u_i u_i^T, symmetric to the bit."""
    product = (w[:, np.newaxis] * u).T @ u
    return (product + product.T) / 2


# Densities


def _log_density(z: Array, diagonal: Array) -> Array:
    """-1/2 |z|^2 - sum_j log L_jj - d/2 log 2 pi, of z = L^-1 (x - mu)."""
    d = z.shape[-1]
    log_det = np.log(diagonal).sum(axis=-1)
    return -0.5 * (z * z).sum(axis=-1) - log_det - 0.5 * d * math.log(2 * math.pi)


@quiet
def paired_logpdf(x: Array, means: Array, factors: Array) -> Array:
    """log N(x_i; means_i, factors_i factors_i^T) of each row, for factors (n, d, d)."""
    r = x.astype(np.float64) - means
    l = factors.astype(np.float64)
    return _log_density(_forward(l, r), np.diagonal(l, axis1=-2, axis2=-1)).astype(x.dtype)


def _scaling(s: Array) -> Callable[[Array], Array]:
    """Return the function r -> r / s of rows r."""
    s = s.copy()
    return lambda r: r / s


def _whitening(l: Array) -> Callable[[Array], Array]:
    """Return the function r -> (l^-1 r^T)^T of rows r."""
    inverse = triangular_inverse(l)
    return lambda r: r @ inverse.T


class Gaussians:
    """c Gaussians that share the rows that they are evaluated on."""

    @quiet
    def __init__(self, dtype: Any, covariance: str, means: Array, factors: Array) -> None:
        c = len(means)
        self._dtype = np.dtype(dtype)
        self._means = means.copy()
        if covariance == "diag":
            self._deviations = factors.copy()
            self._whiten = [_scaling(s) for s in factors]
        elif covariance == "shared":
            self._deviations = np.tile(np.diagonal(factors), (c, 1))
            self._whiten = [_whitening(factors)] * c
        else:
            self._deviations = np.diagonal(factors, axis1=1, axis2=2).copy()
            self._whiten = [_whitening(l) for l in factors]

    def _one(self, x: Array, k: int) -> Array:
        """Log densities of the rows under Gaussian k."""
        return _log_density(self._whiten[k](x - self._means[k]), self._deviations[k])

    @quiet
    def evaluate(
        self, x: Array, what: str, offsets: Array | None = None, out: Array | None = None
    ) -> Array:
        """Return the log densities plus offsets, "joint" (n, c), or what else of `_OF_JOINT`.

        "label" (n,) is the first class of the largest, where a NaN never is the largest.
        """
        x = x.astype(np.float64)
        joint = np.stack([self._one(x, k) for k in range(len(self._means))], axis=1)
        if offsets is not None:
            joint += offsets
        if what == "label":
            return delivered(np.where(np.isnan(joint), -np.inf, joint).argmax(axis=1), out)
        return delivered(_OF_JOINT[what](joint).astype(self._dtype), out)


_OF_JOINT = {
    "joint": lambda joint: joint,
    "log_proba": rows.log_softmax,
    "proba": rows.softmax,
    "log_density": rows.logsumexp,
}


# Moments


def _squares(w: Array, u: Array) -> Array:
    """sum_i w_i u_i^2."""
    return w @ (u * u)


_SCATTER = {"full": _gram, "shared": _gram, "diag": _squares}


@quiet
def class_moments(
    x: Array,
    labels: Array | None,
    n_classes: int,
    sample_weight: Array | None,
    kind: str,
    extra: Array | None = None,
) -> _Sums:
    """(weights, means, scatter, third, fourth) of the rows of each class, about its own mean.

    With u = x - mean: scatter = sum w u u^T, third = sum w |u|^2 u, fourth = sum w |u|^4.
    """
    x = (x if extra is None else np.hstack([x, extra])).astype(np.float64)
    n, d = x.shape
    w = np.ones(n) if sample_weight is None else sample_weight.astype(np.float64)
    labels = np.zeros(n, np.int64) if labels is None else labels
    weights, means = np.zeros(n_classes), np.zeros((n_classes, d))
    scatter = np.zeros((n_classes, d) if kind == "diag" else (n_classes, d, d))
    third, fourth = np.zeros((n_classes, d)), np.zeros(n_classes)
    for k in range(n_classes):
        w_k, x_k = w[labels == k], x[labels == k]
        weights[k] = w_k.sum()
        if weights[k] == 0:
            continue
        means[k] = w_k @ x_k / weights[k]
        u = x_k - means[k]
        means[k] += (correction := w_k @ u / weights[k])
        u -= correction
        scatter[k] = _SCATTER[kind](w_k, u)
        square = (u * u).sum(axis=1)
        third[k], fourth[k] = (w_k * square) @ u, (w_k * square) @ square
    if kind == "full":
        return weights, means, scatter, third, fourth
    return weights, means, scatter.sum(axis=0) if kind == "shared" else scatter, None, None


def _moved(moments: _Sums, k: int, delta: Array) -> tuple[Array, ...]:
    """Scatter, third and fourth moments of class k about its mean + delta."""
    weights, _, scatter, third, fourth = moments
    w, s, t, q = weights[k], scatter[k], third[k], fourth[k]
    square, trace, across = delta @ delta, np.trace(s), s @ delta
    return (
        s + w * np.outer(delta, delta),
        t - 2 * across - delta * (trace + w * square),
        q + 4 * (delta @ across) + w * square**2 - 4 * (delta @ t) + 2 * square * trace,
    )


@quiet
def add_moments(total: _Sums, part: _Sums, sign: float) -> _Sums:
    """Moments ("full") of the rows of both, or with sign -1 of those of `total` without `part`."""
    results = tuple(np.zeros_like(a) for a in total)
    for k in range(len(total[0])):
        weight = total[0][k] + sign * part[0][k]
        if weight <= 0:
            continue
        # The mean is (W_a m_a + s W_b m_b) / weight; so written, no weight b changes no bit.
        share, apart = sign * part[0][k] / weight, part[1][k] - total[1][k]
        mean = total[1][k] + share * apart
        mine, theirs = _moved(total, k, share * apart), _moved(part, k, (share - 1) * apart)
        moved = (a + sign * b for a, b in zip(mine, theirs))
        for result, value in zip(results, (weight, mean, *moved)):
            result[k] = value
    return results


# Linear models


def _softmax_curvature(z: Array, mass: Array) -> Array:
    """Second derivatives of each row's loss by z: mass (diag p - p p^T), whose rows sum to 0."""
    p, i = rows.softmax(z), np.arange(z.shape[1])
    h = -mass[:, np.newaxis, np.newaxis] * (p[:, :, np.newaxis] * p[:, np.newaxis, :])
    h[:, i, i] = 0.0
    h[:, i, i] = -h.sum(axis=2)  # no cancellation in 1 - p
    return h


def _hessian(loss: str, x: Array, z: Array, mass: Array, share: Array, penalty: Array) -> Array:
    """Second derivatives by the parameters, in the shape that linear_terms says."""
    c = z.shape[1]

    def block(curvature: Array) -> Array:
        return _gram(share * curvature, x)

    if loss == "squared_error":
        return _gram(share, x) + np.diag(penalty)
    if loss == "sigmoid_cross_entropy":
        h = rows.sigmoid(z) * rows.sigmoid(-z)
        return np.stack([block(h[:, a]) + np.diag(penalty) for a in range(c)])
    h = _softmax_curvature(z, mass)
    blocks = [[block(h[:, a, b]) for b in range(c)] for a in range(c)]
    return np.block(blocks) + np.diag(np.tile(penalty, c))


@quiet
def linear_terms(
    loss: str,
    x: Array,
    y: Array,
    theta: Array,
    alpha: float,
    sample_weight: Array | None,
    hessian: bool,
) -> tuple[float, Array, Array | None]:
    """Mean loss of z = x theta^T plus alpha/2 sum theta^2, its gradient (c, D) and its Hessian.

    A last column of theta beyond those of x is the intercept, without a penalty. The Hessian is
    (c D, c D) for softmax, c blocks (c, D, D) for sigmoid, one block (D, D) for squared error.
    """
    (n, d), c = x.shape, len(theta)
    x = x.astype(np.float64)
    penalty = np.full(theta.shape[1], alpha)
    if theta.shape[1] > d:
        x = np.hstack([x, np.ones((n, 1))])
        penalty[d] = 0.0
    z = x @ theta.T
    value, dz = rows.mean_loss(loss, z, y, sample_weight)
    value += 0.5 * float((penalty * theta**2).sum())
    gradient = dz.T @ x + penalty * theta
    if not hessian:
        return value, gradient, None
    mass = rows.as_targets(loss, y, c).sum(axis=1)
    share = rows.shares(sample_weight, n)
    return value, gradient, _hessian(loss, x, z, mass, share, penalty)


# The mirror of fastnn._model_kernels


@quiet
def logsumexp(x: ArrayLike, *, out: Array | None = None) -> Array:
    """log sum_j exp(x_j) over the columns."""
    return delivered(rows.logsumexp(_check_models.logsumexp(x, out)), out)


@quiet
def log_softmax(x: ArrayLike, *, out: Array | None = None) -> Array:
    """x_j - log sum_l exp(x_l) over the last axis."""
    return delivered(rows.log_softmax(_check.elementwise("log_softmax", x, out)), out)


@quiet
def cholesky_factors(cov: ArrayLike, *, out: Array | None = None) -> Array:
    """L of cov = L L^T, for each matrix."""
    a = _check_models.cholesky_factors(cov, out)
    factors, pivots = cholesky(a.astype(np.float64))
    _check_models.positive_definite(a, pivots)
    return delivered(factors.astype(a.dtype), out)


@quiet
def gaussian_logpdf(
    x: ArrayLike,
    means: ArrayLike,
    factors: ArrayLike,
    *,
    covariance: str = "full",
    paired: bool = False,
    out: Array | None = None,
) -> Array:
    """-1/2 |L^-1 (x - mu)|^2 - sum_j log L_jj - d/2 log 2 pi."""
    a, m, l = _check_models.gaussian_logpdf(x, means, factors, covariance, paired, out)
    r = (a if paired else a[:, np.newaxis]).astype(np.float64) - m
    l = l.astype(np.float64)
    if covariance == "diag":
        value = _log_density(r / l, l)
    else:
        value = _log_density(_forward(l, r), np.diagonal(l, axis1=-2, axis2=-1))
    return delivered(value.astype(a.dtype), out)


@quiet
def gaussian_moments(
    x: ArrayLike,
    labels: ArrayLike,
    n_classes: int,
    *,
    sample_weight: ArrayLike | None = None,
    covariance: str = "full",
) -> Moments:
    """W_k = sum w_i, mean_k = sum w_i x_i / W_k, S_k = sum w_i (x_i - mean_k)(x_i - mean_k)^T."""
    a, y, c, w = _check_models.gaussian_moments(x, labels, n_classes, sample_weight, covariance)
    return Moments(*class_moments(a, y, c, w, covariance)[:3])


@quiet
def linear_loss(
    x: ArrayLike,
    y: ArrayLike,
    w: ArrayLike,
    b: ArrayLike | None = None,
    *,
    loss: str = "softmax_cross_entropy",
    alpha: float = 0.0,
    sample_weight: ArrayLike | None = None,
    hessian: bool = False,
) -> tuple[float, Array, Array | None] | tuple[float, Array, Array | None, Array]:
    """Weighted mean of the loss of z = x w + b, plus alpha/2 sum w^2, and its derivatives."""
    checked = _check_models.linear_loss(x, y, w, b, loss, alpha, sample_weight)
    a, targets, slope, intercept, alpha, weights = checked
    theta = slope.T.astype(np.float64)
    if intercept is not None:
        theta = np.hstack([theta, intercept.astype(np.float64)[:, np.newaxis]])
    value, gradient, second = linear_terms(loss, a, targets, theta, alpha, weights, hessian)
    gradient = gradient.astype(a.dtype)
    dw = np.ascontiguousarray(gradient[:, : a.shape[1]].T)
    db = None if intercept is None else gradient[:, -1].copy()
    return (value, dw, db) if second is None else (value, dw, db, second.astype(a.dtype))
