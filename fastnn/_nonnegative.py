"""Least squares without negative coefficients, from the normal equations.

    minimise 1/2 w^T h w - b^T w  over  w >= 0

An active set: coefficients are released from 0 one at a time, that of the steepest descent first;
the free ones then go to their common minimum, or as far towards it as none becomes negative, and
those that reach 0 are held there again. The objective falls each time, so no set comes twice.

Reference: C. L. Lawson, R. J. Hanson, Solving Least Squares Problems (1995), chapter 23. R. Bro, S.
De Jong, A fast non-negativity-constrained least squares algorithm, Journal of Chemometrics 11
(1997).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._newton import Factor

Array = NDArray[Any]

_EPS = float(np.finfo(np.float64).eps)
_MOST_STEPS = 10  # for each coefficient; some three are usual


def _free_minimum(h: Array, b: Array, free: Array) -> Array:
    """Return the minimum (d,) over the coefficients that are free, 0 elsewhere."""
    w = np.zeros(len(b))
    w[free] = Factor(h[np.ix_(free, free)]).solve(b[free])
    return w


def least_nonnegative(h: Array, b: Array) -> Array:
    """Return w (d,) >= 0 that minimises 1/2 w^T h w - b^T w, for h (d, d) positive semidefinite."""
    d = len(b)
    w, free = np.zeros(d), np.zeros(d, bool)
    # What rounding leaves of a gradient that is 0.
    hidden = 8 * d * _EPS * np.sqrt(np.maximum(h.diagonal(), 0.0))
    barred = np.zeros(d, bool)  # whose release rounding has undone
    for _ in range(_MOST_STEPS * d):
        descent = b - h @ w
        size = np.sqrt(max(float(w @ h @ w), 0.0)) + np.abs(b).max(initial=0.0) * _EPS
        open_to = ~free & ~barred & (descent > hidden * size)
        if not open_to.any():
            break
        j = int(np.where(open_to, descent, -np.inf).argmax())
        free[j] = True
        target = _free_minimum(h, b, free)
        if target[j] <= 0:
            free[j], barred[j] = False, True
            continue
        while (negative := free & (target <= 0)).any():
            share = (w[negative] / (w[negative] - target[negative])).min()
            w += share * (target - w)
            free &= w > _EPS * np.abs(w).max()
            w[~free] = 0.0
            target = _free_minimum(h, b, free)
        w = target
        barred[:] = False
    return w
