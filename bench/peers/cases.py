"""The shapes that `python -m bench peers` compares, and the peers that are there to be compared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from itertools import pairwise
from types import ModuleType
from typing import Any

import numpy as np

from ..cases import Case, Runs, _tolerance
from . import EPOCHS, SGD_RATE, STEPS, Contender, Task, Unavailable, draw

PACKAGES = ("fastnn", "numpy", "torch", "jax", "onnxruntime", "sklearn")
SLOW = "scikit-learn"

Sizes = tuple[int, ...]

# (group, name, sizes, activation of the output, rows of each case)
FORWARD: list[tuple[str, str, Sizes, str, tuple[int, ...]]] = [
    ("one", "", (256, 128), "sigmoid", (1,)),
    ("one", "", (256, 64, 10), "softmax", (1,)),
    ("one", "", (784, 512, 256, 10), "softmax", (1,)),
    ("one", "", (16, 32, 10), "softmax", (1,)),
    ("forward", "", (256, 128), "sigmoid", (32,)),
    ("forward", "", (256, 256), "sigmoid", (256,)),
    ("forward", "", (784, 512), "sigmoid", (64,)),
    ("forward", "", (1024, 1024), "sigmoid", (1024,)),
    ("forward", "", (512, 512), "sigmoid", (4096,)),
    ("forward", "", (64, 64), "sigmoid", (8192,)),
    ("forward", "", (4, 16), "sigmoid", (10_000,)),
    ("forward", "", (784, 512, 256, 10), "softmax", (256,)),
    # Shapes of others: DLRM as in oneDNN's benchdnn, MLPerf Tiny's autoencoder.
    ("public", "DLRM bottom", (13, 512, 256, 128), "sigmoid", (128, 2048)),
    ("public", "DLRM top", (479, 1024, 1024, 512, 256, 1), "sigmoid", (128, 2048)),
    ("public", "NCF", (256, 256, 128, 64, 1), "sigmoid", (1, 2048)),
    ("public", "Wide & Deep", (845, 1024, 512, 256), "sigmoid", (1, 40, 256, 512)),
    ("public", "autoencoder", (640, *4 * (128,), 8, *4 * (128,), 640), "identity", (1,)),
]

# (sizes, rows of a minibatch, whether scikit-learn takes part)
STEP: list[tuple[Sizes, int, bool]] = [
    ((256, 64, 10), 32, True),
    ((256, 128, 10), 128, True),
    ((784, 512, 256, 10), 128, False),
    ((784, 512, 256, 10), 1024, False),
    ((20, 64, 64, 2), 256, False),
]

EPOCH_SIZES, EPOCH_ROWS, EPOCH_BATCH = (784, 256, 10), 60_000, 128


@dataclass
class Field:
    """The peers that are there, and how they are to compute."""

    dtype: str
    threads: int
    modules: list[ModuleType]
    skipped: dict[str, str]  # name -> reason

    @classmethod
    def enter(cls, dtype: str, threads: int) -> Field:
        """Import what is installed, and set its threads."""
        field = cls(dtype, threads, [], {})
        for package in PACKAGES:
            try:
                module = import_module(f".with_{package}", __package__)
            except ImportError as error:
                field.skip(package, error)
                continue
            if hasattr(module, "set_threads"):
                module.set_threads(threads, dtype)
            field.modules.append(module)
        return field

    def skip(self, name: str, reason: Exception) -> None:
        if name not in self.skipped:
            self.skipped[name] = str(reason)
            print(f"{name} is skipped: {reason}", flush=True)

    def runs(self, kind: str, task: Task, slow: bool = False) -> Runs:
        """What each contender runs, fastnn the first."""
        runs: Runs = {}
        for module in self.modules:
            contenders: dict[str, Contender] = module.CONTENDERS.get(kind, {})
            for name, prepare in contenders.items():
                if name == SLOW and not slow:
                    continue
                try:
                    runs[name] = prepare(task)
                except Unavailable as reason:
                    self.skip(name, reason)
        return runs

    def task(self, n: int, sizes: Sizes, output: str = "softmax", batch: int = 1) -> Task:
        return draw(n, sizes, output, self.dtype, self.threads, batch)


def flops(sizes: Sizes) -> float:
    """Of a row, forward."""
    return sum(2.0 * k * m for k, m in pairwise(sizes))


def training_flops(sizes: Sizes) -> float:
    """Of a row: forward, dW, and the delta of each layer but the first."""
    return 3 * flops(sizes) - flops(sizes[:2])


def shape(sizes: Sizes) -> str:
    return "-".join(map(str, sizes)) if len(sizes) < 8 else f"{len(sizes) - 1} layers"


def forward(field: Field, group: str, name: str, sizes: Sizes, output: str, n: int) -> Case:
    return Case(
        "public one row" if group == "public" and n == 1 else group,
        f"{name} {shape(sizes)} n={n}".strip(),
        field.dtype,
        n * flops(sizes),
        lambda: field.runs("forward", field.task(n, sizes, output)),
        # What the layers add up to: no activation is steeper than 1.
        sum(_tolerance(k, field.dtype) for k in sizes[:-1]),
        value=np.asarray,
    )


def flat(layers: Any) -> Any:
    return np.concatenate([np.ravel(p) for layer in layers for p in layer])


def step(field: Field, sizes: Sizes, n: int, slow: bool) -> Case:
    """SGD on softmax cross-entropy; what must agree is how the first run changes the parameters."""

    @cache  # drawn when the case is wanted
    def task() -> Task:
        return field.task(STEPS * n, sizes, batch=n)

    def change(layers: Any) -> Any:
        return flat(layers) - flat(task().layers)

    # A gradient sums over n rows or k inputs. Each step rounds parameters of up to 4 by eps / 2 of
    # them, which is more against its own change, SGD_RATE times gradients of 0.1 at least.
    rounding = 4 / (2 * 0.1 * SGD_RATE) * float(np.finfo(field.dtype).eps)
    return Case(
        "step",
        f"{shape(sizes)} n={n}",
        field.dtype,
        n * training_flops(sizes),
        lambda: field.runs("step", task(), slow),
        _tolerance(max(n, *sizes), field.dtype) + rounding,
        steps=STEPS,
        value=change,
    )


def epoch(field: Field, slow: bool) -> Case:
    """Adam; the orders of the rows differ, so the last epochs' losses only resemble each other."""
    return Case(
        "epoch",
        f"{shape(EPOCH_SIZES)} batch {EPOCH_BATCH}, {EPOCHS} epochs",
        field.dtype,
        EPOCHS * EPOCH_ROWS * training_flops(EPOCH_SIZES),
        lambda: field.runs("epoch", field.task(EPOCH_ROWS, EPOCH_SIZES, batch=EPOCH_BATCH), slow),
        tolerance=0.05,
    )


def all_cases(field: Field, slow: bool = False) -> Iterator[Case]:
    """Every case of networks; `slow` lets scikit-learn take part in the epochs."""
    for *rest, counts in FORWARD:
        yield from (forward(field, *rest, n) for n in counts)
    yield from (step(field, *case) for case in STEP)
    yield epoch(field, slow)
