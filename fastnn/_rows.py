"""Rows of features, checked: X as callers give it, and the names of its columns.

X may be an array, a frame of pandas or Polars, whatever NumPy can read (by `__array__`, the buffer
protocol or as nested lists), a tensor that DLPack exports, or a sparse matrix. Float32 and float64
are taken where they lie.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _check, _sparse
from .runtime import backend_module as _backend

Array = NDArray[Any]

_F32, _F64 = np.dtype(np.float32), np.dtype(np.float64)
_LISTED_NAMES = 5


# Names of the features


def feature_names(x: Any) -> Array | None:
    """Return the names (d,) of the columns of a frame, if all are strings; else None.

    A frame is what has `columns`, as those of pandas and Polars, or `column_names`.

    Raises
    ------
    TypeError
        If some of the names are strings and others are not.
    """
    if type(x) is np.ndarray or type(x) is list:
        return None
    columns = getattr(x, "column_names", None)
    if columns is None:
        columns = getattr(x, "columns", None)
    if columns is None or callable(columns):
        return None
    names = list(columns)
    kinds = sorted({type(name).__qualname__ for name in names})
    if "str" not in kinds:
        return None
    if len(kinds) > 1:
        raise TypeError(
            "Feature names are only supported if all input features have string names, but your "
            f"input has {kinds} as feature name / column name types. Make all of them strings, "
            "e.g. by X.columns = X.columns.astype(str), to have them kept and checked, or none"
        )
    return np.array(names, dtype=object)


def check_names(names: Array | None, known: Array | None, model: str) -> None:
    """Compare the names of X with those that a model has been fitted with.

    Raises
    ------
    ValueError
        If they differ, also in their order.

    Warns
    -----
    UserWarning
        If only one of the two has names.
    """
    if names is None or known is None:
        if names is not None:
            message = f"X has feature names, but {model} was fitted without feature names"
            warnings.warn(message, stacklevel=4)
        elif known is not None:
            warnings.warn(
                f"X does not have valid feature names, but {model} was fitted with feature names",
                stacklevel=4,
            )
        return
    if len(names) == len(known) and bool((names == known).all()):
        return
    new, gone = sorted(set(names) - set(known)), sorted(set(known) - set(names))
    lines = ["The feature names should match those that were passed during fit."]
    lines += _listed("Feature names unseen at fit time:", new)
    lines += _listed("Feature names seen at fit time, yet now missing:", gone)
    if not new and not gone:
        lines.append("Feature names must be in the same order as they were in fit.")
    raise ValueError("\n".join(lines) + "\n")


def _listed(title: str, names: list[str]) -> list[str]:
    if not names:
        return []
    more = ["- ..."] if len(names) > _LISTED_NAMES else []
    return [title, *(f"- {name}" for name in names[:_LISTED_NAMES]), *more]


# Values


def is_plain(x: Any) -> bool:
    """Whether x is a native float32 or float64 array without gaps: one that needs no conversion.

    Others may need none either; this is what can be told at once.
    """
    if type(x) is not np.ndarray or not (x.dtype is _F64 or x.dtype is _F32):
        return False
    flags = x.flags
    return flags.aligned and flags.forc


def _refuse_text(a: Array) -> None:
    if a.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: X is {a.dtype} {a.shape}")
    if a.dtype.kind not in "biufO":
        raise ValueError(f"X must hold numbers, not {a.dtype} (shape {a.shape})")


def _as_ndarray(x: Any) -> Array:
    """Return x as an array: its own memory, if it can be had."""
    if isinstance(x, np.ndarray) or not hasattr(x, "__dlpack__"):
        return _check._as_ndarray("X", x)
    try:
        return np.from_dlpack(x)
    except (BufferError, RuntimeError, TypeError, ValueError):
        # On another device, of a type that NumPy lacks, or in need of gradients: then its own
        # conversion copies, or explains.
        return _check._as_ndarray("X", x)


def _objects_as_float(a: Array, x: Any) -> Array:
    if a.dtype.kind == "O" and hasattr(x, "iloc"):  # a frame of pandas, perhaps with its NA
        return np.asarray(x.to_numpy(dtype=np.float64, na_value=np.nan))
    return a.astype(np.float64, order="C")


def _as_float(x: Any) -> Array:
    """Return float32 as it is and every other kind of number as float64."""
    if not isinstance(x, np.ndarray) and hasattr(x, "toarray"):
        raise TypeError(f"X is a sparse {type(x).__name__}; convert it with X.toarray()")
    a = _as_ndarray(x)
    if a.dtype.kind == "f" and a.itemsize in (4, 8):
        return _check.array("X", a)
    _refuse_text(a)
    try:
        with np.errstate(over="ignore"):  # a long double beyond float64 is infinite then
            return _objects_as_float(a, x)
    except (TypeError, ValueError) as error:
        raise type(error)(f"X (dtype {a.dtype}) holds what is not a number: {error}") from None


def matrix(
    x: Any,
    *,
    n_features: int | None = None,
    name: str = "this estimator",
    sparse: bool = False,
) -> Any:
    """Return x as a float32 or float64 array (n, d), n >= 1, d >= 1; its values are not checked.

    float32 stays float32; integers, bools and other floats become float64. `name` is for the
    message about a number of features that is not `n_features`. Where `sparse` is allowed, a sparse
    matrix becomes `Csr`.
    """
    if is_plain(x):
        a = x
    else:
        a = _sparse.from_scipy(x) if sparse and _sparse.is_sparse(x) else _as_float(x)
    if a.ndim < 2:
        raise ValueError(
            f"X must have 2 dimensions, not {a.ndim} (shape {a.shape}). Reshape your data: "
            "X.reshape(-1, 1) if it is one feature, X.reshape(1, -1) if it is one row"
        )
    if a.ndim > 2:
        raise ValueError(f"X must have 2 dimensions, not {a.ndim} (shape {a.shape})")
    n, d = a.shape
    if n == 0 or d == 0:
        what = "feature" if n else "sample"
        raise ValueError(f"X has 0 {what}(s) (shape={a.shape}) while a minimum of 1 is required.")
    if n_features is not None and d != n_features:
        raise ValueError(
            f"X has {d} features, but {name} is expecting {n_features} features as input"
        )
    return a


def require_numbers(x: Any, *, missing: bool = False) -> None:
    """Raise for infinity in x (n, d), and for NaN unless it may mean a missing value."""
    if isinstance(x, _sparse.Csr):
        _require_stored_numbers(x)
        return
    if _backend.all_finite(x):
        return
    for what, found in (("infinity", np.isinf), ("NaN", np.isnan)):
        bad = found(x)
        if bad.any() and not (missing and what == "NaN"):
            i, j = np.unravel_index(int(bad.argmax()), x.shape)
            raise ValueError(f"X contains {what}, first at X[{i}, {j}]")


def _require_stored_numbers(x: _sparse.Csr) -> None:
    if x.all_finite():
        return
    for what, found in (("infinity", np.isinf), ("NaN", np.isnan)):
        bad = found(x.data)
        if bad.any():
            i, j = x.where(int(bad.argmax()))
            raise ValueError(f"X contains {what}, first at X[{i}, {j}]")


def data(
    x: Any,
    *,
    missing: bool = False,
    n_features: int | None = None,
    name: str = "this estimator",
    sparse: bool = False,
) -> Any:
    """Return x as `matrix` does, without infinity, and without NaN unless `missing`."""
    a = matrix(x, n_features=n_features, name=name, sparse=sparse)
    require_numbers(a, missing=missing)
    return a
