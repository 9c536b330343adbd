"""What the estimators share: their parameters, what they say of themselves, and scores.

The protocol is scikit-learn's, which is not imported: where the caller has imported it, exceptions
and warnings that it has a class for are of that class too.
"""

from __future__ import annotations

import math
import warnings
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _html
from ._labels import encode, label_array, lookup, one_column, sorted_labels, weights
from ._metadata import Routing
from ._peers import (
    ConvergenceWarning,
    DataConversionWarning,
    InconsistentVersionWarning,
    NotFittedError,
    UndefinedMetricWarning,
    known_to_peers,
)
from ._rows import check_names, data, feature_names, is_plain, matrix, require_numbers
from ._saving import Saving

__all__ = [
    "ClassifierMixin",
    "ConvergenceWarning",
    "DataConversionWarning",
    "Estimator",
    "InconsistentVersionWarning",
    "NotFittedError",
    "RegressorMixin",
    "UndefinedMetricWarning",
    "data",
    "encode",
    "feature_names",
    "known_to_peers",
    "label_array",
    "lookup",
    "matrix",
    "r_squared",
    "require_numbers",
    "sorted_labels",
    "weights",
]

Array = NDArray[Any]


class Estimator(Saving, Routing):
    """Parameters of a model: the constructor stores them, `fit` checks them and learns.

    A learned attribute ends in an underscore; `n_features_in_` is among them, and
    `feature_names_in_` if X is a frame whose columns have names.
    """

    _estimator_type: ClassVar[str | None] = None
    _accepts_sparse: ClassVar[bool] = False  # as X
    _multi_output: ClassVar[bool] = False  # as y, (n, t)
    n_features_in_: int
    feature_names_in_: Array

    @classmethod
    def _parameter_defaults(cls) -> dict[str, Any]:
        """Return the defaults of the constructor's arguments, all of which have one."""
        make: Any = cls.__init__
        if make is object.__init__:
            return {}
        # Not by inspect: this is asked often, and by every clone.
        code, keywords = make.__code__, make.__kwdefaults__ or {}
        names = code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]
        return dict(zip(names, (*(make.__defaults__ or ()), *keywords.values())))

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

    def _repr_html_(self) -> str:
        defaults = self._parameter_defaults()
        values = self.get_params(deep=False)
        listed = {name: (v, not _same(v, defaults[name])) for name, v in values.items()}
        return _html.page(type(self).__name__, listed, hasattr(self, "n_features_in_"))

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": self._repr_html_()}

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import (  # type: ignore[import-untyped]
            ClassifierTags,
            InputTags,
            RegressorTags,
            Tags,
            TargetTags,
        )

        kind, several = self._estimator_type, self._multi_output
        target = TargetTags(required=True, single_output=True, multi_output=several)
        return Tags(
            estimator_type=kind,
            target_tags=target,
            classifier_tags=ClassifierTags() if kind == "classifier" else None,
            regressor_tags=RegressorTags() if kind == "regressor" else None,
            input_tags=InputTags(sparse=self._accepts_sparse),
        )

    # Fitting and its traces

    def _require_fitted(self) -> None:
        if not hasattr(self, "n_features_in_"):
            name = type(self).__name__
            message = f"This {name} instance is not fitted yet; call fit first."
            raise known_to_peers(NotFittedError)(message)

    def _learn_features(self, n_features: int, names: Array | None) -> None:
        """Keep how many features X had at the fit, and their names, if it had any."""
        self.n_features_in_ = n_features
        if names is not None:
            self.feature_names_in_ = names
        else:
            self.__dict__.pop("feature_names_in_", None)

    def _rows(self, X: Any, *, sparse: bool = False) -> Any:
        """Return X as `matrix` does, for a fitted model: with the features that it has seen."""
        learned = self.__dict__
        d, known = learned.get("n_features_in_"), learned.get("feature_names_in_")
        # What is served row by row is told apart by the cheapest of tests.
        if known is None and is_plain(X) and X.ndim == 2 and X.shape[1] == d and len(X):
            return X
        self._require_fitted()
        name = type(self).__name__
        check_names(feature_names(X), known, name)
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
        right = predicted == one_column(y, len(predicted))
        return float(np.average(right, weights=weights(sample_weight, len(right), np.float64)))


class RegressorMixin:
    """The score of a regressor."""

    _estimator_type: ClassVar[str | None] = "regressor"

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return R^2, the mean of it over the targets.

        ``R^2 = 1 - sum_i w_i (y_i - p_i)^2 / sum_i w_i (y_i - mean y)^2``; for a constant target 1
        if it is predicted exactly, else 0; for a single row NaN, with a warning.

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
        predicted = np.asarray(self.predict(X))  # type: ignore[attr-defined]
        if len(predicted) < 2:
            warnings.warn(
                "R^2 score is not well-defined with less than two samples; it is NaN",
                known_to_peers(UndefinedMetricWarning),
                stacklevel=2,
            )
            return math.nan
        return r_squared(np.asarray(y), predicted, sample_weight)


def r_squared(y: Array, predicted: Array, sample_weight: ArrayLike | None = None) -> float:
    """Return R^2 of predictions (n,) or (n, t), the mean over the targets."""
    if y.size != predicted.size or len(y) != len(predicted):
        raise ValueError(f"y has shape {y.shape}, expected {predicted.shape}")
    y = y.astype(np.float64).reshape(len(y), -1)
    w = weights(sample_weight, len(y), np.float64)
    with np.errstate(over="ignore"):  # -inf is right for what is so far off
        residual = np.average((y - predicted.reshape(y.shape)) ** 2, axis=0, weights=w)
        variance = np.average((y - np.average(y, axis=0, weights=w)) ** 2, axis=0, weights=w)
    constant = variance == 0
    r2 = 1 - residual / np.where(constant, 1, variance)
    return float(np.where(constant, residual == 0, r2).mean())
