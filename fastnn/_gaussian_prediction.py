"""What a fitted Gaussian classifier answers: classes, posteriors, densities, samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _estimator
from ._check_network import generator, integer
from ._gaussian_density import Densities
from ._limited import limited
from .runtime import backend_module as _backend

if TYPE_CHECKING:
    from .linear import LogisticRegression

Array = NDArray[Any]


class GaussianPrediction(_estimator.ClassifierMixin, _estimator.Estimator):
    """The methods of GaussianClassifier that only ask what it has learned."""

    _ANSWERS_IN_FLOAT64: ClassVar[bool] = False
    missing: str
    num_threads: int | None
    classes_: Array
    priors_: Array
    _kind: str  # the covariance that was fitted
    _dtype: np.dtype[Any]  # of the data
    _densities: Densities

    def predict(self, X: ArrayLike) -> Array:
        """Labels (n,) of the most probable classes; of equally probable ones, the first.

        Parameters
        ----------
        X : array_like (n, d)
            Rows; NaN is a missing value.

        Returns
        -------
        ndarray (n,), dtype of `classes_`

        Raises
        ------
        TypeError
            If X is sparse or a masked array.
        ValueError
            If the model is not fitted, X is not (n, d) or not finite; NaN is an error only with
            ``missing="error"``.

        Examples
        --------
        >>> import fastnn
        >>> fastnn.GaussianClassifier().fit([[0.0], [2.0], [5.0], [9.0]], [0, 0, 1, 1]).predict([[8]])
        array([1])
        """
        labels = self._evaluate(X, "label")
        return self.classes_[labels]

    def predict_proba(self, X: ArrayLike) -> Array:
        """Posteriors ``P(k | x)`` (n, c), in the order of `classes_`.

        Parameters
        ----------
        X : array_like (n, d)
            Rows; NaN is a missing value.

        Returns
        -------
        ndarray (n, c), dtype of X: float32 or float64

        Raises
        ------
        TypeError, ValueError
            As `predict` does.

        Examples
        --------
        >>> import fastnn
        >>> model = fastnn.GaussianClassifier().fit([[0.0], [2.0], [5.0], [9.0]], [0, 0, 1, 1])
        >>> model.predict_proba([[3.0]]).round(3)
        array([[0.667, 0.333]])
        """
        return self._evaluate(X, "proba")

    def predict_log_proba(self, X: ArrayLike) -> Array:
        """Logarithms of the posteriors (n, c), from the densities and not from the posteriors.

        Parameters
        ----------
        X : array_like (n, d)
            Rows; NaN is a missing value.

        Returns
        -------
        ndarray (n, c), dtype of X: float32 or float64

        Raises
        ------
        TypeError, ValueError
            As `predict` does.
        """
        return self._evaluate(X, "log_proba")

    def joint_log_likelihood(self, X: ArrayLike) -> Array:
        """``log p(x | k) + log P(k)`` (n, c); -inf for a class of prior 0.

        Parameters
        ----------
        X : array_like (n, d)
            Rows; NaN is a missing value.

        Returns
        -------
        ndarray (n, c), dtype of X: float32 or float64

        Raises
        ------
        TypeError, ValueError
            As `predict` does.
        """
        return self._evaluate(X, "joint")

    def decision_function(self, X: ArrayLike) -> Array:
        """Log odds (n,) of the second of two classes, else the log posteriors (n, c).

        Parameters
        ----------
        X : array_like (n, d)
            Rows; NaN is a missing value.

        Returns
        -------
        ndarray (n,) or (n, c), dtype of X: float32 or float64

        Raises
        ------
        TypeError, ValueError
            As `predict` does.
        """
        self._require_fitted()
        if len(self.classes_) == 2:
            joint = self._evaluate(X, "joint")
            return joint[:, 1] - joint[:, 0]
        return self._evaluate(X, "log_proba")

    def score_samples(self, X: ArrayLike) -> Array:
        """``log p(x)`` (n,), the log density of the rows under all classes: low for outliers.

        Parameters
        ----------
        X : array_like (n, d)
            Rows; NaN is a missing value.

        Returns
        -------
        ndarray (n,), dtype of X: float32 or float64

        Raises
        ------
        TypeError, ValueError
            As `predict` does.

        Examples
        --------
        >>> import fastnn
        >>> model = fastnn.GaussianClassifier().fit([[0.0], [2.0], [5.0], [9.0]], [0, 0, 1, 1])
        >>> model.score_samples([[1.0], [100.0]]).round(1)
        array([   -1.6, -1083.4])
        """
        return self._evaluate(X, "log_density")

    @limited
    def _evaluate(self, X: ArrayLike, what: str) -> Array:
        x = self._rows(X)
        if self._ANSWERS_IN_FLOAT64 and x.dtype != np.float64:
            x = x.astype(np.float64)
        # NaN and infinity in a row show in its densities, of which there are fewer to look through;
        # not in a label, nor where infinite features may leave a linear posterior of 0 or 1.
        if what != "label" and self._kind != "shared":
            values = self._densities.of_complete(x, what)
            if _backend.all_finite(values) or _backend.all_finite(x):
                return values
        elif _backend.all_finite(x):
            return self._densities.of_complete(x, what)
        _estimator.require_numbers(x, missing=self.missing == "marginalize")
        return self._densities.of_incomplete(x, what)

    def sample(self, n_samples: int = 1, random_state: Any = None) -> tuple[Array, Array]:
        """Draw rows from the model.

        Parameters
        ----------
        n_samples : int
            How many, at least 1.
        random_state : None, int, numpy.random.Generator or RandomState

        Returns
        -------
        X : ndarray (n_samples, d), dtype of the data fitted on
        y : ndarray (n_samples,)
            The class that each row was drawn from.

        Raises
        ------
        TypeError
            If an argument is of another type.
        ValueError
            If the model is not fitted or n_samples is less than 1.

        Examples
        --------
        >>> import fastnn
        >>> model = fastnn.GaussianClassifier().fit([[0.0], [2.0], [50.0], [90.0]], [0, 0, 1, 1])
        >>> X, y = model.sample(1000, random_state=0)
        >>> X.shape, model.score(X, y)
        ((1000, 1), 1.0)
        """
        self._require_fitted()
        n = integer("n_samples", n_samples, 1)
        if isinstance(random_state, np.random.RandomState):
            rng: Any = random_state
        else:
            rng = generator(random_state)
        x, labels = self._densities.sample(n, rng)
        return x.astype(self._dtype, copy=False), self.classes_[labels]

    def to_logistic(self) -> LogisticRegression:
        """Return the logistic regression that this model is, for covariance="shared".

        The quadratic terms of the classes cancel: with ``w_k = Sigma^-1 (mu_k - m)`` and
        ``b_k = log P(k) - 1/2 (mu_k + m)^T w_k`` for any m, the posterior is
        ``softmax(x w + b)``; for two classes ``sigmoid(x (w_1 - w_0) + b_1 - b_0)``.

        Returns
        -------
        LogisticRegression
            A fitted model with the same probabilities, but for rounding; its coefficients have the
            dtype of the data fitted on.

        Raises
        ------
        ValueError
            If the model is not fitted, its covariance is not "shared", or a class has prior 0.

        Notes
        -----
        Numerics: m is the mean of all, which keeps w and b small. The products ``x w`` of rows far
        from the origin cancel with b, so the probabilities have an absolute error of some
        ``eps |x| |w|`` in their logits, where those of the classifier are from differences.

        Examples
        --------
        >>> import fastnn
        >>> X, y = [[0.0], [2.0], [5.0], [9.0]], [0, 0, 1, 1]
        >>> logistic = fastnn.GaussianClassifier("shared").fit(X, y).to_logistic()
        >>> logistic.coef_, logistic.intercept_
        (array([[2.4]]), array([-9.6]))

        References
        ----------
        C. M. Bishop, Pattern Recognition and Machine Learning (2006), section 4.2.1.
        """
        self._require_fitted()
        if self._kind != "shared":
            raise ValueError(
                f"covariance is {self._kind!r}: only a 'shared' one makes a logistic model"
            )
        if len(self.classes_) < 2 or not self.priors_.all():
            raise ValueError("a logistic model needs two classes or more, none with prior 0")
        from .linear import LogisticRegression

        model = LogisticRegression()
        w, b = self._densities.logits()
        model.coef_, model.intercept_ = w.astype(self._dtype), b.astype(self._dtype)
        model.classes_ = self.classes_
        model._learn_features(self.n_features_in_, getattr(self, "feature_names_in_", None))
        model.n_iter_ = np.zeros(1, np.int64)
        return model
