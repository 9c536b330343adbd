"""`fastnn predict` and `fastnn evaluate`: a saved model on a table, a block of rows at a time."""

from __future__ import annotations

import argparse
import csv
import math
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

import numpy as np

import fastnn

from ._cli_data import (
    Array,
    Block,
    Failure,
    Frame,
    Table,
    UsageError,
    listed,
    require_file,
    require_values,
    require_writable,
)
from ._cli_targets import Classes, Column, as_numbers, require_no_gaps
from ._cli_train import print_table, say

MOST_CLASSES = 30  # in the table of an evaluation
SECONDS_BETWEEN = 2.0  # lines about the progress
HELP_MISSING = "This model takes no missing values: fill the cell or remove the row"


class Progress:
    """Says now and then how many rows are done."""

    def __init__(self, quiet: bool) -> None:
        self.rows, self._quiet = 0, quiet
        self._started = self._last = time.perf_counter()

    def add(self, rows: int) -> None:
        """Count rows."""
        self.rows += rows
        now = time.perf_counter()
        if not self._quiet and now - self._last >= SECONDS_BETWEEN:
            self._last = now
            say(f"{self.rows:,} rows, {self.rows / (now - self._started):,.0f} rows/s")

    def seconds(self) -> float:
        """Return the time since the start."""
        return time.perf_counter() - self._started


class Model:
    """A fitted estimator from a file, and where its features are in a table."""

    def __init__(self, path: str) -> None:
        require_file(path)
        try:
            self.estimator: Any = fastnn.load(path)
        except ImportError as error:
            raise UsageError(str(error)) from None
        except (ValueError, TypeError, KeyError, EOFError, OSError) as error:
            raise UsageError(f"{path}: no model can be read from it: {error}") from None
        if not hasattr(self.estimator, "n_features_in_"):
            raise UsageError(
                f"{path}: holds a {type(self.estimator).__name__}; a fitted estimator is expected"
            )
        self.path = path
        names = getattr(self.estimator, "feature_names_in_", None)
        self.names = None if names is None else [str(name) for name in names]
        self.target: str | None = getattr(self.estimator, "target_name_", None)
        self.missing = getattr(self.estimator, "missing", None) == "marginalize"

    def features(self, table: Table, target: str | None, *, has_target: bool) -> list[int]:
        """Return the positions of the model's features: by name, or in order without names.

        The target's column is no feature; unless it must be there, it may be absent.
        """
        if self.names is not None and table.named:
            missing = [name for name in self.names if name not in table.names]
            if missing:
                raise UsageError(
                    f"{table.path}: the model needs columns that are not there: {listed(missing)}; "
                    f"{table.columns_there()}"
                )
            return [table.index(name) for name in self.names]
        columns, d = list(table.candidates), int(self.estimator.n_features_in_)
        if target in table.names and (has_target or len(columns) == d + 1):
            columns = [i for i in columns if i != table.index(target)]
        if len(columns) != d:
            of = self.path if self.names is None else table.path
            raise UsageError(
                f"{table.path}: {len(columns)} columns of features, but the model was trained on {d}; "
                f"columns cannot be chosen by name, as {of} has no names"
            )
        return columns

    def rows(self, block: Block) -> Any:
        """Return the features of a block with the names that the model knows."""
        return block.x if self.names is None else Frame(block.x, self.names)

    def call(self, method: str, block: Block) -> Array:
        """Return what a method of the estimator gives for a block."""
        if not hasattr(self.estimator, method):
            name = type(self.estimator).__name__
            raise UsageError(f"{self.path}: a {name} has no probabilities; leave out --proba")
        try:
            return np.asarray(getattr(self.estimator, method)(self.rows(block)))
        except (ValueError, TypeError) as error:
            raise UsageError(f"{self.path}: {error}") from None


def blocks_of(
    model: Model, table: Table, features: list[int], target: int | None
) -> Iterator[Block]:
    """Read the blocks of a table that the model can take; there must be a row at least."""
    empty = True
    for block in table.blocks(features, target):
        empty = False
        require_values(table, block, features, missing=model.missing, help_missing=HELP_MISSING)
        yield block
    if empty:
        raise UsageError(f"{table.path}: there are no rows of data, only names of columns")


# Predictions


@contextmanager
def output(path: str | None) -> Iterator[TextIO]:
    """Open the file of results: it appears whole or not at all. None is standard output."""
    if path is None:
        yield sys.stdout
        return
    is_device = os.path.exists(path) and not os.path.isfile(path)
    part = path if is_device else f"{path}.{os.getpid()}.part"
    try:
        with open(part, "w", encoding="utf-8", newline="") as file:
            yield file
        if part != path:
            os.replace(part, path)
    except OSError as error:
        raise Failure(f"{path}: cannot be written: {error.strerror or error}") from None
    finally:
        if part != path and os.path.exists(part):
            os.remove(part)


def require_other_file(path: str, *inputs: str) -> None:
    """Raise if the results would overwrite what they are made from."""
    for other in inputs:
        if os.path.exists(path) and os.path.samefile(path, other):
            raise UsageError(f"-o {path}: that is the input {other}; name another file")


def header_of(predictions: Array, classes: Any, proba: bool) -> list[str]:
    """Return the names of the columns of results."""
    if predictions.ndim == 1:
        names = ["prediction"]
    else:
        names = [f"prediction_{j + 1}" for j in range(predictions.shape[1])]
    return names + ([f"probability_{label}" for label in classes.tolist()] if proba else [])


def predict(arguments: argparse.Namespace, table: Table) -> None:
    """Write the prediction of a model for each row of a table, in the same order."""
    model = Model(arguments.model)
    if arguments.output is not None:
        require_writable(arguments.output, "-o", device=True)
        require_other_file(arguments.output, arguments.model, table.path)
    features = model.features(table, model.target, has_target=False)
    progress = Progress(arguments.quiet)
    with output(arguments.output) as file:
        writer = csv.writer(file, lineterminator="\n")
        for block in blocks_of(model, table, features, None):
            predictions = model.call("predict", block)
            columns = [predictions.reshape(len(block.x), -1)]
            if arguments.proba:
                columns.append(model.call("predict_proba", block))
            if progress.rows == 0:
                classes = getattr(model.estimator, "classes_", None)
                writer.writerow(header_of(predictions, classes, arguments.proba))
            progress.add(len(block.x))
            lists = [c.tolist() for c in columns]
            writer.writerows([v for part in parts for v in part] for parts in zip(*lists))
    if arguments.output is not None and not arguments.quiet:
        seconds = progress.seconds()
        say(f"{progress.rows:,} predictions written to {arguments.output} in {seconds:.2f} s")


# Evaluation


class Classification:
    """Counts of right and wrong predictions, and the sum of ``-log P(true class)``."""

    def __init__(self, model: Model) -> None:
        self._model, self._labels = model, model.estimator.classes_
        self._classes, c = Classes(self._labels), len(self._labels)
        self._right, self._of, self._taken = (np.zeros(c, np.int64) for _ in range(3))
        self._loss = 0.0

    def add(self, column: Column, block: Block) -> None:
        """Count the rows of a block."""
        true, c = self._classes.indices(column), len(self._labels)
        predicted = np.searchsorted(self._labels, self._model.call("predict", block))
        for counts, found in (
            (self._of, true),
            (self._taken, predicted),
            (self._right, true[true == predicted]),
        ):
            counts += np.bincount(found, minlength=c)
        proba = self._model.call("predict_log_proba", block)
        self._loss -= float(proba[np.arange(len(true)), true].sum(dtype=np.float64))

    def summary(self) -> dict[str, str]:
        """Return the scores."""
        n, c = int(self._of.sum()), len(self._labels)
        return {
            "rows": f"{n:,}",
            "classes": str(c),
            "log loss": f"{self._loss / n:.6g}",
            "accuracy": f"{int(self._right.sum()) / n:.4f}",
        }

    def print_classes(self) -> None:
        """Print how well each class is found."""
        labels = [str(label) for label in self._labels.tolist()]
        width = max(5, *map(len, labels))
        print(f"\n{'class':<{width}}       rows  predicted  recall  precision")
        for i, label in enumerate(labels[:MOST_CLASSES]):
            right, of, taken = (int(a[i]) for a in (self._right, self._of, self._taken))
            shares = f"{_share(right, of):>6}  {_share(right, taken):>9}"
            print(f"{label:<{width}} {of:>10,} {taken:>10,}  {shares}")
        if len(labels) > MOST_CLASSES:
            print(f"and {len(labels) - MOST_CLASSES} more classes")


def _share(part: int, of: int) -> str:
    return f"{part / of:.4f}" if of else "-"


class Regression:
    """Sums of squares and of absolute errors; those about the mean are merged from blocks."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._n, self._mean, self._spread = 0, 0.0, 0.0
        self._squares, self._absolutes, self._constant = 0.0, 0.0, True
        self._first = math.nan

    def add(self, column: Column, block: Block) -> None:
        """Add the rows of a block."""
        true = as_numbers(column)
        predicted = self._model.call("predict", block)
        if predicted.ndim != 1:
            raise UsageError(
                f"{self._model.path}: the model has {predicted.shape[1]} targets; evaluate takes one"
            )
        residual = true - predicted.astype(np.float64)
        self._squares += float(np.sum(residual**2))
        self._absolutes += float(np.sum(abs(residual)))
        self._first = float(true[0]) if self._n == 0 else self._first
        self._constant = self._constant and bool((true == self._first).all())
        self._merge(len(true), float(true.mean()), float(np.sum((true - true.mean()) ** 2)))

    def _merge(self, n: int, mean: float, spread: float) -> None:
        total, step = self._n + n, mean - self._mean
        self._spread += spread + step * step * self._n * n / total
        self._mean += step * n / total
        self._n = total

    def summary(self) -> dict[str, str]:
        """Return the scores."""
        if self._constant:
            r2 = float(self._squares == 0)
        else:
            r2 = 1 - self._squares / self._spread
        return {
            "rows": f"{self._n:,}",
            "mean squared error": f"{self._squares / self._n:.6g}",
            "root of it": f"{math.sqrt(self._squares / self._n):.6g}",
            "mean absolute error": f"{self._absolutes / self._n:.6g}",
            "R^2": f"{r2:.4f}",
        }

    def print_classes(self) -> None:
        """Print nothing: there are none."""


def evaluate(arguments: argparse.Namespace, table: Table) -> None:
    """Print the scores of a model on a table that has the target, too."""
    model = Model(arguments.model)
    target = arguments.target or model.target or table.default_target
    if target not in table.names and arguments.target is None:
        target = table.default_target or target
    if target is None:
        raise UsageError(
            f"--target is needed: {model.path} does not name its target; {table.columns_there()}"
        )
    position = table.index(target)
    features = model.features(table, target, has_target=True)
    scores = Classification(model) if hasattr(model.estimator, "classes_") else Regression(model)
    progress = Progress(arguments.quiet)
    for block in blocks_of(model, table, features, position):
        column = Column(table, target, block.target, block.places)
        require_no_gaps(column)
        scores.add(column, block)
        progress.add(len(block.x))
    head = {"model": type(model.estimator).__name__, "target": target}
    print_table({**head, **scores.summary(), "time": f"{progress.seconds():.2f} s"})
    scores.print_classes()
