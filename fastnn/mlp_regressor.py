"""MLPRegressor: a dense network as an estimator of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _estimator, _least_squares
from ._check import one_of
from ._check_network import number
from ._mlp_training import Data
from ._perceptron import Callbacks, Perceptron, only_stochastic

__all__ = ["MLPRegressor"]

Array = NDArray[Any]

_OUTPUTS = {
    "squared_error": "identity",
    "huber": "identity",
    "absolute": "identity",
    "poisson": "exp",
}


class MLPRegressor(_estimator.RegressorMixin, Perceptron):
    """A multilayer perceptron that gives numbers.

    The network of `MLPClassifier` with a linear last layer, or with ``exp`` for the loss "poisson".
    With z the output of that layer before ``exp``, the loss of a row is the sum over the targets of

    - "squared_error": ``1/2 (z - y)^2``
    - "huber": ``1/2 r^2`` where ``r = |z - y| <= delta``, else ``delta (r - delta/2)``
    - "absolute": ``|z - y|``
    - "poisson": ``e^z - y z + y log y - y``, half of the deviance, for y >= 0

    Parameters
    ----------
    loss : {"squared_error", "huber", "absolute", "poisson"}
    hidden_layer_sizes, activation, solver, ..., max_fun, dropout, callbacks, max_time, num_threads
        As in `MLPClassifier`, in the same order and with the same defaults.
    huber_delta : float
        Where the loss "huber" becomes linear, positive, in units of y.

    Attributes
    ----------
    coefs_, intercepts_, loss_, loss_curve_, n_iter_, t_, n_layers_, n_outputs_, ...
        As in `MLPClassifier`, but for `classes_`.
    validation_scores_, best_validation_score_ : list of float, float
        R^2 of the validation rows after each epoch, and the best; None without such rows.

    Notes
    -----
    Numerics: as in `MLPClassifier`. For several targets the loss is reported as the mean over them,
    as in scikit-learn, while its sum is what is lowered; that of "poisson" is reported as the sum.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> X = np.linspace(-1, 1, 200).reshape(-1, 1)
    >>> model = fastnn.MLPRegressor(
    ...     hidden_layer_sizes=20, activation="tanh", solver="lbfgs", max_iter=1000, random_state=0
    ... )
    >>> bool(model.fit(X, np.sin(3 * X[:, 0])).score(X, np.sin(3 * X[:, 0])) > 0.999)
    True

    References
    ----------
    C. M. Bishop, Pattern Recognition and Machine Learning (2006), chapter 5. P. J. Huber, Robust
    estimation of a location parameter, Annals of Mathematical Statistics 35 (1964).
    """

    def __init__(
        self,
        loss: str = "squared_error",
        hidden_layer_sizes: int | Sequence[int] = (100,),
        activation: str | Sequence[str] = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool | str = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        huber_delta: float = 1.0,
        dropout: float | Sequence[float] = 0.0,
        callbacks: Callbacks | None = None,
        max_time: float | None = None,
        num_threads: int | None = None,
    ) -> None:
        self.loss = loss
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.huber_delta = huber_delta
        self.dropout = dropout
        self.callbacks = callbacks
        self.max_time = max_time
        self.num_threads = num_threads

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: ArrayLike | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
        coefs_init: Sequence[ArrayLike] | None = None,
        intercepts_init: Sequence[ArrayLike] | None = None,
    ) -> Self:
        """Train the network.

        Parameters
        ----------
        X : array_like or sparse matrix (n, d)
        y : array_like (n,) or (n, t)
            One or several targets, taken in the dtype of X; at least 0 for the loss "poisson".
        sample_weight, X_val, y_val, sample_weight_val, coefs_init, intercepts_init
            As in `MLPClassifier.fit`.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If a parameter or an array is of another kind.
        ValueError
            If a parameter, X, y or a weight is not as described, or the weights stop being finite.
            The model is then as it was before.

        Warns
        -----
        ConvergenceWarning
            If `max_iter`, `max_fun` or `max_time` was not enough.
        """
        validation = X_val, y_val, sample_weight_val
        starts = coefs_init, intercepts_init
        return self._fit(X, y, sample_weight, validation, starts=starts)

    @only_stochastic
    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: ArrayLike | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self:
        """Train for one epoch on these rows; the optimiser goes on where it was.

        Parameters
        ----------
        X, y, sample_weight, X_val, y_val, sample_weight_val
            As in `MLPClassifier.partial_fit`.

        Returns
        -------
        self

        Raises
        ------
        AttributeError
            If the solver is lbfgs.
        TypeError, ValueError
            As `fit` does. The model is then as it was before, but for the optimiser's averages.
        """
        validation = X_val, y_val, sample_weight_val
        return self._fit(X, y, sample_weight, validation, partial=True)

    # Targets

    def _targets(self, y: Any, n: int, dtype: Any) -> Array:
        one_of("loss", self.loss, tuple(_OUTPUTS))
        targets = _least_squares.targets(y, n, dtype).reshape(n, -1)
        if self.loss == "poisson" and (targets < 0).any():
            raise ValueError("loss='poisson' needs y >= 0, but y has negative values")
        return targets

    def _learn_targets(self, y: Any, n: int, dtype: Any, first: bool, classes: Any) -> Array:
        return self._targets(y, n, dtype)

    def _known_targets(self, y: Any, n: int) -> Array:
        targets = self._targets(y, n, self._network.dtype)
        if targets.shape[1] != self.n_outputs_:
            raise ValueError(
                f"y_val has {targets.shape[1]} columns, but the model has {self.n_outputs_} targets"
            )
        return targets

    def _output_layer(self, y: Array) -> dict[str, Any]:
        delta = number("huber_delta", self.huber_delta, "finite and positive", lambda d: d > 0)
        return {
            "width": y.shape[1],
            "output": _OUTPUTS[self.loss],
            "loss": self.loss,
            "huber_delta": delta,
        }

    def _require_agreement(self) -> None:
        super()._require_agreement()
        if self._network.output not in _OUTPUTS.values():
            raise ValueError(f"a network of output {self._network.output!r} gives no numbers")

    def _reported(self, data: Data) -> tuple[float, float]:
        if self.loss != "poisson":
            return 1 / self.n_outputs_, 0.0
        y = data.y.astype(np.float64)
        logs = np.log(y, out=np.zeros_like(y), where=y > 0)
        return 1.0, float(np.average((y * logs - y).sum(axis=1), weights=data.weights))

    def _score_of(self, outputs: Array, y: Array, weights: Array | None) -> float:
        return _estimator.r_squared(y, outputs, weights)

    # Answers

    def predict(self, X: ArrayLike) -> Array:
        """Predicted numbers.

        Parameters
        ----------
        X : array_like or sparse matrix (n, d)

        Returns
        -------
        ndarray (n,), or (n, t) for several targets, dtype of the data fitted on

        Raises
        ------
        TypeError, ValueError
            If the model is not fitted, or X is not (n, d), finite and of numbers.
        """
        outputs = self._answers(X)
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
