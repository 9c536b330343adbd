"""How estimators are saved and pickled: what is kept of them, and of which version it is."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

from . import _fields
from ._peers import InconsistentVersionWarning, known_to_peers


class Saving:
    """Files and pickles of an estimator; a class declares in _SAVED what it has learned."""

    # What `save` writes of a fitted model, beside its parameters but for those in _NOT_SAVED.
    _SAVED: ClassVar[dict[str, _fields.Kind | None]] = {
        "n_features_in_": _fields.Count(1, "d"),
        "feature_names_in_": _fields.Maybe(_fields.Names()),
        "target_name_": _fields.Maybe(_fields.Text()),  # the command line's
    }
    _NOT_SAVED: ClassVar[tuple[str, ...]] = ()

    if TYPE_CHECKING:  # these are an estimator's

        @classmethod
        def _parameter_defaults(cls) -> dict[str, Any]: ...

        def get_params(self, deep: bool = True) -> dict[str, Any]: ...

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to a file that `fastnn.load` reads: parameters and what it has learned.

        Parameters
        ----------
        path : str or PathLike
            A file that is there is replaced, once the new one is complete.

        Raises
        ------
        ImportError
            If the package safetensors is not installed.
        TypeError
            If a parameter is neither a number, string, bool, None or array nor a list, tuple or
            dict of them; or if the class is not one of fastnn's own.
        ValueError
            If something learned is not as a fit leaves it, as coefficients that are not finite.
        OSError
            If the file cannot be written; one that was there is still as it was.

        Notes
        -----
        The format is safetensors, with the rest as JSON in it: no code is in the file. Predictions
        of the loaded model have the same bits. Callbacks, what `set_output` chose and attributes of
        your own are not saved.

        Examples
        --------
        >>> import os, tempfile, fastnn
        >>> model = fastnn.Ridge(alpha=2.0).fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "line.safetensors")
        ...     model.save(path)
        ...     fastnn.load(path).predict([[4.0]])
        array([6.])
        """
        from . import _model_file

        _model_file.save(self, path)

    @classmethod
    def _fields(cls, state: Mapping[str, Any]) -> dict[str, _fields.Kind]:
        """Return what is saved of a model that has this state, or this tree in a file."""
        return _fields.declared(cls) if "n_features_in_" in state else {}

    def _saved(self) -> Mapping[str, Any]:
        """Return the attributes of which the fields are saved."""
        return self.__dict__

    def _saved_parameters(self) -> dict[str, Any]:
        params = self.get_params(deep=False)
        return {name: value for name, value in params.items() if name not in self._NOT_SAVED}

    @classmethod
    def _restored(cls, parameters: Mapping[str, Any], learned: Mapping[str, Any]) -> Self:
        """Return the model of parameters and learned attributes, each of which is valid."""
        for name in parameters:
            if name not in cls._parameter_defaults() or name in cls._NOT_SAVED:
                raise _fields.ModelFileError(f"{cls.__name__} has no parameter {name!r}")
        model = cls(**parameters)
        model.__dict__.update(learned)
        if learned:
            model._require_agreement()
        return model

    def _require_agreement(self) -> None:
        """Raise a ValueError if learned attributes do not fit each other, beyond their shapes."""

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()  # a pair where a subclass has slots, None without attributes
        state = state if isinstance(state, tuple) else (state, None)
        return {**(state[0] or {}), **(state[1] or {}), "_fastnn_version": _version()}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        attributes = dict(state)
        written = attributes.pop("_fastnn_version", None)
        for name, value in attributes.items():
            object.__setattr__(self, name, value)
        if written == _version():
            return
        by = "an unknown version" if written is None else f"version {written}"
        warnings.warn(
            f"this {type(self).__name__} was pickled by {by} of fastnn and is unpickled by "
            f"{_version()}: it may fail or answer differently; files of save() do not depend on "
            "the version",
            known_to_peers(InconsistentVersionWarning),
            stacklevel=2,
        )


def _version() -> str:
    from . import __version__  # which is there once the package is imported

    return __version__
