"""Sufficient statistics of the classes, and the covariances that are estimated from them.

Statistics are tuples of float64 arrays with the classes first, and are never changed in place; a
class without rows is all zeros. They add and subtract exactly, but for rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .runtime import backend_module as _backend

Array = NDArray[Any]

_EPS = float(np.finfo(np.float64).eps)
_RESIDUE = 1e-12  # of a weight: what less is left by a subtraction is rounding


class Full(NamedTuple):
    """Sums of w, w u u^T, w |u|^2 u and w |u|^4, u = x - mean of the class; and the means."""

    weights: Array  # (c,)
    means: Array  # (c, d)
    scatter: Array  # (c, d, d)
    third: Array  # (c, d)
    fourth: Array  # (c,)


class Diag(NamedTuple):
    """Sums of w, of w over the rows where a feature is observed, and of w u^2; and the means."""

    weights: Array  # (c,)
    observed: Array  # (c, d)
    means: Array  # (c, d)
    scatter: Array  # (c, d)


Statistics = Full | Diag


def _diagonals(covariance: Array) -> Array:
    """The variances (..., d), a view that can be written to, of contiguous (..., d, d)."""
    d = covariance.shape[-1]
    return covariance.reshape(*covariance.shape[:-2], d * d)[..., :: d + 1]


# Statistics


def of_rows(kind: str, x: Array, labels: Array, c: int, w: Array | None) -> Statistics:
    """Statistics of the rows x (n, d) of classes 0 to c - 1; NaN is a missing value for "diag"."""
    if kind != "diag":
        return Full(*_backend.class_moments(x, labels, c, w, "full"))
    part = _of_columns(x, labels, c, w)
    return part if _backend.all_finite(part.scatter) else _with_gaps(x, labels, c, w)


def _of_columns(x: Array, labels: Array, c: int, w: Array | None) -> Diag:
    weights, means, scatter, *_ = _backend.class_moments(x, labels, c, w, "diag")
    return Diag(weights, np.repeat(weights[:, np.newaxis], x.shape[1], axis=1), means, scatter)


def _with_gaps(x: Array, labels: Array, c: int, w: Array | None) -> Diag:
    """Statistics of each feature over the rows where it is observed."""
    missing = np.isnan(x)
    gaps = missing.any(axis=0)
    observed, means, scatter = np.zeros((3, c, x.shape[1]))

    def keep(columns: Any, rows: Any) -> None:
        weights = None if w is None else w[rows]
        part = _of_columns(x[rows][:, columns], labels[rows], c, weights)
        _, observed[:, columns], means[:, columns], scatter[:, columns] = part

    if not gaps.all():
        keep(~gaps, slice(None))
    for j in np.flatnonzero(gaps).tolist():
        rows = np.flatnonzero(~missing[:, j])
        if len(rows):
            keep(slice(j, j + 1), rows)
    return Diag(np.bincount(labels, w, c).astype(np.float64), observed, means, scatter)


def spread(statistics: Statistics, index: Array, c: int) -> Statistics:
    """Statistics of c classes, of which those at `index` (in order) are the given ones."""
    if len(index) == c:
        return statistics

    def wider(a: Array) -> Array:
        b = np.zeros((c, *a.shape[1:]))
        b[index] = a
        return b

    return type(statistics)(*map(wider, statistics))


def added(total: Statistics, part: Statistics, sign: float) -> Statistics:
    """Statistics of the rows of both, or with sign -1 of those of `total` without `part`."""
    if isinstance(total, Full) or isinstance(part, Full):
        return Full(*_backend.add_moments(tuple(total), tuple(part), sign))
    observed = total.observed + sign * part.observed
    left = observed > _RESIDUE * total.observed
    share = np.divide(sign * part.observed, observed, out=np.zeros(left.shape), where=left)
    step = part.means - total.means
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is found when learned
        scatter = total.scatter + sign * part.scatter + total.observed * share * step * step
    return Diag(
        total.weights + sign * part.weights,
        np.where(left, observed, 0.0),
        np.where(left, total.means + share * step, 0.0),
        np.where(left, scatter, 0.0),
    )


def rounding_floor(means: Array, eps: float) -> Array:
    """The largest variances that rounding of the means alone can make of constant features."""
    with np.errstate(over="ignore"):
        return np.maximum((4 * eps * means) ** 2, np.finfo(np.float64).tiny)


def _variance_sums(statistics: Statistics) -> Array:
    return statistics.scatter if isinstance(statistics, Diag) else _diagonals(statistics.scatter)


def is_possible(left: Statistics, before: Statistics, eps: float) -> bool:
    """Whether no variance that a subtraction has left is negative beyond its rounding."""
    rounding = math.sqrt(eps) * _variance_sums(before)
    rounding += before.weights[:, np.newaxis] * rounding_floor(before.means, eps)
    return bool((_variance_sums(left) >= -rounding).all())


def require_weight(weights: Array, before: Array | float, classes: Array) -> None:
    """Raise if the weight of a class is gone, but for what rounding leaves of it."""
    gone = weights <= _RESIDUE * before
    if gone.any():
        raise ValueError(f"class {classes.tolist()[gone.argmax()]!r} is left without weight")


def require_complete(statistics: Statistics, classes: Array) -> None:
    """Raise if sums have overflowed, or a class with rows has none with some feature."""
    if not np.isfinite(_variance_sums(statistics)).all():
        raise ValueError("X is so large that the squares of its deviations overflow")
    if not isinstance(statistics, Diag):
        return
    unknown = (statistics.observed == 0) & (statistics.weights > 0)[:, np.newaxis]
    if unknown.any():
        k, j = np.argwhere(unknown)[0].tolist()
        raise ValueError(f"feature {j} is missing in every row of class {classes.tolist()[k]!r}")


def priors_of(given: Any, weights: Array) -> Array:
    """P(k), scaled to those classes that have rows."""
    if given is None:
        return weights / weights.sum()
    try:
        priors = np.asarray(given, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"priors are not numbers: {error}") from None
    if priors.shape != weights.shape:
        raise ValueError(f"priors have shape {priors.shape}, but there are {len(weights)} classes")
    if not (priors >= 0).all() or not abs(priors.sum() - 1) <= 1e-8:
        raise ValueError(f"priors {priors} must be at least 0 and sum to 1")
    priors = np.where(weights > 0, priors, 0.0)
    if not priors.any():
        raise ValueError("every class that has rows has prior 0")
    return priors / priors.sum()


# Covariances


class Estimate(NamedTuple):
    """Covariances after shrinkage, their factors, and how much each was shrunk (c,).

    "full": (c, d, d) with lower Cholesky factors; "diag": variances (c, d) with deviations.
    """

    covariance: Array
    factors: Array
    shrinkage: Array


def _mean_variance(variances: Array) -> float:
    return float((variances / len(variances)).sum())  # in this order it cannot overflow


def ledoit_wolf(covariance: Array, fourth: float, weight: float) -> float:
    """Intensity that minimises the expected squared error of the shrunk covariance (d, d)."""
    scale = _mean_variance(_diagonals(covariance))
    scaled = (covariance / scale).ravel()
    square = _backend.dot(scaled, scaled)
    error = (fourth / weight / scale / scale - square) / weight
    distance = square - len(covariance)
    if not error < distance:  # NaN too, from fourth powers that overflow
        return 1.0 if distance > 0 else 0.0
    return max(error, 0.0) / distance


def _diagonal_intensity(variances: Array, weight: float) -> float:
    """The same for variances (d,) of normal features: Var(v_j) = 2 v_j^2 / n."""
    scaled = variances / variances.max()
    distance = ((scaled - scaled.mean()) ** 2).sum()
    error = 2 / weight * (scaled**2).sum()
    return float(error / distance) if error < distance else 1.0


def blended(covariance: Array, s: float) -> Array:
    """(1 - s) Sigma + s tr(Sigma)/d I, of (d, d) or of variances (d,)."""
    full = covariance.ndim == 2
    blend: Array = (1 - s) * covariance
    diagonal = _diagonals(blend) if full else blend
    diagonal += s * _mean_variance(_diagonals(covariance) if full else covariance)
    return blend


def factored(covariance: Array) -> tuple[Array, Any]:
    """Factors of covariances, and how far each is from singular, (c,), whatever the units.

    That is the least share of a feature's variance that the features before it do not explain; 0
    where the covariance is not positive definite.
    """
    if covariance.ndim == 2:
        return np.sqrt(covariance), (covariance > 0).all(axis=1).astype(np.float64)
    factors, pivots = _backend.cholesky(covariance)
    variance, left = _diagonals(covariance), _diagonals(factors) ** 2
    share = np.divide(left, variance, out=np.zeros(left.shape), where=variance > 0)
    return factors, np.where(pivots < 0, share.min(axis=1), 0.0)


def _without_constants(covariance: Array, floor: Array) -> None:
    """Set to zero what rounding has left of the variances of constant features, in place."""
    full = covariance.ndim == 3
    variances = _diagonals(covariance) if full else covariance
    k: int
    for k in np.flatnonzero((variances <= floor).any(axis=1)).tolist():
        constant = variances[k] <= floor[k]
        covariance[k][constant] = 0
        if full:
            covariance[k][:, constant] = 0


def _best_intensity(covariance: Array, fourth: float, weight: float, eps: float) -> float:
    """The s of least expected error that leaves a factor."""
    if covariance.ndim == 1:
        return _diagonal_intensity(covariance, weight)
    s = ledoit_wolf(covariance, fourth, weight)
    # Of two rows the products u u^T are equal, and say nothing about the error of their mean.
    return max(s, 8 * len(covariance) * eps) if s * weight > math.sqrt(eps) else 1.0


def _regular(
    covariance: Array, fourth: float, weight: float, eps: float
) -> tuple[Array, Array, float] | None:
    """Blend by the best intensity, or by 1 if that has no factor; None for a covariance of zero."""
    if not covariance.any():
        return None
    for s in (_best_intensity(covariance, fourth, weight, eps), 1.0):
        blend = blended(covariance, s)
        factors, share = factored(blend[np.newaxis])
        if share[0] >= len(blend) * _EPS:
            return blend, factors[0], s
    return None


def _of_points(
    weights: Array, covariance: Array, points: list[int], centres: Array, eps: float
) -> Array:
    """The covariance of classes that are points: the average of the others, or a narrow sphere."""
    average: Array = np.zeros(covariance.shape[1:])
    others = weights.copy()
    others[points] = 0
    for k in np.flatnonzero(others):
        average += others[k] / others.sum() * covariance[k]
    if others.any():
        return average
    diagonal = _diagonals(average) if average.ndim == 2 else average
    diagonal += 1e-9 * _reach(centres, eps) ** 2
    return average


def _reach(centres: Array, eps: float) -> float:
    """The largest distance of the centres in a feature; of a single one, from 0, or 1."""
    size = float(np.abs(centres).max())
    distance = float(np.ptp(centres, axis=0).max())
    reach = distance if distance > 4 * eps * size else size
    return min(max(reach, 1e-140), 1e140) if reach else 1.0  # its square is a normal number


class Rule(NamedTuple):
    """When and how to shrink: as GaussianClassifier says, for data of that precision."""

    shrinkage: str | float | None
    eps: float
    name: Callable[[int], str]


def _shrunk(
    weights: Array, covariance: Array, fourth: Array, floor: Array, centres: Array, rule: Rule
) -> Estimate:
    """Estimates from plain covariances (c, ...), which are overwritten."""
    _without_constants(covariance, floor)
    seen = weights > 0
    applied = np.zeros(len(weights))
    if isinstance(rule.shrinkage, float):
        applied[seen] = rule.shrinkage
        for k in np.flatnonzero(seen).tolist():
            covariance[k] = blended(covariance[k], rule.shrinkage)
    factors, share = factored(covariance)
    points = []
    singular: list[int] = np.flatnonzero(share < 8 * covariance.shape[-1] * rule.eps).tolist()
    for k in singular:
        if seen[k] and rule.shrinkage != "auto":
            raise ValueError(
                f"{rule.name(k)} is singular to working precision: too few rows, or features that "
                "are constant or depend on each other; use shrinkage='auto' or a larger number"
            )
        regular = _regular(covariance[k], float(fourth[k]), float(weights[k]), rule.eps)
        if regular is None:
            points.append(k)
        else:
            covariance[k], factors[k], applied[k] = regular
    if points:
        covariance[points] = _of_points(weights, covariance, points, centres, rule.eps)
        factors[points] = factored(covariance[points])[0]
        applied[points] = seen[points]
    return Estimate(covariance, factors, applied)


def mean_over(weights: Array, sums: Array) -> Array:
    """sums / weights, 0 where there is no weight."""
    weights = weights.reshape(weights.shape + (1,) * (sums.ndim - weights.ndim))
    return np.asarray(sums / np.where(weights > 0, weights, 1.0))


def estimated(kind: str, statistics: Statistics, rule: Rule) -> Estimate:
    """Maximum-likelihood covariances, shrunk as the rule says; "shared": without the axis of c."""
    weights, means = statistics.weights, statistics.means
    floor, centres = rounding_floor(means, rule.eps), means[weights > 0]
    if isinstance(statistics, Diag):
        plain = mean_over(statistics.observed, statistics.scatter)
        return _shrunk(weights, plain, weights, floor, centres, rule)
    if kind == "full":
        plain = mean_over(weights, statistics.scatter)
        return _shrunk(weights, plain, statistics.fourth, floor, centres, rule)
    total = weights.sum(keepdims=True)
    pooled = mean_over(total, statistics.scatter.sum(axis=0, keepdims=True))
    fourth = statistics.fourth.sum(keepdims=True)
    floor = (weights[:, np.newaxis] / total * floor).sum(axis=0, keepdims=True)
    shared = _shrunk(total, pooled, fourth, floor, centres, rule)
    return Estimate(shared.covariance[0], shared.factors[0], shared.shrinkage[0])
