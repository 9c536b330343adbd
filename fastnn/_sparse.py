"""Rows of which only the values that are stored count: compressed sparse rows (CSR).

SciPy's sparse matrices and arrays come in through `from_scipy`, which knows them by their method
`tocsr` and does not import SciPy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array = NDArray[Any]


def _backend() -> Any:
    """Return the backend, whose own modules import this one."""
    from .runtime import backend_module

    return backend_module


class Csr:
    """A matrix (n, d) of which row i holds ``data[p]`` in column ``indices[p]``, and 0 elsewhere,

    ``p = indptr[i], ..., indptr[i + 1] - 1``. A row's columns increase. Zeros may be stored.

    The places, `indices` and `indptr`, are this object's own and read-only, because kernels trust
    them; `data` may be the caller's.

    Parameters
    ----------
    data : ndarray (nnz,), float32 or float64
    indices : ndarray (nnz,), int32 or int64
    indptr : ndarray (n + 1,) of integers
    shape : (n, d)

    Raises
    ------
    ValueError
        If these are not such a matrix.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn._sparse import Csr
    >>> x = Csr(np.array([1.0, 2.0]), np.array([2, 0]), np.array([0, 1, 1, 2]), (3, 3))
    >>> x.toarray()
    array([[0., 0., 1.],
           [0., 0., 0.],
           [2., 0., 0.]])
    """

    __slots__ = ("_transposed", "data", "indices", "indptr", "shape")

    data: Array
    indices: Array
    indptr: Array
    shape: tuple[int, int]
    _transposed: Csr | None

    ndim = 2

    def __init__(self, data: Array, indices: Array, indptr: Array, shape: tuple[int, int]) -> None:
        n, d = shape
        if data.dtype not in (np.float32, np.float64) or not data.dtype.isnative:
            raise ValueError(f"data must be float32 or float64, not {data.dtype}")
        columns, starts, increasing = _places(indices, indptr, n, d)
        if data.shape != columns.shape:
            raise ValueError(f"data has shape {data.shape}, but there are {columns.shape}")
        if not increasing:
            raise ValueError("the columns of a row must increase")
        self._set(np.ascontiguousarray(data), columns, starts, (n, d))

    def _set(self, data: Array, indices: Array, indptr: Array, shape: tuple[int, int]) -> None:
        for a in (indices, indptr):
            a.setflags(write=False)
        self.data, self.indices, self.indptr, self.shape = data, indices, indptr, shape
        self._transposed = None

    @classmethod
    def _of(cls, data: Array, indices: Array, indptr: Array, shape: tuple[int, int]) -> Csr:
        """Make one of parts that are known to be right, and not the caller's."""
        x = cls.__new__(cls)
        x._set(data, indices, indptr, shape)
        return x

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32 or float64."""
        return self.data.dtype

    @property
    def nnz(self) -> int:
        """How many values are stored."""
        return len(self.data)

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"Csr({self.shape[0]} x {self.shape[1]} {self.dtype}, {self.nnz} stored)"

    def __reduce__(self) -> tuple[Callable[..., Csr], tuple[Any, ...]]:
        return Csr, (self.data, self.indices, self.indptr, self.shape)

    def __getitem__(self, rows: slice | Array) -> Csr:
        """Return the rows of a slice, consecutive ones sharing their values with this matrix, or of
        an array of numbers, as `take` does.
        """
        if not isinstance(rows, slice):
            return self.take(rows)
        start, stop, step = rows.indices(len(self))
        if step != 1:
            return self.take(np.arange(start, stop, step))
        stop = max(start, stop)
        first, last = int(self.indptr[start]), int(self.indptr[stop])
        indptr = self.indptr[start : stop + 1] - first
        shape = stop - start, self.shape[1]
        return Csr._of(self.data[first:last], self.indices[first:last], indptr, shape)

    def take(self, rows: Array) -> Csr:
        """Return a copy of the rows (k,) of these numbers, in that order."""
        rows = np.asarray(rows, np.int64)
        counts = np.diff(self.indptr)[rows]
        indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
        # Value q of the result is value q + (start of its row here - start of it there).
        places = np.arange(indptr[-1]) + np.repeat(self.indptr[rows] - indptr[:-1], counts)
        shape = len(rows), self.shape[1]
        return Csr._of(self.data[places], self.indices[places], indptr, shape)

    def astype(self, dtype: DTypeLike) -> Csr:
        """Return the matrix in float32 or float64; itself if it is that."""
        if self.dtype == dtype:
            return self
        return Csr._of(self.data.astype(dtype), self.indices, self.indptr, self.shape)

    def times(self, factors: Array) -> Csr:
        """Return the matrix with row i multiplied by factors[i], in its dtype."""
        scale = np.repeat(factors.astype(self.dtype), np.diff(self.indptr))
        return Csr._of(self.data * scale, self.indices, self.indptr, self.shape)

    def transpose(self) -> Csr:
        """Return the transposed matrix (d, n); it is kept for the next time."""
        if self._transposed is None:
            data, rows, starts = _backend().sparse_transpose(self)
            self._transposed = Csr._of(data, rows, starts, (self.shape[1], self.shape[0]))
        return self._transposed

    def toarray(self) -> Array:
        """Return the matrix as an array (n, d)."""
        dense = np.zeros(self.shape, self.dtype)
        dense[self._row_numbers(), self.indices] = self.data
        return dense

    def all_finite(self) -> bool:
        """Whether no stored value is infinite or NaN."""
        return self.nnz == 0 or _backend().all_finite(self.data)

    def where(self, position: int) -> tuple[int, int]:
        """Return the row and the column of a stored value."""
        row = int(np.searchsorted(self.indptr, position, side="right")) - 1
        return row, int(self.indices[position])

    def _row_numbers(self) -> Array:
        return _row_numbers(self.indptr)


def is_sparse(x: Any) -> bool:
    """Whether x is a sparse matrix: a `Csr`, or what SciPy and its like have."""
    return isinstance(x, Csr) or (not isinstance(x, np.ndarray) and hasattr(x, "tocsr"))


def from_scipy(x: Any, name: str = "X") -> Csr:
    """Return a sparse matrix or array of SciPy, of any format, as `Csr`; x is left as it is.

    float32 stays float32; other floats, integers and bools become float64. What is stored twice is
    added up, in that type. `name` is for messages.

    Raises
    ------
    ValueError
        If x is complex, holds no numbers, has not 2 dimensions, or its places are not in it.
    """
    if isinstance(x, Csr):
        return x
    if len(x.shape) != 2:
        raise ValueError(f"{name} must have 2 dimensions, not {len(x.shape)} (shape {x.shape})")
    n, d = (int(size) for size in x.shape)
    x = x.tocsr()
    data = _numbers(np.asarray(x.data), name)
    try:
        indices, indptr, increasing = _places(np.asarray(x.indices), np.asarray(x.indptr), n, d)
    except ValueError as error:
        raise ValueError(f"{name} is no valid sparse matrix: {error}") from None
    if len(data) < len(indices):
        raise ValueError(
            f"{name} is no valid sparse matrix: {len(data)} values for {len(indices)} places"
        )
    data = np.ascontiguousarray(data[: len(indices)])
    if not increasing:
        data, indices, indptr = _canonical(data, indices, indptr)
    return Csr._of(data, indices, indptr, (n, d))


def _numbers(data: Array, name: str) -> Array:
    """Return the values as native float32 or float64."""
    if data.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {name} is {data.dtype} (sparse)")
    if data.dtype.kind not in "biufO":
        raise ValueError(f"{name} must hold numbers, not {data.dtype} (sparse)")
    if data.dtype.kind == "f" and data.itemsize in (4, 8):
        return data.astype(data.dtype.newbyteorder("="), copy=False)
    try:
        with np.errstate(over="ignore"):  # a long double beyond float64 is infinite then
            return data.astype(np.float64)
    except (TypeError, ValueError) as error:
        message = f"{name} (sparse, dtype {data.dtype}) holds what is not a number: {error}"
        raise type(error)(message) from None


def _places(indices: Array, indptr: Array, n: int, d: int) -> tuple[Array, Array, bool]:
    """Return a checked copy of the places, and whether the columns of each row increase.

    indices stay int32, or are int64; indptr is int64.
    """
    for a, what in ((indices, "indices"), (indptr, "indptr")):
        if a.dtype.kind not in "iu" or a.ndim != 1:
            raise ValueError(f"{what} must be integers in one dimension, not {a.dtype} {a.shape}")
    starts = np.array(indptr, np.int64)
    if starts.shape != (n + 1,) or starts[0] != 0:
        raise ValueError(f"indptr has shape {starts.shape} and does not start {n} rows at 0")
    columns = indices[: max(int(starts[-1]), 0)]
    columns = np.array(columns, np.int32 if columns.dtype == np.int32 else np.int64)
    if _backend().sparse_check(columns, starts, (n, d)):
        return columns, starts, True
    if (starts[1:] < starts[:-1]).any() or starts[-1] > len(indices):
        raise ValueError(f"indptr must not decrease, and end at most at {len(indices)}")
    bad = columns[(columns < 0) | (columns >= d)]
    if len(bad):
        raise ValueError(f"column {bad[0]} is not in [0, {d})")
    return columns, starts, False


def _row_numbers(indptr: Array) -> Array:
    """Return the row (nnz,) int64 of each stored value."""
    return np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))


def _canonical(data: Array, indices: Array, indptr: Array) -> tuple[Array, Array, Array]:
    """Return the same matrix with increasing columns, what is stored twice added up in order."""
    rows = _row_numbers(indptr)
    order = np.lexsort((indices, rows))  # stable
    rows, indices, data = rows[order], indices[order], data[order]
    new = np.ones(len(rows), bool)
    new[1:] = (rows[1:] != rows[:-1]) | (indices[1:] != indices[:-1])
    first = np.flatnonzero(new)
    with np.errstate(over="ignore", invalid="ignore"):
        data = np.add.reduceat(data, first)
    starts = np.zeros(len(indptr), np.int64)
    np.cumsum(np.bincount(rows[first], minlength=len(indptr) - 1), out=starts[1:])
    return data, indices[first], starts
