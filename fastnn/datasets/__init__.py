"""Data sets that come with the package; README.md gives their source and licence."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Digits", "load_digits16"]


class Digits(NamedTuple):
    """Pixels x (n, 256) float32 in [0, 1] and digits y (n,) int64, for training and for testing."""

    x_train: NDArray[np.float32]
    y_train: NDArray[np.int64]
    x_test: NDArray[np.float32]
    y_test: NDArray[np.int64]


def _pixels(images: NDArray[Any]) -> NDArray[np.float32]:
    return images.reshape(len(images), -1).astype(np.float32) / np.float32(255)


def load_digits16() -> Digits:
    """Load digits16: 4,000 handwritten digits for training and 1,000 for testing, 16 x 16 pixels.

    Returns
    -------
    Digits
        The named tuple (x_train, y_train, x_test, y_test). A row of x is an image row by row,
        0 for background and 1 for ink.

    Examples
    --------
    >>> from fastnn.datasets import load_digits16
    >>> digits = load_digits16()
    >>> digits.x_train.shape, digits.y_test.shape
    ((4000, 256), (1000,))
    """
    path = os.path.join(os.path.dirname(__file__), "digits16.npz")
    with np.load(path, allow_pickle=False) as data:
        return Digits(
            _pixels(data["x_train"]),
            data["y_train"].astype(np.int64),
            _pixels(data["x_test"]),
            data["y_test"].astype(np.int64),
        )
