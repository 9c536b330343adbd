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


def sparse_transpose(x: Any) -> tuple[Array, Array, Array]:
    """Return the values, places and starts of the transposed matrix of a Csr."""
    n, d = x.shape
    order = np.argsort(x.indices, kind="stable")
    rows = np.repeat(np.arange(n), np.diff(x.indptr))
    starts = np.zeros(d + 1, np.int64)
    np.cumsum(np.bincount(x.indices, minlength=d), out=starts[1:])
    return x.data[order], rows[order], starts
