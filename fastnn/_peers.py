"""Exceptions and warnings that scikit-learn has a class for, where the caller has loaded it."""

from __future__ import annotations

import sys


class NotFittedError(ValueError, AttributeError):
    """An estimator was asked for what only `fit` can give."""


class DataConversionWarning(UserWarning):
    """The shape of an argument was taken for the one that was expected."""


class UndefinedMetricWarning(UserWarning):
    """A score has no meaning for these rows."""


class ConvergenceWarning(UserWarning):
    """A fit has ended somewhere else than at the minimum that was asked for."""


class InconsistentVersionWarning(UserWarning):
    """A model was unpickled with another version of fastnn than it was pickled with."""

    def __init__(self, message: str) -> None:  # scikit-learn's takes other arguments
        UserWarning.__init__(self, message)

    def __str__(self) -> str:
        return str(self.args[0])


def known_to_peers(own: type) -> type:
    """Return a class that also derives from scikit-learn's of that name, if that is loaded."""
    theirs = getattr(sys.modules.get("sklearn.exceptions"), own.__name__, None)
    if theirs is None:
        return own
    reduce = {"__reduce__": lambda self: (own, self.args)}  # what is made here cannot be unpickled
    return type(own.__name__, (own, theirs), reduce)
