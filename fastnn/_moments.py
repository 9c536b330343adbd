"""The result of `fastnn.gaussian_moments`."""

from __future__ import annotations

from typing import Any, NamedTuple

from numpy.typing import NDArray


class Moments(NamedTuple):
    """Weighted sums over the rows of each class, float64."""

    weights: NDArray[Any]
    """Sums of the weights: (c,)."""
    means: NDArray[Any]
    """Weighted means: (c, d)."""
    scatter: NDArray[Any]
    """Sums of w (x - mean)(x - mean)^T: (c, d, d), their sum (d, d), or their diagonals (c, d)."""
