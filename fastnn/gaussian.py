"""Gaussian classifiers: quadratic and linear discriminant analysis and naive Bayes in one class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _estimator, _fields, _gaussian_fields
from . import _gaussian_stats as _stats
from ._check import one_of
from ._check_models import COVARIANCES
from ._check_network import number
from ._gaussian_density import Densities
from ._gaussian_prediction import GaussianPrediction
from ._limited import limited
from .runtime import backend_module as _backend

__all__ = ["GaussianClassifier"]

Array = NDArray[Any]

_MISSING = ("marginalize", "error")


class GaussianClassifier(GaussianPrediction):
    """A classifier whose classes are Gaussian.

    ``log p(x, k) = log N(x; mu_k, Sigma_k) + log P(k)``; the class of the largest is predicted, and
    its softmax over k is the posterior.

    Parameters
    ----------
    covariance : {"full", "shared", "diag"}
        "full": a Sigma for each class, quadratic boundaries. "shared": ``Sigma = sum_k N_k/N
        Sigma_k``, linear boundaries. "diag": a variance for each class and feature, naive Bayes.
    priors : array_like (c,), optional
        P(k) in the order of `classes_`, at least 0 and with sum 1; the classes' shares of the
        weights if not given.
    shrinkage : "auto", float in [0, 1] or None
        How to mend a covariance that few rows leave singular:
        ``(1 - s) Sigma + s tr(Sigma)/d I``. "auto" does it where it is needed, by the s of least
        expected error; a number s does it always; with None a singular covariance is an error.
    store_covariance : bool
        Whether to keep `covariance_`.
    missing : {"marginalize", "error"}
        What NaN in X means: a missing value, or an error.
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
    means_ : ndarray (c, d), float64
    priors_ : ndarray (c,), float64
    class_count_ : ndarray (c,), float64
        Sum of the weights of each class.
    shrinkage_ : ndarray (c,), or float for "shared"
        The s that was applied; 0 where none was.
    covariance_ : ndarray (c, d, d), (d, d) for "shared" or (c, d) for "diag", float64
        Covariances or variances after shrinkage; only with `store_covariance`.

    Notes
    -----
    Covariances are those of maximum likelihood, sums divided by the weight N_k and not by
    ``N_k - 1``. A weight counts as that many rows.

    The model keeps sums over the rows, not the rows. So `partial_fit` in any pieces, `merge` in any
    grouping and `fit` on everything give the same model but for rounding, and `forget` gives the
    model that has never seen some rows. "full" keeps the scatter matrices of the classes,
    ``8 c d^2`` bytes, and "shared" keeps them too, since the shrinkage of a merged model rests on
    them; "diag" keeps ``24 c d`` bytes.

    "auto" shrinks a "full" or "shared" Sigma if ``min_j L_jj^2 / Sigma_jj < 8 d eps``, with L its
    Cholesky factor and eps that of the data's dtype; it takes the s of Ledoit and Wolf, at least
    ``8 d eps``. It shrinks variances of "diag" if one is zero, by ``s = min(1, (2/N_k) sum v^2 /
    sum (v - mean v)^2)``, the best for normal features. Of two rows no s can be estimated; it is 1.
    A class that is a single point takes the average covariance of the others, and where all are
    points, variances are 1e-9 of the square of their largest distance; its `shrinkage_` is 1. A
    feature is taken for constant if its deviation is below ``4 eps |mean|``.

    A missing value is integrated out: a row's density is that of its observed features, and 1 if
    there are none. That is exact for all three covariances. In training, only "diag" takes missing
    values: each feature is estimated from the rows where it is observed.

    Numerics: statistics and factors are float64; densities are computed in the dtype of X, float32
    or float64 (all else becomes float64), from deviations of the means, so an offset common to the
    data costs no accuracy that the data itself has. A row gives the same bits alone and in any
    batch with the compiled kernels. A finite row so far from every class that all densities
    underflow to 0 (beyond 1e19 deviations in float32, 1e154 in float64) has log densities -inf and
    posteriors NaN.

    Examples
    --------
    >>> import fastnn
    >>> model = fastnn.GaussianClassifier("shared")
    >>> model = model.fit([[0.0, 2.0], [1.0, 0.0], [4.0, 3.0], [5.0, 5.0]], ["a", "a", "b", "b"])
    >>> model.predict([[1.0, 1.0], [4.0, 4.0]])
    array(['a', 'b'], dtype='<U1')
    >>> model.predict_proba([[float("nan"), 3.0]]).round(3)
    array([[0.182, 0.818]])

    References
    ----------
    C. M. Bishop, Pattern Recognition and Machine Learning (2006), sections 4.2 and 2.3. O. Ledoit,
    M. Wolf, A well-conditioned estimator for large-dimensional covariance matrices, Journal of
    Multivariate Analysis 88 (2004). T. F. Chan, G. H. Golub, R. J. LeVeque, Updating formulae and a
    pairwise algorithm for computing sample variances, COMPSTAT 1982.
    """

    _SAVED: ClassVar[dict[str, _fields.Kind | None]] = {
        "classes_": _fields.Labels(),
        "means_": _fields.F64("c", "d"),
        "priors_": _fields.F64("c"),
        "class_count_": _fields.F64("c"),
        "_kind": _fields.Text(COVARIANCES),
        "_dtype": _fields.FloatType(),
        "_grows": _fields.Flag(),
    }
    means_: Array
    class_count_: Array
    shrinkage_: Array | float
    covariance_: Array
    _grows: bool  # whether partial_fit may meet new classes
    _statistics: _stats.Statistics

    if TYPE_CHECKING:  # as `Routing` has it for the methods of every estimator

        def set_partial_fit_request(self, **metadata: bool | str | None) -> Self: ...

    def __init__(
        self,
        covariance: str = "full",
        *,
        priors: ArrayLike | None = None,
        shrinkage: str | float | None = "auto",
        store_covariance: bool = False,
        missing: str = "marginalize",
        num_threads: int | None = None,
    ) -> None:
        self.covariance = covariance
        self.priors = priors
        self.shrinkage = shrinkage
        self.store_covariance = store_covariance
        self.missing = missing
        self.num_threads = num_threads

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing == "marginalize" and self.covariance == "diag"
        return tags

    @classmethod
    def _fields(cls, state: Mapping[str, Any]) -> dict[str, _fields.Kind]:
        fields = super()._fields(state)
        if not fields:
            return fields
        kind = fields["_kind"].value(state.get("_kind"), {}, f"{cls.__name__}._kind")
        return _fields.declared(cls, _gaussian_fields.of_kind(kind))

    @limited
    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Estimate the classes' means, covariances and shares.

        Parameters
        ----------
        X : array_like (n, d)
            Rows; NaN is a missing value for "diag".
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
            If X is sparse or a masked array.
        ValueError
            If a parameter, X, y or a weight is not as described, X is infinite or holds a NaN that
            may not be there, a class has no weight, a covariance is singular with a `shrinkage`
            that does not mend it, or X is so large that its squares overflow. The model is then
            as it was before.

        Examples
        --------
        >>> import fastnn
        >>> model = fastnn.GaussianClassifier().fit([[0.0], [2.0], [5.0], [9.0]], [0, 0, 1, 1])
        >>> model.means_.ravel(), model.priors_
        (array([1., 7.]), array([0.5, 0.5]))
        """
        self._check_parameters()
        names = _estimator.feature_names(X)
        x = self._training_rows(_estimator.matrix(X))
        classes, labels = _estimator.encode(y, len(x))
        w = _estimator.weights(sample_weight, len(x), x.dtype)
        part = _stats.of_rows(self.covariance, x, labels, len(classes), w)
        self._require_weight(part.weights, classes)
        covariances = self._covariances_of(x, labels, classes, w)
        self._learn(classes, part, x.dtype, True, covariances)
        self._learn_features(x.shape[1], names)
        return self

    @limited
    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Learn from further rows; the result is that of `fit` on all rows so far.

        Parameters
        ----------
        X : array_like (n, d)
        y : array_like (n,)
        classes : array_like (c,), optional
            All labels that there will ever be, if given at the first call. Those without rows have
            prior 0 and are never predicted; other labels are an error. If not given, labels that
            are new become classes.
        sample_weight : array_like (n,) or float, optional

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If X is sparse or a masked array.
        ValueError
            As `fit` does, if y has a label that `classes` has not, and if `classes` is not that of
            the first call. The model is then as it was before.

        Notes
        -----
        Every call factors the covariances anew, some ``c d^3`` operations for "full" and ``d^3``
        for "shared": with many features, collect rows before.

        Examples
        --------
        >>> import fastnn
        >>> model = fastnn.GaussianClassifier("diag")
        >>> model = model.partial_fit([[0.0], [2.0]], ["low", "low"])
        >>> model.partial_fit([[5.0], [9.0]], ["high", "high"]).class_count_
        array([2., 2.])
        """
        self._check_parameters()
        first = not hasattr(self, "classes_")
        names = _estimator.feature_names(X) if first else getattr(self, "feature_names_in_", None)
        x = self._training_rows(_estimator.matrix(X) if first else self._rows(X))
        known = self._known_classes(classes)
        if known is None:
            given, labels = _estimator.encode(y, len(x))
            union = given if first else _union(self.classes_, given)
            labels = _index_in(given, union)[labels]
        else:
            union, labels = known, _estimator.lookup(y, known, len(x))
        total = self._sums(x, labels, len(union), sample_weight)
        dtype, grows = x.dtype, known is None
        if not first:
            total = _stats.added(self._spread_to(union), total, 1.0)
            dtype = min(dtype, self._dtype, key=lambda t: t.itemsize)
        self._learn(union, total, dtype, grows)
        self._learn_features(x.shape[1], names)
        return self

    @limited
    def merge(self, other: GaussianClassifier) -> Self:
        """Learn what another model has learned: as if this one had been fitted on its rows too.

        Parameters
        ----------
        other : GaussianClassifier
            A fitted model of the same covariance, number of features and dtype of its data; it is
            not changed. Its classes are added to those of this model, whose parameters remain.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If `other` is not a GaussianClassifier.
        ValueError
            If a model is not fitted, or the two do not match. The model is then as it was before.

        Notes
        -----
        Numerics: the result is that of `fit` on the rows of both, but for rounding; the order and
        the grouping of many merges do not matter but for rounding either.

        Examples
        --------
        >>> import fastnn
        >>> a = fastnn.GaussianClassifier().fit([[0.0], [2.0]], ["low", "low"])
        >>> b = fastnn.GaussianClassifier().fit([[5.0], [9.0]], ["high", "high"])
        >>> a.merge(b).predict([[1.0], [6.0]])
        array(['low', 'high'], dtype='<U4')

        References
        ----------
        T. F. Chan, G. H. Golub, R. J. LeVeque, Updating formulae and a pairwise algorithm for
        computing sample variances, COMPSTAT 1982.
        """
        if not isinstance(other, GaussianClassifier):
            raise TypeError(f"other must be a GaussianClassifier, not {type(other).__name__}")
        self._require_fitted()
        other._require_fitted()
        self._check_parameters()
        for what in ("_kind", "n_features_in_", "_dtype"):
            mine, theirs = getattr(self, what), getattr(other, what)
            if mine != theirs:
                name = what.strip("_").replace("kind", "covariance").removesuffix("_in")
                raise ValueError(f"models do not match: {name} is {mine} here, {theirs} in other")
        mine, theirs = (getattr(model, "feature_names_in_", None) for model in (self, other))
        if mine is not None and theirs is not None and mine.tolist() != theirs.tolist():
            raise ValueError("models do not match: their features have different names")
        union = _union(self.classes_, other.classes_)
        total = _stats.added(self._spread_to(union), other._spread_to(union), 1.0)
        self._learn(union, total, self._dtype, self._grows)
        return self

    @limited
    def forget(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Unlearn rows that the model was fitted on: as if it had never seen them.

        Parameters
        ----------
        X : array_like (n, d)
        y : array_like (n,)
        sample_weight : array_like (n,) or float, optional
            The weights that the rows had.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If X is sparse or a masked array.
        ValueError
            As `fit` does, if y has a label that is no class, a class is left without weight, or
            more is taken from a class than there is in it. The model is then as it was before.

        Notes
        -----
        Numerics: sums are subtracted, so what is left has the rounding errors of what was there
        before. That rows were among those fitted is only checked as far as the sums show it.

        Examples
        --------
        >>> import fastnn
        >>> model = fastnn.GaussianClassifier().fit([[0.0], [2.0], [7.0]], ["a", "a", "a"])
        >>> model.forget([[7.0]], ["a"]).means_
        array([[1.]])
        """
        self._check_parameters()
        x = self._training_rows(self._rows(X))
        labels = _estimator.lookup(y, self.classes_, len(x))
        before = self._spread_to(self.classes_)
        left = _stats.added(before, self._sums(x, labels, len(self.classes_), sample_weight), -1.0)
        touched = np.bincount(labels, minlength=len(self.classes_)) > 0
        _stats.require_weight(
            np.where(touched, left.weights, np.inf), before.weights, self.classes_
        )
        if not _stats.is_possible(left, before, float(np.finfo(self._dtype).eps)):
            raise ValueError("these rows hold more than the model has seen: they are not its own")
        self._learn(self.classes_, left, self._dtype, self._grows)
        return self

    def _check_parameters(self) -> None:
        one_of("covariance", self.covariance, COVARIANCES)
        one_of("missing", self.missing, _MISSING)
        if self.shrinkage is None or isinstance(self.shrinkage, str):
            if self.shrinkage not in ("auto", None):
                raise ValueError(
                    f"shrinkage is {self.shrinkage!r}: it must be 'auto', a number or None"
                )
        else:
            number("shrinkage", self.shrinkage, "between 0 and 1", lambda s: 0 <= s <= 1)

    def _training_rows(self, x: Array) -> Array:
        if _backend.all_finite(x):
            return x
        _estimator.require_numbers(x, missing=self.missing == "marginalize")
        if self.covariance != "diag":
            raise ValueError("X contains NaN: only covariance='diag' learns from missing values")
        return x

    def _sums(self, x: Array, labels: Array, c: int, sample_weight: ArrayLike | None) -> Any:
        w = _estimator.weights(sample_weight, len(x), x.dtype)
        return _stats.of_rows(self.covariance, x, labels, c, w)

    def _spread_to(self, classes: Array) -> _stats.Statistics:
        """Return the statistics with a place for each of `classes`."""
        if (self._kind == "diag") != (self.covariance == "diag"):
            raise ValueError(
                f"the model was fitted with covariance={self._kind!r}, which leaves no statistics "
                f"for {self.covariance!r}; call fit"
            )
        return _stats.spread(self._statistics, _index_in(self.classes_, classes), len(classes))

    def _known_classes(self, classes: ArrayLike | None) -> Array | None:
        """Return the classes that partial_fit must keep to, or None if there may be new ones."""
        if classes is None:
            return None if not hasattr(self, "classes_") or self._grows else self.classes_
        given, _ = _estimator.encode(classes)
        if not hasattr(self, "classes_"):
            return given
        if given.tolist() != self.classes_.tolist():
            raise ValueError(
                f"classes {given.tolist()} are not those of before, {self.classes_.tolist()}"
            )
        return self.classes_

    def _require_weight(self, weights: Array, classes: Array) -> None:
        """Raise if a class of `fit` has no weight."""
        _stats.require_weight(weights, 0.0, classes)

    def _covariances_of(
        self, x: Array, labels: Array, classes: Array, w: Array | None
    ) -> Array | None:
        """Covariances that only the rows themselves can give, where the statistics do not."""
        return None

    def _class_priors(self, weights: Array) -> Array:
        """P(k), in float64."""
        return _stats.priors_of(self.priors, weights)

    def _estimated(
        self,
        classes: Array,
        statistics: _stats.Statistics,
        dtype: np.dtype[Any],
        covariances: Array | None,
    ) -> _stats.Estimate:
        shrinkage = self.shrinkage
        rule = _stats.Rule(
            shrinkage if shrinkage is None or isinstance(shrinkage, str) else float(shrinkage),
            float(np.finfo(dtype).eps),
            lambda k: (
                "the covariance"
                + ("" if self.covariance == "shared" else f" of class {classes.tolist()[k]!r}")
            ),
        )
        return _stats.estimated(self.covariance, statistics, rule)

    def _attributes(
        self,
        statistics: _stats.Statistics,
        estimate: _stats.Estimate,
        priors: Array,
        dtype: np.dtype[Any],
    ) -> dict[str, Any]:
        """What the model shows of itself beside its classes."""
        shown: dict[str, Any] = {
            "means_": statistics.means.copy(),
            "priors_": priors,
            "class_count_": statistics.weights.copy(),
            "shrinkage_": estimate.shrinkage,
        }
        return shown | ({"covariance_": estimate.covariance} if self.store_covariance else {})

    def _learn(
        self,
        classes: Array,
        statistics: _stats.Statistics,
        dtype: np.dtype[Any],
        grows: bool,
        covariances: Array | None = None,
    ) -> None:
        """Derive all that is learned from the statistics, and only then keep it."""
        _stats.require_complete(statistics, classes)
        priors = self._class_priors(statistics.weights)
        estimate = self._estimated(classes, statistics, dtype, covariances)
        shown = self._attributes(statistics, estimate, priors, dtype)
        self.__dict__.pop("covariance_", None)
        self.classes_ = classes
        self.__dict__.update(shown)
        self._kind, self._dtype, self._grows = self.covariance, dtype, grows
        self._statistics = statistics
        self._densities = Densities(self.covariance, statistics.means, estimate.factors, priors)


def _union(a: Array, b: Array) -> Array:
    """All labels of two sorted arrays, sorted."""
    values = _estimator.sorted_labels({*a.tolist(), *b.tolist()})
    return _estimator.label_array(values, np.result_type(a, b))


def _index_in(some: Array, classes: Array) -> Array:
    """The places of some labels among the classes, which hold them all."""
    index = {value: k for k, value in enumerate(classes.tolist())}
    return np.array([index[value] for value in some.tolist()], np.int64)
