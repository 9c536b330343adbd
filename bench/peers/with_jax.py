"""JAX: everything within jit; parameters that are trained are donated, that is updated in place."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from . import ADAM_RATE, EPOCHS, SGD_RATE, Layers, Run, Task

Update = Callable[[Any, Any], Any]
ACTIVATIONS = {"sigmoid": jax.nn.sigmoid, "softmax": jax.nn.softmax, "identity": lambda z: z}


def set_threads(threads: int, dtype: str) -> None:
    """No setting holds XLA's pool: it has a thread for each CPU that the process has at its start."""
    jax.config.update("jax_enable_x64", dtype == "float64")
    # Otherwise one more thread computes, and a small call takes longer to reach it than to run.
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    if not hasattr(os, "sched_setaffinity"):
        print("note: JAX uses all CPUs on this system")
        return
    cpus = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(cpus)[:threads])
    jax.devices()  # the start
    for thread in os.listdir("/proc/self/task"):  # the pool keeps its size, but may run anywhere
        os.sched_setaffinity(int(thread), cpus)


def logits(x: Any, layers: Layers) -> Any:
    for w, b in layers[:-1]:
        x = jax.nn.sigmoid(x @ w + b)
    w, b = layers[-1]
    return x @ w + b


def forward(task: Task) -> Run:
    """The parameters are constants, faster than arguments."""
    x, layers = jnp.asarray(task.row_or_rows), task.copy_layers(jnp.asarray)
    fast = jax.jit(lambda x: ACTIVATIONS[task.output](logits(x, layers)))
    return lambda: fast(x).block_until_ready()


def cross_entropy(layers: Layers, x: Any, y: Any) -> Any:
    """By one_hot: the gradient of an index is a scatter, which is slower."""
    z = jax.nn.log_softmax(logits(x, layers))
    return -(jax.nn.one_hot(y, z.shape[1], dtype=z.dtype) * z).sum() / len(z)


def train_step(update: Update, state: Any, minibatch: Any) -> tuple[Any, Any]:
    """The new state, whose first element are the layers, and the loss."""
    loss, gradients = jax.value_and_grad(cross_entropy)(state[0], *minibatch)
    return update(state, gradients), loss


def sgd(state: Any, gradients: Any) -> Any:
    return (jax.tree.map(lambda p, g: p - SGD_RATE * g, state[0], gradients),)


def steps(task: Task, scan: bool) -> Run:
    """One call for all minibatches, or one for each."""
    state, given = (task.copy_layers(jnp.array),), task.minibatches(jnp.asarray)
    step = partial(train_step, sgd)
    if scan:
        given = [tuple(jnp.stack(arrays) for arrays in zip(*given))]
        step = partial(jax.lax.scan, step)
    fast = jax.jit(step, donate_argnums=0)

    def run() -> Layers:
        nonlocal state
        for arrays in given:
            state, _ = fast(state, arrays)
        return jax.block_until_ready(state)[0]

    return run


def adam(state: Any, gradients: Any) -> Any:
    layers, means, squares, t = state
    t = t + 1
    means = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, means, gradients)
    squares = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, squares, gradients)

    def moved(p: Any, m: Any, v: Any) -> Any:
        return p - ADAM_RATE * (m / (1 - 0.9**t)) / (jnp.sqrt(v / (1 - 0.999**t)) + 1e-8)

    return jax.tree.map(moved, layers, means, squares), means, squares, t


def epochs(task: Task, scan: bool) -> Run:
    """One call for an epoch, which takes the order of its rows, or one for each minibatch."""
    data = jnp.asarray(task.x), jnp.asarray(task.y)
    n, batch = len(task.x), task.batch
    whole = n - n % batch

    def step(state: Any, rows: Any, data: Any) -> tuple[Any, Any]:
        return train_step(adam, state, [a[rows] for a in data])

    def scanned(state: Any, order: Any, data: Any) -> tuple[Any, Any]:
        one = partial(step, data=data)
        state, losses = jax.lax.scan(one, state, order[:whole].reshape(-1, batch))
        state, last = one(state, order[whole:])
        return state, jnp.append(losses, last)

    fast = jax.jit(scanned if scan else step, donate_argnums=0)
    size = n if scan else batch

    def run() -> Any:
        rng, layers = np.random.default_rng(0), task.copy_layers(jnp.array)
        means, squares = (jax.tree.map(jnp.zeros_like, layers) for _ in range(2))
        state = (layers, means, squares, jnp.zeros((), task.x.dtype))
        for _ in range(EPOCHS):
            order, losses = rng.permutation(n).astype(np.int32), []
            for i in range(0, n, size):
                state, loss = fast(state, order[i : i + size], data)
                losses.append(loss)
        return jax.block_until_ready(jnp.hstack(losses).mean())

    return run


CONTENDERS = {
    "forward": {"JAX": forward},
    "step": {"JAX loop": partial(steps, scan=False), "JAX scan": partial(steps, scan=True)},
    "epoch": {"JAX loop": partial(epochs, scan=False), "JAX scan": partial(epochs, scan=True)},
}
