"""Argument checks of the kernels of Gaussian and linear models, in the manner of `_check`."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from . import _check
from ._check import Array, array, no_overlap, one_of, out_array
from ._check_network import integer, number

COVARIANCES = ("full", "shared", "diag")
LOSSES = ("softmax_cross_entropy", "sigmoid_cross_entropy", "squared_error")


def _at(name: str, a: Array, valid: Array) -> str:
    """Name the first entry of `a` that is not valid, and its value."""
    index = tuple(int(i) for i in np.unravel_index(int(valid.argmin()), valid.shape))
    return f"{name}[{', '.join(map(str, index))}] is {a[index]}"


def _not_empty(fn: str, name: str, a: Array, **axes: int) -> None:
    """Raise if an axis, given by what it counts, has length 0."""
    for counted, axis in axes.items():
        if a.shape[axis] == 0:
            raise ValueError(f"{fn}: {name} {a.shape} has no {counted}")


def _finite(fn: str, name: str, a: Array) -> None:
    valid = np.isfinite(a)
    if not valid.all():
        raise ValueError(f"{fn}: {_at(name, a, valid)}: it must be finite")


def _scales(fn: str, factors: Array, covariance: str) -> None:
    """Raise unless the deviations, or the diagonals of the factors, are positive and finite."""
    what, scales = "standard deviations", factors
    if covariance != "diag":
        what, scales = "diagonals of Cholesky factors", np.diagonal(factors, axis1=-2, axis2=-1)
    valid = (scales > 0) & (scales < np.inf)
    if valid.all():
        return
    *k, j = (int(i) for i in np.unravel_index(int(valid.argmin()), valid.shape))
    index = (*k, j) if covariance == "diag" else (*k, j, j)
    where = ", ".join(map(str, index))
    raise ValueError(
        f"{fn}: factors[{where}] is {factors[index]}: {what} must be positive and finite"
    )


def _shape_of_factors(covariance: str, c: int, d: int) -> tuple[int, ...]:
    return {"full": (c, d, d), "shared": (d, d), "diag": (c, d)}[covariance]


def gaussian_logpdf(
    x: Any, means: Any, factors: Any, covariance: object, paired: object, out: Any
) -> tuple[Array, Array, Array]:
    """Check x (n, d), means (c, d) and the factors that belong to the covariance; returns them."""
    fn = "gaussian_logpdf"
    name = one_of("covariance", covariance, COVARIANCES)
    given = {"x": x, "means": means, "factors": factors}
    x, means = array(f"{fn}: x", x, 2), array(f"{fn}: means", means, 2)
    factors = array(f"{fn}: factors", factors, 3 if name == "full" else 2)
    _check.same_dtype(fn, x=x, means=means, factors=factors)
    (n, d), c = x.shape, len(means)
    _not_empty(fn, "x", x, columns=1)
    if paired:
        _check.shape(fn, "means", means, (n, d), f"to pair with the rows of x {x.shape}")
    else:
        _not_empty(fn, "means", means, rows=0)
        _check.shape(fn, "means", means, (c, d), f"to match x {x.shape}")
    expected = _shape_of_factors(name, c, d)
    _check.shape(fn, "factors", factors, expected, f"for {c} {name} Gaussians in {d} dimensions")
    _finite(fn, "means", means)
    _scales(fn, factors, name)
    if out is not None:
        out_array(f"{fn}: out", out, (n,) if paired else (n, c), x.dtype)
        no_overlap(f"{fn}: out", out, **given)
    return x, means, factors


def _symmetric(fn: str, cov: Array) -> None:
    """Raise unless |a - a^T| <= 100 eps max|a| for each matrix a."""
    size = np.abs(cov).max(axis=(-2, -1), keepdims=True)
    with np.errstate(over="ignore"):
        apart = np.abs(cov - cov.swapaxes(-2, -1))
    valid = apart <= 100 * np.finfo(cov.dtype).eps * size
    if not valid.all():
        *k, i, j = (int(i) for i in np.unravel_index(int(valid.argmin()), valid.shape))
        mirrored = ", ".join(map(str, (*k, j, i)))
        raise ValueError(
            f"{fn}: {_at('cov', cov, valid)} but cov[{mirrored}] is {cov[(*k, j, i)]}: "
            "it must be symmetric"
        )


def cholesky_factors(cov: Any, out: Any) -> Array:
    """Check cov (c, d, d) or (d, d): finite and symmetric. Returns it."""
    fn, given = "cholesky_factors", cov
    cov = array(f"{fn}: cov", cov, (2, 3))
    d = cov.shape[-1]
    _check.shape(fn, "cov", cov, (*cov.shape[:-2], d, d), "of square matrices")
    _not_empty(fn, "cov", cov, columns=-1)
    if out is not None:
        out_array(f"{fn}: out", out, cov.shape, cov.dtype)
        no_overlap(f"{fn}: out", out, cov=given)
    _finite(fn, "cov", cov)
    if cov.size:
        _symmetric(fn, cov)
    return cov


def positive_definite(cov: Array, pivots: Array) -> None:
    """Raise if a factorisation of `cov` found a pivot that is not positive."""
    failed = np.atleast_1d(pivots) >= 0
    if not failed.any():
        return
    k = int(failed.argmax())
    name = f"cov[{k}]" if cov.ndim == 3 else "cov"
    raise np.linalg.LinAlgError(
        f"{name} is not positive definite: its factorisation finds no positive pivot in "
        f"column {np.atleast_1d(pivots)[k]}"
    )


def gaussian_moments(
    x: Any, labels: Any, n_classes: Any, sample_weight: Any, covariance: object
) -> tuple[Array, Array, int, Array | None]:
    """Check the rows of Gaussians. Returns x (n, d), labels (n,), n_classes, weights (n,)."""
    fn = "gaussian_moments"
    one_of("covariance", covariance, COVARIANCES)
    n_classes = integer("n_classes", n_classes, 1)
    x = array(f"{fn}: x", x, 2)
    _not_empty(fn, "x", x, columns=1)
    labels = _check.labels("labels", labels, len(x), n_classes)
    return x, labels, n_classes, _check.weights(sample_weight, len(x), x.dtype, positive=False)


def logsumexp(x: Any, out: Any) -> Array:
    """Check x (n, c), c > 0, and `out` (n,). Returns x."""
    fn, given = "logsumexp", x
    x = array(f"{fn}: x", x, 2)
    _not_empty(fn, "x", x, columns=1)
    if out is not None:
        out_array(f"{fn}: out", out, x.shape[:1], x.dtype)
        no_overlap(f"{fn}: out", out, x=given)
    return x


def linear_loss(
    x: Any, y: Any, w: Any, b: Any, loss: object, alpha: Any, sample_weight: Any
) -> tuple[Array, Array, Array, Array | None, float, Array | None]:
    """Check a linear model. Returns x (n, d), labels or targets y, w (d, c), b, alpha, weights."""
    fn = "linear_loss"
    name = one_of("loss", loss, LOSSES)
    alpha = number("alpha", alpha, "at least 0", lambda a: a >= 0)
    x, w = array(f"{fn}: x", x, 2), array(f"{fn}: w", w, 2)
    b = None if b is None else array(f"{fn}: b", b, 1)
    _check.same_dtype(fn, x=x, w=w, b=b)
    _check.chain(fn, x, w)
    n, c = len(x), w.shape[1]
    _not_empty(fn, "x", x, columns=1)
    _not_empty(fn, "w", w, columns=1)
    if n == 0:
        raise ValueError(f"{fn}: x {x.shape} has no rows to take the mean over")
    if b is not None:
        _check.shape(fn, "b", b, (c,), f"to match w {w.shape}")
    classes = _check.n_label_values(name, c)
    labels, targets = _check.labels_or_targets(y, n, c, x.dtype, classes)
    weights = _check.weights(sample_weight, n, x.dtype)
    return x, cast(Array, targets if labels is None else labels), w, b, alpha, weights
