"""What the estimators share: their parameters, the checks of X, y and sample_weight, and scores.

The protocol is scikit-learn's, which is not imported: where the caller has imported it, exceptions
and warnings that it has a class for are of that class too.
"""

from __future__ import annotations

import inspect
import operator
import sys
import warnings
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from . import _check, _sparse
from .runtime import backend_module as _backend

Array = NDArray[Any]


class NotFittedError(ValueError, AttributeError):
    """An estimator was asked for what only `fit` can give."""


class DataConversionWarning(UserWarning):
    """The shape of an argument was taken for the one that was expected."""


def _known_to_peers(own: type) -> type:
    """Return a class that also derives from scikit-learn's of that name, if that is loaded."""
    theirs = getattr(sys.modules.get("sklearn.exceptions"), own.__name__, None)
    if theirs is None:
        return own
    reduce = {"__reduce__": lambda self: (own, self.args)}  # what is made here cannot be unpickled
    return type(own.__name__, (own, theirs), reduce)


class Estimator:
    """Parameters of a model: the constructor stores them, `fit` checks them and learns.

    A learned attribute ends in an underscore; `n_features_in_` is among them.
    """

    _estimator_type: ClassVar[str | None] = None
    _accepts_sparse: ClassVar[bool] = False  # as X
    n_features_in_: int

    @classmethod
    def _parameter_defaults(cls) -> dict[str, Any]:
        parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
        return {p.name: p.default for p in parameters}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the constructor's arguments by name.

        Parameters
        ----------
        deep : bool
            Without effect, as no parameter is an estimator.

        Returns
        -------
        dict
        """
        return {name: getattr(self, name) for name in self._parameter_defaults()}

    def set_params(self, **params: Any) -> Self:
        """Replace arguments of the constructor; the next `fit` uses them.

        Parameters
        ----------
        **params
            New values by name.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If there is no parameter of that name; then none is changed.
        """
        valid = self._parameter_defaults()
        for name in params:
            if name not in valid:
                raise ValueError(
                    f"{type(self).__name__} has no parameter {name!r}; valid names: "
                    + ", ".join(valid)
                )
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        defaults = self._parameter_defaults()
        given = {name: getattr(self, name, default) for name, default in defaults.items()}
        listed = (f"{k}={v!r}" for k, v in given.items() if not _same(v, defaults[k]))
        return f"{type(self).__name__}({', '.join(listed)})"

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import (  # type: ignore[import-untyped]
            ClassifierTags,
            InputTags,
            RegressorTags,
            Tags,
            TargetTags,
        )

        kind = self._estimator_type
        return Tags(
            estimator_type=kind,
            target_tags=TargetTags(required=True),
            classifier_tags=ClassifierTags() if kind == "classifier" else None,
            regressor_tags=RegressorTags() if kind == "regressor" else None,
            input_tags=InputTags(sparse=self._accepts_sparse),
        )

    def _require_fitted(self) -> None:
        if not hasattr(self, "n_features_in_"):
            name = type(self).__name__
            message = f"This {name} instance is not fitted yet; call fit first."
            raise _known_to_peers(NotFittedError)(message)

    def _rows(self, X: Any, *, sparse: bool = False) -> Any:
        """Return X as `matrix` does, for a fitted model: with as many features as it has seen."""
        self._require_fitted()
        name = type(self).__name__
        return matrix(X, n_features=self.n_features_in_, name=name, sparse=sparse)


def _same(a: Any, b: Any) -> bool:
    try:
        return a is b or bool(a == b)
    except ValueError:  # an array: it has no truth value, and differs from any default
        return False


class ClassifierMixin:
    """The score of a classifier."""

    _estimator_type: ClassVar[str | None] = "classifier"

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the accuracy: the weighted share of the rows whose label is predicted.

        Parameters
        ----------
        X : array_like (n, d)
        y : array_like (n,)
            True labels.
        sample_weight : array_like (n,), optional
            Weights of the rows.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If X, y or the weights are not such arrays.
        """
        predicted = self.predict(X)  # type: ignore[attr-defined]
        right = predicted == _one_column(y, len(predicted))
        return float(np.average(right, weights=weights(sample_weight, len(right), np.float64)))


class RegressorMixin:
    """The score of a regressor."""

    _estimator_type: ClassVar[str | None] = "regressor"

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return R^2, the mean of it over the targets.

        ``R^2 = 1 - sum_i w_i (y_i - p_i)^2 / sum_i w_i (y_i - mean y)^2``; for a constant target 1
        if it is predicted exactly, else 0.

        Parameters
        ----------
        X : array_like (n, d)
        y : array_like (n,) or (n, t)
            True values.
        sample_weight : array_like (n,), optional
            Weights of the rows.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If X, y or the weights are not such arrays.
        """
        predicted = np.asarray(self.predict(X), np.float64)  # type: ignore[attr-defined]
        y = np.asarray(y, np.float64)
        if y.size != predicted.size or len(y) != len(predicted):
            raise ValueError(f"y has shape {y.shape}, expected {predicted.shape}")
        y = y.reshape(len(y), -1)
        w = weights(sample_weight, len(y), np.float64)
        residual = np.average((y - predicted.reshape(y.shape)) ** 2, axis=0, weights=w)
        variance = np.average((y - np.average(y, axis=0, weights=w)) ** 2, axis=0, weights=w)
        constant = variance == 0
        r2 = 1 - residual / np.where(constant, 1, variance)
        return float(np.where(constant, residual == 0, r2).mean())


# X


def _refuse_text(a: Array) -> None:
    if a.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: X is {a.dtype} {a.shape}")
    if a.dtype.kind not in "biufO":
        raise ValueError(f"X must hold numbers, not {a.dtype} (shape {a.shape})")


def _as_float(x: Any) -> Array:
    """Return float32 as it is and every other kind of number as float64."""
    if not isinstance(x, np.ndarray) and hasattr(x, "toarray"):
        raise TypeError(f"X is a sparse {type(x).__name__}; convert it with X.toarray()")
    a = _check._as_ndarray("X", x)
    if a.dtype.kind == "f" and a.itemsize in (4, 8):
        return _check.array("X", a)
    _refuse_text(a)
    try:
        with np.errstate(over="ignore"):  # a long double beyond float64 is infinite then
            return a.astype(np.float64, order="C")
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
    a = _sparse.from_scipy(x) if sparse and _sparse.is_sparse(x) else _as_float(x)
    if a.ndim < 2:
        raise ValueError(
            f"X must have 2 dimensions, not {a.ndim} (shape {a.shape}). Reshape your data: "
            "X.reshape(-1, 1) if it is one feature, X.reshape(1, -1) if it is one row"
        )
    if a.ndim > 2:
        raise ValueError(f"X must have 2 dimensions, not {a.ndim} (shape {a.shape})")
    for size, what in zip(a.shape, ("sample", "feature")):
        if size == 0:
            raise ValueError(
                f"X has 0 {what}(s) (shape={a.shape}) while a minimum of 1 is required."
            )
    if n_features is not None and a.shape[1] != n_features:
        raise ValueError(
            f"X has {a.shape[1]} features, but {name} is expecting {n_features} features as input"
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


# y


def _one_column(y: Any, n: int | None) -> Array:
    """Return labels (n,), from a column (n, 1) too."""
    if y is None:
        raise ValueError("this method requires y to be passed, but the target y is None")
    a = _check._as_ndarray("y", y)
    if a is not y and a.dtype.kind in "US" and not all(isinstance(v, (str, bytes)) for v in y):
        a = np.asarray(y, dtype=object)  # NumPy would write numbers, None and NaN as text
    if a.ndim == 2 and a.shape[1] == 1:
        warnings.warn(
            "A column-vector y was passed when a 1d array was expected; use y.ravel()",
            _known_to_peers(DataConversionWarning),
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
    y = _one_column(y, n)
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
    with np.errstate(over="ignore"):
        a = a.astype(dtype, copy=False)
    if a.ndim == 0:
        a = np.full(n, a)
    if a.ndim == 1 and len(a) and not a.any():
        raise ValueError("sample_weight is zero for every row; a positive sum is expected")
    checked = _check.weights(a, n, a.dtype)
    return None if checked is None else np.ascontiguousarray(checked)
