"""What a maximum-likelihood fit of logistic regression says of itself: standard errors, and whether
there is a finite maximum at all.

The covariance of the parameters is the inverse of the Fisher information sum(w) H, H the Hessian of
the mean loss. For more than two classes H is singular, as only differences between classes count:
the last class is the reference, phi_k = theta_k - theta_last has the information of the first
blocks of H, and theta_k = phi_k - sum(phi)/c is the solution whose sum over the classes is zero.

Reference: A. Agresti, Categorical Data Analysis (2013), sections 5.5, 6.5 and 8.1.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._logistic import Problem
from ._newton import Factor

Array = NDArray[Any]

_MOST_PARAMETERS = 4096  # the information of that many takes 134 MB
_SETTLED = 0.5  # what a further Newton step may change a log-odds by, at most


class StandardErrors(NamedTuple):
    """Standard errors of a fit, float64."""

    coef: NDArray[Any]
    """Of `coef_`: (c, d), or (1, d) for two classes."""
    intercept: NDArray[Any]
    """Of `intercept_`: (c,) or (1,)."""


class ConfidenceIntervals(NamedTuple):
    """Lower and upper ends of the confidence intervals of a fit, float64."""

    coef: NDArray[Any]
    """Of `coef_`: (c, d, 2), or (1, d, 2) for two classes."""
    intercept: NDArray[Any]
    """Of `intercept_`: (c, 2) or (1, 2)."""


class Inference(NamedTuple):
    """Standard errors, or why there are none; a warning if there is no finite maximum."""

    errors: StandardErrors | None = None
    reason: str = ""
    warning: str | None = None


def _logits(problem: Problem, theta: Array, columns: int) -> Array:
    """Return theta's logits of all rows that have a weight."""
    theta = theta.reshape(columns, problem.width).astype(problem.x.dtype)
    d = problem.x.shape[1]
    w, b = theta[:, :d].T, theta[:, d].copy() if problem.fit_intercept else None
    z = problem.logits(w, b)
    return z if problem.weights is None else z[problem.weights > 0]


def are_separable(problem: Problem, theta: Array) -> bool:
    """Tell whether the hyperplanes of theta have every row on the side of its class."""
    z = _logits(problem, theta, problem.columns)
    labels = problem.labels
    if problem.weights is not None:
        labels = labels[problem.weights > 0]
    if problem.columns == 1:
        return bool((np.where(labels == 1, z[:, 0], -z[:, 0]) > 0).all())
    rows = np.arange(len(z))
    own = z[rows, labels]
    z[rows, labels] = -np.inf
    return bool((own > z.max(axis=1)).all())


def _errors(problem: Problem, factor: Factor, total: float, shift: Array | None) -> StandardErrors:
    """Return the roots of the diagonal of the covariance, of parameters for x and not x - shift."""
    c, width, d = problem.columns, problem.width, problem.x.shape[1]
    root = factor.inverse_root()  # a linear function t of the parameters has variance |root t|^2
    root = root.reshape(len(root), -1, width)
    if shift is not None:
        root[:, :, d] -= (root[:, :, :d] * shift).sum(axis=2)
    if c > 1:
        common = root.sum(axis=1, keepdims=True) / c
        root = np.concatenate([root - common, -common], axis=1)
    errors = np.sqrt((root * root).sum(axis=0) / total)
    intercept = errors[:, d].copy() if problem.fit_intercept else np.zeros(c)
    return StandardErrors(errors[:, :d].copy(), intercept)


def infer(problem: Problem, theta: Array, shift: Array | None, converged: bool) -> Inference:
    """Judge the end of a fit without a penalty, theta, to features from which shift was taken."""
    if are_separable(problem, theta):
        why = "the classes are separable: no finite maximum-likelihood estimate exists"
        return Inference(reason=why, warning=f"{why}; set C to a finite number")
    if not converged:
        return Inference(reason="the fit has not converged")
    free = problem.width * max(1, problem.columns - 1)
    if free > _MOST_PARAMETERS:
        return Inference(reason=f"there are {free} parameters, more than {_MOST_PARAMETERS}")
    _, gradient, h = problem.derivatives(theta, True)
    assert h is not None
    factor = Factor(np.ascontiguousarray(h[:free, :free]), problem.eps)
    step = _logits(problem, factor.solve(gradient[:free]), free // problem.width)
    if not np.abs(step).max() <= _SETTLED:
        why = "the classes are separable along some direction, or tol is too large for these data"
        return Inference(reason=why, warning=f"{why}: a Newton step still moves a log-odds by 0.5")
    if factor.damping or not h.diagonal().min() > 0:
        return Inference(reason="features are collinear, so that their coefficients are not unique")
    total = len(problem.x) if problem.weights is None else problem.weights.sum(dtype=np.float64)
    return Inference(_errors(problem, factor, float(total), shift))
