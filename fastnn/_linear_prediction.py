"""What fitted linear classifiers answer: classes and probabilities, and how exact they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _estimator
from ._check_network import number
from ._fields import F64, Floats, Integers, Kind, Labels, Maybe, Optional, Record, Text
from ._inference import ConfidenceIntervals, Inference, StandardErrors
from ._limited import limited
from ._sparse import Csr
from .runtime import backend_module as _backend

Array = NDArray[Any]

# Times a logit (n, 1): minus the logit, and the logit.
_SIGNS = {np.dtype(t): np.array([[-1.0, 1.0]], t) for t in (np.float32, np.float64)}


def dense(coef: Any) -> Array:
    """Return coefficients as an array, of a sparse matrix too."""
    return coef if isinstance(coef, np.ndarray) else np.asarray(coef.toarray())


def affine(x: Array | Csr, coef: Array, intercept: Array) -> Array:
    """Return x coef^T + intercept, of the wider dtype of x and coef (c, d); x must be finite."""
    if x.dtype == coef.dtype == intercept.dtype:
        w, b = coef.T, intercept
    else:
        dtype = np.result_type(x.dtype, coef.dtype)
        w, b = coef.T.astype(dtype, copy=False), intercept.astype(dtype, copy=False)
        x = x.astype(dtype)
    if isinstance(x, Csr):
        z = _backend.sparse_forward(x, w, b)
    else:
        z = _backend.dense_forward(x, w, b)
    if not _backend.all_finite(z):
        _estimator.require_numbers(x)
    return z


class LinearPrediction(_estimator.ClassifierMixin, _estimator.Estimator):
    """Predictions of a classifier whose logits are ``x coef_^T + intercept_``.

    Of two classes there is one logit, that of the second one.
    """

    _SAVED: ClassVar[dict[str, Kind | None]] = {
        "classes_": Labels(),
        "coef_": Floats("k", "d"),
        "intercept_": Floats("k"),
    }
    classes_: Array
    coef_: Array
    intercept_: Array
    num_threads: int | None

    def _logits(self, X: ArrayLike) -> Array:
        return affine(self._rows(X, sparse=True), dense(self.coef_), self.intercept_)

    @limited
    def decision_function(self, X: ArrayLike) -> Array:
        """Return the log-odds ``x w + b`` (n,) of the second class, or the logits (n, c).

        Parameters
        ----------
        X : array_like (n, d), or a sparse matrix of SciPy

        Returns
        -------
        ndarray (n,) for two classes, else (n, c), dtype of X and `coef_`

        Raises
        ------
        ValueError
            If the model is not fitted, or X is not such an array of finite numbers.

        Examples
        --------
        >>> import fastnn
        >>> model = fastnn.LogisticRegression().fit([[-1.0], [1.0]], [0, 1])
        >>> model.decision_function([[0.0], [2.0]]).round(3)
        array([0.  , 1.35])
        """
        z = self._logits(X)
        return z[:, 0] if z.shape[1] == 1 else z

    @limited
    def predict(self, X: ArrayLike) -> Array:
        """Return the most probable class of each row.

        Parameters
        ----------
        X : array_like (n, d), or a sparse matrix of SciPy

        Returns
        -------
        ndarray (n,), dtype of `classes_`

        Raises
        ------
        ValueError
            If the model is not fitted, or X is not such an array of finite numbers.

        Examples
        --------
        >>> import fastnn
        >>> fastnn.LogisticRegression().fit([[-1.0], [1.0]], ["a", "b"]).predict([[-3.0]])
        array(['a'], dtype='<U1')
        """
        z = self._logits(X)
        two = len(self.classes_) == 2
        return self.classes_.take(z[:, 0] > 0 if two else z.argmax(axis=1))

    @limited
    def predict_proba(self, X: ArrayLike) -> Array:
        """Return the probability of each class.

        Parameters
        ----------
        X : array_like (n, d), or a sparse matrix of SciPy

        Returns
        -------
        ndarray (n, c), dtype of X and `coef_`

        Raises
        ------
        ValueError
            If the model is not fitted, or X is not such an array of finite numbers.

        Examples
        --------
        >>> import fastnn
        >>> model = fastnn.LogisticRegression().fit([[-1.0], [1.0]], [0, 1])
        >>> model.predict_proba([[0.0], [2.0]]).round(3)
        array([[0.5  , 0.5  ],
               [0.206, 0.794]])
        """
        z = self._logits(X)
        if len(self.classes_) != 2:
            return _backend.softmax(z, out=z)
        pair = _backend.dense_forward(z, _SIGNS[z.dtype])  # exact; np.hstack takes 3 us for one row
        return _backend.sigmoid(pair, out=pair)

    @limited
    def predict_log_proba(self, X: ArrayLike) -> Array:
        """Return the logarithm of the probability of each class.

        Parameters
        ----------
        X : array_like (n, d), or a sparse matrix of SciPy

        Returns
        -------
        ndarray (n, c), dtype of X and `coef_`

        Raises
        ------
        ValueError
            If the model is not fitted, or X is not such an array of finite numbers.

        Notes
        -----
        Numerics: from the logits, so that it is exact where a probability rounds to 0 or 1.

        Examples
        --------
        >>> import fastnn
        >>> model = fastnn.LogisticRegression().fit([[-1.0], [1.0]], [0, 1])
        >>> model.predict_log_proba([[-2000.0]]).round(1)
        array([[    0. , -1349.7]])
        """
        z = self._logits(X)
        if len(self.classes_) == 2:
            pair = np.zeros((len(z), 2), z.dtype)
            pair[:, 1:] = z
            z = pair
        return _backend.log_softmax(z, out=z)


class LogisticPrediction(LinearPrediction):
    """The methods of LogisticRegression that only ask what it has learned."""

    _SAVED: ClassVar[dict[str, Kind | None]] = {
        "n_iter_": Integers(1),
        "_inference": Maybe(
            Record(
                Inference,
                {
                    "errors": Optional(
                        Record(StandardErrors, {"coef": F64("k", "d"), "intercept": F64("k")})
                    ),
                    "reason": Text(),
                    "warning": Optional(Text()),
                },
            )
        ),
    }
    _inference: Inference

    def _saved(self) -> Mapping[str, Any]:
        return {**self.__dict__, "coef_": dense(self.coef_)} if "coef_" in self.__dict__ else {}

    def sparsify(self) -> Self:
        """Keep `coef_` as a sparse matrix of SciPy, which must be installed.

        Returns
        -------
        self

        Raises
        ------
        ImportError
            If SciPy is not installed.
        ValueError
            If the model is not fitted.

        Notes
        -----
        It saves memory where most coefficients are 0; predictions make them dense each time.

        Examples
        --------
        >>> import fastnn
        >>> model = fastnn.LogisticRegression().fit([[-1.0], [1.0]], [0, 1]).sparsify()
        >>> model.coef_.shape, model.predict([[3.0]])
        ((1, 1), array([1]))
        """
        self._require_fitted()
        from scipy.sparse import csr_matrix  # type: ignore[import-untyped]

        self.coef_ = csr_matrix(self.coef_)
        return self

    def densify(self) -> Self:
        """Keep `coef_` as an array, as it is before `sparsify`.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the model is not fitted.

        Examples
        --------
        >>> import fastnn
        >>> model = fastnn.LogisticRegression().fit([[0.0], [0.0]], [0, 1]).sparsify()
        >>> model.densify().coef_
        array([[0.]])
        """
        self._require_fitted()
        self.coef_ = dense(self.coef_)
        return self

    def standard_errors(self) -> StandardErrors:
        """Return the standard errors of the coefficients, for a fit with ``C=inf``.

        The roots of the diagonal of the inverse Fisher information, ``sum_i w_i`` times the
        Hessian of the mean loss.

        Returns
        -------
        StandardErrors
            (coef, intercept), float64, of the shapes of `coef_` and `intercept_`; zero for an
            intercept that was not fitted. For more than two classes they are those of the solution
            whose sum over the classes is 0.

        Raises
        ------
        ValueError
            If the model was not fitted, or has no standard errors: it has a penalty, has not
            converged, its features are collinear, or the classes are separable.

        Notes
        -----
        Weights count as numbers of rows.

        Numerics: in float64, from the Hessian at the solution.

        Examples
        --------
        >>> import fastnn
        >>> X, y = [[0.0], [1.0], [2.0], [3.0], [4.0]], [0, 1, 0, 1, 1]
        >>> model = fastnn.LogisticRegression(C=float("inf"), tol=1e-8).fit(X, y)
        >>> model.standard_errors().coef.round(4)
        array([[0.9749]])

        References
        ----------
        A. Agresti, Categorical Data Analysis (2013), sections 5.5 and 8.1.
        """
        self._require_fitted()
        inference = getattr(self, "_inference", None)
        if inference is None:
            raise ValueError("no standard errors: the model was made from another one, not fitted")
        if inference.errors is None:
            raise ValueError(f"no standard errors: {inference.reason}")
        return inference.errors

    def confidence_intervals(self, level: float = 0.95) -> ConfidenceIntervals:
        """Return Wald's confidence intervals of the coefficients, for a fit with ``C=inf``.

        Estimate plus and minus the normal distribution's quantile times `standard_errors`.

        Parameters
        ----------
        level : float
            Probability that an interval covers its parameter, in (0, 1).

        Returns
        -------
        ConfidenceIntervals
            (coef, intercept), float64, of the shapes of `coef_` and `intercept_` with an axis more
            for the lower and the upper end.

        Raises
        ------
        TypeError
            If level is not a number.
        ValueError
            If it is not in (0, 1), or there are no standard errors.

        Examples
        --------
        >>> import fastnn
        >>> X, y = [[0.0], [1.0], [2.0], [3.0], [4.0]], [0, 1, 0, 1, 1]
        >>> model = fastnn.LogisticRegression(C=float("inf"), tol=1e-8).fit(X, y)
        >>> model.confidence_intervals(0.9).coef.round(3)
        array([[[-0.513,  2.694]]])

        References
        ----------
        A. Agresti, Categorical Data Analysis (2013), section 1.3.3.
        """
        level = number("level", level, "in (0, 1)", lambda p: 0 < p < 1)
        errors = self.standard_errors()
        from statistics import NormalDist  # not needed to import the package

        z = -NormalDist().inv_cdf((1 - level) / 2)
        pairs = zip((dense(self.coef_), self.intercept_), errors)
        ends = [np.stack([a - z * e, a + z * e], axis=-1) for a, e in pairs]
        return ConfidenceIntervals(*ends)
