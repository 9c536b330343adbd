"""What is saved of a Gaussian classifier: its sums over rows, and the densities that it predicts by."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _gaussian_stats as _stats
from ._fields import F64, Kind, Maybe, ModelFileError, Record
from ._gaussian_density import Densities

Array = NDArray[Any]

_PRIORS_TOLERANCE = 1e-4  # what fits accept of priors that were given, and more


def _covariance(kind: str) -> tuple[str, ...]:
    return {"full": ("c", "d", "d"), "shared": ("d", "d"), "diag": ("c", "d")}[kind]


def _statistics(kind: str) -> Kind:
    fields: dict[str, Kind] = {"weights": F64("c"), "means": F64("c", "d")}
    if kind == "diag":
        return Record(_stats.Diag, {**fields, "observed": F64("c", "d"), "scatter": F64("c", "d")})
    # Third and fourth powers may overflow where squares do not; the shrinkage can do with that.
    return Record(
        _stats.Full,
        {
            **fields,
            "scatter": F64("c", "d", "d"),
            "third": F64("c", "d", finite=False),
            "fourth": F64("c", finite=False),
        },
    )


def _made(kind: str, means: Array, factors: Array, priors: Array) -> Densities:
    """Return densities, if that is what they are: with deviations, and probabilities of sum 1."""
    deviations = factors if kind == "diag" else np.diagonal(factors, axis1=-2, axis2=-1)
    # Of "diag", a variance may be 0; to predict is an error then.
    if not (deviations >= 0).all() or (kind != "diag" and not deviations.all()):
        raise ModelFileError("the deviations of the densities must be positive")
    if not (priors >= 0).all() or not abs(priors.sum() - 1) <= _PRIORS_TOLERANCE:
        raise ModelFileError("the classes' probabilities must be at least 0, with the sum 1")
    return Densities(kind, means, factors, priors)


def _densities(kind: str) -> Kind:
    shape = ("d", "d") if kind == "shared" else _covariance(kind)
    return Record(
        functools.partial(_made, kind),
        {"means": F64("c", "d"), "factors": F64(*shape), "priors": F64("c")},
        lambda d: {"means": d._means, "factors": d._factors, "priors": d._priors},
    )


def of_kind(kind: str) -> dict[str, Kind]:
    """Return the fields that depend on the covariance."""
    return {
        "shrinkage_": F64() if kind == "shared" else F64("c"),
        "covariance_": Maybe(F64(*_covariance(kind))),
        "_statistics": _statistics(kind),
        "_densities": _densities(kind),
    }
