"""Labels and weights of rows, checked: y and sample_weight as callers give them."""

from __future__ import annotations

import operator
import warnings
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from . import _check
from ._peers import DataConversionWarning, known_to_peers

Array = NDArray[Any]


def one_column(y: Any, n: int | None) -> Array:
    """Return labels (n,), from a column (n, 1) too."""
    if y is None:
        raise ValueError("this method requires y to be passed, but the target y is None")
    a = _check._as_ndarray("y", y)
    if a is not y and a.dtype.kind in "US" and not all(isinstance(v, (str, bytes)) for v in y):
        a = np.asarray(y, dtype=object)  # NumPy would write numbers, None and NaN as text
    if a.ndim == 2 and a.shape[1] == 1:
        warnings.warn(
            "A column-vector y was passed when a 1d array was expected; use y.ravel()",
            known_to_peers(DataConversionWarning),
            stacklevel=4,
        )
        a = a[:, 0]
    if a.ndim != 1:
        raise ValueError(f"y must be labels (n,), one a row, not an array of shape {a.shape}")
    if n is not None and len(a) != n:
        raise ValueError(f"y has {len(a)} labels, but X has {n} rows")
    return a


def _encode_integers(y: Array) -> tuple[Array, Array]:
    """Encode integers (n,), n >= 1, without sorting them if they are dense."""
    low, high = int(y.min()), int(y.max())
    if high - low > 4 * len(y) + 1024:
        classes, labels = np.unique(y, return_inverse=True)
        return classes, labels.astype(np.int64, copy=False)
    offset = (y - y.dtype.type(low)) if y.dtype.kind == "u" else y.astype(np.int64) - low
    offset = offset.astype(np.int64, copy=False)
    present = np.bincount(offset) > 0
    values = [low + i for i in np.flatnonzero(present).tolist()]
    labels = offset if present.all() else (np.cumsum(present) - 1)[offset]
    return np.array(values, dtype=y.dtype), labels.astype(np.int64, copy=False)


def _is_not_whole(value: Any) -> bool:
    return isinstance(value, (float, np.floating)) and not float(value).is_integer()


def label_array(values: list[Any], dtype: DTypeLike) -> Array:
    """Return labels as an array (c,), also such as NumPy takes for arrays themselves."""
    a = np.empty(len(values), dtype)
    for i, value in enumerate(values):
        a[i] = value
    return a


def sorted_labels(labels: set[Any]) -> list[Any]:
    """Return the distinct labels in order."""
    try:
        return sorted(labels)
    except TypeError as error:
        raise ValueError(f"the labels of y have no order: {error}") from None


def _encode_objects(y: Array) -> tuple[Array, Array]:
    """Encode strings and other hashable, sortable values (n,)."""
    values = list(y) if y.dtype.kind in "mM" else y.tolist()
    try:
        distinct = set(values)
    except TypeError as error:
        raise ValueError(f"Unknown label type: {error}") from None
    if any(v is None or operator.ne(v, v) for v in distinct):
        raise ValueError("y contains None or NaN, which is no label")
    if any(_is_not_whole(v) for v in distinct):
        raise ValueError("Unknown label type: continuous. y has values that are not whole numbers")
    classes = sorted_labels(distinct)
    index = {value: i for i, value in enumerate(classes)}
    labels = np.fromiter((index[v] for v in values), np.int64, len(values))
    return label_array(classes, y.dtype), labels


def encode(y: Any, n: int | None = None) -> tuple[Array, Array]:
    """Return the sorted classes (c,), in the dtype of y, and the index (n,) int64 of each label.

    Labels may be integers, bools, strings, whole floats or other hashable values that have an
    order. `n` is how many there must be.
    """
    y = one_column(y, n)
    if len(y) == 0:
        raise ValueError("y has no labels")
    if y.dtype.kind == "b":
        classes, labels = _encode_integers(y.view(np.int8))
        return classes.astype(y.dtype), labels
    if y.dtype.kind in "iu":
        return _encode_integers(y)
    if y.dtype.kind != "f":
        return _encode_objects(y)
    if np.isnan(y).any():
        raise ValueError("y contains NaN, which is no label")
    if not (np.isfinite(y) & (np.floor(y) == y)).all():
        raise ValueError("Unknown label type: continuous. y has values that are not whole numbers")
    classes, labels = np.unique(y, return_inverse=True)
    return classes, labels.astype(np.int64, copy=False)


def lookup(y: Any, classes: Array, n: int | None = None) -> Array:
    """Return the index (n,) int64 in `classes` of each label."""
    given, labels = encode(y, n)
    index = {value: i for i, value in enumerate(classes.tolist())}
    unseen = [value for value in given.tolist() if value not in index]
    if unseen:
        known = ", ".join(map(repr, classes.tolist()))
        raise ValueError(f"y has labels {unseen} that are none of the classes {known}")
    return np.array([index[value] for value in given.tolist()], np.int64)[labels]


# sample_weight


def weights(sample_weight: Any, n: int, dtype: DTypeLike) -> Array | None:
    """Return the weights (n,) of the rows in the dtype of the data, or None; a number is for all."""
    if sample_weight is None:
        return None
    a = _check._as_ndarray("sample_weight", sample_weight)
    if a.dtype.kind not in "biufO":
        raise ValueError(f"sample_weight must hold numbers, not {a.dtype}")
    if a.ndim > 1:
        raise ValueError(
            f"Sample weights must be 1D array or scalar: sample_weight has shape {a.shape}"
        )
    with np.errstate(over="ignore"):
        a = a.astype(dtype, copy=False)
    if a.ndim == 0:
        a = np.full(n, a)
    if a.ndim == 1 and len(a) and not a.any():
        raise ValueError("sample_weight is zero for every row; a positive sum is expected")
    checked = _check.weights(a, n, a.dtype)
    return None if checked is None else np.ascontiguousarray(checked)
