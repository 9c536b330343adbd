"""Training of a network on all rows at once, by L-BFGS."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _lbfgs

Array = NDArray[Any]

# What one call of the backend may cost, in floating-point operations: signal handlers run between
# two of them, and 2e8 take well below 0.1 s.
_FLOPS_OF_A_CALL = 2e8
_ROUNDINGS = 16  # how many roundings in the network's dtype the error of a loss may come to


class Objective:
    """The loss of a network over all rows as a function of one float64 vector.

    The vector holds W_1, b_1, W_2, b_2, ...; a float32 network computes with it rounded.
    """

    def __init__(
        self, engine: Any, x: Array, y: Array, sample_weight: Array | None, alpha: float
    ) -> None:
        self._engine, self._alpha = engine, alpha
        self._x, self._y, self._sample_weight = x, y, sample_weight
        self._parameters = [p for pair in zip(engine.weights(), engine.biases()) for p in pair]
        self.rounding = _ROUNDINGS * float(np.finfo(x.dtype).eps)

    def read(self) -> Array:
        """Return the network's parameters as a vector."""
        return _flat(self._parameters)

    def write(self, theta: Array) -> None:
        """Give the network the parameters of a vector."""
        start = 0
        with np.errstate(over="ignore"):  # infinite then, and so is the loss
            for p in self._parameters:
                p[...] = theta[start : start + p.size].reshape(p.shape)
                start += p.size

    def _parts(self) -> Iterator[tuple[float, slice]]:
        """Yield slices of the rows with their shares of the sum of weights."""
        n, w = len(self._x), self._sample_weight
        flops_per_row = 6 * sum(p.size for p in self._parameters)
        step = max(256, int(_FLOPS_OF_A_CALL / flops_per_row))
        if n <= step:
            yield 1.0, slice(0, n)
            return
        total = n if w is None else float(w.sum(dtype=np.float64))
        for start in range(0, n, step):
            rows = slice(start, min(start + step, n))
            weight = rows.stop - start if w is None else float(w[rows].sum(dtype=np.float64))
            if weight:
                yield weight / total, rows

    def __call__(self, theta: Array) -> tuple[float, Array]:
        """Give the network these parameters; return its loss and the gradient."""
        self.write(theta)
        loss, gradient = 0.0, np.zeros(theta.size)
        for share, rows in self._parts():
            w = None if self._sample_weight is None else self._sample_weight[rows]
            part = self._engine.gradients(self._x[rows], self._y[rows], self._alpha, w)
            loss += share * part[0]
            gradient += share * _flat([g for pair in part[1] for g in pair])
        return loss, gradient


def _flat(arrays: list[Array]) -> Array:
    return np.concatenate([a.ravel() for a in arrays], dtype=np.float64)


def train(
    objective: Objective, epochs: int, tol: float, callback: Callable[[int, float], bool]
) -> list[float]:
    """Take at most `epochs` iterations; return the loss after each of them.

    `callback` gets the number of an iteration and its loss, and stops by returning True. However
    this ends, the network is left at its last whole step.
    """
    losses: list[float] = []
    theta = objective.read()
    if epochs == 0:
        return losses

    def step(iteration: int, new: Array, loss: float) -> bool:
        nonlocal theta
        theta = new
        objective.write(theta)
        losses.append(loss)
        return callback(iteration, loss)

    rounding = objective.rounding
    try:
        result = _lbfgs.minimize(
            objective, theta, tol=tol, max_iter=epochs, callback=step, rounding=rounding
        )
        theta = result.theta
    finally:
        objective.write(theta)
    if not math.isfinite(result.value) or not math.isfinite(_lbfgs.largest(result.gradient)):
        raise FloatingPointError(
            "epoch 0: the loss or its gradient is not finite; the weights are kept; check x and "
            "the weights for NaN and large values"
        )
    return losses
