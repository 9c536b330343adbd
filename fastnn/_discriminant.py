"""Covariances as scikit-learn defines them, and the solutions of linear discriminant analysis.

All is float64. An eigenvector has no sign of its own: here its largest component is positive, so
that a result does not depend on the library that found it.
"""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import _gaussian_stats as _stats
from ._check import one_of
from ._check_network import number
from .runtime import backend_module as _backend

Array = NDArray[Any]

EPS = float(np.finfo(np.float64).eps)


class Rows(NamedTuple):
    """What a model is fitted to: rows (n, d), their classes (n,) of c, weights (n,) or None."""

    x: Array
    labels: Array
    c: int
    w: Array | None

    def together(self) -> Rows:
        """The same rows as a single class."""
        return Rows(self.x, np.zeros(len(self.x), np.int64), 1, self.w)


class Within(NamedTuple):
    """Weights (c,), means (c, d) and the average covariance (d, d) of classes."""

    weights: Array
    means: Array
    covariance: Array


def check(model: Any, solvers: tuple[str, ...]) -> None:
    """Check the parameters of a discriminant analysis that say how it finds covariances."""
    one_of("solver", model.solver, solvers)
    number("tol", model.tol, "at least 0", lambda t: t >= 0)
    if isinstance(model.shrinkage, str):
        one_of("shrinkage", model.shrinkage, ("auto",))
    elif model.shrinkage is not None:
        number("shrinkage", model.shrinkage, "between 0 and 1", lambda s: 0 <= s <= 1)
    if model.covariance_estimator is not None:
        if not hasattr(model.covariance_estimator, "fit"):
            raise ValueError(
                f"covariance_estimator {model.covariance_estimator!r} must have a method fit"
            )
        if model.solver == "svd":
            other = [solver for solver in solvers if solver != "svd"]
            raise ValueError(
                "covariance_estimator is not supported with solver='svd', only with "
                + " or ".join(map(repr, other))
            )
        if model.shrinkage:
            raise ValueError("give either covariance_estimator or shrinkage, not both")
    if model.solver == "svd" and model.shrinkage is not None:
        raise NotImplementedError(
            "shrinkage is not supported with solver='svd', only with another solver"
        )


def priors_of(given: Any, weights: Array) -> Array:
    """P(k): shares of the weights, or those given, which are scaled to sum 1 with a warning."""
    if given is None:
        return np.asarray(weights / weights.sum())
    try:
        priors = np.array(given, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"priors are not numbers: {error}") from None
    if priors.shape != weights.shape:
        raise ValueError(f"priors have shape {priors.shape}, but there are {len(weights)} classes")
    if not (priors >= 0).all():
        raise ValueError(f"priors must be non-negative, not {priors}")
    total = float(priors.sum())
    if not 0 < total < np.inf:
        raise ValueError(f"priors {priors} have the sum {total}: they must have a positive one")
    if abs(total - 1) > 1e-5:
        warnings.warn(f"priors sum to {total}, not to 1: they are divided by that", stacklevel=6)
        priors /= total
    return priors


def log_of(priors: Array) -> Array:
    """log P(k), -inf for 0."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(priors))


# Covariances


def _standardized(rows: Rows, eps: float) -> Array:
    """Covariances (c, d, d) that are shrunk as Ledoit and Wolf say, in units of the deviations."""
    x, labels, c, w = rows
    weights, means, scatter, *_ = _backend.class_moments(x, labels, c, w, "diag")
    variances = scatter / weights[:, np.newaxis]
    constant = variances <= _stats.rounding_floor(means, eps)
    deviations = np.sqrt(np.where(constant, 1.0, variances))
    z = (x - means[labels]) / deviations[labels]
    w = None if w is None else w.astype(np.float64)
    _, _, scatter, _, fourth = _backend.class_moments(z, labels, c, w, "full")
    covariances = scatter / weights[:, np.newaxis, np.newaxis]
    for k in range(c):
        if covariances[k].any():
            s = _stats.ledoit_wolf(covariances[k], float(fourth[k]), float(weights[k]))
            covariances[k] = _stats.blended(covariances[k], s)
        covariances[k] *= np.outer(deviations[k], deviations[k])
    return np.asarray(covariances)


def _of_estimator(rows: Rows, estimator: Any) -> Array:
    """Covariances (c, d, d) by an object that has fit(X) and covariance_ then."""
    if rows.w is not None:
        raise ValueError("sample_weight cannot be passed on to a covariance_estimator")
    d = rows.x.shape[1]
    result = np.empty((rows.c, d, d))
    for k in range(rows.c):
        estimator.fit(rows.x[rows.labels == k])
        if not hasattr(estimator, "covariance_"):
            raise ValueError(f"{type(estimator).__name__} has no covariance_ after its fit")
        covariance = np.asarray(estimator.covariance_, np.float64)
        if covariance.shape != (d, d) or not np.isfinite(covariance).all():
            raise ValueError(
                f"covariance_ of {type(estimator).__name__} must be {(d, d)} finite numbers"
            )
        result[k] = covariance
    return result


def covariances_of(rows: Rows, shrinkage: Any, estimator: Any) -> Array:
    """Covariances (c, d, d) of the classes: `shrinkage` is "auto", a number or None."""
    if estimator is not None:
        return _of_estimator(rows, estimator)
    if shrinkage == "auto":
        return _standardized(rows, float(np.finfo(rows.x.dtype).eps))
    x, labels, c, w = rows
    weights, _, scatter, *_ = _backend.class_moments(x, labels, c, w, "full")
    plain = scatter / weights[:, np.newaxis, np.newaxis]
    if shrinkage:
        plain = np.stack([_stats.blended(covariance, float(shrinkage)) for covariance in plain])
    return np.asarray(plain)


def within(rows: Rows, priors: Any, shrinkage: Any, estimator: Any) -> tuple[Within, Array]:
    """The average of the classes' covariances by their priors, and these.

    Without `priors` the average of plain covariances is that of all rows about the means of their
    classes, for which one (d, d) is enough; shrinking by a number is linear, so it may come after.
    """
    x, labels, c, w = rows
    if priors is None and shrinkage != "auto" and estimator is None:
        weights, means, scatter, *_ = _backend.class_moments(x, labels, c, w, "shared")
        average = scatter / weights.sum()
        if shrinkage:
            average = _stats.blended(average, float(shrinkage))
        return Within(weights, means, average), priors_of(None, weights)
    weights, means, *_ = _backend.class_moments(x, labels, c, w, "diag")
    shares = priors_of(priors, weights)
    each = covariances_of(rows, shrinkage, estimator)
    return Within(weights, means, np.tensordot(shares, each, 1)), shares


# Eigenvectors


def with_signs(vectors: Array) -> Array:
    """The columns (..., d, r), each with the sign that makes its largest component positive."""
    if not vectors.size:
        return vectors
    largest = np.abs(vectors).argmax(axis=-2, keepdims=True)
    return vectors * np.where(np.take_along_axis(vectors, largest, axis=-2) < 0, -1.0, 1.0)


def spectra(covariances: Array) -> tuple[Array, Array]:
    """Eigenvalues (..., d), the largest first, and eigenvectors (..., d, d) in columns."""
    values, vectors = np.linalg.eigh(covariances)
    return values[..., ::-1], with_signs(vectors[..., ::-1])


# Linear discriminant analysis


class Solution(NamedTuple):
    """Logits ``x coef^T + intercept`` of c classes, and what else a solver learns, by name."""

    coef: Array
    intercept: Array
    learned: dict[str, Array]


def _with_intercept(
    classes: Within, priors: Array, coef: Array, learned: dict[str, Array]
) -> Solution:
    half = 0.5 * (classes.means * coef).sum(axis=1)
    return Solution(coef, log_of(priors) - half, {"covariance_": classes.covariance, **learned})


def by_least_squares(classes: Within, priors: Array) -> Solution:
    """coef^T is the smallest solution of Sigma coef^T = means^T."""
    coef, _, rank, _ = np.linalg.lstsq(classes.covariance, classes.means.T, rcond=None)
    if rank < len(coef):
        _warn_of_rank(int(rank), len(coef))
    return _with_intercept(classes, priors, np.ascontiguousarray(coef.T), {})


def by_eigenvectors(classes: Within, priors: Array, total: Array, components: int) -> Solution:
    """The directions v of (total - Sigma) v = lambda Sigma v, v^T Sigma v = 1."""
    factors, share = _stats.factored(classes.covariance[np.newaxis])
    if share[0] < 8 * len(total) * EPS:
        raise np.linalg.LinAlgError(
            "the covariance within classes is singular to working precision: solver='eigen' needs "
            "shrinkage then, or take solver='svd'"
        )
    root = _backend.triangular_inverse(factors[0])
    values, vectors = np.linalg.eigh(root @ (total - classes.covariance) @ root.T)
    scalings = with_signs(root.T @ vectors[:, ::-1])
    ratio = _shares(values[::-1])[:components]
    coef = classes.means @ scalings @ scalings.T
    learned = {"scalings_": scalings, "explained_variance_ratio_": ratio}
    return _with_intercept(classes, priors, coef, learned)


def _shares(values: Array) -> Array:
    total = values.sum()
    return np.asarray(values / total if total > 0 else np.zeros_like(values))


def _warn_of_rank(rank: int, d: int) -> None:
    warnings.warn(
        f"the covariance within classes has rank {rank}, but there are {d} features: some are "
        "constant or depend on each other, or there are too few rows; directions without variance "
        "within classes are ignored. solver='lsqr' with shrinkage uses them",
        stacklevel=7,
    )


def by_whitening(
    classes: Within, priors: Array, tol: float, components: int, eps: float
) -> Solution:
    """Whiten what varies within classes, then take the directions in which the means differ."""
    weights, means, _ = classes
    c, d = means.shape
    whitening = _whitening(classes, tol, eps)
    if whitening.shape[1] == 0:
        raise ValueError("every feature is constant within each class: there is no scale to it")
    if whitening.shape[1] < d:
        _warn_of_rank(whitening.shape[1], d)
    centre = priors @ means
    amount = np.sqrt(weights.sum() * priors / max(c - 1, 1))
    between = amount[:, np.newaxis] * ((means - centre) @ whitening)
    _, s, vt = np.linalg.svd(between, full_matrices=False)
    scalings = with_signs(whitening @ vt[s > max(tol, d * EPS) * s[0]].T)
    offsets = (means - centre) @ scalings
    coef = offsets @ scalings.T
    intercept = log_of(priors) - 0.5 * (offsets**2).sum(axis=1) - coef @ centre
    ratio = _shares(s**2)[:components]
    return Solution(
        coef,
        intercept,
        {"scalings_": scalings, "xbar_": centre, "explained_variance_ratio_": ratio},
    )


def _whitening(classes: Within, tol: float, eps: float) -> Array:
    """Directions (d, r) of variance 1 and without correlation within classes, out of those whose
    deviation is above tol where that of each feature is 1.
    """
    weights, means, covariance = classes
    d = len(covariance)
    variances = covariance.diagonal()
    floor = weights @ _stats.rounding_floor(means, eps) / weights.sum()
    constant = variances <= floor
    scales = np.sqrt(np.where(constant, 1.0, variances))
    correlation = np.where(
        constant | constant[:, np.newaxis], 0.0, covariance / np.outer(scales, scales)
    )
    values, vectors = np.linalg.eigh(correlation)
    values, vectors = values[::-1], vectors[:, ::-1]
    # The variances are known to d eps, so no deviation below the root of that is told from zero.
    kept = values > max(tol**2, 8 * d * EPS)
    return np.asarray(vectors[:, kept] / scales[:, np.newaxis] / np.sqrt(values[kept]))
