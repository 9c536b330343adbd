"""Newton's method by Cholesky factors of the Hessian, and the factors themselves.

Each step solves H d = -g and is shortened until the value falls. Once steps converge
quadratically, the one that is expected to be the last is evaluated without a Hessian, and a further
one, if it is needed after all, uses the factor at hand.

Reference: S. Boyd, L. Vandenberghe, Convex Optimization (2004), section 9.5.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

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
from .runtime import backend_module as _backend

Array = NDArray[np.float64]
# (theta, whether the Hessian is wanted) -> (value, gradient (p,), Hessian (p, p) or None)
Objective = Callable[[Array, bool], tuple[float, Array, "Array | None"]]

_EPS = float(np.finfo(np.float64).eps)
_DECREASE = 1e-4
_MAX_TRIALS = 30


class Factor:
    """Cholesky factor of a positive semidefinite matrix h (p, p), with its diagonal scaled to 1.

    Where a pivot is lost in the rounding of the elements, eps each, sqrt(eps) or more is added to
    the scaled diagonal. So the solution has no large part along a direction in which h vanishes,
    and in those that count it is hardly changed.
    """

    def __init__(self, h: Array, eps: float = _EPS) -> None:
        diagonal = h.diagonal()
        self._scale = 1 / np.sqrt(np.where(diagonal > 0, diagonal, 1))
        scaled = h * self._scale * self._scale[:, np.newaxis]
        np.fill_diagonal(scaled, 1.0)
        self.damping, self.pivot = 0.0, 0.0
        least = 4 * len(h) * eps
        while not self.pivot > least:
            self._l, failed = _backend.cholesky(scaled + self.damping * np.eye(len(h)))
            # The diagonal of l is the root of what no earlier column explains.
            self.pivot = -1.0 if failed >= 0 else float(self._l.diagonal().min()) ** 2
            if not self.pivot > least:
                self.damping = max(math.sqrt(eps), 100 * self.damping)

    def solve(self, b: Array) -> Array:
        """Return h^-1 b for b (p,) or (p, t)."""
        scale = self._scale if b.ndim == 1 else self._scale[:, np.newaxis]
        return scale * _backend.cholesky_solve(self._l, np.ascontiguousarray(scale * b))

    def inverse_root(self) -> Array:
        """Return R (p, p) with R^T R = h^-1."""
        return _backend.triangular_inverse(self._l) * self._scale


class _Point(NamedTuple):
    theta: Array
    value: float
    gradient: Array
    hessian: Array | None

    @property
    def size(self) -> float:
        """The largest entry of the gradient."""
        return largest(self.gradient)


def _step(
    fun: Objective, start: _Point, direction: Array, fall: float, slack: float, hessian: bool
) -> tuple[_Point | None, float]:
    """Return the point at the first step 1, .. that lowers the value enough, and the step."""
    step = 1.0
    for _ in range(_MAX_TRIALS):
        theta = start.theta + step * direction
        new = _Point(theta, *fun(theta, hessian))
        if new.value <= start.value + _DECREASE * step * fall + slack:
            return new, step
        excess = new.value - start.value - step * fall  # above the tangent
        shorter = -step * fall / (2 * excess) if math.isfinite(excess) else 0.0
        step *= min(max(shorter, 0.1), 0.5)
    return None, step


def newton(
    fun: Objective,
    theta: Array,
    *,
    tol: float,
    max_iter: int,
    gap: float = 0.0,
    eps: float = _EPS,
    rounding: float = 64 * _EPS,
) -> tuple[Result, Factor | None]:
    """Minimise a convex function from theta; see `_lbfgs.minimize` for tol, max_iter and rounding.

    It stops, too, after a step whose model promised to lower the value by less than `gap`. eps is
    the rounding of the Hessian's elements. The factor is that of the last Hessian used.
    """
    point = _Point(theta, *fun(theta, True))
    factor, n_iter, ratio, fall = None, 0, 1.0, -math.inf

    def result(converged: bool, message: str) -> tuple[Result, Factor | None]:
        return Result(*point[:3], n_iter, converged, message), factor

    if not (math.isfinite(point.value) and math.isfinite(point.size)):
        return result(False, NOT_FINITE)
    while True:
        if point.size <= tol or 0 <= -fall < 2 * gap:
            return result(True, WITHIN_TOL)
        if n_iter == max_iter:
            return result(False, OUT_OF_ITERATIONS)
        if point.hessian is not None:
            if not _backend.all_finite(point.hessian):
                return result(False, NOT_FINITE)
            factor = Factor(point.hessian, eps)
        assert factor is not None  # the first point has a Hessian
        direction = -factor.solve(point.gradient)
        fall = _backend.dot(point.gradient, direction)
        slack = rounding * abs(point.value)
        # The gradient is expected to shrink by the square of what it last shrank by.
        new, step = _step(fun, point, direction, fall, slack, point.size * ratio**2 > tol)
        if new is None and point.hessian is None:  # the factor is too old
            point = _Point(point.theta, *fun(point.theta, True))
            continue
        if new is None:
            return result(True, ROUNDED) if -fall <= slack else result(False, NO_STEP)
        n_iter += 1
        ratio = new.size / point.size if step == 1 else 1.0
        if -fall <= slack and new.size > 0.5 * point.size:
            point = min(point, new, key=lambda p: p.size)
            return result(True, ROUNDED)
        point = new
