"""Methods of estimators that keep to the number of threads their `num_threads` says."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from .runtime import threads_of_call

Self = TypeVar("Self")
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def limited(
    method: Callable[Concatenate[Self, Arguments], Result],
) -> Callable[Concatenate[Self, Arguments], Result]:
    """Let a method of an estimator use `num_threads` threads at most; None: as many as are set."""

    @functools.wraps(method)
    def call(self: Self, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        num_threads = self.num_threads  # type: ignore[attr-defined]
        if num_threads is None:  # a row should not wait for a context manager
            return method(self, *args, **kwargs)
        with threads_of_call(num_threads):
            return method(self, *args, **kwargs)

    return call
