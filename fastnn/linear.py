"""Linear models: logistic regression and ridge regression."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _check, _estimator, _least_squares, _logistic
from ._check_network import integer, number
from ._fields import Floats, Kind
from ._inference import Inference, infer
from ._lbfgs import NOT_FINITE, largest
from ._linear_prediction import LogisticPrediction, affine
from ._peers import ConvergenceWarning, known_to_peers
from ._sparse import Csr
from .runtime import backend_module as _backend

__all__ = ["ConvergenceWarning", "LogisticRegression", "Ridge"]

Array = NDArray[Any]


def _warn(message: str) -> None:
    warnings.warn(message, known_to_peers(ConvergenceWarning), stacklevel=3)


def _inverse_strength(C: Any) -> float:
    """Return C, positive or infinite."""
    infinite = isinstance(C, (float, np.floating)) and C == math.inf
    return math.inf if infinite else number("C", C, "positive", lambda c: c > 0)


def _class_factors(class_weight: Any, classes: Array, mass: Array) -> Array | None:
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


def _parameters(
    problem: _logistic.Problem, theta: Array, shift: Array | None, dtype: Any
) -> dict[str, Array]:
    """Return coef_ and intercept_ for x, of parameters theta for x - shift, in that dtype."""
    theta, d = theta.reshape(problem.columns, problem.width), problem.x.shape[1]
    if problem.columns > 1:
        theta = theta - theta.mean(axis=0)
    coef = theta[:, :d].copy()
    intercept = theta[:, d].copy() if problem.fit_intercept else np.zeros(problem.columns)
    if shift is not None:
        intercept -= [_backend.dot(row, shift.astype(np.float64)) for row in coef]
    return {"coef_": coef.astype(dtype), "intercept_": intercept.astype(dtype)}


class LogisticRegression(LogisticPrediction):
    """A classifier whose log-odds are linear in the features.

    ``P(k | x) = softmax(x W^T + b)_k``, for two classes ``P(1 | x) = sigmoid(x w + b)``. The fit
    minimises ``C sum_i w_i loss_i + 1/2 |W|^2``, the loss of a row being the cross-entropy of its
    label, ``-log P(y_i | x_i)``.

    Parameters
    ----------
    C : float
        Inverse strength of the penalty, positive; infinity for none. b is not penalised.
    fit_intercept : bool
        Whether there is a b; else it is 0.
    class_weight : dict, "balanced" or None
        Factors for the weights of the rows by their label, 1 where a dict has none. "balanced"
        gives all classes the same total.
    solver : {"auto", "newton-cholesky", "lbfgs"}
        Newton's method with the Hessian, L-BFGS with gradients, or what is expected to be faster
        for the numbers of rows, features and classes. All end at the same solution.
    tol : float
        At least 0: the fit stops where no entry of the gradient of
        ``sum_i w_i loss_i / sum_i w_i + |W|^2 / (2 C sum_i w_i)`` is larger, or where rounding
        hides any decrease.
    max_iter : int
        Iterations on all rows, at most.
    warm_start : bool
        Start from the solution of the last fit, if it has the same shape.

    Attributes
    ----------
    classes_ : ndarray (c,)
        The labels, sorted.
    coef_ : ndarray (c, d), or (1, d) for two classes, dtype of X
        W; for more than two classes its sum over the classes is 0.
    intercept_ : ndarray (c,) or (1,), dtype of X
    n_iter_ : ndarray (1,)
        Iterations on all rows. Those on a sample of them, from which large fits start, are not
        counted.
    n_features_in_ : int
    feature_names_in_ : ndarray (d,) of str objects
        Names of the columns, if X was a frame with such.

    Notes
    -----
    Numerics: parameters, sums over rows and factors are float64. Features far from zero, beyond 100
    deviations, are centred in a copy; tol is then for the centred features. So an offset costs no
    accuracy that the data itself has, but predictions add it again, with an absolute error of some
    ``eps |x| |w|`` in the log-odds.

    Sparse rows stay so, and are computed with in float64: the work is proportional to the values that
    are stored. They are not centred. As their features are often many, and the entries of the gradient
    add up, L-BFGS then goes on to ``tol sqrt(100 / p)`` if it has p > 100 parameters and iterations left.

    Without a penalty, classes that a hyperplane separates have no finite solution: coefficients
    grow until the gradient is within tol, and a `ConvergenceWarning` says so.

    Examples
    --------
    >>> import fastnn
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], ["no", "yes", "no", "yes"]
    >>> model = fastnn.LogisticRegression().fit(X, y)
    >>> model.predict([[0.5], [2.5]])
    array(['no', 'yes'], dtype='<U3')
    >>> model.predict_proba([[1.5]])
    array([[0.5, 0.5]])

    References
    ----------
    C. M. Bishop, Pattern Recognition and Machine Learning (2006), sections 4.3.2 to 4.3.4. D. C. Liu,
    J. Nocedal, On the limited memory BFGS method for large scale optimization, Mathematical
    Programming 45 (1989).
    """

    _accepts_sparse = True
    n_iter_: Array

    def __init__(
        self,
        C: float = 1.0,
        *,
        fit_intercept: bool = True,
        class_weight: Mapping[Any, float] | str | None = None,
        solver: str = "auto",
        tol: float = 1e-4,
        max_iter: int = 100,
        warm_start: bool = False,
    ) -> None:
        self.C = C
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.warm_start = warm_start

    # Learning

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Find the coefficients.

        Parameters
        ----------
        X : array_like (n, d), or a sparse matrix of SciPy
        y : array_like (n,)
            Labels: integers, strings, bools or other values that have an order.
        sample_weight : array_like (n,) or float, optional
            Weights of the rows, at least 0; a weight counts as that many rows.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If X is a masked array, or a parameter is of another kind.
        ValueError
            If a parameter, X, y or a weight is not as described, there is only one class, a class
            has no weight, or X is so large that its products overflow. The model is then as it was
            before.

        Warns
        -----
        ConvergenceWarning
            If `max_iter` was not enough, or no finite solution exists.

        Examples
        --------
        >>> import fastnn
        >>> model = fastnn.LogisticRegression(C=10.0).fit([[0.0], [1.0], [2.0]], [False, True, True])
        >>> model.coef_.round(3), model.intercept_.round(3)
        (array([[2.523]]), array([-1.201]))
        """
        C = _inverse_strength(self.C)
        solver = _check.one_of("solver", self.solver, _logistic.SOLVERS)
        tol = number("tol", self.tol, "finite and at least 0", lambda t: t >= 0)
        max_iter = integer("max_iter", self.max_iter, 0)
        names = _estimator.feature_names(X)
        x = _estimator.data(X, sparse=True)
        classes, problem, shift = self._problem(x, y, sample_weight, C)
        start = self._start(problem, shift)
        warm = start is not None
        theta = np.zeros(problem.size) if start is None else start
        result = _logistic.minimise(
            problem, theta, solver=solver, tol=tol, max_iter=max_iter, warm=warm
        )
        if result.message == NOT_FINITE:
            raise ValueError("the objective overflows: scale the features of X, or raise C")
        if math.isinf(C):
            inference = infer(problem, result.theta, shift, result.converged)
        else:
            inference = Inference(reason=f"the fit has a penalty, C={C}, and not C=inf")
        self.__dict__.update(
            classes_=classes,
            n_iter_=np.array([result.n_iter]),
            _inference=inference,
            **_parameters(problem, result.theta, shift, x.dtype),
        )
        self._learn_features(x.shape[1], names)
        if inference.warning is not None:
            _warn(inference.warning)
        elif not result.converged:
            _warn(
                f"not converged after {result.n_iter} iterations: {result.message}; the largest "
                f"entry of the gradient is {largest(result.gradient):.2g} > tol={tol:.2g}; raise "
                "max_iter or scale the features of X"
            )
        return self

    def _problem(
        self, x: Array | Csr, y: ArrayLike, sample_weight: ArrayLike | None, C: float
    ) -> tuple[Array, _logistic.Problem, Array | None]:
        """Return the classes, the objective of the fit, and what it takes off the features."""
        if isinstance(x, Csr):
            x = x.astype(np.float64)  # its sums have no blocks that would be merged in float64
        classes, labels = _estimator.encode(y, len(x))
        if len(classes) < 2:
            raise ValueError(
                "This solver needs samples of at least 2 classes in the data, but the data "
                f"contains only one class: {classes[0]!r}"
            )
        w, total = self._row_weights(sample_weight, x, classes, labels)
        has_intercept = bool(self.fit_intercept)
        shift = None
        if has_intercept and not isinstance(x, Csr):
            shift = _logistic.offset(x, w)
            x = x if shift is None else x - shift
        alpha = 1 / C / total
        return (
            classes,
            _logistic.Problem(x, labels, w, len(classes), alpha, has_intercept),
            shift,
        )

    def _row_weights(
        self, sample_weight: ArrayLike | None, x: Array | Csr, classes: Array, labels: Array
    ) -> tuple[Array | None, float]:
        """Return the weights of the rows, by their classes too, in the dtype of x; and their sum."""
        w = _estimator.weights(sample_weight, len(x), x.dtype)
        mass = np.bincount(labels, w, len(classes))
        factors = _class_factors(self.class_weight, classes, mass)
        if factors is not None:
            w = factors[labels].astype(x.dtype) * (1 if w is None else w)
            mass = np.bincount(labels, w, len(classes))
        for k, weight in zip(classes.tolist(), mass):
            if not 0 < weight < math.inf:
                raise ValueError(f"the weight of class {k!r} is {weight}: it must be positive")
        return w, float(mass.sum())

    def _start(self, problem: _logistic.Problem, shift: Array | None) -> Array | None:
        """Return the last solution as parameters of the problem, if it is one and is wanted."""
        shape = problem.columns, problem.x.shape[1]
        if not self.warm_start or not hasattr(self, "coef_") or self.coef_.shape != shape:
            return None
        theta = np.zeros((problem.columns, problem.width))
        theta[:, : shape[1]] = self.coef_
        if problem.fit_intercept:
            theta[:, -1] = self.intercept_
            if shift is not None:
                theta[:, -1] += (theta[:, :-1] * shift).sum(axis=1)
        if problem.columns > 1:
            theta -= theta.mean(axis=0)
        return theta.ravel()


class Ridge(_estimator.RegressorMixin, _estimator.Estimator):
    """Linear regression with a penalty on the squares of the coefficients.

    ``y = x W^T + b``. The fit minimises ``sum_i w_i |y_i - W x_i - b|^2 + alpha |W|^2``.

    Parameters
    ----------
    alpha : float
        Strength of the penalty, at least 0; b is not penalised. With 0 it is linear regression, and
        of many solutions the one of least norm.
    fit_intercept : bool
        Whether there is a b; else it is 0.

    Attributes
    ----------
    coef_ : ndarray (d,), or (t, d) for targets (n, t), dtype of X
    intercept_ : scalar, or ndarray (t,), dtype of X
    n_features_in_ : int
    feature_names_in_ : ndarray (d,) of str objects
        Names of the columns, if X was a frame with such.

    Notes
    -----
    Numerics: the normal equations of the centred data are solved in float64 by Cholesky, or their
    dual for more features than rows. Where that would lose half of the digits, the singular values
    of X are computed instead, by NumPy's LAPACK; it is the one result here whose last bits may
    differ between machines. Singular values up to ``max(n, d) eps`` of the largest, eps of the
    dtype of X, count as 0.

    Sparse rows stay so, and are computed with in float64. For more than 2,048 features, or where the
    normal equations would lose too many digits, conjugate gradients go on until the gradient is 1e-12
    of what it was; a warning says if they have not come to 1e-6.

    Examples
    --------
    >>> import fastnn
    >>> model = fastnn.Ridge(alpha=2.0).fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0])
    >>> model.coef_, float(model.intercept_)
    (array([1.]), 2.0)
    >>> model.predict([[4.0]])
    array([6.])

    References
    ----------
    A. E. Hoerl, R. W. Kennard, Ridge regression: biased estimation for nonorthogonal problems,
    Technometrics 12 (1970). C. M. Bishop, Pattern Recognition and Machine Learning (2006), section
    3.1.4.
    """

    _accepts_sparse = True
    coef_: Array
    intercept_: Any

    def __init__(self, alpha: float = 1.0, *, fit_intercept: bool = True) -> None:
        self.alpha = alpha
        self.fit_intercept = fit_intercept

    @classmethod
    def _fields(cls, state: Mapping[str, Any]) -> dict[str, Kind]:
        fields = super()._fields(state)
        if not fields:
            return fields
        targets = ("t",) if np.ndim(state.get("coef_", 0)) == 2 else ()
        return fields | {"coef_": Floats(*targets, "d"), "intercept_": Floats(*targets)}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.single_output = tags.target_tags.multi_output = True
        return tags

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Find the coefficients.

        Parameters
        ----------
        X : array_like (n, d), or a sparse matrix of SciPy
        y : array_like (n,) or (n, t)
            One or several targets, taken in the dtype of X.
        sample_weight : array_like (n,) or float, optional
            Weights of the rows, at least 0; a weight counts as that many rows.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If X is a masked array, or alpha is not a number.
        ValueError
            If alpha, X, y or a weight is not as described. The model is then as it was before.

        Examples
        --------
        >>> import fastnn
        >>> X, y = [[0.0, 1.0], [1.0, 0.0], [2.0, 0.0]], [[1.0, 0.0], [0.0, 2.0], [0.0, 4.0]]
        >>> fastnn.Ridge(alpha=0.0).fit(X, y).coef_.round(3)
        array([[-0.,  1.],
               [ 2., -0.]])
        """
        alpha = number("alpha", self.alpha, "finite and at least 0", lambda a: a >= 0)
        names = _estimator.feature_names(X)
        x = _estimator.data(X, sparse=True)
        targets = _least_squares.targets(y, len(x), x.dtype)
        w = _estimator.weights(sample_weight, len(x), x.dtype)
        by_target = targets.reshape(len(x), -1)
        coef, intercept = _least_squares.ridge(x, by_target, w, alpha, bool(self.fit_intercept))
        coef, intercept = coef.astype(x.dtype), intercept.astype(x.dtype)
        if targets.ndim == 1:
            coef, intercept = coef[0], intercept[0]
        self.__dict__.update(coef_=coef, intercept_=intercept)
        self._learn_features(x.shape[1], names)
        return self

    def predict(self, X: ArrayLike) -> Array:
        """Return the targets of each row.

        Parameters
        ----------
        X : array_like (n, d), or a sparse matrix of SciPy

        Returns
        -------
        ndarray (n,) or (n, t), dtype of X and `coef_`

        Raises
        ------
        ValueError
            If the model is not fitted, or X is not such an array of finite numbers.

        Examples
        --------
        >>> import fastnn
        >>> fastnn.Ridge(alpha=0.0).fit([[0.0], [1.0]], [1.0, 3.0]).predict([[2.0]])
        array([5.])
        """
        x = self._rows(X, sparse=True)
        y = affine(x, np.atleast_2d(self.coef_), np.atleast_1d(self.intercept_))
        return y[:, 0] if self.coef_.ndim == 1 else y
