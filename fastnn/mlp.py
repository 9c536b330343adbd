"""MLPClassifier: a dense network as an estimator of classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _estimator
from ._fields import Flag, Kind, Labels
from ._linear_settings import class_factors
from ._perceptron import Callbacks, Perceptron, only_stochastic

__all__ = ["MLPClassifier"]

Array = NDArray[Any]


def _is_matrix(y: Any) -> bool:
    """Whether y has a column for each of several labels."""
    shape: tuple[int, ...] | None = getattr(y, "shape", None)
    if shape is None:
        shape = np.shape(y) if isinstance(y, (list, tuple)) else ()
    return len(shape) == 2 and shape[1] > 1


def _indicators(y: Any, n: int) -> Array:
    """Return y (n, c) of zeros and ones, as bools."""
    a = np.asarray(y.toarray() if hasattr(y, "toarray") else y)
    if len(a) != n:
        raise ValueError(f"y has {len(a)} rows, but X has {n}")
    if a.dtype.kind not in "biuf" or not np.isin(a, (0, 1)).all():
        raise ValueError(
            f"Unknown label type: multiclass-multioutput. y {a.shape} with several columns must hold "
            "0 and 1, a column for each label"
        )
    return a.astype(bool)


class MLPClassifier(_estimator.ClassifierMixin, Perceptron):
    """A multilayer perceptron that gives the probabilities of classes.

    A dense network ``a_0 = x``, ``a_l = act(a_{l-1} W_l + b_l)`` whose last layer is a softmax over
    the classes; one sigmoid for two classes, and a sigmoid for each label if a row may have several.
    The fit lowers ``sum_i w_i loss_i / sum_i w_i + alpha / (2 sum_i w_i) sum W^2`` over the rows of a
    minibatch, the loss of a row being the cross-entropy of its labels.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int
        Width of each hidden layer; an empty one makes logistic regression.
    activation : {"identity", "logistic", "tanh", "relu"} or sequence of them
        One for all hidden layers, or one for each.
    solver : {"adam", "sgd", "lbfgs"}
        Adam, gradient descent with momentum, or L-BFGS on all rows at once.
    alpha : float
        Strength of the penalty, at least 0; biases are not penalised.
    batch_size : int or "auto"
        Rows of a minibatch; "auto" for 200, or all rows if they are fewer.
    learning_rate : {"constant", "invscaling", "adaptive"}
        For sgd. "invscaling": ``learning_rate_init / (t + 1)^power_t`` after each epoch, t the rows
        seen so far. "adaptive": a fifth whenever it would stop, down to 1e-6.
    learning_rate_init : float
        Positive; for sgd and adam.
    power_t : float
        Exponent of "invscaling".
    max_iter : int
        Epochs, or iterations of L-BFGS, at most.
    shuffle : bool
        Whether each epoch takes the rows in a new order.
    random_state : None, int, numpy.random.RandomState or numpy.random.Generator
        Source of the initial weights, of the rows for early stopping, and of orders. A seed draws the
        same as in scikit-learn. None takes a fresh source, not NumPy's global one.
    tol : float
        The fit stops after more than `n_iter_no_change` epochs whose loss is not lower by tol than
        the best before, or whose validation score is not higher by tol. For lbfgs: where no entry of
        the gradient is larger.
    verbose : bool or int
        1 shows a bar where tqdm is installed, else a line an epoch, as higher numbers do.
    warm_start : bool or "optimizer"
        Start from the weights of the last fit, of the same layers, loss and classes. With "optimizer"
        its averages, step count and learning rate go on, too; with True it starts afresh.
    momentum : float
        In [0, 1]; for sgd.
    nesterovs_momentum : bool
        Whether momentum is Nesterov's.
    early_stopping : bool
        Keep a share of the rows for validation: the fit stops when their score no longer rises, and
        the best weights are restored. Without effect for lbfgs.
    validation_fraction : float
        That share, in [0, 1).
    beta_1, beta_2, epsilon : float
        Constants of adam: decay of its two averages, in [0, 1), and what keeps its divisor positive.
    n_iter_no_change : int or inf
        See `tol`.
    max_fun : int
        Evaluations of the objective by lbfgs, at most.
    class_weight : dict, "balanced" or None
        Factors for the weights of the rows by their label, 1 where a dict has none. "balanced" gives
        all classes the same total.
    dropout : float or sequence of float
        Share of the outputs of each hidden layer that a training step leaves out, in [0, 1); the
        others are scaled up. Predictions use all.
    callbacks : callable or sequence of them, optional
        Each is called after every epoch with a `Progress`: epoch, loss, score, model, seconds.
        Training ends if one returns True.
    max_time : float, optional
        Seconds after which the fit ends with the epoch under way.
    num_threads : int, optional
        The most threads to use; the default is `fastnn.get_num_threads()`. No result depends on it.

    Attributes
    ----------
    classes_ : ndarray (c,)
        The labels, sorted; ``0 .. c - 1`` if a row may have several.
    coefs_, intercepts_ : list of ndarray (k, m), and of (m,), dtype of X
        Weights and biases of each layer. They are live: to write into them changes the model.
    loss_, best_loss_ : float
        Loss of the last epoch, and the least; the latter is None with validation rows.
    loss_curve_ : list of float
        Loss of each epoch: the mean over its minibatches, each before its own step.
    validation_scores_, best_validation_score_ : list of float, float
        Accuracy on the validation rows after each epoch, and the best; None without such rows.
    n_iter_ : int
        Epochs of the last fit.
    t_ : int
        Rows seen in training so far.
    n_layers_, n_outputs_ : int
        Number of layers, those of input and output among them; width of the last one.
    out_activation_ : str
        Activation of the output layer.
    converged_ : bool
        Only after `partial_fit` with X_val: whether the score has stopped rising.
    n_features_in_ : int
    feature_names_in_ : ndarray (d,) of str
        Only if X had column names that are all str.

    Notes
    -----
    Numerics: arithmetic is in the dtype of X, float32 or float64 (all else becomes float64); losses
    are taken from the logits and accumulated in float64. Results do not depend on the number of
    threads. With equal initial weights and orders the losses are those of scikit-learn but for
    rounding. The lock of the interpreter is released during an epoch.

    Ctrl-C ends the fit with a warning, at its last whole step. If a fit raises, the model is as it
    was before.

    Examples
    --------
    >>> import fastnn
    >>> X, y = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], ["same", "other", "other", "same"]
    >>> model = fastnn.MLPClassifier(8, "tanh", solver="lbfgs", random_state=1).fit(X, y)
    >>> model.predict(X)
    array(['same', 'other', 'other', 'same'], dtype='<U5')

    Early stopping on rows of one's own:

    >>> digits = fastnn.datasets.load_digits16()
    >>> model = fastnn.MLPClassifier(64, n_iter_no_change=3, random_state=0)
    >>> model = model.fit(
    ...     digits.x_train, digits.y_train, X_val=digits.x_test, y_val=digits.y_test
    ... )
    >>> model.score(digits.x_test, digits.y_test) == model.best_validation_score_
    True

    References
    ----------
    C. M. Bishop, Pattern Recognition and Machine Learning (2006), chapter 5. X. Glorot, Y. Bengio,
    Understanding the difficulty of training deep feedforward neural networks, AISTATS 2010. D. P.
    Kingma, J. Ba, Adam: a method for stochastic optimization, ICLR 2015. N. Srivastava et al.,
    Dropout: a simple way to prevent neural networks from overfitting, JMLR 15 (2014).
    """

    _SAVED: ClassVar[dict[str, Kind | None]] = {"classes_": Labels(), "_multilabel": Flag()}
    classes_: Array
    _multilabel: bool

    def __init__(
        self,
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
        class_weight: Mapping[Any, float] | str | None = None,
        dropout: float | Sequence[float] = 0.0,
        callbacks: Callbacks | None = None,
        max_time: float | None = None,
        num_threads: int | None = None,
    ) -> None:
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
        self.class_weight = class_weight
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
        y : array_like (n,), or (n, c) of zeros and ones
            Labels, or which of c labels each row has.
        sample_weight : array_like (n,) or float, optional
            Weights of the rows, at least 0; a weight counts as that many rows.
        X_val, y_val : array_like, optional
            Rows for validation: their score stops the fit as with `early_stopping`, for any solver,
            and the weights of the best score are restored.
        sample_weight_val : array_like, optional
            Weights of those rows.
        coefs_init, intercepts_init : sequence of array_like, optional
            Weights (k, m) and biases (m,) of each layer to start from.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If a parameter or an array is of another kind.
        ValueError
            If a parameter, X, y or a weight is not as described, X_val has labels that y has not, or
            the weights stop being finite. The model is then as it was before.

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
        classes: ArrayLike | None = None,
        *,
        X_val: ArrayLike | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self:
        """Train for one epoch on these rows; the optimiser goes on where it was.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.
        classes : array_like (c,), optional
            All labels that there will ever be; needed in the first call.
        X_val, y_val, sample_weight_val : array_like, optional
            Rows for validation. Once their score has not risen by `tol` in more than
            `n_iter_no_change` calls, the weights of the best one are restored and `converged_` is
            True.

        Returns
        -------
        self

        Raises
        ------
        AttributeError
            If the solver is lbfgs.
        TypeError, ValueError
            As `fit` does; if y has a label that is not among the classes, or `classes` is missing or
            another one. The model is then as it was before, but for the optimiser's averages.

        Examples
        --------
        >>> import fastnn
        >>> digits = fastnn.datasets.load_digits16()
        >>> model = fastnn.MLPClassifier(32, n_iter_no_change=2, random_state=0)
        >>> for epoch in range(100):
        ...     model = model.partial_fit(
        ...         digits.x_train, digits.y_train, classes=range(10),
        ...         X_val=digits.x_test, y_val=digits.y_test,
        ...     )
        ...     if model.converged_:
        ...         break
        >>> model.score(digits.x_test, digits.y_test) == model.best_validation_score_
        True
        """
        if classes is None and not hasattr(self, "classes_"):
            raise ValueError("classes must be passed on the first call to partial_fit.")
        validation = X_val, y_val, sample_weight_val
        return self._fit(X, y, sample_weight, validation, partial=True, classes=classes)

    # Labels

    def _learn_targets(self, y: Any, n: int, dtype: Any, first: bool, classes: Any) -> Array:
        if first:
            return self._learn_classes(y, n, dtype, classes)
        if classes is not None and not self._multilabel:
            given, _ = _estimator.encode(classes)
            if not np.array_equal(given, self.classes_):
                raise ValueError(
                    f"classes {given} are not those of the first call, {self.classes_}"
                )
        if self.warm_start and classes is None and not self._multilabel and not _is_matrix(y):
            given, _ = _estimator.encode(y, n)
            if not np.array_equal(given, self.classes_):
                raise ValueError(
                    "warm_start can only be used where `y` has the same classes as in the previous "
                    f"call to fit. Previously got {self.classes_}, `y` has {given}"
                )
        return self._known_targets(y, n)

    def _learn_classes(self, y: Any, n: int, dtype: Any, classes: Any) -> Array:
        self._multilabel = _is_matrix(y)
        if self._multilabel:
            targets = _indicators(y, n)
            self.classes_ = np.arange(targets.shape[1])
            return targets.astype(dtype)
        if classes is None:
            self.classes_, labels = _estimator.encode(y, n)
            return labels
        self.classes_, _ = _estimator.encode(classes)
        return _estimator.lookup(y, self.classes_, n)

    def _known_targets(self, y: Any, n: int) -> Array:
        if not self._multilabel:
            return _estimator.lookup(y, self.classes_, n)
        targets = _indicators(y, n)
        if targets.shape[1] != len(self.classes_):
            raise ValueError(
                f"y has {targets.shape[1]} columns, but {len(self.classes_)} labels are known"
            )
        return targets.astype(self._network.dtype)

    def _output_layer(self, y: Array) -> dict[str, Any]:
        if self._multilabel:
            return {"width": len(self.classes_), "output": "sigmoid"}
        if len(self.classes_) <= 2:
            return {"width": 1, "output": "sigmoid"}
        return {"width": len(self.classes_), "output": "softmax"}

    def _require_agreement(self) -> None:
        super()._require_agreement()
        layer = self._output_layer(self.classes_)
        if layer != {"width": self._network.sizes[-1], "output": self._network.output}:
            raise ValueError(
                f"{self._network.sizes[-1]} outputs, {self._network.output}, are not for "
                f"{len(self.classes_)} classes"
            )

    def _row_factors(self, y: Array, weights: Array | None, partial: bool) -> Array | None:
        if self.class_weight is None:
            return weights
        if self._multilabel:
            raise ValueError("class_weight is for one label a row; pass sample_weight instead")
        if partial and isinstance(self.class_weight, str):
            raise ValueError(
                "class_weight='balanced' needs all rows, which partial_fit has not: pass a dict"
            )
        mass = np.bincount(y, weights, len(self.classes_))
        factors = class_factors(self.class_weight, self.classes_, mass)
        assert factors is not None
        rows = factors[y] if weights is None else factors[y] * weights
        return _estimator.weights(rows, len(y), np.float64 if weights is None else weights.dtype)

    def _stratum(self, y: Array) -> tuple[Array | None, Sequence[Any]]:
        # scikit-learn keeps the shares of two classes, and draws from more of them freely.
        if self._multilabel or len(self.classes_) > 2:
            return None, ()
        return y, self.classes_.tolist()

    def _is_right(self, outputs: Array, y: Array) -> Array:
        if self._multilabel:
            return ((outputs > 0.5) == (y > 0.5)).all(axis=1)
        return self._indices(outputs) == y

    def _score_of(self, outputs: Array, y: Array, weights: Array | None) -> float:
        return float(np.average(self._is_right(outputs, y), weights=weights))

    def _indices(self, outputs: Array) -> Array:
        """Return the index of the most probable class of each row."""
        if outputs.shape[1] > 1:
            return outputs.argmax(axis=1)
        if len(self.classes_) == 1:
            return np.zeros(len(outputs), np.int64)
        return (outputs[:, 0] > 0.5).astype(np.int64)

    # Answers

    def predict(self, X: ArrayLike) -> Array:
        """Labels of the most probable classes; of equally probable ones, the first.

        Parameters
        ----------
        X : array_like or sparse matrix (n, d)

        Returns
        -------
        ndarray (n,), dtype of `classes_`; or (n, c) of zeros and ones
            Which labels are more probable than not, if a row may have several.

        Raises
        ------
        TypeError, ValueError
            If the model is not fitted, or X is not (n, d), finite and of numbers.
        """
        outputs = self._answers(X)
        if self._multilabel:
            return (outputs > 0.5).astype(np.int64)
        return self.classes_[self._indices(outputs)]

    def predict_proba(self, X: ArrayLike) -> Array:
        """Probabilities (n, c) of the classes, in the order of `classes_`.

        Parameters
        ----------
        X : array_like or sparse matrix (n, d)

        Returns
        -------
        ndarray (n, c), dtype of the data fitted on

        Raises
        ------
        TypeError, ValueError
            As `predict` does.
        """
        outputs = self._answers(X)
        if outputs.shape[1] > 1:
            return outputs
        if len(self.classes_) == 1:
            return np.ones_like(outputs)
        both = np.empty((len(outputs), 2), outputs.dtype)
        both[:, 1:] = outputs
        np.subtract(1, outputs, out=both[:, :1])
        return both

    def predict_log_proba(self, X: ArrayLike) -> Array:
        """Logarithms of `predict_proba`; -inf for a probability that underflows.

        Parameters
        ----------
        X : array_like or sparse matrix (n, d)

        Returns
        -------
        ndarray (n, c), dtype of the data fitted on

        Raises
        ------
        TypeError, ValueError
            As `predict` does.
        """
        probabilities = self.predict_proba(X)
        with np.errstate(divide="ignore"):
            return np.log(probabilities, out=probabilities)

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the accuracy: the weighted share of the rows whose labels are all predicted.

        Parameters
        ----------
        X : array_like or sparse matrix (n, d)
        y : array_like (n,), or (n, c) of zeros and ones
            True labels.
        sample_weight : array_like (n,), optional
            Weights of the rows.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If X, y or the weights are not such arrays.
        """
        self._require_fitted()
        if not self._multilabel:
            return super().score(X, y, sample_weight)
        outputs = self._answers(X)
        w = _estimator.weights(sample_weight, len(outputs), np.float64)
        return self._score_of(outputs, self._known_targets(y, len(outputs)), w)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
