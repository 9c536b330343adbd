"""Results of `transform` as arrays or as frames, as `set_output` or scikit-learn's settings ask."""

from __future__ import annotations

import sys
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]

_CONTAINERS = ("default", "pandas", "polars")


def _frame(container: str, values: Array, names: Array, like: Any) -> Any:
    """A frame of the values (n, r), with the row labels of `like` where that has any."""
    if container == "polars":
        import polars

        return polars.DataFrame(values, schema=names.tolist(), orient="row")
    import pandas  # type: ignore[import-untyped]

    index = like.index if isinstance(like, pandas.DataFrame) else None
    return pandas.DataFrame(values, index=index, columns=names)


class TransformOutput:
    """What every estimator with a `transform` offers beside it."""

    _sklearn_output_config: dict[str, str]  # scikit-learn looks here, and copies it with a clone

    def set_output(self, *, transform: str | None = None) -> Self:
        """Choose what `transform` and `fit_transform` return.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"} or None
            "default": an array; else a frame whose columns are `get_feature_names_out`; None
            changes nothing. Until it is set, ``sklearn.set_config(transform_output=...)`` holds.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If it is none of these.
        """
        if transform is not None:
            if transform not in _CONTAINERS:
                listed = ", ".join(map(repr, _CONTAINERS))
                raise ValueError(f"transform is {transform!r}: it must be one of {listed} or None")
            self._sklearn_output_config = {"transform": transform}
        return self

    def fit_transform(self, X: ArrayLike, y: ArrayLike | None = None, **fit_params: Any) -> Any:
        """Fit the model, and transform the rows that it was fitted to.

        Parameters
        ----------
        X : array_like (n, d)
        y : array_like (n,)
        **fit_params
            Further arguments of `fit`.

        Returns
        -------
        ndarray or frame (n, r)
            As `transform` returns.

        Raises
        ------
        TypeError, ValueError
            As `fit` and `transform` do.
        """
        return self.fit(X, y, **fit_params).transform(X)  # type: ignore[attr-defined]

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> Array:
        """Names (r,) of the columns that `transform` returns.

        Parameters
        ----------
        input_features : array_like, optional
            Without effect: the new columns are none of the old ones.

        Returns
        -------
        ndarray (r,) of str objects
            The name of the class in small letters, and a number.
        """
        name = type(self).__name__.lower()
        columns = range(self._n_columns())
        return np.array([f"{name}{i}" for i in columns], dtype=object)

    def _n_columns(self) -> int:
        """How many columns `transform` returns."""
        raise NotImplementedError

    def _delivered(self, values: Array, like: Any) -> Any:
        """The values as what was asked for."""
        container = getattr(self, "_sklearn_output_config", {}).get("transform")
        if container is None:
            peer = sys.modules.get("sklearn")
            settings = peer.get_config() if peer is not None else {}
            container = settings.get("transform_output", "default")
        if container == "default":
            return values
        return _frame(container, values, self.get_feature_names_out(), like)
