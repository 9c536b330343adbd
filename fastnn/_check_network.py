"""Argument checks of `fastnn.Network`, in the manner of `_check`."""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from . import _sparse
from ._check import (
    ACTIVATIONS,
    DTYPES,
    Array,
    array,
    counts,
    labels_or_targets,
    n_label_values,
    no_overlap,
    one_of,
    out_array,
    weights,
)

SOLVERS = ("sgd", "momentum", "nesterov", "adam", "lbfgs")
# How many arrays the optimiser keeps for a parameter.
STATES = {"sgd": 0, "momentum": 1, "nesterov": 1, "adam": 2}
# The losses that an output may have, the usual one first, and the functions that compute them.
LOSSES = {
    "softmax": {"softmax_cross_entropy": "softmax_cross_entropy"},
    "sigmoid": {"sigmoid_cross_entropy": "sigmoid_cross_entropy"},
    "identity": {
        "squared_error": "squared_error",
        "huber": "huber_loss",
        "absolute": "absolute_error",
    },
    "exp": {"poisson": "poisson_loss"},
}
HIDDEN_ACTIVATIONS = ACTIVATIONS[:-1]


def float_dtype(dtype: Any) -> np.dtype[Any]:
    """Return float32 or float64 as a NumPy dtype."""
    try:
        checked = np.dtype(dtype)
    except TypeError:
        checked = np.dtype(object)
    if dtype is None or checked not in DTYPES:  # NumPy takes None for float64
        raise TypeError(f"dtype must be 'float32' or 'float64', not {dtype!r}")
    return checked


def layer_sizes(sizes: Sequence[int]) -> tuple[int, ...]:
    """Return the widths of the input, the hidden layers and the output."""
    try:
        checked = tuple(operator.index(size) for size in sizes)
    except TypeError:
        raise TypeError(f"sizes must be a sequence of integers, not {sizes!r}") from None
    if len(checked) < 2 or min(checked) < 1:
        raise ValueError(f"sizes {checked}: at least two layers, each at least 1 wide, expected")
    if max(checked) > sys.maxsize:
        raise ValueError(f"sizes {checked}: widths of at most {sys.maxsize} expected")
    return checked


def hidden_activations(activation: str | Sequence[str], n_hidden: int) -> tuple[str, ...]:
    """Return one name for each hidden layer."""
    names = (activation,) * max(n_hidden, 1) if isinstance(activation, str) else tuple(activation)
    checked = tuple(one_of("activation", a, HIDDEN_ACTIVATIONS) for a in names)
    if isinstance(activation, str):
        return checked[:n_hidden]
    if len(checked) != n_hidden:
        raise ValueError(f"{len(checked)} activations given for {n_hidden} hidden layers")
    return checked


def parameter(name: str, value: ArrayLike, like: Array) -> Array:
    """Return a copy of `value`, since that may be a view of a parameter."""
    a = array(name, value, like.ndim)
    if a.dtype != like.dtype:
        raise TypeError(f"{name} is {a.dtype} but the network is {like.dtype}")
    if a.shape != like.shape:
        raise ValueError(f"{name} has shape {a.shape}, expected {like.shape}")
    return a.copy()


def _whole(name: str, value: Any, least: int) -> int:
    """Return an integer of at least `least`."""
    try:
        checked = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, not {value!r}") from None
    if checked < least:
        raise ValueError(f"{name} is {checked}: it must be at least {least}")
    return checked


def integer(name: str, value: Any, least: int) -> int:
    """Return an integer of at least `least`, and no larger than the compiled kernels can count."""
    checked = _whole(name, value, least)
    if checked > sys.maxsize:
        raise ValueError(f"{name} is {checked}: it must be at most {sys.maxsize}")
    return checked


def positive(name: str, value: Any) -> float:
    """Return a finite number above 0."""
    return number(name, value, "finite and positive", lambda v: v > 0)


def loss_name(output: str, loss: str | None) -> str:
    """Return the loss of an output, the usual one for None."""
    names = tuple(LOSSES[output])
    return names[0] if loss is None else one_of(f"loss of output={output!r}", loss, names)


def loss_function(output: str, loss: str | None) -> str:
    """Return the name of the function that computes it."""
    return LOSSES[output][loss_name(output, loss)]


def dropout_rates(dropout: float | Sequence[float], n_hidden: int) -> tuple[float, ...]:
    """Return one rate for each hidden layer, or none where nothing is dropped."""
    same = np.ndim(dropout) == 0
    given = (dropout,) * max(n_hidden, 1) if same else tuple(dropout)  # type: ignore[arg-type]
    rates = tuple(number("dropout", rate, "in [0, 1)", lambda r: 0 <= r < 1) for rate in given)
    if not same and len(rates) != n_hidden:
        raise ValueError(f"{len(rates)} rates of dropout given for {n_hidden} hidden layers")
    return rates[:n_hidden] if any(rates) else ()


def threads(value: Any) -> int:
    """Return a number of threads that fits an int; the C core has its own, lower limit."""
    return min(_whole("num_threads", value, 1), 2**31 - 1)


def number(name: str, value: Any, wanted: str, valid: Callable[[float], bool]) -> float:
    """Return a finite number in the range that `wanted` says in words."""
    try:
        checked = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number, not {value!r}") from None
    if not (math.isfinite(checked) and valid(checked)):
        raise ValueError(f"{name} is {checked}: it must be {wanted}")
    return checked


def optimizer_state(
    state: Any, n_states: int, sizes: tuple[int, ...], dtype: np.dtype[Any]
) -> tuple[int, list[list[Array]]]:
    """Return the steps and the arrays of an optimiser's state, each [W_1, b_1, W_2, b_2, ...]."""
    steps = integer("steps", state["steps"], 0)
    if len(state["states"]) != n_states:
        raise ValueError(f"{len(state['states'])} states given, expected {n_states}")
    shapes = [shape for k, m in zip(sizes, sizes[1:]) for shape in ((k, m), (m,))]
    states = []
    for s, arrays in enumerate(state["states"]):
        if len(arrays) != len(shapes):
            raise ValueError(f"states[{s}]: {len(arrays)} arrays given, expected {len(shapes)}")
        checked = [array(f"states[{s}][{i}]", a, np.ndim(a)) for i, a in enumerate(arrays)]
        for i, (a, shape) in enumerate(zip(checked, shapes)):
            if a.dtype != dtype:
                raise TypeError(f"states[{s}][{i}] is {a.dtype} but the network is {dtype}")
            if a.shape != shape:
                raise ValueError(f"states[{s}][{i}] has shape {a.shape}, expected {shape}")
        states.append(checked)
    return steps, states


def generator(rng: Any) -> np.random.Generator:
    """Return the generator, or a new one from a seed or from the system's entropy."""
    try:
        return np.random.default_rng(rng)
    except TypeError:
        raise TypeError(f"rng must be None, an int or a numpy Generator, not {rng!r}") from None


def rows(x: Any, k: int, dtype: np.dtype[Any], ndim: int | tuple[int, ...]) -> Any:
    """Return the checked input (n, k), or (k,) where rank 1 is allowed, of a network.

    A sparse matrix becomes `Csr`.
    """
    x = _sparse.from_scipy(x, "x") if _sparse.is_sparse(x) else array("x", x, ndim)
    if x.dtype != dtype:
        raise TypeError(f"x is {x.dtype} but the network is {dtype}; use x.astype({dtype.name!r})")
    if x.shape[-1] != k:
        raise ValueError(f"x has shape {x.shape}, expected {k} columns, one for each input")
    return x


def loss_data(
    function: str, sizes: tuple[int, ...], dtype: np.dtype[Any], x: Any, y: Any, sample_weight: Any
) -> tuple[Array, Array, Array | None]:
    """Check the rows of a loss. Returns x (n, k), labels (n,) or targets (n, c), weights (n,)."""
    x = rows(x, sizes[0], dtype, 2)
    n, c = len(x), sizes[-1]
    if n == 0:
        raise ValueError(f"x {x.shape} has no rows to take the mean over")
    labels, targets = labels_or_targets(y, n, c, dtype, n_label_values(function, c))
    if function == "poisson_loss":
        counts(targets)
    target = targets if labels is None else labels
    assert target is not None  # one of the two is given
    return x, target, weights(sample_weight, n, dtype)


def forward(x: Any, out: Any, weights_: Sequence[Array], biases: Sequence[Array]) -> Array:
    """Return the rows x, (n, k) or (k,), for a network of these parameters; `out` may be None."""
    given, dtype = x, weights_[0].dtype
    x = rows(x, weights_[0].shape[0], dtype, (1, 2))
    if out is not None:
        out_array("out", out, (*x.shape[:-1], weights_[-1].shape[1]), dtype)
        for layer, (w, b) in enumerate(zip(weights_, biases)):
            no_overlap("out", out, **{f"weights[{layer}]": w, f"biases[{layer}]": b})
        no_overlap("out", out, x=x.data if isinstance(x, _sparse.Csr) else given)
    return x
