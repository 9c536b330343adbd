"""Settings of linear models, checked: scikit-learn's names, and what they come to here."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import _check
from ._check_network import integer, number
from ._sparse import Csr

Array = NDArray[Any]

# What minimises the objective under each name; all that have the same objective end alike.
LOGISTIC_SOLVERS = {
    "auto": "auto",
    "lbfgs": "lbfgs",
    "newton-cholesky": "newton-cholesky",
    "newton-cg": "auto",
    "sag": "auto",
    "saga": "auto",
    "liblinear": "auto",
}
_FOR_ABSOLUTE_VALUES = ("auto", "saga", "liblinear")
RIDGE_SOLVERS = ("auto", "svd", "cholesky", "lsqr", "sparse_cg", "sag", "saga", "lbfgs")


class Logistic(NamedTuple):
    """The settings of a fit of logistic regression."""

    C: float  # positive or infinite
    l1_ratio: float  # the share of absolute values in the penalty
    solver: str  # one of _logistic.SOLVERS
    tol: float
    max_iter: int
    constant: float | None  # the value of the feature whose coefficient is a penalised intercept
    verbose: int


def _warn(message: str, kind: type[Warning], depth: int) -> None:
    """Warn the caller of `fit`, which is wrapped, from so many functions below it."""
    warnings.warn(message, kind, stacklevel=depth + 4)


def _inverse_strength(C: Any) -> float:
    """Return C, positive or infinite."""
    infinite = isinstance(C, (float, np.floating)) and C == math.inf
    return math.inf if infinite else number("C", C, "positive", lambda c: c > 0)


def _l1_ratio(given: Any) -> float:
    if given is None:
        _warn("l1_ratio=None is deprecated; its default, 0, means the same", FutureWarning, 3)
        return 0.0
    return number("l1_ratio", given, "between 0 and 1", lambda r: 0 <= r <= 1)


def _penalty(model: Any, C: float) -> tuple[float, float]:
    """Return C and the share of the absolute values in the penalty."""
    l1_ratio, penalty = _l1_ratio(model.l1_ratio), model.penalty
    if isinstance(penalty, str) and penalty == "deprecated":
        return C, l1_ratio
    if penalty is not None:
        _check.one_of("penalty", penalty, ("l1", "l2", "elasticnet"))
    _warn(
        "penalty is deprecated: leave it out for 'l2', give C=inf for None, and l1_ratio for others",
        FutureWarning,
        2,
    )
    if penalty is None:
        if C != 1.0:
            _warn("penalty=None makes C meaningless", UserWarning, 2)
        return math.inf, 0.0
    if penalty == "elasticnet" and model.l1_ratio is None:
        raise ValueError("penalty='elasticnet' needs an l1_ratio, which is None")
    share = {"l2": 0.0, "l1": 1.0, "elasticnet": l1_ratio}[penalty]
    if l1_ratio not in (0.0, share):
        _warn(f"penalty={penalty!r} overrides l1_ratio={l1_ratio}", UserWarning, 2)
    return C, share


def logistic(model: Any) -> Logistic:
    """Return the checked settings of a `LogisticRegression`."""
    solver = _check.one_of("solver", model.solver, tuple(LOGISTIC_SOLVERS))
    C, absolute = _penalty(model, _inverse_strength(model.C))
    absolute = absolute if math.isfinite(C) else 0.0
    if absolute and solver not in _FOR_ABSOLUTE_VALUES:
        raise ValueError(
            f"solver {solver!r} supports only penalties of squares, not l1_ratio={absolute:g}; "
            f"take one of {', '.join(map(repr, _FOR_ABSOLUTE_VALUES))}"
        )
    if solver == "liblinear" and absolute not in (0.0, 1.0):
        raise ValueError(
            f"solver 'liblinear' does not mix penalties, as l1_ratio={absolute:g} does: take 'saga'"
        )
    if absolute and model.dual:
        raise ValueError("a penalty of absolute values has no dual here: it needs dual=False")
    if model.dual and solver != "liblinear":
        raise ValueError(
            f"solver {solver!r} supports only dual=False: 'liblinear' alone has a dual, "
            "and the same solution with it"
        )
    scaling = number("intercept_scaling", model.intercept_scaling, "positive", lambda s: s > 0)
    penalised = solver == "liblinear" and bool(model.fit_intercept) and math.isfinite(C)
    if model.n_jobs is not None:
        integer("n_jobs", model.n_jobs, -(1 << 31))
        _warn("n_jobs has no effect; num_threads limits the threads of a fit", FutureWarning, 1)
    return Logistic(
        C,
        absolute,
        LOGISTIC_SOLVERS[solver],
        number("tol", model.tol, "finite and at least 0", lambda t: t >= 0),
        integer("max_iter", model.max_iter, 0),
        scaling if penalised else None,
        integer("verbose", int(model.verbose), 0),
    )


def class_factors(class_weight: Any, classes: Array, mass: Array) -> Array | None:
    """Return the factor (c,) of each class, or None; mass is the classes' sums of weights."""
    if class_weight is None:
        return None
    if isinstance(class_weight, str):
        _check.one_of("class_weight", class_weight, ("balanced",))
        with np.errstate(divide="ignore"):
            return mass.sum() / (len(classes) * mass)
    if not isinstance(class_weight, Mapping):
        raise TypeError(
            f"class_weight must be None, 'balanced' or a dict of weights, not {class_weight!r}"
        )
    names = classes.tolist()
    missing = [name for name in names if name not in class_weight]
    unknown = [key for key in class_weight if key not in names]
    if missing and unknown:
        raise ValueError(f"The classes, {missing}, are not in class_weight, which has {unknown}")
    what = "finite and at least 0"
    return np.array(
        [
            number(f"class_weight[{name!r}]", class_weight.get(name, 1.0), what, lambda w: w >= 0)
            for name in names
        ]
    )


def starting_values(name: str, given: Any, shape: tuple[int, ...]) -> Array:
    """Return parameters to start from, float64; an axis of length 1 may be left out."""
    if given is None:
        return np.zeros(shape)
    a = _check._as_ndarray(name, given)
    if a.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold numbers, not {a.dtype} (shape {a.shape})")
    squeezed = tuple(size for size in shape if size != 1)
    if a.shape != shape and tuple(size for size in a.shape if size != 1) != squeezed:
        raise ValueError(f"{name} has shape {a.shape}, expected {shape}")
    a = a.astype(np.float64).reshape(shape)
    if not np.isfinite(a).all():
        raise ValueError(f"{name} contains NaN or infinity")
    return a


def with_constant(x: Array | Csr, value: float) -> Array | Csr:
    """Return x (n, d) with a further feature of that value."""
    n, d = x.shape
    if not isinstance(x, Csr):
        return np.concatenate([x, np.full((n, 1), value, x.dtype)], axis=1)
    ends = x.indptr[1:]
    return Csr(
        np.insert(x.data, ends, value),
        np.insert(x.indices, ends, d),
        x.indptr + np.arange(n + 1),
        (n, d + 1),
    )


class RidgeSettings(NamedTuple):
    """The settings of a fit of ridge regression."""

    alpha: Array  # (t,), at least 0
    way: str  # "auto", "svd" or "positive"


def _penalties(alpha: Any, n_targets: int) -> Array:
    """Return the penalty (t,) of each target."""
    wanted = "finite and at least 0"
    if np.ndim(alpha) == 0:
        return np.full(n_targets, number("alpha", alpha, wanted, lambda a: a >= 0))
    given = [number(f"alpha[{i}]", a, wanted, lambda a: a >= 0) for i, a in enumerate(alpha)]
    if len(given) not in (1, n_targets):
        raise ValueError(
            f"Number of targets and number of penalties do not correspond: {len(given)} != "
            f"{n_targets}; alpha must be one number, or one for each target"
        )
    return np.broadcast_to(np.array(given), n_targets).copy()


def ridge(model: Any, n_targets: int) -> RidgeSettings:
    """Return the checked settings of a `Ridge`."""
    solver = _check.one_of("solver", model.solver, RIDGE_SOLVERS)
    positive = bool(model.positive)
    if positive and solver not in ("auto", "lbfgs"):
        raise ValueError(f"solver={solver!r} does not support positive=True; 'auto' and 'lbfgs' do")
    if solver == "lbfgs" and not positive:
        raise ValueError("solver 'lbfgs' can be used only with positive=True")
    number("tol", model.tol, "finite and at least 0", lambda t: t >= 0)
    if model.max_iter is not None:
        integer("max_iter", model.max_iter, 1)
    way = "positive" if positive else "svd" if solver == "svd" else "auto"
    return RidgeSettings(_penalties(model.alpha, n_targets), way)
