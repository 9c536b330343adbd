"""What the multilayer perceptrons share: the network, its training, and its outputs."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self, TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _estimator, _mlp_fields, _mlp_random, _mlp_settings, _mlp_training
from ._fields import Kind
from ._mlp_training import Data, Progress
from ._peers import ConvergenceWarning, known_to_peers
from .network import Network
from .runtime import backend_module as _backend
from .runtime import threads_of_call

Array = NDArray[Any]
Method = TypeVar("Method", bound=Callable[..., Any])
Callbacks = Callable[[Progress], Any] | Sequence[Callable[[Progress], Any]]
Validation = tuple[Any, Any, Any]  # X_val, y_val, sample_weight_val

# What scikit-learn calls the activation of the output layer.
_OUT_ACTIVATIONS = {
    "identity": "identity",
    "sigmoid": "logistic",
    "softmax": "softmax",
    "exp": "exp",
}


class _Coefficients(list[Array]):
    """The live arrays of all layers: to put an array in the place of one writes its values there."""

    def __setitem__(self, layer: Any, values: Any) -> None:
        live, given = self[layer], np.asarray(values)
        if given.shape != live.shape:
            raise ValueError(f"layer {layer}: an array {given.shape} given, {live.shape} expected")
        live[...] = given

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (list(self),)


class _OnlyStochastic:
    """The descriptor of such a method."""

    def __init__(self, method: Callable[..., Any]) -> None:
        self._method = method
        self.__doc__ = method.__doc__

    def __get__(self, model: Any, owner: type) -> Any:
        if model is None:
            return self._method
        if model.solver == "lbfgs":
            raise AttributeError(
                "partial_fit is only available for stochastic optimizers. lbfgs is not stochastic."
            )
        return self._method.__get__(model, owner)


def only_stochastic(method: Method) -> Method:
    """Decorate a method that the estimator lacks if its solver is not one of minibatches."""
    return cast(Method, _OnlyStochastic(method))


def _warn(message: str) -> None:
    warnings.warn(message, known_to_peers(ConvergenceWarning), stacklevel=6)


class Perceptron(_estimator.Estimator):
    """What both perceptrons share: the network, its training, and its outputs."""

    _SAVED: ClassVar[dict[str, Kind | None]] = _mlp_fields.SAVED
    _NOT_SAVED = ("callbacks",)
    _network: Network
    _optimizer: Any
    loss_: float
    best_loss_: float | None
    loss_curve_: list[float]
    validation_scores_: list[float] | None
    best_validation_score_: float | None
    converged_: bool
    n_iter_: int
    n_outputs_: int
    t_: int
    warm_start: bool | str
    batch_size: int | str
    num_threads: int | None
    random_state: Any

    # What differs: the meaning of y

    def _learn_targets(self, y: Any, n: int, dtype: Any, first: bool, classes: Any) -> Array:
        """Return y as labels (n,) or targets (n, t), and take down what it says of the classes."""
        raise NotImplementedError

    def _known_targets(self, y: Any, n: int) -> Array:
        """Return the y of validation rows likewise."""
        raise NotImplementedError

    def _output_layer(self, y: Array) -> dict[str, Any]:
        """Return the width of the output layer, its activation and its loss."""
        raise NotImplementedError

    def _score_of(self, outputs: Array, y: Array, weights: Array | None) -> float:
        """Return the score of outputs."""
        raise NotImplementedError

    def _row_factors(self, y: Array, weights: Array | None, partial: bool) -> Array | None:
        """Return the weights of rows with those of their classes."""
        return weights

    def _stratum(self, y: Array) -> tuple[Array | None, Sequence[Any]]:
        """Return what is to be as frequent in validation as in training: class indices, names."""
        return None, ()

    def _reported(self, data: Data) -> tuple[float, float]:
        """Return a factor and a term that make the loss which is reported of the mean loss."""
        return 1.0, 0.0

    # Parameters of the network

    @property
    def coefs_(self) -> list[Array]:
        """Weights W (k, m) of each layer: live arrays; to write into them changes the model."""
        self._require_fitted()
        return _Coefficients(self._network.weights)

    @coefs_.setter
    def coefs_(self, arrays: Sequence[ArrayLike]) -> None:
        self._require_fitted()
        self._network.weights = arrays

    @property
    def intercepts_(self) -> list[Array]:
        """Biases b (m,) of each layer, likewise."""
        self._require_fitted()
        return _Coefficients(self._network.biases)

    @intercepts_.setter
    def intercepts_(self, arrays: Sequence[ArrayLike]) -> None:
        self._require_fitted()
        self._network.biases = arrays

    @property
    def n_layers_(self) -> int:
        """Number of layers, the input and the output among them."""
        self._require_fitted()
        return len(self._network.sizes)

    @property
    def out_activation_(self) -> str:
        """Activation of the output layer."""
        self._require_fitted()
        return _OUT_ACTIVATIONS[self._network.output]

    # Learning

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        validation: Validation,
        *,
        partial: bool = False,
        classes: Any = None,
        starts: tuple[Any, Any] = (None, None),
    ) -> Self:
        settings = _mlp_settings.checked(self)
        first = not hasattr(self, "_network") or not (partial or self.warm_start)
        self._check_validation(settings, validation, partial)
        names = _estimator.feature_names(X) if first else None
        if first:
            x = _estimator.data(X, sparse=True, name=type(self).__name__)
        else:
            x = self._rows_as_fitted(X)
        n = x.shape[0]
        weights = _estimator.weights(sample_weight, n, x.dtype)
        rng = _mlp_random.source(self.random_state)
        with (
            threads_of_call(settings.num_threads),
            _mlp_training.restored_on_failure(self, partial),
        ):
            targets = self._learn_targets(y, n, x.dtype, first, classes)
            data = Data(x, targets, self._row_factors(targets, weights, partial))
            if first:
                self._new_network(settings, data, rng, starts)
                self._learn_features(x.shape[1], names)
            else:
                self._require_same_network(settings, data)
                self._set_starts(starts)
            data, held_out = self._divided(settings, data, validation, rng)
            self._train(settings, data, held_out, rng, partial)
        return self

    def _check_validation(
        self, settings: _mlp_settings.Settings, validation: Validation, partial: bool
    ) -> None:
        x, y, w = validation
        if (x is None) != (y is None):
            given, missing = ("X_val", "y_val") if y is None else ("y_val", "X_val")
            raise ValueError(f"{given} is given without {missing}; validation needs both")
        if w is not None and x is None:
            raise ValueError("sample_weight_val is given without X_val and y_val")
        if partial and settings.early_stopping and x is None:
            raise ValueError(
                "partial_fit does not support early_stopping=True with rows of its own choice: pass "
                "X_val and y_val, or set early_stopping=False"
            )

    def _rows_as_fitted(self, X: Any) -> Any:
        """Return rows for the network that is there, checked, in its dtype."""
        x = self._rows(X, sparse=True)
        _estimator.require_numbers(x)
        return self._cast(x)

    def _new_network(
        self,
        settings: _mlp_settings.Settings,
        data: Data,
        rng: _mlp_random.Source,
        starts: tuple[Any, Any],
    ) -> None:
        layer = self._output_layer(data.y)
        self.n_outputs_ = layer.pop("width")
        sizes = (data.x.shape[1], *settings.hidden, self.n_outputs_)
        dtype = data.x.dtype
        network = Network(sizes, activation=settings.activation, dtype=dtype, rng=0, **layer)
        weights, biases = _mlp_random.initial_parameters(rng, sizes, settings.draws_as)
        network.weights = [w.astype(dtype) for w in weights]
        network.biases = [b.astype(dtype) for b in biases]
        self._network = network
        for name in ("_optimizer", "_optimizer_made_of", "_optimizer_state", "_best_parameters"):
            self.__dict__.pop(name, None)
        self.__dict__.pop("converged_", None)
        self.n_iter_ = self.t_ = self._no_improvement_count = 0
        self.loss_curve_ = []
        self.best_loss_ = self.validation_scores_ = self.best_validation_score_ = None
        self._set_starts(starts)

    def _require_same_network(self, settings: _mlp_settings.Settings, data: Data) -> None:
        """Raise if the network that is there is not the one that is asked for."""
        layer = self._output_layer(data.y)
        sizes = (data.x.shape[1], *settings.hidden, layer.pop("width"))
        there = self._network
        for name, asked in layer.items():
            if asked != (fitted := getattr(there, name)):
                raise ValueError(
                    f"the network fitted before has {name}={fitted!r}; it cannot go on with "
                    f"{name}={asked!r}: fit with warm_start=False"
                )
        asked = sizes, settings.activation
        if asked != (there.sizes, there.activation):
            raise ValueError(
                f"the network fitted before has layers {there.sizes} and hidden activations "
                f"{there.activation}; it cannot go on as {asked[0]}, {asked[1]}: fit with "
                "warm_start=False"
            )

    def _set_starts(self, starts: tuple[Any, Any]) -> None:
        """Write the weights and biases that fit was given to start from."""
        for name, arrays, live in zip(
            ("coefs_init", "intercepts_init"),
            starts,
            (self._network._engine.weights, self._network._engine.biases),
        ):
            if arrays is None:
                continue
            given, layers = [np.asarray(a) for a in arrays], live()
            shapes, expected = [a.shape for a in given], [p.shape for p in layers]
            if shapes != expected:
                raise ValueError(f"{name} has arrays of shapes {shapes}, expected {expected}")
            for p, a in zip(layers, given):
                if a.dtype.kind not in "biuf" or not np.isfinite(a).all():
                    raise ValueError(f"{name} must hold finite numbers")
                p[...] = a

    def _divided(
        self,
        settings: _mlp_settings.Settings,
        data: Data,
        validation: Validation,
        rng: _mlp_random.Source,
    ) -> tuple[Data, Data | None]:
        """Return the rows for training and those for validation, given or drawn."""
        X_val, y_val, weights = validation
        if X_val is not None:
            x = self._rows_as_fitted(X_val)
            y = self._known_targets(y_val, x.shape[0])
            return data, Data(x, y, _estimator.weights(weights, x.shape[0], x.dtype))
        if not settings.early_stopping or settings.solver == "lbfgs":
            return data, None
        labels, names = self._stratum(data.y)
        fraction = settings.validation_fraction
        train, held_out = _mlp_random.split(rng, len(data.y), fraction, labels, names)
        return data.rows(train), data.rows(held_out)

    def _train(
        self,
        settings: _mlp_settings.Settings,
        data: Data,
        validation: Data | None,
        rng: _mlp_random.Source,
        partial: bool,
    ) -> None:
        with self._network._exclusive("train"):
            if settings.solver == "lbfgs":
                _mlp_training.full_batch(self, settings, data, validation, _warn)
                return
            if not isinstance(self.batch_size, str) and self.batch_size > len(data.y):
                warnings.warn(
                    f"batch_size={self.batch_size} is larger than the number of rows, "
                    f"{len(data.y)}: all of them are one batch",
                    stacklevel=4,
                )
            resume = partial or settings.keeps_optimizer
            _mlp_training.optimizer(self, settings, resume, rng)
            _mlp_training.stochastic(self, settings, data, validation, rng, partial, _warn)

    # Outputs

    def _outputs(self, x: Any) -> Array:
        """Return the outputs (n, m) of the network for checked rows."""
        outputs: Array = self._network._engine.forward(x)
        return outputs

    def _answers(self, X: Any) -> Array:
        """Return the outputs (n, m) of the fitted network for X."""
        self._require_fitted()
        x = self._rows(X, sparse=True)
        if not _backend.all_finite(x if isinstance(x, np.ndarray) else x.data):
            _estimator.require_numbers(x)
        if self.num_threads is None:
            return self._outputs(self._cast(x))
        with threads_of_call(self.num_threads):
            return self._outputs(self._cast(x))

    def _cast(self, x: Any) -> Any:
        """Return rows in the dtype of the network."""
        dtype = self._network._dtype
        return x if x.dtype == dtype else x.astype(dtype)

    # Files and pickles

    @classmethod
    def _fields(cls, state: Mapping[str, Any]) -> dict[str, Kind]:
        fields = super()._fields(state)
        return fields | _mlp_fields.of_network(state.get("_network")) if fields else fields

    def _saved(self) -> dict[str, Any]:
        return self.__getstate__()

    def _require_agreement(self) -> None:
        sizes = self._network.sizes
        if (sizes[0], sizes[-1]) != (self.n_features_in_, self.n_outputs_):
            raise ValueError(
                f"a network {sizes} is not for {self.n_features_in_} features and "
                f"{self.n_outputs_} outputs"
            )
        _mlp_fields.require_states(
            self.__dict__.get("_optimizer_made_of"), self.__dict__.get("_optimizer_state")
        )

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        if "_optimizer" in state:
            state["_optimizer_state"] = _mlp_training.optimizer_state(self)
            del state["_optimizer"]
        return state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
