"""The networks of `python -m bench peers`, and how each peer computes them in its best way.

A module `with_<package>` has a dict CONTENDERS: for each kind of work, functions by the contender's
name. Such a function takes a Task, prepares arrays of the package's own kind, compiles what it can,
and returns what is timed:

- forward: the outputs for the rows;
- step: SGD over the minibatches in order, going on from the last run; returns the layers;
- epoch: EPOCHS of Adam in shuffled orders, from the start; returns the last epoch's mean loss.

It may have `set_threads(threads, dtype)`, too, called before anything computes. A module that cannot be
imported, and a contender that raises Unavailable, is skipped visibly. "Best" is the fastest way of
those tried; the comments name them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

STEPS, SGD_RATE = 16, 0.01
EPOCHS, ADAM_RATE = 5, 0.001

Layers = list[tuple[Any, Any]]
Run = Callable[[], Any]
Contender = Callable[["Task"], Run]


class Unavailable(Exception):
    """A contender cannot run on this machine."""


@dataclass(frozen=True)
class Task:
    """A network with sigmoid hidden layers, and rows for it."""

    sizes: tuple[int, ...]
    output: str  # activation of the output layer
    threads: int
    batch: int  # rows of a minibatch
    x: Any  # (n, k)
    y: Any  # (n,), labels
    layers: Layers  # W (k, m), b (m,)

    @property
    def row_or_rows(self) -> Any:
        """(k,) for one row, (n, k) for more."""
        return self.x[0] if len(self.x) == 1 else self.x

    @property
    def activations(self) -> list[str]:
        return [*["sigmoid"] * (len(self.layers) - 1), self.output]

    def copy_layers(self, array: Callable[[Any], Any] = np.array) -> Layers:
        return [(array(w), array(b)) for w, b in self.layers]

    def minibatches(self, array: Callable[[Any], Any] = np.asarray) -> list[tuple[Any, Any]]:
        rows = [slice(i, i + self.batch) for i in range(0, len(self.x), self.batch)]
        return [(array(self.x[r]), array(self.y[r])) for r in rows]


def draw(n: int, sizes: tuple[int, ...], output: str, dtype: str, threads: int, batch: int) -> Task:
    """Normal rows and biases, uniform labels, weights of variance 1 / k; the same in each run."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(n, sizes[0])).astype(dtype), rng.integers(0, sizes[-1], n)
    layers = [
        ((rng.normal(size=(k, m)) / k**0.5).astype(dtype), rng.normal(size=m).astype(dtype))
        for k, m in pairwise(sizes)
    ]
    return Task(sizes, output, threads, batch, x, y, layers)
