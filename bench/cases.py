"""What is compared: each case gives contenders that compute the same thing, fastnn the first.

A case's contenders are verified against each other before they are timed. Cases of dense layers and
networks stand here, those of Gaussian and linear models in `models`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

import fastnn

try:
    from scipy.special import expit
except ImportError:  # NumPy's own way

    def expit(z: Any, out: Any = None) -> Any:
        return np.divide(1, 1 + np.exp(-z), out=out)


Runs = dict[str, Callable[[], Any]]


@dataclass
class Case:
    """One line of the table. `flops` of a step is 0 where a fraction of the peak means nothing."""

    group: str
    name: str
    dtype: str
    flops: float
    runs: Runs | Callable[[], Runs] = field(repr=False)  # or what makes them, where that is slow
    tolerance: float  # largest difference of the results, relative to their largest element
    names: tuple[str, ...] = ()  # of the contenders, if `runs` makes them
    memory: bool = False  # show how much memory a run takes
    steps: int = 1  # of a run; the time shown is that of one
    value: Callable[[Any], Any] = field(
        default=np.array, repr=False
    )  # what of a result is compared

    @property
    def title(self) -> str:
        return f"{self.group} {self.name} {self.dtype}"

    @cached_property
    def contenders(self) -> Runs:
        return self.runs() if callable(self.runs) else self.runs

    def verify(self) -> None:
        """Raise if the contenders disagree."""
        (first, run), *others = self.contenders.items()
        expected = np.array(self.value(run()))
        for name, other in others:
            error = np.abs(self.value(other()) - expected).max() / np.abs(expected).max()
            if not error <= self.tolerance:
                raise AssertionError(f"{self.title}: {name} and {first} differ by {error:.1e}")


# (n, k, m) of y = sigmoid(x w + b)
FORWARD = [
    (1, 64, 64),
    (1, 256, 128),
    (1, 784, 512),
    (8, 256, 256),
    (32, 256, 128),
    (64, 784, 512),
    (256, 256, 256),
    (1024, 256, 256),
    (4096, 32, 16),
    (8192, 64, 64),
]
BACKWARD = [(64, 256, 128), (256, 256, 256)]
LOSS = [(64, 10), (1024, 10), (256, 1000)]
ELEMENTS = [1_000, 100_000]
ONE_ROW = [(16, 32, 10), (256, 64, 10), (256, 128, 10), (784, 512, 256, 10)]


def _rng() -> np.random.Generator:
    return np.random.default_rng(0)


def _data(dtype: str, *shape: int) -> Any:
    return _rng().normal(size=shape).astype(dtype)


def forward(n: int, k: int, m: int, dtype: str) -> Case:
    """One sigmoid layer."""
    x, w, b = _data(dtype, n, k), _data(dtype, k, m) / k**0.5, _data(dtype, m)
    w = w.astype(dtype)
    out, other = np.empty((n, m), dtype), np.empty((n, m), dtype)

    def with_numpy() -> Any:
        np.matmul(x, w, out=other)
        np.add(other, b, out=other)
        return expit(other, out=other)

    contenders = {
        "fastnn": lambda: fastnn.dense_forward(x, w, b, activation="sigmoid", out=out),
        "numpy": with_numpy,
    }
    return Case("forward", f"{n}x{k}x{m}", dtype, 2.0 * n * k * m, contenders, _tolerance(k, dtype))


def _tolerance(k: int, dtype: str) -> float:
    """Rounding of a sum of k products, with room for the elementwise functions."""
    return float((k + 16) * np.finfo(dtype).eps)


def backward(n: int, k: int, m: int, dtype: str) -> Case:
    """dx, dw and db of one sigmoid layer."""
    x, w, dy = _data(dtype, n, k), _data(dtype, k, m), _data(dtype, n, m)
    y = fastnn.sigmoid(_data(dtype, n, m))

    def with_numpy() -> Any:
        delta = dy * (y - y * y)
        dx, _, _ = delta @ w.T, x.T @ delta, delta.sum(axis=0)
        return dx

    contenders = {
        "fastnn": lambda: fastnn.dense_backward(x, w, y, dy, activation="sigmoid")[0],
        "numpy": with_numpy,
    }
    tolerance = _tolerance(max(n, m), dtype)
    return Case("backward", f"{n}x{k}x{m}", dtype, 4.0 * n * k * m, contenders, tolerance)


def loss(n: int, c: int, dtype: str) -> Case:
    """Softmax cross-entropy and its gradient from logits and labels."""
    z, labels = _data(dtype, n, c), _rng().integers(0, c, n)
    rows, out = np.arange(n), np.empty((n, c), dtype)

    def with_numpy() -> Any:
        shifted = z - z.max(axis=1, keepdims=True)
        e = np.exp(shifted)
        total = e.sum(axis=1, keepdims=True)
        (np.log(total[:, 0]) - shifted[rows, labels]).mean()
        p = e / total
        p[rows, labels] -= 1
        p /= n
        return p

    contenders = {
        "fastnn": lambda: fastnn.softmax_cross_entropy(z, labels, out=out)[1],
        "numpy": with_numpy,
    }
    return Case("softmax_ce", f"{n}x{c}", dtype, 0.0, contenders, _tolerance(c, dtype))


def sigmoid(count: int, dtype: str) -> Case:
    """The sigmoid of an array."""
    x = _data(dtype, count)
    out, other = np.empty_like(x), np.empty_like(x)
    contenders = {
        "fastnn": lambda: fastnn.sigmoid(x, out=out),
        "numpy": lambda: expit(x, out=other),
    }
    return Case("sigmoid", f"{count}", dtype, 0.0, contenders, _tolerance(0, dtype))


def one_row(sizes: tuple[int, ...], dtype: str) -> Case:
    """The outputs of a network for one row."""
    net = fastnn.Network(sizes, dtype=dtype, rng=0)
    x, out = _data(dtype, sizes[0]), np.empty(sizes[-1], dtype)
    layers = [(np.array(w), np.array(b)) for w, b in zip(net.weights, net.biases)]

    def with_numpy() -> Any:
        a = x
        for w, b in layers[:-1]:
            a = expit(a @ w + b)
        z = a @ layers[-1][0] + layers[-1][1]
        e = np.exp(z - z.max())
        return e / e.sum()

    flops = sum(2.0 * k * m for k, m in zip(sizes, sizes[1:]))
    contenders = {"fastnn": lambda: net(x, out=out), "numpy": with_numpy}
    name = "-".join(map(str, sizes))
    return Case("one row", name, dtype, flops, contenders, _tolerance(sizes[0], dtype))


def epoch(dtype: str, epochs: int = 10) -> Case | None:
    """Epochs of 256-128-10 on digits16, batch 64, as scikit-learn's "sgd" does them."""
    try:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.neural_network import MLPClassifier
        from sklearn.utils._testing import ignore_warnings
    except ImportError:
        return None
    x, y = fastnn.datasets.load_digits16()[:2]
    x = x.astype(dtype)

    def with_fastnn() -> float:
        net = fastnn.Network((256, 128, 10), dtype=dtype, rng=0)
        return net.train(x, y, epochs=epochs, solver="nesterov", learning_rate=0.1, rng=0)[-1]

    @ignore_warnings(category=ConvergenceWarning)
    def with_sklearn() -> float:
        model = MLPClassifier(
            (128,),
            activation="logistic",
            solver="sgd",
            batch_size=64,
            max_iter=epochs,
            learning_rate_init=0.1,
            tol=0.0,
            n_iter_no_change=epochs + 1,
            alpha=0.0,
            random_state=0,
        )
        return model.fit(x, y).loss_curve_[-1]

    # Forward and dW of both layers, and the delta of the hidden one.
    flops = epochs * len(x) * (2 * 2.0 * (256 * 128 + 128 * 10) + 2.0 * 128 * 10)
    contenders = {"fastnn": with_fastnn, "scikit-learn": with_sklearn}
    # Initial weights and orders differ, so the last epochs' losses only resemble each other.
    name = f"256-128-10 batch 64, {epochs} epochs"
    return Case("epoch", name, dtype, flops, contenders, tolerance=0.3)


def all_cases(dtypes: tuple[str, ...] = ("float32", "float64")) -> Iterator[Case]:
    """Every case of this module, group after group."""
    for dtype in dtypes:
        yield from (forward(*shape, dtype) for shape in FORWARD)
        yield from (backward(*shape, dtype) for shape in BACKWARD)
        yield from (loss(*shape, dtype) for shape in LOSS)
        yield from (sigmoid(count, dtype) for count in ELEMENTS)
        yield from (one_row(sizes, dtype) for sizes in ONE_ROW)
        case = epoch(dtype)
        if case is not None:
            yield case
