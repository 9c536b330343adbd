"""What is saved of a Gaussian classifier: its sums over rows, and the densities that it predicts by."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _gaussian_stats as _stats
from ._fields import F64, Kind, Maybe, Record
from ._gaussian_density import Densities


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


def _densities(kind: str) -> Kind:
    shape = ("d", "d") if kind == "shared" else _covariance(kind)
    return Record(
        lambda means, factors, priors: Densities(kind, means, factors, priors),
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


def require_densities(densities: Any) -> None:
    """Raise unless these are densities: deviations at least 0, probabilities with the sum 1."""
    kind, _, factors, priors = densities._arguments
    deviations = factors if kind == "diag" else np.diagonal(factors, axis1=-2, axis2=-1)
    if not (deviations >= 0).all() or (kind != "diag" and not deviations.all()):
        raise ValueError("the deviations of the densities must be positive")
    if not (priors >= 0).all() or not abs(priors.sum() - 1) <= 1e-4:
        raise ValueError(f"the classes' probabilities {priors} must be at least 0, with the sum 1")
