"""A fit of logistic regression as a problem to minimise, and its parameters as the model's.

What the two differ in: features far from zero are centred, an intercept that is penalised is the
coefficient of a constant feature, and of two classes there is one column.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _estimator, _lasso, _logistic
from ._lbfgs import Result
from ._linear_settings import Logistic, class_factors, with_constant
from ._sparse import Csr
from .runtime import backend_module as _backend

Array = NDArray[Any]


class Task(NamedTuple):
    """What a fit minimises."""

    classes: Array
    problem: _logistic.Problem
    shift: Array | None  # what is taken off the features
    constant: float | None  # the value of a feature added last
    strength: float  # of the penalty of absolute values

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of the model's `coef_`."""
        return self.problem.columns, self.problem.x.shape[1] - (self.constant is not None)

    def theta(self, coef: Array, intercept: Array) -> Array:
        """Return a model's parameters as those of the problem."""
        d = self.shape[1]
        theta = np.zeros((self.problem.columns, self.problem.width))
        theta[:, :d] = coef
        if self.problem.fit_intercept:
            theta[:, d] = intercept
            if self.shift is not None:
                theta[:, d] += (theta[:, :d] * self.shift).sum(axis=1)
        elif self.constant is not None:
            theta[:, d] = intercept / self.constant
        return self._centred(theta).ravel()

    def _centred(self, theta: Array) -> Array:
        """Return the parameters of several classes with a sum of 0, which changes no probability.

        Coefficients with absolute values in their penalty are not moved, for that would change.
        """
        if self.problem.columns > 1:
            common = theta.mean(axis=0)
            if self.strength:
                common[: self.shape[1]] = 0.0
            theta = theta - common
        return theta

    def parameters(self, theta: Array, dtype: Any) -> dict[str, Array]:
        """Return coef_ and intercept_ in that dtype, of parameters of the problem."""
        theta, d = theta.reshape(self.problem.columns, self.problem.width), self.shape[1]
        theta = self._centred(theta)
        coef, intercept = theta[:, :d].copy(), np.zeros(self.problem.columns)
        if self.problem.fit_intercept:
            intercept = theta[:, d].copy()
        elif self.constant is not None:
            intercept = self.constant * theta[:, d]
        if self.shift is not None:
            intercept -= [_backend.dot(row, self.shift.astype(np.float64)) for row in coef]
        return {"coef_": coef.astype(dtype), "intercept_": intercept.astype(dtype)}

    def value(self, theta: Array) -> float:
        """Return the objective."""
        coef = theta.reshape(self.problem.columns, -1)[:, : self.problem.x.shape[1]]
        return self.problem(theta)[0] + self.strength * float(np.abs(coef).sum())

    def minimise(self, start: Array | None, settings: Logistic) -> Result:
        """Minimise from there, or from 0."""
        theta = np.zeros(self.problem.size) if start is None else start
        limits: Any = {"tol": settings.tol, "max_iter": settings.max_iter}
        if self.strength:
            return _lasso.minimise(self.problem, theta, self.strength, **limits)
        return _logistic.minimise(
            self.problem, theta, solver=settings.solver, warm=start is not None, **limits
        )


def task(
    model: Any, x: Array | Csr, y: ArrayLike, sample_weight: ArrayLike | None, settings: Logistic
) -> Task:
    """Return what a fit of `model`, a LogisticRegression, to checked rows x minimises."""
    if isinstance(x, Csr):
        x = x.astype(np.float64)  # its sums have no blocks that would be merged in float64
    classes, labels = _estimator.encode(y, len(x))
    if len(classes) < 2:
        raise ValueError(
            "This solver needs samples of at least 2 classes in the data, but the data "
            f"contains only one class: {classes[0]!r}"
        )
    if model.solver == "liblinear" and len(classes) > 2:
        raise ValueError(
            "Only binary classification is supported. The solver 'liblinear' is for two classes, "
            f"and these are {len(classes)}: take another solver, or a model for each class"
        )
    w, total = _row_weights(model.class_weight, sample_weight, x, classes, labels)
    has_intercept, shift = bool(model.fit_intercept), None
    if settings.constant is not None:
        x, has_intercept = with_constant(x, settings.constant), False
    elif has_intercept and not isinstance(x, Csr):
        shift = _logistic.offset(x, w)
        x = x if shift is None else x - shift
    penalty = 1 / settings.C / total
    squares = (1 - settings.l1_ratio) * penalty
    problem = _logistic.Problem(x, labels, w, len(classes), squares, has_intercept)
    return Task(classes, problem, shift, settings.constant, settings.l1_ratio * penalty)


def _row_weights(
    class_weight: Any,
    sample_weight: ArrayLike | None,
    x: Array | Csr,
    classes: Array,
    labels: Array,
) -> tuple[Array | None, float]:
    """Return the weights of the rows, by their classes too, in the dtype of x; and their sum."""
    w = _estimator.weights(sample_weight, len(x), x.dtype)
    mass = np.bincount(labels, w, len(classes))
    factors = class_factors(class_weight, classes, mass)
    if factors is not None:
        w = factors[labels].astype(x.dtype) * (1 if w is None else w)
        mass = np.bincount(labels, w, len(classes))
    for k, weight in zip(classes.tolist(), mass):
        if not 0 < weight < math.inf:
            raise ValueError(f"the weight of class {k!r} is {weight}: it must be positive")
    return w, float(mass.sum())
