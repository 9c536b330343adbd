"""`fastnn train --standardize`: networks learn from scaled columns, and are saved for the plain ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._cli_data import Array

LARGE = 100.0  # size of values from which a network learns badly
LINEAR_LOSSES = ("squared_error", "absolute")  # a scaled target only scales them


def _mean_and_deviation(a: Array) -> tuple[Array, Array]:
    """Return those of each column; a constant one has deviation 1, so that it becomes 0."""
    mean, deviation = a.mean(axis=0, dtype=np.float64), a.std(axis=0, dtype=np.float64)
    constant = np.ptp(a, axis=0) == 0
    return np.where(constant, a[0], mean), np.where(constant | (deviation == 0), 1.0, deviation)


class Scaling:
    """``x' = (x - mean) / deviation``, and the same for the target y (n,) of a regression."""

    def __init__(self, x: Array, y: Array | None) -> None:
        self._mean, self._deviation = _mean_and_deviation(x)
        self._target = None if y is None else _mean_and_deviation(y[:, np.newaxis])

    def features(self, x: Array) -> Array:
        """Return scaled features (n, d)."""
        return ((x - self._mean) / self._deviation).astype(x.dtype)

    def target(self, y: Array) -> Array:
        """Return the scaled target (n,); labels as they are."""
        if self._target is None:
            return y
        mean, deviation = self._target
        return (y - mean) / deviation

    def move_into(self, model: Any) -> None:
        """Make a network of scaled columns one of the plain columns.

        The first layer: ``x' W + b = x (W / deviation) + (b - (mean / deviation) W)``, row by row of
        W; the last one: ``deviation (a W + b) + mean``.
        """
        w = model.coefs_[0] / self._deviation[:, np.newaxis]
        b = model.intercepts_[0] - self._mean @ w  # in float64, rounded once
        model.coefs_[0], model.intercepts_[0] = w, b
        if self._target is not None:
            mean, deviation = self._target
            model.coefs_[-1] = model.coefs_[-1] * deviation
            model.intercepts_[-1] = model.intercepts_[-1] * deviation + mean


def of_model(model: Any, x: Array, y: Array) -> Scaling:
    """Return the scaling for a perceptron; that of the target where its loss allows it."""
    return Scaling(x, y if getattr(model, "loss", None) in LINEAR_LOSSES else None)


def first_large(x: Array) -> int | None:
    """Return the first column whose values are so large that it should be scaled."""
    with np.errstate(over="ignore"):  # infinity is large, too
        large = np.sqrt(np.mean(np.square(x), axis=0, dtype=np.float64)) > LARGE
    return int(large.argmax()) if large.any() else None
