"""Metadata routing: which estimators of a pipeline get `sample_weight` and the like.

An estimator keeps what it requests. scikit-learn asks for that, in its own words, which are made
when it does: nothing here imports it before.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

_METHODS = (
    "fit",
    "partial_fit",
    "predict",
    "predict_proba",
    "predict_log_proba",
    "decision_function",
    "score",
    "split",
    "transform",
    "inverse_transform",
)
_ROWS = frozenset({"self", "X", "y"})  # what is no metadata
_UNCHANGED = "$UNCHANGED$"

_DOC = """Say which arguments of `{method}` a pipeline, search or ensemble is to pass on.

Only where scikit-learn's metadata routing is switched on, by
``sklearn.set_config(enable_metadata_routing=True)``, and where this estimator is part of
another one.

Parameters
----------
{parameters}

Returns
-------
self

Raises
------
RuntimeError
    If metadata routing is not switched on.
TypeError
    If `{method}` has no such argument.

Examples
--------
>>> import fastnn, sklearn
>>> with sklearn.config_context(enable_metadata_routing=True):
...     model = fastnn.{model}().set_{method}_request({first}=True)
"""
_PARAMETER_DOC = """{name} : bool, None or str
    True: pass it if it is given. False: do not. None: giving it is an error. A name: pass
    what is given under that name."""


class Requests(dict[str, dict[str, Any]]):
    """What an estimator requests: ``{method: {argument: True, False, None or a name}}``."""

    def __sklearn_clone__(self) -> Requests:
        return Requests({method: dict(given) for method, given in self.items()})


def _metadata_of(cls: type, method: str) -> tuple[str, ...]:
    """Return the names of the arguments of a method beside its rows."""
    function: Any = getattr(cls, method, None)
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    code = getattr(function, "__code__", None)
    if code is None:
        return ()
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    return tuple(sorted(name for name in names if name not in _ROWS))


def _require_routing() -> None:
    peer = sys.modules.get("sklearn")
    if peer is None or not peer.get_config().get("enable_metadata_routing", False):
        raise RuntimeError(
            "This method is only available when metadata routing is enabled: "
            "sklearn.set_config(enable_metadata_routing=True)"
        )


class _RequestSetter:
    """The method `set_fit_request`, or that of another method, of a class."""

    def __init__(self, method: str, names: tuple[str, ...]) -> None:
        self.method, self.names = method, names

    def __get__(self, instance: Any, owner: type) -> Callable[..., Any]:
        method, names = self.method, self.names

        def setter(self: Any, **metadata: Any) -> Any:
            _require_routing()
            unknown = [name for name in metadata if name not in names]
            if unknown:
                raise TypeError(
                    f"{type(self).__name__}.{method} has no arguments {unknown}; "
                    f"it has {', '.join(names)}"
                )
            requests = Requests(getattr(self, "_metadata_request", {})).__sklearn_clone__()
            given = {k: v for k, v in metadata.items() if v != _UNCHANGED}
            requests[method] = {**requests.get(method, {}), **given}
            self._metadata_request = requests
            return self

        setter.__name__ = f"set_{method}_request"
        setter.__qualname__ = f"{owner.__qualname__}.{setter.__name__}"
        setter.__module__ = owner.__module__
        parameters = "\n".join(_PARAMETER_DOC.format(name=name) for name in names)
        setter.__doc__ = _DOC.format(
            method=method, parameters=parameters, model=owner.__name__, first=names[0]
        )
        setter.__signature__ = _signature(names)  # type: ignore[attr-defined]
        return setter if instance is None else setter.__get__(instance, owner)


class _Absent:
    """In the place of an inherited setter whose method here takes rows alone."""

    def __get__(self, instance: Any, owner: type) -> Any:
        raise AttributeError(f"{owner.__name__} has nothing to request here")


def _signature(names: tuple[str, ...]) -> Any:
    from inspect import Parameter, Signature

    own = Parameter("self", Parameter.POSITIONAL_OR_KEYWORD)
    keywords = (Parameter(n, Parameter.KEYWORD_ONLY, default=_UNCHANGED) for n in names)
    return Signature([own, *keywords])


class Routing:
    """Keeps the requests of an estimator.

    Each class gets a `set_fit_request` and so on for those of its methods that take more than rows.
    """

    _metadata_request: Requests

    if TYPE_CHECKING:  # what __init_subclass__ adds to every class

        def set_fit_request(self, **metadata: bool | str | None) -> Self: ...
        def set_score_request(self, **metadata: bool | str | None) -> Self: ...

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for method in _METHODS:
            names = _metadata_of(cls, method)
            setter = f"set_{method}_request"
            if names:
                setattr(cls, setter, _RequestSetter(method, names))
            elif hasattr(cls, setter):
                setattr(cls, setter, _Absent())

    def get_metadata_routing(self) -> Any:
        """Return what the estimator requests, for scikit-learn, which must be installed.

        Returns
        -------
        sklearn.utils.metadata_routing.MetadataRequest

        Raises
        ------
        ImportError
            If scikit-learn is not installed.

        Examples
        --------
        >>> import fastnn
        >>> fastnn.Ridge().get_metadata_routing().fit.requests
        {'sample_weight': None}
        """
        from sklearn.utils.metadata_routing import (  # type: ignore[import-untyped]
            MetadataRequest,
        )

        routing = MetadataRequest(owner=self)
        requests = getattr(self, "_metadata_request", {})
        for method in _METHODS:
            given = requests.get(method, {})
            for name in _metadata_of(type(self), method):
                getattr(routing, method).add_request(param=name, alias=given.get(name))
        return routing
