"""Targets for the command line: classes or numbers, and which of them a model is for."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ._cli_data import Array, Table, UsageError, listed, number

CLASSIFICATION, REGRESSION = "classification", "regression"
EXACT = 2.0**53  # up to here every whole number is a float64 of its own
MANY_CLASSES = 100
_CODE = re.compile(r"\s*[+-]?0\d")  # leading zeros are not those of a number


class Column(NamedTuple):
    """The cells of a target, and the lines or rows where they are."""

    table: Table
    name: str
    cells: Sequence[Any]
    places: Sequence[int] | Array

    def where(self, i: int) -> str:
        """Return the words for the place of a cell."""
        return self.table.where(int(self.places[i]), self.name)


def _is_empty(cell: Any) -> bool:
    if isinstance(cell, str):
        return not cell.strip()
    return cell is None or (isinstance(cell, float) and math.isnan(cell))


def require_no_gaps(column: Column) -> None:
    """Raise for an empty cell."""
    for i, cell in enumerate(column.cells):
        if _is_empty(cell):
            raise UsageError(f"{column.where(i)}: the target is empty; fill it or remove the row")


def as_numbers(column: Column) -> Array:
    """Return the numbers (n,) of a regression; raise for what is none."""
    values = np.empty(len(column.cells))
    for i, cell in enumerate(column.cells):
        try:
            values[i] = number(cell)
        except (ValueError, TypeError):
            raise UsageError(
                f"{column.where(i)}: {cell!r} is not a number. A regression needs a target of "
                "numbers; for classes use --model mlp, logistic or gaussian, and not --task regression"
            ) from None
        if not math.isfinite(values[i]):
            raise UsageError(
                f"{column.where(i)}: the target is {cell}; finite numbers are expected"
            )
    return values


def _first_fraction(cells: Sequence[Any]) -> tuple[Array | None, int | None]:
    """Return the numbers in cells, if all are such, and the first that is not whole."""
    try:
        values = np.array([number(cell) for cell in cells])
    except (ValueError, TypeError):
        return None, None
    whole = np.isfinite(values) & (np.floor(values) == values) & (abs(values) <= EXACT)
    return values, None if whole.all() else int(whole.argmin())


def as_labels(cells: Sequence[Any]) -> tuple[Array | None, int | None]:
    """Return labels (n,): bools, integers or text; or None, and the index of the first fraction."""
    if all(isinstance(cell, (bool, np.bool_)) for cell in cells):
        return np.array(cells, bool), None
    values, fraction = _first_fraction(cells)
    if values is None or any(isinstance(c, str) and _CODE.match(c) and "." not in c for c in cells):
        return np.array([str(cell) for cell in cells]), None
    return (values.astype(np.int64), None) if fraction is None else (None, fraction)


def learned(column: Column, kinds: Sequence[str], task: str) -> tuple[str, Array, str | None]:
    """Return the task, the target (n,) for it, and what to tell the user about the choice.

    kinds are the tasks that the model is for; task is one of them or "auto".
    """
    require_no_gaps(column)
    if task == "auto" and len(kinds) == 1:
        task = kinds[0]
    if task == REGRESSION:
        return task, as_numbers(column), None
    labels, fraction = as_labels(column.cells)
    if labels is not None:
        return CLASSIFICATION, labels, _doubt(column, labels, kinds)
    if task == "auto":
        return REGRESSION, as_numbers(column), None
    raise UsageError(
        f"{column.where(fraction or 0)}: {column.cells[fraction or 0]!r} is not a whole number, so "
        "the target is no class. For a regression use --model ridge, or --model mlp --task regression"
    )


def _doubt(column: Column, labels: Array, kinds: Sequence[str]) -> str | None:
    if labels.dtype.kind != "i":
        return None
    distinct = len(np.unique(labels))
    if distinct <= MANY_CLASSES:
        return None
    other = "" if REGRESSION in kinds else "--model mlp or ridge and "
    return (
        f"{column.name!r} has {distinct} whole numbers, which are taken for classes; if they are "
        f"quantities, use {other}--task regression"
    )


class Classes:
    """The classes of a model, found by what a file may hold for them."""

    def __init__(self, classes: Array) -> None:
        self.labels = classes.tolist()
        self._by_text = {str(label): i for i, label in enumerate(self.labels)}
        numeric = classes.dtype.kind in "iuf"
        self._by_number = {float(v): i for i, v in enumerate(self.labels)} if numeric else {}

    def indices(self, column: Column) -> Array:
        """Return the index (n,) of the class in each cell."""
        require_no_gaps(column)
        return np.array([self._index(column, i) for i in range(len(column.cells))], np.int64)

    def _index(self, column: Column, i: int) -> int:
        cell = column.cells[i]
        found = self._by_text.get(str(cell))
        if found is None and self._by_number:
            try:
                found = self._by_number.get(number(cell))
            except (ValueError, TypeError):
                found = None
        if found is None:
            raise UsageError(
                f"{column.where(i)}: {cell!r} is none of the model's classes, "
                f"{listed([str(label) for label in self.labels])}"
            )
        return found
