"""Linear discriminant analysis with the parameters of scikit-learn."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _discriminant as _analysis
from . import _estimator
from . import _gaussian_stats as _stats
from ._check_network import integer
from ._discriminant import Rows
from ._fields import Floats, Kind, Maybe
from ._limited import limited
from ._linear_prediction import LinearPrediction
from ._transform_output import TransformOutput
from .runtime import backend_module as _backend

__all__ = ["LinearDiscriminantAnalysis"]

Array = NDArray[Any]


class LinearDiscriminantAnalysis(TransformOutput, LinearPrediction):
    """Linear discriminant analysis: Gaussian classes that share a covariance.

    ``log p(k | x) = x^T Sigma^-1 mu_k - 1/2 mu_k^T Sigma^-1 mu_k + log P(k)`` up to what all k have
    in common; `transform` projects on the at most c - 1 directions in which the classes differ
    most, in units of their deviation within classes. Parameters, attributes and methods are those
    of scikit-learn.

    Parameters
    ----------
    solver : {"svd", "lsqr", "eigen"}
        "svd": ignores directions that do not vary within classes. "lsqr": the smallest solution of
        ``Sigma coef^T = means^T``; no `transform`. "eigen": the generalised eigenvectors of the
        covariances between and within classes, which must not be singular.
    shrinkage : "auto", float in [0, 1] or None
        ``(1 - s) Sigma_k + s tr(Sigma_k)/d I`` for s that is given, or that Ledoit and Wolf
        estimate for features of variance 1 ("auto"); only for "lsqr" and "eigen".
    priors : array_like (c,), optional
        P(k); the classes' shares of the weights if not given.
    n_components : int, optional
        How many columns `transform` returns; ``min(c - 1, d)`` at most, and if not given.
    store_covariance : bool
        Whether to keep `covariance_` with "svd"; the other solvers always do.
    tol : float
        For "svd": deviations within classes, of features of deviation 1, up to which a direction is
        ignored; and differences of means, as a share of the largest.
    covariance_estimator : object, optional
        With ``fit(X)`` and `covariance_`, called for each class; only for "lsqr" and "eigen".
    num_threads : int, optional
        The most threads that kernels may use; the default is `fastnn.get_num_threads()`. No result
        depends on it.

    Attributes
    ----------
    classes_ : ndarray (c,)
        The labels, sorted.
    n_features_in_ : int
    feature_names_in_ : ndarray (d,) of str objects
        Names of the columns, if X was a frame with such.
    coef_ : ndarray (c, d), or (1, d) for two classes
    intercept_ : ndarray (c,), or (1,) for two classes
    means_ : ndarray (c, d)
    priors_ : ndarray (c,)
    covariance_ : ndarray (d, d)
        ``sum_k P(k) Sigma_k``.
    scalings_ : ndarray (d, r)
        Directions of the discriminants, of variance 1 within classes; "svd" and "eigen". Of the
        two signs, the largest component is positive.
    xbar_ : ndarray (d,)
        ``sum_k P(k) mu_k``; "svd".
    explained_variance_ratio_ : ndarray (r,)
        Shares of the variance between classes; "svd" and "eigen".

    Notes
    -----
    Attributes have the dtype of X, float32 or float64 (all else becomes float64).

    Numerics: sums over rows are taken once, in float64, about the means of the classes;
    eigenvectors are LAPACK's, through NumPy. `coef_` has a relative error of some ``n eps kappa``,
    kappa the condition number of the correlations within classes. With "svd", deviations below
    ``sqrt(8 d eps)`` cannot be told from 0, whatever `tol` says.

    Examples
    --------
    >>> import fastnn
    >>> X = [[0.0, 2.0], [1.0, 0.0], [1.0, 3.0], [4.0, 3.0], [5.0, 5.0], [7.0, 4.0]]
    >>> model = fastnn.LinearDiscriminantAnalysis().fit(X, ["a", "a", "a", "b", "b", "b"])
    >>> model.predict([[1.0, 1.0], [4.0, 4.0]])
    array(['a', 'b'], dtype='<U1')
    >>> model.transform([[1.0, 1.0], [4.0, 4.0]]).round(2)
    array([[-2.49],
           [ 1.32]])

    References
    ----------
    C. M. Bishop, Pattern Recognition and Machine Learning (2006), sections 4.1.6 and 4.2. O.
    Ledoit, M. Wolf, A well-conditioned estimator for large-dimensional covariance matrices, Journal
    of Multivariate Analysis 88 (2004).
    """

    _SAVED: ClassVar[dict[str, Kind | None]] = {
        "means_": Floats("c", "d"),
        "priors_": Floats("c"),
        "covariance_": Maybe(Floats("d", "d")),
        "scalings_": Maybe(Floats("d", "r")),
        "xbar_": Maybe(Floats("d")),
        # Shares of nothing where the classes' means are the same.
        "explained_variance_ratio_": Maybe(Floats("s", finite=False)),
    }
    means_: Array
    priors_: Array
    scalings_: Array
    xbar_: Array
    explained_variance_ratio_: Array
    covariance_: Array

    _LEARNED = ("covariance_", "scalings_", "xbar_", "explained_variance_ratio_")

    def __init__(
        self,
        solver: str = "svd",
        shrinkage: str | float | None = None,
        priors: ArrayLike | None = None,
        n_components: int | None = None,
        store_covariance: bool = False,
        tol: float = 1e-4,
        covariance_estimator: Any = None,
        num_threads: int | None = None,
    ) -> None:
        self.solver = solver
        self.shrinkage = shrinkage
        self.priors = priors
        self.n_components = n_components
        self.store_covariance = store_covariance
        self.tol = tol
        self.covariance_estimator = covariance_estimator
        self.num_threads = num_threads

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import TransformerTags  # type: ignore[import-untyped]

        tags = super().__sklearn_tags__()
        tags.transformer_tags = TransformerTags(preserves_dtype=["float64", "float32"])
        return tags

    @limited
    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Estimate means and covariance of the classes, and the directions that tell them apart.

        Parameters
        ----------
        X : array_like (n, d)
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
            If X is sparse or a masked array, or a parameter is of another type.
        ValueError
            If a parameter, X, y or a weight is not as described, there are no more rows than
            classes, or a class has no weight.
        numpy.linalg.LinAlgError
            If the covariance is singular and the solver is "eigen"; it is a ValueError.
        NotImplementedError
            For shrinkage with "svd".

        Warns
        -----
        UserWarning
            If the covariance within classes is singular, or the priors do not sum to 1.

        Examples
        --------
        >>> import fastnn
        >>> model = fastnn.LinearDiscriminantAnalysis()
        >>> model.fit([[0.0], [2.0], [5.0], [9.0]], [0, 0, 1, 1]).means_.ravel()
        array([1., 7.])
        """
        _analysis.check(self, ("svd", "lsqr", "eigen"))
        names = _estimator.feature_names(X)
        x = _estimator.data(X)
        classes, labels = _estimator.encode(y, len(x))
        if len(x) == len(classes):
            raise ValueError(
                "The number of samples must be more than the number of classes, but there are "
                f"{len(x)} sample(s) of {len(classes)} class(es)"
            )
        components = self._checked_components(min(len(classes) - 1, x.shape[1]))
        w = _estimator.weights(sample_weight, len(x), x.dtype)
        self._learn(Rows(x, labels, len(classes), w), classes, components)
        self._learn_features(x.shape[1], names)
        return self

    def _checked_components(self, most: int) -> int:
        if self.n_components is None:
            return most
        given = integer("n_components", self.n_components, 1)
        if given > most:
            raise ValueError(
                f"n_components cannot be larger than {most} here, the smaller of the number of "
                f"features and the number of classes minus 1; it is {given}"
            )
        return given

    def _learn(self, rows: Rows, classes: Array, components: int) -> None:
        """Derive all that is learned, and only then keep it."""
        if rows.w is not None:
            _stats.require_weight(np.bincount(rows.labels, rows.w, rows.c), 0.0, classes)
        within, priors = _analysis.within(
            rows,
            None if self.solver == "svd" else self.priors,
            self.shrinkage,
            self.covariance_estimator,
        )
        if not np.isfinite(within.covariance).all():
            raise ValueError("X is so large that the squares of its deviations overflow")
        if self.solver == "svd":
            priors = _analysis.priors_of(self.priors, within.weights)
        solution = self._solution(rows, within, priors, components)
        if self.solver == "svd" and self.store_covariance:
            if self.priors is not None:
                within, _ = _analysis.within(rows, priors, None, None)
            solution.learned["covariance_"] = within.covariance
        coef, intercept, learned = solution
        if rows.c == 2:
            coef, intercept = coef[1:] - coef[:1], intercept[1:] - intercept[:1]
        learned |= {"coef_": coef, "intercept_": intercept}
        learned |= {"means_": within.means, "priors_": priors}
        for name in self._LEARNED:
            self.__dict__.pop(name, None)
        self.classes_ = classes
        dtype = rows.x.dtype
        self.__dict__.update({name: a.astype(dtype) for name, a in learned.items()})

    def _solution(
        self, rows: Rows, within: _analysis.Within, priors: Array, components: int
    ) -> _analysis.Solution:
        if self.solver == "svd":
            eps = float(np.finfo(rows.x.dtype).eps)
            return _analysis.by_whitening(within, priors, float(self.tol), components, eps)
        if self.solver == "lsqr":
            return _analysis.by_least_squares(within, priors)
        total = _analysis.covariances_of(
            rows.together(), self.shrinkage, self.covariance_estimator
        )[0]
        return _analysis.by_eigenvectors(within, priors, total, components)

    @limited
    def transform(self, X: ArrayLike) -> Any:
        """Coordinates of the rows along the discriminants, those that tell most first.

        ``(x - xbar_) scalings_`` with "svd", ``x scalings_`` with "eigen".

        Parameters
        ----------
        X : array_like (n, d)

        Returns
        -------
        ndarray (n, r), dtype of X and the model, or a frame if `set_output` says so

        Raises
        ------
        ValueError
            If the model is not fitted, or X is not such an array of finite numbers.
        NotImplementedError
            If the solver is "lsqr", which has no discriminants.

        Examples
        --------
        >>> import fastnn
        >>> X, y = [[0.0], [2.0], [5.0], [9.0]], [0, 0, 1, 1]
        >>> fastnn.LinearDiscriminantAnalysis().fit_transform(X, y).ravel().round(2)
        array([-2.53, -1.26,  0.63,  3.16])
        """
        columns = self._n_columns()
        x = self._rows(X)
        _estimator.require_numbers(x)
        w = self.scalings_[:, :columns]
        dtype = np.result_type(x, w)
        x = x.astype(dtype, copy=False)
        if hasattr(self, "xbar_"):
            x = x - self.xbar_
        return self._delivered(_backend.dense_forward(x, w.astype(dtype, copy=False)), X)

    def _n_columns(self) -> int:
        self._require_fitted()
        if not hasattr(self, "scalings_"):
            raise NotImplementedError(
                f"transform not implemented for {self.solver!r}: use solver='svd' or 'eigen'"
            )
        return min(len(self.explained_variance_ratio_), self.scalings_.shape[1])
