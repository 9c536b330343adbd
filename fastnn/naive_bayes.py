"""Gaussian naive Bayes with the parameters of scikit-learn."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _gaussian_stats as _stats
from ._check import one_of
from ._check_network import number
from ._fields import Count, Each, Floats, Kind, Number, Optional
from .gaussian import GaussianClassifier

__all__ = ["GaussianNB"]

Array = NDArray[Any]


class GaussianNB(GaussianClassifier):
    """Naive Bayes of Gaussian features: a variance for each class and feature.

    ``log p(x, k) = sum_j log N(x_j; theta_kj, var_kj) + log P(k)``. Parameters, attributes and
    methods are those of scikit-learn; those of `GaussianClassifier` are there too: `merge`,
    `forget`, `score_samples`, `sample`, missing values.

    Parameters
    ----------
    priors : array_like (c,), optional
        P(k), at least 0 and with sum 1; the classes' shares of the weights if not given.
    var_smoothing : float
        What is added to all variances, as a share of the largest variance of a feature in all rows.
    missing : {"error", "marginalize"}
        What NaN in X means: an error, or a missing value, see `GaussianClassifier`.
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
    theta_ : ndarray (c, d)
        Means.
    var_ : ndarray (c, d)
        Variances, with `epsilon_`.
    epsilon_ : float
        What was added to the variances.
    class_count_ : ndarray (c,)
        Sum of the weights of each class.
    class_prior_ : ndarray (c,)
        P(k); 0 for a class without rows.

    Notes
    -----
    Attributes have the dtype of X, float32 or float64 (all else becomes float64); sums and answers
    are float64.

    `epsilon_` is from all rows so far, with their weights. So `partial_fit` in any pieces gives the
    model of `fit` on everything, but for rounding.

    A variance that is 0, as without smoothing that of a constant feature, leaves no density: the
    model is learned, and predictions raise a ValueError.

    Examples
    --------
    >>> import fastnn
    >>> model = fastnn.GaussianNB().fit([[0.0], [2.0], [5.0], [9.0]], [0, 0, 1, 1])
    >>> model.theta_.ravel(), model.var_.ravel().round(6)
    (array([1., 7.]), array([1., 4.]))
    >>> model.predict_proba([[3.0]]).round(3)
    array([[0.667, 0.333]])

    References
    ----------
    T. F. Chan, G. H. Golub, R. J. LeVeque, Updating formulae and a pairwise algorithm for
    computing sample variances, COMPSTAT 1982.
    """

    _SAVED: ClassVar[dict[str, Kind | None]] = {
        "means_": None,
        "priors_": None,
        "shrinkage_": None,
        "covariance_": None,
        "theta_": Floats("c", "d"),
        "var_": Floats("c", "d"),
        "epsilon_": Number(),
        "class_count_": Floats("c"),
        "class_prior_": Floats("c"),
        "_flat": Optional(Each((Count(), Count()), tuple)),
    }
    _ANSWERS_IN_FLOAT64 = True  # as scikit-learn's
    covariance = "diag"
    theta_: Array
    var_: Array
    epsilon_: float
    class_prior_: Array
    _flat: tuple[int, int] | None  # a class and a feature of it without variance

    def __init__(
        self,
        *,
        priors: ArrayLike | None = None,
        var_smoothing: float = 1e-9,
        missing: str = "error",
        num_threads: int | None = None,
    ) -> None:
        self.priors = priors
        self.var_smoothing = var_smoothing
        self.missing = missing
        self.num_threads = num_threads

    def predict_joint_log_proba(self, X: ArrayLike) -> Array:
        """``log p(x | k) + log P(k)`` (n, c); the same as `joint_log_likelihood`.

        Parameters
        ----------
        X : array_like (n, d)

        Returns
        -------
        ndarray (n, c), float64

        Raises
        ------
        TypeError, ValueError
            As `predict` does.
        """
        return self.joint_log_likelihood(X)

    def _check_parameters(self) -> None:
        one_of("missing", self.missing, ("error", "marginalize"))
        number("var_smoothing", self.var_smoothing, "at least 0", lambda v: v >= 0)

    def _require_weight(self, weights: Array, classes: Array) -> None:
        """A class without weight gets prior 0, as one does of which `partial_fit` saw no rows."""

    def _class_priors(self, weights: Array) -> Array:
        if self.priors is None:
            return np.asarray(weights / weights.sum())
        try:
            priors = np.array(self.priors, np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"priors are not numbers: {error}") from None
        if priors.shape != weights.shape:
            raise ValueError(
                f"Number of priors must match number of classes: their shape is {priors.shape}, "
                f"and there are {len(weights)} classes"
            )
        if not abs(priors.sum() - 1) <= 1e-5:
            raise ValueError(f"The sum of the priors should be 1, but it is {priors.sum()}")
        if not (priors >= 0).all():
            raise ValueError(f"Priors must be non-negative, not {priors}")
        if (weights > 0).all():
            return priors
        return _stats.priors_of(priors / priors.sum(), weights)

    def _epsilon(self, statistics: _stats.Diag) -> float:
        """The smoothing of the variances of all rows together."""
        share = _stats.mean_over(statistics.observed.sum(axis=0), statistics.observed.T).T
        offsets = statistics.means - (share * statistics.means).sum(axis=0)
        within = _stats.mean_over(statistics.observed.sum(axis=0), statistics.scatter.T).T
        variances = (within + share * offsets**2).sum(axis=0)
        return float(self.var_smoothing) * float(variances.max())

    def _estimated(
        self,
        classes: Array,
        statistics: _stats.Statistics,
        dtype: np.dtype[Any],
        covariances: Array | None,
    ) -> _stats.Estimate:
        assert isinstance(statistics, _stats.Diag)
        plain = _stats.mean_over(statistics.observed, statistics.scatter)
        variances = np.maximum(plain, 0.0) + self._epsilon(statistics)
        # No rows, prior 0: any density will do.
        seen = (statistics.weights > 0)[:, np.newaxis]
        deviations = np.sqrt(np.where(seen, variances, 1.0))
        return _stats.Estimate(variances, deviations, np.zeros(len(classes)))

    def _attributes(
        self,
        statistics: _stats.Statistics,
        estimate: _stats.Estimate,
        priors: Array,
        dtype: np.dtype[Any],
    ) -> dict[str, Any]:
        assert isinstance(statistics, _stats.Diag)
        return {
            "theta_": statistics.means.astype(dtype),
            "var_": estimate.covariance.astype(dtype),
            "epsilon_": self._epsilon(statistics),
            "class_count_": statistics.weights.astype(dtype),
            "class_prior_": priors.astype(dtype),
            "_flat": _first_zero(estimate.factors),
        }

    def _require_agreement(self) -> None:
        if self._flat != _first_zero(self._densities._factors):
            raise ValueError("the densities have other variances of 0 than the model says")

    def _evaluate(self, X: ArrayLike, what: str) -> Array:
        if flat := self.__dict__.get("_flat"):
            k, j = flat
            raise ValueError(
                f"feature {j} has the variance 0 in class {self.classes_.tolist()[k]!r}, which "
                "leaves no density: fit more rows, or give a larger var_smoothing"
            )
        return super()._evaluate(X, what)


def _first_zero(deviations: Array) -> tuple[int, int] | None:
    zeros = np.argwhere(deviations == 0)
    return (int(zeros[0, 0]), int(zeros[0, 1])) if len(zeros) else None
