"""Ridge regression."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _estimator, _least_squares, _linear_settings
from ._fields import Floats, Integers, Kind, Optional, Text
from ._limited import limited
from ._linear_prediction import affine

__all__ = ["Ridge"]

Array = NDArray[Any]


class Ridge(_estimator.RegressorMixin, _estimator.Estimator):
    """Linear regression with a penalty on the squares of the coefficients.

    ``y = x W^T + b``. The fit minimises ``sum_i w_i |y_i - W x_i - b|^2 + alpha |W|^2``.
    Parameters, attributes and methods are those of scikit-learn.

    Parameters
    ----------
    alpha : float or array_like (t,)
        Strength of the penalty, at least 0, of all targets or of each; b is not penalised. With 0
        it is linear regression, and of many solutions the one of least norm.
    fit_intercept : bool
        Whether there is a b; else it is 0.
    copy_X : bool
        Without effect, as X is never changed.
    max_iter : int or None
    tol : float
        Without effect: solutions are exact but for rounding, and those of sparse rows, where they
        are iterated, end at a gradient of 1e-12 of what it was.
    solver : {"auto", "svd", "cholesky", "lsqr", "sparse_cg", "sag", "saga", "lbfgs"}
        "svd": by singular values. The others are names of "auto", see below; "lbfgs" needs
        `positive`.
    positive : bool
        Whether coefficients must be at least 0. Solved exactly, by an active set.
    random_state : None, int or numpy.random.RandomState
        Without effect, as nothing is random.
    num_threads : int, optional
        The most threads that kernels may use; the default is `fastnn.get_num_threads()`. No result
        depends on it.

    Attributes
    ----------
    coef_ : ndarray (d,), or (t, d) for targets (n, t), t > 1, dtype of X
    intercept_ : scalar, or ndarray (t,) for targets (n, t), dtype of X
    n_iter_ : None
        There is no number of iterations.
    solver_ : {"cholesky", "svd", "sparse_cg", "active_set"}
        What has solved it.
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
    3.1.4. C. L. Lawson, R. J. Hanson, Solving Least Squares Problems (1995), chapter 23.
    """

    _accepts_sparse = True
    _multi_output = True
    coef_: Array
    intercept_: Any

    n_iter_: None
    solver_: str

    def __init__(
        self,
        alpha: float | ArrayLike = 1.0,
        *,
        fit_intercept: bool = True,
        copy_X: bool = True,
        max_iter: int | None = None,
        tol: float = 1e-4,
        solver: str = "auto",
        positive: bool = False,
        random_state: Any = None,
        num_threads: int | None = None,
    ) -> None:
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.copy_X = copy_X
        self.max_iter = max_iter
        self.tol = tol
        self.solver = solver
        self.positive = positive
        self.random_state = random_state
        self.num_threads = num_threads

    @classmethod
    def _fields(cls, state: Mapping[str, Any]) -> dict[str, Kind]:
        fields = super()._fields(state)
        if not fields:
            return fields
        several = np.ndim(state.get("coef_", 0)) == 2
        column = np.ndim(state.get("intercept_", 0)) == 1  # y was (n, 1)
        return fields | {
            "coef_": Floats("t", "d") if several else Floats("d"),
            "intercept_": Floats("t") if several else Floats(1) if column else Floats(),
            "n_iter_": Optional(Integers()),
            "solver_": Text(_least_squares.SOLVERS),
        }

    @limited
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
        names = _estimator.feature_names(X)
        x = _estimator.data(X, sparse=True)
        targets = _least_squares.targets(y, len(x), x.dtype)
        by_target = targets.reshape(len(x), -1)
        alpha, way = _linear_settings.ridge(self, by_target.shape[1])
        w = _estimator.weights(sample_weight, len(x), x.dtype)
        solution = _least_squares.ridge(x, by_target, w, alpha, bool(self.fit_intercept), way)
        coef, intercept = solution.coef.astype(x.dtype), solution.intercept.astype(x.dtype)
        if len(coef) == 1:
            coef = coef[0]
        if targets.ndim == 1:
            intercept = intercept[0]
        self.__dict__.update(
            coef_=coef, intercept_=intercept, n_iter_=None, solver_=solution.solver
        )
        self._learn_features(x.shape[1], names)
        return self

    @limited
    def predict(self, X: ArrayLike) -> Array:
        """Return the targets of each row.

        Parameters
        ----------
        X : array_like (n, d), or a sparse matrix of SciPy

        Returns
        -------
        ndarray (n,) or (n, t) for t > 1, dtype of X and `coef_`

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
        x, coef = self._rows(X, sparse=True), self.coef_
        if coef.ndim == 2:
            return affine(x, coef, self.intercept_)
        intercept = np.array([self.intercept_], coef.dtype).reshape(1)
        return affine(x, coef[np.newaxis], intercept)[:, 0]
