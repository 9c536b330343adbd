"""Formulas on the rows of checked arrays, of which the NumPy backend is built.

Arrays keep their dtype; losses are computed in float64, and only their gradient is rounded to the
dtype of z.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

quiet = np.errstate(all="ignore")  # overflow and NaN are results here, as in the compiled kernels


def sigmoid(z: Array) -> Array:
    """1 / (1 + exp(-z)), from the side that does not overflow."""
    e = np.exp(-np.abs(z))  # in [0, 1], so neither branch overflows
    return np.where(z >= 0, 1 / (1 + e), e / (1 + e))


def softmax(z: Array) -> Array:
    """exp(z_j) / sum_j exp(z_j) over the last axis."""
    e = np.array(z)  # as in below_the_top
    e = np.exp(e - e.max(axis=-1, keepdims=True, initial=-np.inf))
    return e / e.sum(axis=-1, keepdims=True)


def below_the_top(z: Array) -> tuple[Array, Array, Array]:
    """Return the first largest entry of each row, z minus it, and sum exp of the others' distance.

    So log sum_j exp(z_j) = top + log1p(rest), where no small term is lost beside the 1 of the top.
    """
    z = np.array(z)  # before the maximum, so that a size beyond memory fails at once
    where = z.argmax(axis=-1)[..., np.newaxis]
    top = np.take_along_axis(z, where, axis=-1)
    below = z - top
    e = np.exp(below)
    np.put_along_axis(e, where, 0.0, axis=-1)
    return top, below, e.sum(axis=-1, keepdims=True)


def log_softmax(z: Array) -> Array:
    """log softmax(z) over the last axis; z minus the top, where that is not finite."""
    top, below, rest = below_the_top(z)
    return np.where(np.isfinite(top), below - np.log1p(rest), below)


def logsumexp(z: Array) -> Array:
    """log sum_j exp(z_j) over the last axis."""
    top, _, rest = below_the_top(z)
    return np.where(np.isfinite(top), top + np.log1p(rest), top)[..., 0]


ACTIVATION: dict[str, Callable[[Array], Array]] = {
    "identity": lambda z: z,
    "sigmoid": sigmoid,
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0),
    "exp": np.exp,
    "softmax": softmax,
}

# dy * act'(z), with the derivative taken from the output y = act(z).
DELTA: dict[str, Callable[[Array, Array], Array]] = {
    "identity": lambda y, dy: dy,
    "sigmoid": lambda y, dy: dy * (y * (1 - y)),
    "tanh": lambda y, dy: dy * ((1 - y) * (1 + y)),
    "relu": lambda y, dy: dy * (y > 0),
    "softmax": lambda y, dy: y * (dy - (dy * y).sum(axis=-1, keepdims=True)),
}


def _softmax_rows(z: Array, t: Array) -> tuple[Array, Array]:
    """Cross-entropy of each row and its gradient."""
    _, below, rest = below_the_top(z)
    mass = t.sum(axis=1, keepdims=True)
    # An entry without a target adds nothing, even where the distance to the top overflows.
    row_loss = np.where(t == 0, 0.0, t * -below).sum(axis=1) + (mass * np.log1p(rest))[:, 0]
    return row_loss, mass * softmax(z) - t


def _sigmoid_rows(z: Array, t: Array) -> tuple[Array, Array]:
    """Cross-entropy -t log p - (1 - t) log(1 - p), without the logarithm of a rounded p."""
    linear = np.where(z > 0, z * (1 - t), -z * t)
    return (linear + np.log1p(np.exp(-np.abs(z)))).sum(axis=1), sigmoid(z) - t


def _squared_rows(z: Array, t: Array) -> tuple[Array, Array]:
    r = z - t
    return 0.5 * (r * r).sum(axis=1), r


def _poisson_rows(z: Array, t: Array) -> tuple[Array, Array]:
    mean = np.exp(z).astype(np.float64)  # which overflows where the dtype of z does
    # Without a count nothing is subtracted, even where z is minus infinity.
    return (mean - np.where(t == 0, 0.0, t * z.astype(np.float64))).sum(axis=1), mean - t


def _huber_rows(z: Array, t: Array, delta: float) -> tuple[Array, Array]:
    r = z - t
    size = np.abs(r)
    terms = np.where(size <= delta, 0.5 * r * r, delta * (size - 0.5 * delta))
    return terms.sum(axis=1), np.clip(r, -delta, delta)


def _absolute_rows(z: Array, t: Array) -> tuple[Array, Array]:
    return np.abs(z - t).sum(axis=1), np.sign(z - t)


def _loss_rows(fn: str, z: Array, t: Array, delta: float) -> tuple[Array, Array]:
    """Loss and gradient of each row, in float64."""
    if fn == "poisson_loss":
        return _poisson_rows(z, t)
    z = z.astype(np.float64)
    return _huber_rows(z, t, delta) if fn == "huber_loss" else _LOSS_ROWS[fn](z, t)


_LOSS_ROWS = {
    "softmax_cross_entropy": _softmax_rows,
    "sigmoid_cross_entropy": _sigmoid_rows,
    "squared_error": _squared_rows,
    "absolute_error": _absolute_rows,
}


def as_targets(fn: str, y: Array, c: int) -> Array:
    """Return targets (n, c) as they are, and the one-hot rows of labels (n,).

    A single column takes the labels 0 and 1 as values, unless it is softmax's.
    """
    if y.ndim == 2:
        return y.astype(np.float64)
    if c == 1 and fn != "softmax_cross_entropy":
        return y[:, np.newaxis].astype(np.float64)
    return (y[:, np.newaxis] == np.arange(c)).astype(np.float64)


def shares(weights: Array | None, n: int) -> Array:
    """Return w_i / sum_i w_i, float64; the weights are 1 if not given."""
    w = np.ones(n) if weights is None else weights.astype(np.float64)
    return w / w.sum()


def mean_loss(
    fn: str, z: Array, y: Array, weights: Array | None, delta: float = 1.0
) -> tuple[float, Array]:
    """Return sum_i w_i l_i / sum_i w_i and its gradient; y is labels (n,) or targets (n, c).

    delta is that of huber_loss.
    """
    n, c = z.shape
    row_loss, gradient = _loss_rows(fn, z, as_targets(fn, y, c), delta)
    share = shares(weights, n)
    return float((share * row_loss).sum()), (share[:, np.newaxis] * gradient).astype(z.dtype)


def delivered(value: Array, out: Array | None) -> Array:
    """Return the value, in `out` if that is given."""
    if out is None:
        return np.asarray(value, order="C")
    out[...] = value
    return out
