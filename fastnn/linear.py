"""Logistic regression; ridge regression is in `ridge`."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _estimator, _linear_settings, _logistic_fit
from ._inference import Inference, infer
from ._lbfgs import NOT_FINITE, Result, largest
from ._limited import limited
from ._linear_prediction import LogisticPrediction, dense
from ._peers import ConvergenceWarning, known_to_peers
from .ridge import Ridge

__all__ = ["ConvergenceWarning", "LogisticRegression", "Ridge"]

Array = NDArray[Any]


def _warn(message: str) -> None:
    warnings.warn(message, known_to_peers(ConvergenceWarning), stacklevel=5)


class LogisticRegression(LogisticPrediction):
    """A classifier whose log-odds are linear in the features.

    ``P(k | x) = softmax(x W^T + b)_k``, for two classes ``P(1 | x) = sigmoid(x w + b)``. The fit
    minimises ``C sum_i w_i loss_i + 1/2 |W|^2``, the loss of a row being the cross-entropy of its
    label, ``-log P(y_i | x_i)``.

    Parameters, attributes and methods are those of scikit-learn.

    Parameters
    ----------
    penalty : {"deprecated", "l1", "l2", "elasticnet", None}
        Deprecated there, so a warning follows: leave it out for "l2", give ``l1_ratio=1`` for "l1",
        and ``C=inf`` for None.
    C : float
        Inverse strength of the penalty, positive; infinity for none. b is not penalised.
    l1_ratio : float
        The share r of absolute values in the penalty, ``r |W|_1 + (1 - r)/2 |W|^2``, from 0 to 1;
        with them coefficients that matter little are 0. Only for "auto" and "saga", and for
        "liblinear" if it is 0 or 1.
    dual : bool
        Whether "liblinear" is to take the dual. It has the same solution, and makes no difference.
    tol : float
        At least 0: the fit stops where no entry of the gradient of
        ``sum_i w_i loss_i / sum_i w_i + |W|^2 / (2 C sum_i w_i)`` is larger, or where rounding
        hides any decrease.
    fit_intercept : bool
        Whether there is a b; else it is 0.
    intercept_scaling : float
        For "liblinear": the value s, positive, of a constant feature. b is s times its coefficient,
        which is penalised.
    class_weight : dict, "balanced" or None
        Factors for the weights of the rows by their label, 1 where a dict has none. "balanced"
        gives all classes the same total.
    random_state : None, int or numpy.random.RandomState
        Without effect, as nothing is random.
    solver : {"auto", "newton-cholesky", "lbfgs", "newton-cg", "sag", "saga", "liblinear"}
        "newton-cholesky": Newton's method with the Hessian. "lbfgs": L-BFGS with gradients.
        "auto": what is expected to be faster for the numbers of rows, features and classes, and
        Newton's method with coordinate descent for absolute values. All end at the same solution,
        and so "newton-cg", "sag" and "saga" are names of "auto". "liblinear"
        is, too, for two classes, but penalises b; see `intercept_scaling`.
    max_iter : int
        Iterations on all rows, at most.
    verbose : int
        Print how a fit has ended, unless it is 0.
    warm_start : bool
        Start from the solution of the last fit, if it has the same shape.
    n_jobs : int or None
        Deprecated, and without effect.
    num_threads : int, optional
        The most threads that kernels may use; the default is `fastnn.get_num_threads()`. No result
        depends on it.

    Attributes
    ----------
    classes_ : ndarray (c,)
        The labels, sorted.
    coef_ : ndarray (c, d), or (1, d) for two classes, dtype of X
        W; for more than two classes its sum over the classes is 0, unless `l1_ratio` is not.
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
    Programming 45 (1989). J. Friedman, T. Hastie, R. Tibshirani, Regularization paths for generalized
    linear models via coordinate descent, Journal of Statistical Software 33 (2010).
    """

    _accepts_sparse = True
    n_iter_: Array

    def __init__(
        self,
        penalty: str | None = "deprecated",
        *,
        C: float = 1.0,
        l1_ratio: float | None = 0.0,
        dual: bool = False,
        tol: float = 1e-4,
        fit_intercept: bool = True,
        intercept_scaling: float = 1,
        class_weight: Mapping[Any, float] | str | None = None,
        random_state: Any = None,
        solver: str = "auto",
        max_iter: int = 100,
        verbose: int = 0,
        warm_start: bool = False,
        n_jobs: int | None = None,
        num_threads: int | None = None,
    ) -> None:
        self.penalty = penalty
        self.C = C
        self.l1_ratio = l1_ratio
        self.dual = dual
        self.tol = tol
        self.fit_intercept = fit_intercept
        self.intercept_scaling = intercept_scaling
        self.class_weight = class_weight
        self.random_state = random_state
        self.solver = solver
        self.max_iter = max_iter
        self.verbose = verbose
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.num_threads = num_threads

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = self.solver != "liblinear"
        return tags

    # Learning

    @limited
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        coef_init: ArrayLike | None = None,
        intercept_init: ArrayLike | None = None,
    ) -> Self:
        """Find the coefficients.

        Parameters
        ----------
        X : array_like (n, d), or a sparse matrix of SciPy
        y : array_like (n,)
            Labels: integers, strings, bools or other values that have an order.
        sample_weight : array_like (n,) or float, optional
            Weights of the rows, at least 0; a weight counts as that many rows.
        coef_init : array_like (c, d), or (1, d) for two classes, optional
        intercept_init : array_like (c,), or (1,) for two classes, optional
            Where to start; what is not given is 0 then. The solution does not depend on it, but the
            number of iterations does. A start that is worse than 0 is not used.

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
        settings = _linear_settings.logistic(self)
        names = _estimator.feature_names(X)
        x = _estimator.data(X, sparse=True)
        task = _logistic_fit.task(self, x, y, sample_weight, settings)
        start = self._start(task, coef_init, intercept_init)
        result = task.minimise(start, settings)
        if result.message == NOT_FINITE:
            raise ValueError("the objective overflows: scale the features of X, or raise C")
        if math.isinf(settings.C):
            inference = infer(task.problem, result.theta, task.shift, result.converged)
        else:
            inference = Inference(reason=f"the fit has a penalty, C={settings.C}, and not C=inf")
        self.__dict__.update(
            classes_=task.classes,
            n_iter_=np.array([result.n_iter], np.int32),
            _inference=inference,
            **task.parameters(result.theta, x.dtype),
        )
        self._learn_features(x.shape[1], names)
        self._report(result, inference, settings)
        return self

    def _start(
        self, task: _logistic_fit.Task, coef: ArrayLike | None, intercept: ArrayLike | None
    ) -> Array | None:
        """Return where to start, given or from the last fit, as parameters of the problem."""
        shape = task.shape
        if coef is not None or intercept is not None:
            theta = task.theta(
                _linear_settings.starting_values("coef_init", coef, shape),
                _linear_settings.starting_values("intercept_init", intercept, shape[:1]),
            )
        elif self.warm_start and hasattr(self, "coef_") and self.coef_.shape == shape:
            theta = task.theta(dense(self.coef_), self.intercept_)
        else:
            return None
        # Where all probabilities are 0 or 1, and wrong, neither method finds its way.
        return theta if task.value(theta) <= math.log(task.problem.n_classes) else None

    def _report(
        self, result: Result, inference: Inference, settings: _linear_settings.Logistic
    ) -> None:
        """Warn of an end that is not the minimum; print what was asked for."""
        if settings.verbose:
            print(
                f"{type(self).__name__}: {result.n_iter} iterations, mean loss with penalty "
                f"{result.value:.6g}, largest entry of the gradient {largest(result.gradient):.2g}"
            )
        if inference.warning is not None:
            _warn(inference.warning)
        elif not result.converged:
            _warn(
                f"not converged after {result.n_iter} iterations: {result.message}; the largest "
                f"entry of the gradient is {largest(result.gradient):.2g} > tol={settings.tol:.2g};"
                " raise max_iter or scale the features of X"
            )
