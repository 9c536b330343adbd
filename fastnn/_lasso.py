"""Logistic regression with a penalty on absolute values, the lasso and the elastic net.

    minimise f(theta) + strength |W|_1

f being smooth: the mean loss, and the squares' part of the penalty. Newton's method with a model that
keeps the absolute values as they are: in each step coordinate descent minimises
``g d + 1/2 d^T H d + strength |W + d|_1``, in turn with linear equations for the coefficients that
are not 0, solved as far as their signs last. What counts as the gradient is the smallest subgradient.

Of many features only a working set is solved for at a time, those with coefficients and those that
most want one, until no other wants one: the Hessian stays small.

References: J. Friedman, T. Hastie, R. Tibshirani, Regularization paths for generalized linear models
via coordinate descent, Journal of Statistical Software 33 (2010). J. D. Lee, Y. Sun, M. A. Saunders,
Proximal Newton-type methods for minimizing composite functions, SIAM J. Optim. 24 (2014).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._lbfgs import (
    NO_STEP,
    NOT_FINITE,
    OUT_OF_ITERATIONS,
    ROUNDED,
    WITHIN_TOL,
    Result,
    largest,
)
from ._logistic import Problem
from ._newton import Factor
from .runtime import backend_module as _backend

Array = NDArray[Any]

_MOST_PARAMETERS = 1000  # whose Hessian is computed at once
_FIRST_FEATURES = 32  # of a working set
_ROUNDS = 30  # of sweeps and equations
_SWEEPS = 5
_CROSSINGS = 30
_SHARE = 0.1  # of the gradient, that coordinate descent may leave
_DECREASE = 1e-4
_MOST_TRIALS = 30


def _penalised(problem: Problem) -> Array:
    """Which parameters (p,) have a penalty: all but intercepts."""
    mask = np.ones((problem.columns, problem.width), bool)
    mask[:, problem.x.shape[1] :] = False
    return mask.ravel()


def subgradient(theta: Array, gradient: Array, penalty: Array) -> Array:
    """Return the smallest subgradient of f + sum penalty |theta|, from the gradient of f."""
    held = np.sign(gradient) * np.maximum(np.abs(gradient) - penalty, 0.0)
    return np.where(theta != 0, gradient + penalty * np.sign(theta), held)


def _sweep(h: Array, u: Array, slope: Array, penalty: Array, places: Array) -> None:
    """Minimise the model by one coordinate after the other; slope is its gradient at u."""
    for j in places.tolist():
        curvature = h[j, j]
        if curvature <= 0:  # a feature without rows
            continue
        free = u[j] - slope[j] / curvature
        new = math.copysign(max(abs(free) - penalty[j] / curvature, 0.0), free)
        if new != u[j]:
            slope += h[j] * (new - u[j])
            u[j] = new


def _within_signs(h: Array, u: Array, slope: Array, penalty: Array) -> tuple[Array, Array]:
    """Go to the minimum for the signs of u, coefficients that come to 0 on the way staying there.

    Return it, or where it was after so many of them, and the model's gradient there.
    """
    for _ in range(_CROSSINGS):
        free = (u != 0) | (penalty == 0)
        step = np.zeros_like(u)
        factor = Factor(np.ascontiguousarray(h[np.ix_(free, free)]))
        step[free] = -factor.solve((slope + penalty * np.sign(u))[free])
        crossing = np.flatnonzero((penalty > 0) & (u * (u + step) < 0))
        shares = -u[crossing] / step[crossing]
        share = float(shares.min(initial=1.0))
        u, slope = u + share * step, slope + share * (h @ step)
        if not len(crossing):
            break
        u[crossing[shares == share]] = 0.0
    return u, slope


def model_minimum(h: Array, g: Array, theta: Array, penalty: Array, tol: float) -> Array:
    """Return u that minimises g (u - theta) + 1/2 (u - theta)^T h (u - theta) + sum penalty |u|."""
    u, slope = theta.copy(), g.copy()
    everything = np.arange(len(u))
    for _ in range(_ROUNDS):
        _sweep(h, u, slope, penalty, everything)
        for _ in range(_SWEEPS):  # of those that are not 0
            _sweep(h, u, slope, penalty, np.flatnonzero((u != 0) | (penalty == 0)))
        u, slope = _within_signs(h, u, slope, penalty)
        if largest(subgradient(u, slope, penalty)) <= tol:
            break
    return u


def _derivatives(problem: Problem, theta: Array) -> tuple[float, Array, Array | None]:
    """Return f, its gradient, and a Hessian that is not singular by its intercepts.

    To move those of all classes together changes no probability: no step has a part along that, and
    it can be given a curvature.
    """
    value, gradient, h = problem.derivatives(theta, True)
    if h is not None and problem.columns > 1 and problem.fit_intercept:
        places = np.arange(problem.width - 1, problem.size, problem.width)
        h[np.ix_(places, places)] += h[places, places].mean() / problem.columns
    return value, gradient, h


def _by_newton(problem: Problem, theta: Array, penalty: Array, tol: float, max_iter: int) -> Result:
    """Minimise with a Hessian of all parameters."""
    value, gradient, h = _derivatives(problem, theta)
    total = value + float(penalty @ np.abs(theta))
    n_iter = 0
    while True:
        size = largest(small := subgradient(theta, gradient, penalty))
        if not math.isfinite(total) or h is None or not _backend.all_finite(h):
            return Result(theta, total, small, n_iter, False, NOT_FINITE)
        if size <= tol:
            return Result(theta, total, small, n_iter, True, WITHIN_TOL)
        if n_iter == max_iter:
            return Result(theta, total, small, n_iter, False, OUT_OF_ITERATIONS)
        direction = model_minimum(h, gradient, theta, penalty, _SHARE * size) - theta
        fall = float(gradient @ direction)
        fall += float(penalty @ (np.abs(theta + direction) - np.abs(theta)))
        slack = problem.rounding * abs(total)
        for trial in range(_MOST_TRIALS):
            step = 0.5**trial
            new = theta + step * direction
            value, new_gradient, new_h = _derivatives(problem, new)
            new_total = value + float(penalty @ np.abs(new))
            if new_total <= total + _DECREASE * step * fall + slack:
                break
        else:
            ended = -fall <= slack
            return Result(theta, total, small, n_iter, ended, ROUNDED if ended else NO_STEP)
        n_iter += 1
        if -fall <= slack and largest(subgradient(new, new_gradient, penalty)) > 0.5 * size:
            return Result(theta, total, small, n_iter, True, ROUNDED)
        theta, gradient, h, total = new, new_gradient, new_h, new_total


def _in_parts(problem: Problem, theta: Array, strength: float, tol: float, max_iter: int) -> Result:
    """Minimise over working sets of the features."""
    shape, d = (problem.columns, problem.width), problem.x.shape[1]
    penalty, n_iter, count = strength * _penalised(problem), 0, _FIRST_FEATURES
    while True:
        value, gradient = problem(theta)
        small = subgradient(theta, gradient, penalty)
        total = value + float(penalty @ np.abs(theta))
        if not (math.isfinite(total) and math.isfinite(largest(small))):
            return Result(theta, total, small, n_iter, False, NOT_FINITE)
        if largest(small) <= tol:
            return Result(theta, total, small, n_iter, True, WITHIN_TOL)
        if n_iter >= max_iter:
            return Result(theta, total, small, n_iter, False, OUT_OF_ITERATIONS)
        used = (theta.reshape(shape)[:, :d] != 0).any(axis=0)
        wish = np.where(used, np.inf, np.abs(small.reshape(shape)[:, :d]).max(axis=0))
        count = max(count, 2 * int(used.sum()))
        chosen = np.sort(np.argsort(-wish, kind="stable")[:count])
        places = np.append(chosen, d) if problem.fit_intercept else chosen
        part = problem.of_features(chosen)
        inner = theta.reshape(shape)[:, places].ravel()
        result = _by_newton(part, inner, strength * _penalised(part), tol, max_iter - n_iter)
        n_iter += max(1, result.n_iter)
        before = theta
        theta = np.zeros(shape)
        theta[:, places] = result.theta.reshape(problem.columns, -1)
        theta = theta.ravel()
        if not result.converged or np.array_equal(before, theta):  # rounding is all that is left
            value, gradient = problem(theta)
            small = subgradient(theta, gradient, penalty)
            total = value + float(penalty @ np.abs(theta))
            return Result(theta, total, small, n_iter, result.converged, result.message)


def minimise(
    problem: Problem, theta: Array, strength: float, *, tol: float, max_iter: int
) -> Result:
    """Minimise the objective with strength |W|_1 from theta, to where no entry of its smallest
    subgradient is beyond tol; that is the result's gradient."""
    if problem.size <= _MOST_PARAMETERS:
        penalty = strength * _penalised(problem)
        return _by_newton(problem, theta, penalty, tol, max_iter)
    return _in_parts(problem, theta, strength, tol, max_iter)
