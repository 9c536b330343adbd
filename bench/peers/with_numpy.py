"""NumPy and its OpenBLAS: no new arrays, everything in place."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..cases import expit
from . import SGD_RATE, Layers, Run, Task

SMALL = 1000  # elements: below, one call of expit beats four of NumPy


def sigmoid(z: Any) -> None:
    """NumPy's tanh has SIMD, expit has not."""
    if z.size < SMALL:
        expit(z, out=z)
    else:
        np.multiply(z, 0.5, out=z)
        np.tanh(z, out=z)
        np.multiply(z, 0.5, out=z)
        np.add(z, 0.5, out=z)


def softmax(z: Any) -> None:
    np.subtract(z, z.max(axis=-1, keepdims=True), out=z)
    np.exp(z, out=z)
    np.divide(z, z.sum(axis=-1, keepdims=True), out=z)


ACTIVATIONS = {"sigmoid": sigmoid, "softmax": softmax, "identity": lambda z: None}


def outputs(x: Any, layers: Layers, outs: list[Any], activations: list[Any]) -> Any:
    """Fill `outs`, one for each layer; return the last."""
    for (w, b), out, activate in zip(layers, outs, activations):
        np.matmul(x, w, out=out)
        np.add(out, b, out=out)
        activate(out)
        x = out
    return x


def forward(task: Task) -> Run:
    x, activations = task.row_or_rows, [ACTIVATIONS[name] for name in task.activations]
    outs = [np.empty((*x.shape[:-1], m), x.dtype) for m in task.sizes[1:]]
    return lambda: outputs(x, task.layers, outs, activations)


def steps(task: Task) -> Run:
    """The learning rate is a factor of the first delta, so that no gradient is scaled."""
    layers, n, dtype = task.copy_layers(), task.batch, task.x.dtype
    activations = [ACTIVATIONS[name] for name in task.activations]
    outs, deltas, slopes = ([np.empty((n, m), dtype) for m in task.sizes[1:]] for _ in range(3))
    changes = [np.empty_like(w) for w, _ in layers]
    rows, minibatches = np.arange(n), task.minibatches()

    def step(x: Any, y: Any) -> None:
        delta = outputs(x, layers, outs, activations)
        delta[rows, y] -= 1
        np.multiply(delta, SGD_RATE / n, out=delta)
        for i in reversed(range(len(layers))):
            (w, b), above = layers[i], delta
            if i:  # below the sigmoid: (delta W^T) a (1 - a)
                delta = np.matmul(above, w.T, out=deltas[i - 1])
                np.multiply(delta, outs[i - 1], out=delta)
                np.subtract(1, outs[i - 1], out=slopes[i - 1])
                np.multiply(delta, slopes[i - 1], out=delta)
            a = outs[i - 1] if i else x
            np.subtract(w, np.matmul(a.T, above, out=changes[i]), out=w)
            np.subtract(b, above.sum(axis=0), out=b)

    def run() -> Layers:
        for x, y in minibatches:
            step(x, y)
        return layers

    return run


CONTENDERS = {"forward": {"NumPy": forward}, "step": {"NumPy": steps}}
