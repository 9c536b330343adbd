"""Quadratic discriminant analysis with the parameters of scikit-learn."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _discriminant as _analysis
from . import _gaussian_stats as _stats
from ._check_network import number
from ._discriminant import Rows
from ._fields import Floats, Kind, Many, Maybe
from .gaussian import GaussianClassifier

__all__ = ["QuadraticDiscriminantAnalysis"]

Array = NDArray[Any]


class QuadraticDiscriminantAnalysis(GaussianClassifier):
    """Quadratic discriminant analysis: Gaussian classes, each with a covariance of its own.

    ``log p(k | x) = -1/2 (x - mu_k)^T Sigma_k^-1 (x - mu_k) - 1/2 log |Sigma_k| + log P(k)`` up to
    what all k have in common. Parameters, attributes and methods are those of scikit-learn; those
    of `GaussianClassifier` are there too: `partial_fit`, `merge`, `forget`, `score_samples`,
    `sample`.

    Parameters
    ----------
    solver : {"svd", "eigen"}
        Which of the following parameters there are: `reg_param` with "svd"; `shrinkage` and
        `covariance_estimator` with "eigen".
    shrinkage : "auto", float in [0, 1] or None
        ``(1 - s) Sigma_k + s tr(Sigma_k)/d I`` for s that is given, or that Ledoit and Wolf
        estimate for features of variance 1 ("auto").
    priors : array_like (c,), optional
        P(k); the classes' shares of the weights if not given.
    reg_param : float in [0, 1]
        ``(1 - reg_param) Sigma_k + reg_param I``.
    store_covariance : bool
        Whether to keep `covariance_`.
    tol : float
        Eigenvalues of Sigma_k up to which it is singular, which is an error.
    covariance_estimator : object, optional
        With ``fit(X)`` and `covariance_`, called for each class.
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
    means_ : ndarray (c, d)
    priors_ : ndarray (c,)
    class_count_ : ndarray (c,)
        Sum of the weights of each class.
    rotations_ : list of ndarray (d, d)
        Eigenvectors of each Sigma_k in columns; of the two signs, the largest component is
        positive.
    scalings_ : list of ndarray (d,)
        Eigenvalues of each Sigma_k, the largest first.
    covariance_ : list of ndarray (d, d)
        Sigma_k; only with `store_covariance`.

    Notes
    -----
    Attributes have the dtype of X, float32 or float64 (all else becomes float64). Predictions are
    from Cholesky factors in float64 and have the same bits for a row alone and in any batch;
    eigenvectors are LAPACK's, through NumPy.

    `reg_param` and `shrinkage` also mend the covariance of a class with fewer rows than features.
    `partial_fit`, `merge` and `forget` need sums over rows to be enough, so there must be neither
    ``shrinkage="auto"`` nor a `covariance_estimator`; each class needs enough rows at the first
    call.

    Examples
    --------
    >>> import fastnn
    >>> X, y = [[0.0], [2.0], [5.0], [9.0]], [0, 0, 1, 1]
    >>> model = fastnn.QuadraticDiscriminantAnalysis().fit(X, y)
    >>> model.scalings_, model.predict([[3.0]])
    ([array([1.]), array([4.])], array([0]))

    References
    ----------
    C. M. Bishop, Pattern Recognition and Machine Learning (2006), section 4.2. J. H. Friedman,
    Regularized discriminant analysis, Journal of the American Statistical Association 84 (1989).
    """

    _ANSWERS_IN_FLOAT64 = True  # as scikit-learn's
    covariance = "full"
    missing = "error"
    covariance_: list[Array]  # type: ignore[assignment]
    _SAVED: ClassVar[dict[str, Kind | None]] = {
        "means_": Floats("c", "d"),
        "priors_": Floats("c"),
        "class_count_": Floats("c"),
        "shrinkage_": None,
        "covariance_": Maybe(Many(Floats("d", "d"))),
        "rotations_": Many(Floats("d", "d")),
        "scalings_": Many(Floats("d")),
    }
    rotations_: list[Array]
    scalings_: list[Array]

    def __init__(
        self,
        *,
        solver: str = "svd",
        shrinkage: str | float | None = None,
        priors: ArrayLike | None = None,
        reg_param: float = 0.0,
        store_covariance: bool = False,
        tol: float = 1e-4,
        covariance_estimator: Any = None,
        num_threads: int | None = None,
    ) -> None:
        self.solver = solver
        self.shrinkage = shrinkage
        self.priors = priors
        self.reg_param = reg_param
        self.store_covariance = store_covariance
        self.tol = tol
        self.covariance_estimator = covariance_estimator
        self.num_threads = num_threads

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:  # type: ignore[override]
        """Estimate the classes' means, covariances and shares.

        Rows have no weights here, as in scikit-learn; in `partial_fit` and in `GaussianClassifier`
        they may have.

        Parameters
        ----------
        X : array_like (n, d)
        y : array_like (n,)
            Labels: integers, strings, bools or other values that have an order.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If X is sparse or a masked array.
        ValueError
            If a parameter, X or y is not as described, or a class has a single row. The model is
            then as it was before.
        numpy.linalg.LinAlgError
            If a covariance is singular in spite of `reg_param` or `shrinkage`.
        """
        return super().fit(X, y)

    def decision_function(self, X: ArrayLike) -> Array:
        """Log odds (n,) of the second of two classes, else ``log p(x, k) + d/2 log(2 pi)`` (n, c).

        Parameters
        ----------
        X : array_like (n, d)

        Returns
        -------
        ndarray (n,) or (n, c), float64

        Raises
        ------
        TypeError, ValueError
            As `predict` does.
        """
        joint = self.joint_log_likelihood(X)
        if joint.shape[1] == 2:
            return joint[:, 1] - joint[:, 0]
        joint += joint.dtype.type(self.n_features_in_ / 2 * np.log(2 * np.pi))
        return joint

    def _check_parameters(self) -> None:
        _analysis.check(self, ("svd", "eigen"))
        number("reg_param", self.reg_param, "between 0 and 1", lambda r: 0 <= r <= 1)

    def _class_priors(self, weights: Array) -> Array:
        return _analysis.priors_of(self.priors, weights)

    def _needs_rows(self) -> bool:
        return self.shrinkage == "auto" or self.covariance_estimator is not None

    def _covariances_of(
        self, x: Array, labels: Array, classes: Array, w: Array | None
    ) -> Array | None:
        single = np.bincount(labels) == 1
        if w is None and len(classes) > 1 and single.any():
            label = classes.tolist()[single.argmax()]
            raise ValueError(f"y has only 1 sample in class {label!r}, which has no covariance")
        if not self._needs_rows():
            return None
        rows = Rows(x, labels, len(classes), w)
        return _analysis.covariances_of(rows, self.shrinkage, self.covariance_estimator)

    def _estimated(
        self,
        classes: Array,
        statistics: _stats.Statistics,
        dtype: np.dtype[Any],
        covariances: Array | None,
    ) -> _stats.Estimate:
        if len(classes) < 2:
            raise ValueError("The number of classes must be greater than 1, but there is 1 class")
        if covariances is None:
            covariances = self._covariances_from(statistics)
        values, _ = _analysis.spectra(covariances)
        factors, share = _stats.factored(covariances)
        singular = (values <= self.tol).any(axis=1)
        singular |= share < 8 * covariances.shape[-1] * _analysis.EPS
        if singular.any():
            self._refuse(classes.tolist()[singular.argmax()])
        return _stats.Estimate(covariances, factors, np.zeros(len(classes)))

    def _covariances_from(self, statistics: _stats.Statistics) -> Array:
        if self._needs_rows():
            raise ValueError(
                "shrinkage='auto' and covariance_estimator need the rows themselves, which are not "
                "kept: call fit on all of them"
            )
        plain = _stats.mean_over(statistics.weights, statistics.scatter)
        if self.shrinkage:
            return np.stack([_stats.blended(a, float(self.shrinkage)) for a in plain])
        r = float(self.reg_param) if self.solver == "svd" else 0.0
        return np.asarray((1 - r) * plain + r * np.eye(plain.shape[-1]))

    def _refuse(self, label: Any) -> None:
        remedy = "shrinkage" if self.solver == "eigen" else "reg_param"
        raise np.linalg.LinAlgError(
            f"The covariance matrix of class {label!r} is not full rank: it has too few rows, or "
            f"features that are constant or depend on each other; a larger `{remedy}` mends that"
        )

    def _attributes(
        self,
        statistics: _stats.Statistics,
        estimate: _stats.Estimate,
        priors: Array,
        dtype: np.dtype[Any],
    ) -> dict[str, Any]:
        values, vectors = _analysis.spectra(estimate.covariance)
        shown = {
            "means_": statistics.means.astype(dtype),
            "priors_": priors.astype(dtype),
            "class_count_": statistics.weights.astype(dtype),
            "scalings_": list(values.astype(dtype)),
            "rotations_": list(vectors.astype(dtype)),
        }
        if self.store_covariance:
            shown["covariance_"] = list(estimate.covariance.astype(dtype))
        return shown
