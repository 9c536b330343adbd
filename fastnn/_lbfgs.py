"""L-BFGS: minimises a smooth function of many variables from its values and gradients.

An iteration takes a step t along d = -H g that satisfies the strong Wolfe conditions,

    f(theta + t d) <= f(theta) + c1 t d'g   and   |d'g(theta + t d)| <= c2 |d'g|,

where H is the inverse Hessian that the last pairs s = change of theta, y = change of g imply. The
first condition leaves room for the rounding of f: beside a minimum f is flat long before g is 0.

References: J. Nocedal, S. J. Wright, Numerical Optimization (2006), sections 3.5 and 7.2;
J. J. More, D. J. Thuente, Line search algorithms with guaranteed sufficient decrease, ACM TOMS 20
(1994).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .runtime import backend_module as _backend

Array = NDArray[np.float64]
Objective = Callable[[Array], tuple[float, Array]]
Map = Callable[[Array], Array]

# How it ended.
WITHIN_TOL = "the gradient is within the tolerance"
ROUNDED = "rounding hides any decrease"
OUT_OF_ITERATIONS = "the largest number of iterations is reached"
STOPPED = "stopped by the callback"
NOT_FINITE = "the value or a derivative is not finite"
NO_STEP = "no step lowers the value"

_EPS = float(np.finfo(np.float64).eps)
_DECREASE = 1e-4  # c1
_CURVATURE = 0.9  # c2: loose, so that step 1 is nearly always taken
_MAX_TRIALS = 20
_FARTHEST = 4.0  # how many times the last stride the next one may be while the slope is negative
_IDLE = 10  # iterations without progress after which rounding is all that is left


class Result(NamedTuple):
    """Where `minimize` has ended.

    `converged` holds if the gradient is within the tolerance, or if rounding hides any decrease.
    """

    theta: Array
    value: float
    gradient: Array
    n_iter: int
    converged: bool
    message: str


class _Point(NamedTuple):
    """A point on a line: its place theta = start + step * direction, and f and df/dstep there."""

    step: float
    value: float
    slope: float
    theta: Array
    gradient: Array

    def is_finite(self) -> bool:
        return math.isfinite(self.value) and math.isfinite(self.slope)


def largest(v: Array) -> float:
    """Return max |v_i|, NaN if there is one."""
    return float(np.abs(v).max())


# The line search


def _stationary(a: _Point, b: _Point, slack: float) -> float:
    """Return the step where the cubic through a and b has its minimum; NaN if it has none.

    Where rounding hides the difference of the values, the slopes alone tell, by the secant.
    """
    width = b.step - a.step
    if abs(b.value - a.value) <= slack:
        rise = b.slope - a.slope
        return a.step - width * a.slope / rise if rise > 0 else math.nan
    middle = a.slope + b.slope - 3 * (b.value - a.value) / width
    square = middle * middle - a.slope * b.slope
    root = math.sqrt(square) if 0 <= square < math.inf else math.nan
    below = b.slope - a.slope + 2 * root
    return b.step - width * (b.slope + root - middle) / below if below else math.nan


def _beyond(last: _Point, low: _Point, slack: float) -> float:
    """Return the next step past `low`, where the function still falls."""
    stride = low.step - last.step
    step = _stationary(last, low, slack)
    if not step > low.step:  # NaN, or the curvature says nothing
        return low.step + _FARTHEST * stride
    return low.step + min(max(step - low.step, 0.1 * stride), _FARTHEST * stride)


def _between(low: _Point, high: _Point, slack: float, bisect: bool) -> float:
    """Return a step inside the bracket and not near its ends."""
    width = high.step - low.step
    if not high.is_finite():
        return low.step + 0.1 * width
    step = math.nan if bisect else _stationary(low, high, slack)
    if math.isnan(step):
        return low.step + 0.5 * width
    return low.step + min(max(step - low.step, 0.1 * width), 0.9 * width)


def _line_search(
    fun: Objective, start: _Point, direction: Array, step: float, slack: float
) -> tuple[_Point | None, bool]:
    """Return a point that satisfies the Wolfe conditions, or if none is found the lowest or None.

    The flag says whether rounding hides all differences. Invariant: `low` satisfies the first
    condition and descends, `high` does not satisfy it or ascends, so that there is a point which
    satisfies both between them.
    """
    last, low, high = start, start, None
    width, change = math.inf, math.inf
    for _ in range(_MAX_TRIALS):
        theta = start.theta + step * direction
        value, gradient = fun(theta)
        trial = _Point(step, value, _backend.dot(gradient, direction), theta, gradient)
        finite = trial.is_finite()
        if not finite or value > start.value + _DECREASE * step * start.slope + slack:
            high = trial
        elif abs(trial.slope) <= -_CURVATURE * start.slope:
            return trial, False
        elif trial.slope < 0:
            last, low = low, trial
        else:
            high = trial
        if finite:
            change = min(change, abs(value - start.value))
        if high is None:
            step = _beyond(last, low, slack)
            continue
        narrow = high.step - low.step
        step = _between(low, high, slack, bisect=narrow > 0.66 * width)
        width = narrow
    return (low if low.value < start.value - slack else None), change <= slack


# The direction


class _Pair(NamedTuple):
    """A step s and the change y of the gradient along it, with s'y > 0."""

    s: Array
    y: Array
    curvature: float


def _pair(old: _Point, new: _Point) -> _Pair | None:
    """Return the pair of a step unless its curvature is lost in the rounding of s'y."""
    s, y = new.theta - old.theta, new.gradient - old.gradient
    curvature = _backend.dot(s, y)
    size = math.sqrt(_backend.dot(s, s) * _backend.dot(y, y))
    return _Pair(s, y, curvature) if curvature > math.sqrt(_EPS) * size else None


def _newton_direction(gradient: Array, pairs: Iterable[_Pair], precondition: Map) -> Array:
    """Return -H g by the two-loop recursion, from H = precondition, scaled by the last pair."""
    pairs, coefficients, q = list(pairs), [], gradient.copy()
    for s, y, curvature in reversed(pairs):
        coefficients.append(_backend.dot(s, q) / curvature)
        q -= coefficients[-1] * y
    r = precondition(q)
    if pairs:
        _, y, curvature = pairs[-1]
        r = r * (curvature / _backend.dot(y, precondition(y)))
    for (s, y, curvature), coefficient in zip(pairs, reversed(coefficients)):
        r += (coefficient - _backend.dot(y, r) / curvature) * s
    return -r


class _Progress:
    """Tells when iterations bring nothing but rounding, and keeps the best of those points."""

    def __init__(self, point: _Point) -> None:
        self.best, self._mark, self._idle = point, point, 0

    def has_stopped(self, point: _Point, slack: float) -> bool:
        """Take the next point; whether neither value nor gradient has come down for long."""
        falls = point.value < self._mark.value - slack
        if falls or largest(point.gradient) < 0.5 * largest(self._mark.gradient):
            self._mark, self._idle = point, 0
        else:
            self._idle += 1
        if falls or largest(point.gradient) < largest(self.best.gradient):
            self.best = point
        return self._idle >= _IDLE


def minimize(
    fun: Objective,
    theta: Array,
    *,
    tol: float,
    max_iter: int,
    memory: int = 10,
    precondition: Map | None = None,
    callback: Callable[[int, Array, float], Any] | None = None,
    rounding: float = 64 * _EPS,
) -> Result:
    """Minimise fun(theta) -> (value, gradient) from theta, float64 vectors.

    It stops where no entry of the gradient is beyond tol in absolute value, after max_iter
    iterations, where rounding hides any decrease, or when callback(iteration, theta, value), called
    after each iteration with the number of those before, returns True. precondition(v) is an
    estimate of the inverse Hessian times v, and rounding the relative error of a value. A trial
    step to where fun is not finite is shortened.
    """
    value, gradient = fun(theta)
    point = _Point(0.0, value, 0.0, theta, gradient)
    inverse = precondition if precondition is not None else np.array
    pairs: deque[_Pair] = deque(maxlen=memory)
    n_iter = 0

    def result(converged: bool, message: str, end: _Point | None = None) -> Result:
        end = point if end is None else end
        return Result(end.theta, end.value, end.gradient, n_iter, converged, message)

    if not (math.isfinite(value) and math.isfinite(largest(gradient))):
        return result(False, NOT_FINITE)
    progress = _Progress(point)
    while True:
        if largest(point.gradient) <= tol:
            return result(True, WITHIN_TOL)
        if n_iter == max_iter:
            return result(False, OUT_OF_ITERATIONS)
        slack = rounding * abs(point.value)
        direction = _newton_direction(point.gradient, pairs, inverse)
        slope = _backend.dot(point.gradient, direction)
        new, rounded = None, False
        if slope < 0:
            unknown_scale = precondition is None and not pairs
            step = min(1.0, 1.0 / float(np.abs(point.gradient).sum())) if unknown_scale else 1.0
            start = point._replace(step=0.0, slope=slope)
            new, rounded = _line_search(fun, start, direction, step, slack)
        if new is None:
            if rounded:
                return result(True, ROUNDED, progress.best)
            if not pairs:
                return result(False, NO_STEP)
            pairs.clear()
            continue
        if (pair := _pair(point, new)) is not None:
            pairs.append(pair)
        point = new
        n_iter += 1
        if callback is not None and callback(n_iter - 1, point.theta, point.value):
            return result(False, STOPPED)
        if progress.has_stopped(point, slack):
            return result(True, ROUNDED, progress.best)
