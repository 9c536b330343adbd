"""NumPy oracles of what is computed with sparse rows, `fastnn._sparse.Csr`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._numpy_rows import quiet

Array = NDArray[Any]


@quiet
def sparse_forward(x: Any, w: Array, b: Array | None = None) -> Array:
    """x w + b for a Csr x (n, k), w (k, m) and b (m,), all of one dtype."""
    n = len(x)
    rows = np.repeat(np.arange(n), np.diff(x.indptr))
    data = x.data.astype(np.float64)
    columns = [np.bincount(rows, data * w[x.indices, j], n) for j in range(w.shape[1])]
    y = np.stack(columns, axis=1) if columns else np.zeros((n, 0))
    return (y if b is None else y + b).astype(w.dtype)


def affine(x: Any, w: Array, b: Array) -> Array:
    """x w + b for an array or a Csr x."""
    return x @ w + b if isinstance(x, np.ndarray) else sparse_forward(x, w, b)


def transposed_product(x: Any, delta: Array) -> Array:
    """x^T delta for an array or a Csr x."""
    return x.T @ delta if isinstance(x, np.ndarray) else sparse_forward(x.transpose(), delta)


def sparse_check(indices: Array, starts: Array, shape: tuple[int, int]) -> bool:
    """Whether these are places of a matrix of that shape, columns increasing in each row."""
    n, d = shape
    if starts.shape != (n + 1,) or starts[0] != 0 or (starts[1:] < starts[:-1]).any():
        return False
    if starts[-1] > len(indices):
        return False
    columns = indices[: starts[-1]]
    if len(columns) == 0:
        return True
    rises = columns[1:] > columns[:-1]
    inner = starts[1:-1]
    rises[inner[(inner > 0) & (inner < len(columns))] - 1] = True  # the next one is another row's
    return bool(rises.all()) and 0 <= columns.min() and columns.max() < d


def sparse_transpose(x: Any) -> tuple[Array, Array, Array]:
    """Return the values, places and starts of the transposed matrix of a Csr."""
    n, d = x.shape
    order = np.argsort(x.indices, kind="stable")
    rows = np.repeat(np.arange(n), np.diff(x.indptr))
    starts = np.zeros(d + 1, np.int64)
    np.cumsum(np.bincount(x.indices, minlength=d), out=starts[1:])
    return x.data[order], rows[order], starts
