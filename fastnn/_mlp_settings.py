"""The parameters of a multilayer perceptron, checked and in the terms of the training."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from ._check import one_of
from ._check_network import integer, number, threads

SOLVERS = ("adam", "sgd", "lbfgs")
SCHEDULES = ("constant", "invscaling", "adaptive")
WARM_STARTS = "True, False or 'optimizer'"
AUTO_BATCH = 200

# What a network calls the activations.
_ACTIVATIONS = {
    "identity": "identity",
    "logistic": "sigmoid",
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "relu": "relu",
}


class Settings(NamedTuple):
    """What one fit goes by."""

    hidden: tuple[int, ...]
    activation: tuple[str, ...]  # of each hidden layer, as a network calls it
    draws_as: tuple[str, ...]  # the activation that each layer's initial weights are drawn for
    solver: str  # a network's: adam, sgd, momentum, nesterov, lbfgs
    alpha: float
    batch_size: int
    schedule: str
    learning_rate: float
    power_t: float
    max_iter: int
    shuffle: bool
    tol: float
    verbose: int
    momentum: float
    early_stopping: bool
    validation_fraction: float
    beta_1: float
    beta_2: float
    epsilon: float
    n_iter_no_change: float
    max_fun: int
    dropout: tuple[float, ...]
    max_time: float
    callbacks: tuple[Callable[..., Any], ...]
    num_threads: int | None
    keeps_optimizer: bool

    def optimizer(self) -> tuple[Any, ...]:
        """Return what an optimiser is made of: one made of the same can go on."""
        return (
            self.solver,
            self.learning_rate,
            self.momentum,
            self.alpha,
            self.batch_size,
            self.beta_1,
            self.beta_2,
            self.epsilon,
            self.dropout,
        )


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, not {value!r}")
    return bool(value)


def _verbosity(value: Any) -> int:
    return int(value) if isinstance(value, (bool, np.bool_)) else integer("verbose", value, 0)


def _at_least_0(name: str, value: Any) -> float:
    return number(name, value, "finite and at least 0", lambda v: v >= 0)


def _positive(name: str, value: Any) -> float:
    return number(name, value, "finite and positive", lambda v: v > 0)


def _below_1(name: str, value: Any) -> float:
    return number(name, value, "in [0, 1)", lambda v: 0 <= v < 1)


def _up_to_infinity(name: str, value: Any, checked: Callable[[str, Any], float]) -> float:
    infinite = isinstance(value, (float, np.floating)) and value == math.inf
    return math.inf if infinite else checked(name, value)


def _hidden_sizes(sizes: Any) -> tuple[int, ...]:
    try:
        given = list(sizes)
    except TypeError:
        given = [sizes]
    checked = tuple(integer("hidden_layer_sizes", size, -(2**62)) for size in given)
    if any(size < 1 for size in checked):
        raise ValueError(f"hidden_layer_sizes must be > 0, got {list(checked)}")
    return checked


def _for_each_layer(name: str, value: Any, n: int, single: bool) -> tuple[Any, ...]:
    """Return one value for each hidden layer, of a single one or of a sequence."""
    if single:
        return (value,) * n
    values = tuple(value)
    if len(values) != n:
        raise ValueError(f"{name} has {len(values)} values for {n} hidden layers")
    return values


def _activations(activation: Any, n_hidden: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the activation of each hidden layer, and whose weights each layer's are drawn as."""
    single = isinstance(activation, str)
    if not single and not isinstance(activation, Iterable):
        raise TypeError(f"activation must be a name or one for each layer, not {activation!r}")
    given = _for_each_layer(
        "activation", activation, max(n_hidden, 1) if single else n_hidden, single
    )
    names = tuple(_ACTIVATIONS[one_of("activation", a, tuple(_ACTIVATIONS))] for a in given)
    hidden = names[:n_hidden]
    return hidden, (*hidden, names[-1] if names else "identity")


def _dropout(dropout: Any, n_hidden: int, solver: str) -> tuple[float, ...]:
    rates = _for_each_layer("dropout", dropout, n_hidden, not np.iterable(dropout))
    rates = tuple(_below_1("dropout", rate) for rate in rates)
    if not any(rates):
        return ()
    if solver == "lbfgs":
        raise ValueError("dropout is for steps on minibatches: solver='adam' or 'sgd', not 'lbfgs'")
    return rates


def _callbacks(callbacks: Any) -> tuple[Callable[..., Any], ...]:
    if callbacks is None:
        return ()
    given = (callbacks,) if callable(callbacks) else tuple(callbacks)
    for callback in given:
        if not callable(callback):
            raise TypeError(f"callbacks must be functions, not {callback!r}")
    return given


def _solver(model: Any, momentum: float) -> str:
    solver = one_of("solver", model.solver, SOLVERS)
    nesterov = _flag("nesterovs_momentum", model.nesterovs_momentum)
    if solver != "sgd" or momentum == 0:
        return solver
    return "nesterov" if nesterov else "momentum"


def checked(model: Any) -> Settings:
    """Return the settings of an estimator; raise for the first parameter that is not valid."""
    hidden = _hidden_sizes(model.hidden_layer_sizes)
    activation, draws_as = _activations(model.activation, len(hidden))
    momentum = number("momentum", model.momentum, "in [0, 1]", lambda m: 0 <= m <= 1)
    solver = _solver(model, momentum)
    auto = isinstance(model.batch_size, str)
    if auto:
        one_of("batch_size", model.batch_size, ("auto",))
    keeps = isinstance(model.warm_start, str)
    if keeps and model.warm_start != "optimizer":
        raise ValueError(f"warm_start is {model.warm_start!r}: it must be {WARM_STARTS}")
    if not keeps:
        _flag("warm_start", model.warm_start)
    return Settings(
        hidden=hidden,
        activation=activation,
        draws_as=draws_as,
        solver=solver,
        alpha=_at_least_0("alpha", model.alpha),
        batch_size=AUTO_BATCH if auto else integer("batch_size", model.batch_size, 1),
        schedule=one_of("learning_rate", model.learning_rate, SCHEDULES),
        learning_rate=_positive("learning_rate_init", model.learning_rate_init),
        power_t=_at_least_0("power_t", model.power_t),
        max_iter=integer("max_iter", model.max_iter, 1),
        shuffle=_flag("shuffle", model.shuffle),
        tol=_at_least_0("tol", model.tol),
        verbose=_verbosity(model.verbose),
        momentum=momentum,
        early_stopping=_flag("early_stopping", model.early_stopping),
        validation_fraction=_below_1("validation_fraction", model.validation_fraction),
        beta_1=_below_1("beta_1", model.beta_1),
        beta_2=_below_1("beta_2", model.beta_2),
        epsilon=_positive("epsilon", model.epsilon),
        n_iter_no_change=_up_to_infinity(
            "n_iter_no_change", model.n_iter_no_change, lambda name, v: integer(name, v, 1)
        ),
        max_fun=integer("max_fun", model.max_fun, 1),
        dropout=_dropout(model.dropout, len(hidden), solver),
        max_time=math.inf
        if model.max_time is None
        else _up_to_infinity("max_time", model.max_time, _positive),
        callbacks=_callbacks(model.callbacks),
        num_threads=None if model.num_threads is None else threads(model.num_threads),
        keeps_optimizer=keeps,
    )
