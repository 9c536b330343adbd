"""fastnn: `Network`, which keeps its weights packed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import fastnn

from . import ADAM_RATE, EPOCHS, SGD_RATE, Run, Task


def set_threads(threads: int, dtype: str) -> None:
    fastnn.set_num_threads(threads)


def network(task: Task) -> fastnn.Network:
    net = fastnn.Network(task.sizes, output=task.output, dtype=task.x.dtype)
    net.weights, net.biases = zip(*task.layers)
    return net


def forward(task: Task) -> Run:
    net, x = network(task), task.row_or_rows
    out = np.empty((*x.shape[:-1], task.sizes[-1]), x.dtype)
    return lambda: net(x, out=out)


def steps(task: Task) -> Run:
    net = network(task)
    options: Any = {"epochs": 1, "batch_size": task.batch, "shuffle": False}

    def run() -> Any:
        net.train(task.x, task.y, solver="sgd", learning_rate=SGD_RATE, **options)
        return layers(net)

    return run


def layers(net: fastnn.Network) -> Iterator[Any]:
    """Taken when they are wanted, which is not part of a step."""
    yield from zip(net.weights, net.biases)


def epochs(task: Task) -> Run:
    options: Any = {"epochs": EPOCHS, "batch_size": task.batch, "learning_rate": ADAM_RATE}
    return lambda: network(task).train(task.x, task.y, rng=0, **options)[-1]


CONTENDERS = {
    "forward": {"fastnn": forward},
    "step": {"fastnn": steps},
    "epoch": {"fastnn": epochs},
}
