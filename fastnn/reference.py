"""NumPy oracles: the functions of `fastnn.kernels`, same signatures, written as the formula.

They are the meaning of the compiled kernels; FASTNN_BACKEND=numpy runs the whole package on them.
Arrays keep their dtype; losses are computed in float64, and only their gradient is rounded to the
dtype of z.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _check, _check_network, _dropout
from ._model_reference import (  # noqa: F401 - the kernels, and what the estimators rest on
    Gaussians,
    add_moments,
    all_finite,
    cholesky,
    cholesky_factors,
    cholesky_solve,
    class_moments,
    dot,
    gaussian_logpdf,
    gaussian_moments,
    linear_loss,
    linear_terms,
    log_softmax,
    logsumexp,
    paired_logpdf,
    triangular_inverse,
)
from ._numpy_rows import ACTIVATION, DELTA, delivered, mean_loss, quiet
from ._numpy_rows import sigmoid as _sigmoid
from ._numpy_rows import softmax as _softmax
from ._sparse_reference import (  # noqa: F401 - likewise
    affine,
    sparse_check,
    sparse_forward,
    sparse_transpose,
    transposed_product,
)

__all__ = [
    "absolute_error",
    "cholesky_factors",
    "dense_backward",
    "dense_forward",
    "gaussian_logpdf",
    "gaussian_moments",
    "huber_loss",
    "linear_loss",
    "log_softmax",
    "logsumexp",
    "poisson_loss",
    "sigmoid",
    "sigmoid_cross_entropy",
    "softmax",
    "softmax_cross_entropy",
    "squared_error",
]

Array = NDArray[Any]
Masks = Sequence[Array]  # of each hidden layer, or none


_threads = 1


def available_isas() -> tuple[str, ...]:
    """Name the instruction sets of this backend."""
    return ("numpy",)


def isa() -> str:
    """Name the instruction set in use."""
    return "numpy"


def get_num_threads() -> int:
    """Return what was set; NumPy has threads of its own, which this does not reach."""
    return _threads


def set_num_threads(threads: int) -> None:
    """Note how many threads are wanted."""
    global _threads
    _threads = threads


def use_threads(threads: int) -> int:
    """Note nothing."""
    return 0


def set_isa(name: str) -> None:
    """Accept the only instruction set that there is."""
    _check.one_of("instruction set", name, available_isas())


# The mirror of fastnn.kernels


@quiet
def sigmoid(x: ArrayLike, *, out: Array | None = None) -> Array:
    """1 / (1 + exp(-x)), elementwise."""
    x = _check.elementwise("sigmoid", x, out)
    return delivered(_sigmoid(x), out)


@quiet
def softmax(x: ArrayLike, *, out: Array | None = None) -> Array:
    """exp(x_j) / sum_j exp(x_j) over the last axis."""
    x = _check.elementwise("softmax", x, out)
    return delivered(_softmax(x), out)


@quiet
def dense_forward(
    x: ArrayLike,
    w: ArrayLike,
    b: ArrayLike | None = None,
    *,
    activation: str = "identity",
    out: Array | None = None,
) -> Array:
    """act(x w + b)."""
    x, w, b = _check.dense_forward(x, w, b, activation, out)
    z = x @ w
    return delivered(ACTIVATION[activation](z if b is None else z + b), out)


@quiet
def dense_backward(
    x: ArrayLike,
    w: ArrayLike,
    y: ArrayLike,
    dy: ArrayLike,
    *,
    activation: str = "identity",
    needs: Iterable[str] = ("dx", "dw", "db"),
    out: tuple[Array | None, Array | None, Array | None] | None = None,
) -> tuple[Array | None, Array | None, Array | None]:
    """delta = dy * act'(y); dx = delta w^T, dw = x^T delta, db = column sums of delta."""
    needs = _check.needed(needs)
    x, w, y, dy = _check.dense_backward(x, w, y, dy, activation, needs, out)
    delta = DELTA[activation](y, dy)
    dx, dw, db = out or (None, None, None)
    return (
        delivered(delta @ w.T, dx) if "dx" in needs else None,
        delivered(x.T @ delta, dw) if "dw" in needs else None,
        delivered(delta.sum(axis=0), db) if "db" in needs else None,
    )


@quiet
def _loss(
    fn: str,
    z: ArrayLike,
    y: ArrayLike,
    sample_weight: ArrayLike | None,
    out: Array | None,
    delta: float = 1.0,
) -> tuple[float, Array]:
    z, labels, targets, weights = _check.loss(fn, z, y, sample_weight, out)
    target = targets if labels is None else labels
    assert target is not None  # one of the two is given
    value, dz = mean_loss(fn, z, target, weights, delta)
    return value, delivered(dz, out)


def softmax_cross_entropy(
    z: ArrayLike,
    y: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    out: Array | None = None,
) -> tuple[float, Array]:
    """Weighted mean of sum_j y_ij (log(sum exp z_i) - z_ij), and its gradient."""
    return _loss("softmax_cross_entropy", z, y, sample_weight, out)


def sigmoid_cross_entropy(
    z: ArrayLike,
    y: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    out: Array | None = None,
) -> tuple[float, Array]:
    """Weighted mean of -sum_j y_ij log p_ij + (1 - y_ij) log(1 - p_ij), and its gradient."""
    return _loss("sigmoid_cross_entropy", z, y, sample_weight, out)


def squared_error(
    z: ArrayLike,
    y: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    out: Array | None = None,
) -> tuple[float, Array]:
    """Weighted mean of 1/2 sum_j (z_ij - y_ij)^2, and its gradient."""
    return _loss("squared_error", z, y, sample_weight, out)


def poisson_loss(
    z: ArrayLike,
    y: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    out: Array | None = None,
) -> tuple[float, Array]:
    """Weighted mean of sum_j exp(z_ij) - y_ij z_ij, and its gradient."""
    return _loss("poisson_loss", z, y, sample_weight, out)


def huber_loss(
    z: ArrayLike,
    y: ArrayLike,
    *,
    delta: float = 1.0,
    sample_weight: ArrayLike | None = None,
    out: Array | None = None,
) -> tuple[float, Array]:
    """Weighted mean of sum_j h(z_ij - y_ij), h(r) = min(r, delta)(r - min(r, delta)/2) of |r|."""
    return _loss("huber_loss", z, y, sample_weight, out, _check_network.positive("delta", delta))


def absolute_error(
    z: ArrayLike,
    y: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    out: Array | None = None,
) -> tuple[float, Array]:
    """Weighted mean of sum_j |z_ij - y_ij|, and its gradient."""
    return _loss("absolute_error", z, y, sample_weight, out)


# The engine of fastnn.Network


def _sgd(p: Array, g: Array, state: list[Array], h: dict[str, float]) -> None:
    p -= h["learning_rate"] * g


def _momentum(p: Array, g: Array, state: list[Array], h: dict[str, float]) -> None:
    (v,) = state
    v[...] = h["momentum"] * v - h["learning_rate"] * g
    p += v


def _nesterov(p: Array, g: Array, state: list[Array], h: dict[str, float]) -> None:
    (v,) = state
    v[...] = h["momentum"] * v - h["learning_rate"] * g
    p += h["momentum"] * v - h["learning_rate"] * g


def _adam(p: Array, g: Array, state: list[Array], h: dict[str, float]) -> None:
    m, v = state
    b1, b2, eps, t = h["beta_1"], h["beta_2"], h["epsilon"], h["step"]
    m[...] = b1 * m + (1 - b1) * g
    v[...] = b2 * v + (1 - b2) * g**2
    rate = h["learning_rate"] * (1 - b2**t) ** 0.5 / (1 - b1**t)
    p -= rate * m / (np.sqrt(v) + eps)


_UPDATE = {"sgd": _sgd, "momentum": _momentum, "nesterov": _nesterov, "adam": _adam}


def _read_only(a: Array) -> Array:
    view = a.view()
    view.flags.writeable = False
    return view


class NetworkCall:
    """A network as a function: the base of `fastnn.Network`."""

    __slots__ = ("_engine",)
    _engine: NetworkEngine

    def __call__(
        self, x: ArrayLike, *, out: Array | None = None, num_threads: int | None = None
    ) -> Array:
        """Outputs of the network; see `fastnn.Network`."""
        if num_threads is not None:
            _check_network.threads(num_threads)
        return self._engine.forward(x, out)


class NetworkEngine:
    """The arithmetic of `fastnn.Network`, which has checked the arguments but those of forward."""

    def __init__(
        self,
        sizes: tuple[int, ...],
        activations: tuple[str, ...],
        output: str,
        dtype: np.dtype[Any],
        loss: str | None = None,
        huber_delta: float = 1.0,
    ) -> None:
        self._weights = [np.zeros((k, m), dtype) for k, m in zip(sizes, sizes[1:])]
        self._biases = [np.zeros(m, dtype) for m in sizes[1:]]
        self._hidden = activations
        self._output = output
        self._loss = _check_network.loss_function(output, loss)
        self._huber_delta = huber_delta

    def weights(self, writable: bool = True) -> list[Array]:
        """Live arrays, or, not writable, views of them."""
        return [w if writable else _read_only(w) for w in self._weights]

    def biases(self, writable: bool = True) -> list[Array]:
        """Live arrays, likewise."""
        return [b if writable else _read_only(b) for b in self._biases]

    @quiet
    def _layers(self, x: Array, output: str, masks: Masks = ()) -> list[Array]:
        """Return [x, a_1, ..., a_L], a_l = act(a_{l-1} W_l + b_l); `output` names the last act.

        With masks a layer takes a_{l-1} mask_{l-1}.
        """
        a, below = [x], x
        for layer, name in enumerate((*self._hidden, output)):
            a.append(ACTIVATION[name](affine(below, self._weights[layer], self._biases[layer])))
            below = a[-1] * masks[layer] if layer < len(masks) else a[-1]
        return a

    def forward(self, x: ArrayLike, out: Array | None = None) -> Array:
        """Outputs (n, m) of x (n, k), or (m,) of (k,); checks both."""
        x = _check_network.forward(x, out, self._weights, self._biases)
        return delivered(self._layers(x, self._output)[-1], out)

    def activations(self, x: Array) -> list[Array]:
        """The output of every layer."""
        return self._layers(x, self._output)[1:]

    @quiet
    def terms(
        self,
        x: Array,
        y: Array,
        alpha: float,
        sample_weight: Array | None,
        masks: Masks = (),
    ) -> tuple[float, float, list[tuple[Array, Array]]]:
        """Mean loss, alpha/2 sum W^2, and the gradient (dW, db) of their sum by each layer."""
        *a, z = self._layers(x, "identity", masks)
        loss, delta = mean_loss(self._loss, z, y, sample_weight, self._huber_delta)
        squares, gradients = 0.0, []
        for layer in reversed(range(len(self._weights))):
            w = self._weights[layer]
            mask = masks[layer - 1] if layer and masks else None
            below = a[layer] if mask is None else a[layer] * mask
            dw = transposed_product(below, delta)
            if alpha:
                dw += alpha * w
                squares += float((w.astype(np.float64) ** 2).sum())
            gradients.append((dw, delta.sum(axis=0)))
            if layer:
                delta = DELTA[self._hidden[layer - 1]](a[layer], delta @ w.T)
                delta = delta if mask is None else delta * mask
        return loss, 0.5 * alpha * squares, gradients[::-1]

    def gradients(
        self, x: Array, y: Array, alpha: float, sample_weight: Array | None
    ) -> tuple[float, list[tuple[Array, Array]]]:
        """Mean loss + alpha/2 sum W^2, and its gradient (dW, db) of each layer."""
        loss, penalty, gradients = self.terms(x, y, alpha, sample_weight)
        return loss + penalty, gradients

    def training(
        self,
        solver: str,
        learning_rate: float,
        momentum: float,
        alpha: float,
        batch_size: int,
        *,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        per_batch_alpha: bool = False,
        dropout: Sequence[float] = (),
        seed: int = 0,
    ) -> Training:
        """Start a training with a fresh optimiser.

        With per_batch_alpha the penalty of a minibatch is alpha / (2 * sum of its weights) sum W^2.
        dropout has a rate for each hidden layer, or is empty.
        """
        if len(dropout) not in (0, len(self._hidden)):
            raise ValueError(f"dropout {dropout}: {len(self._hidden)} rates expected")
        if not all(0 <= rate < 1 for rate in dropout):
            raise ValueError(f"dropout {dropout}: rates must be in [0, 1)")
        hyper = {"learning_rate": learning_rate, "momentum": momentum, "step": 0}
        hyper |= {"beta_1": beta_1, "beta_2": beta_2, "epsilon": epsilon}
        training = Training(self, solver, hyper, alpha, batch_size, per_batch_alpha)
        training.dropout, training.seed = tuple(dropout), seed
        return training


class Training:
    """The optimiser's state and the loop over minibatches."""

    dropout: tuple[float, ...] = ()
    seed = 0

    def __init__(
        self,
        engine: NetworkEngine,
        solver: str,
        hyper: dict[str, float],
        alpha: float,
        batch_size: int,
        per_batch_alpha: bool,
    ) -> None:
        self._engine, self._alpha, self._batch_size = engine, alpha, batch_size
        self._update, self._hyper = _UPDATE[solver], hyper
        self._per_batch_alpha = per_batch_alpha
        self.loss = 0.0  # of the last epoch: the mean over its minibatches, with the penalty
        pairs = zip(engine.weights(), engine.biases())
        self._parameters = [p for pair in pairs for p in pair]
        n_states = _check_network.STATES[solver]
        self._states = [[np.zeros_like(p) for p in self._parameters] for _ in range(n_states)]

    @property
    def learning_rate(self) -> float:
        """The rate of the next step; may be set between epochs."""
        return self._hyper["learning_rate"]

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        self._hyper["learning_rate"] = value

    @property
    def steps(self) -> int:
        """How many steps the optimiser has taken, t of Adam."""
        return int(self._hyper["step"])

    def state(self) -> dict[str, Any]:
        """What the optimiser keeps, copied: "steps", and "states", [W_1, b_1, ...] each."""
        return {"steps": self.steps, "states": [[a.copy() for a in s] for s in self._states]}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from what `state` returned, of any training of this solver and these sizes."""
        weights = self._parameters[::2]
        sizes = (*(len(w) for w in weights), weights[-1].shape[1])
        steps, states = _check_network.optimizer_state(
            state, len(self._states), sizes, weights[0].dtype
        )
        self._states = [[a.copy() for a in arrays] for arrays in states]
        self._hyper["step"] = steps

    def keep(self) -> None:
        """Keep a copy of the parameters as they are now."""
        self._kept = [p.copy() for p in self._parameters]

    def restore(self) -> None:
        """Put it back."""
        for p, value in zip(self._parameters, self._kept):
            p[...] = value

    def all_finite(self) -> bool:
        """Whether no parameter is infinite or NaN."""
        return all(bool(np.isfinite(p).all()) for p in self._parameters)

    @quiet
    def _step(self, gradients: list[tuple[Array, Array]]) -> None:
        self._hyper["step"] += 1
        flat = (g for pair in gradients for g in pair)
        for p, g, *state in zip(self._parameters, flat, *self._states):
            self._update(p, g, state, self._hyper)

    def epoch(
        self, x: Array, y: Array, order: Array, sample_weight: Array | None
    ) -> tuple[float, float]:
        """Step through the minibatches; return the means of their losses and penalties.

        If the two of a minibatch make no finite loss, they are returned, and its step is not taken.
        """
        total, losses, penalties, sums = 0.0, 0.0, 0.0, 0.0
        for start in range(0, len(order), self._batch_size):
            rows = order[start : start + self._batch_size]
            w = None if sample_weight is None else sample_weight[rows]
            weight = float(len(rows)) if w is None else float(w.sum(dtype=np.float64))
            if weight == 0:
                continue
            alpha = self._alpha / weight if self._per_batch_alpha else self._alpha
            masks = [
                _dropout.mask(
                    rate, self.seed, self.steps, layer, len(rows), w_l.shape[1], w_l.dtype
                )
                for layer, (rate, w_l) in enumerate(zip(self.dropout, self._engine.weights()))
            ]
            loss, penalty, gradients = self._engine.terms(x[rows], y[rows], alpha, w, masks)
            if not np.isfinite(loss + penalty):
                self.loss = loss + penalty
                return loss, penalty
            self._step(gradients)
            losses += weight * loss
            penalties += weight * penalty
            sums += weight * (loss + penalty)
            total += weight
        self.loss = sums / total
        return losses / total, penalties / total
