"""NumPy's .npz files for the command line, and columns of arrays in general."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ._cli_data import Array, Block, Table, UsageError, not_a_number, number, rows_of_block


class NpzTable(Table):
    """Arrays X (n, d) and y (n,), with feature_names (d,) if there are any; or arrays as columns."""

    def __init__(self, path: str) -> None:
        self.path = path
        arrays = self._load()
        x = arrays.pop("X", None)
        if x is not None and x.ndim == 2:
            self._use_matrix(x, arrays)
        else:
            self._use_columns(arrays if x is None else {"X": x, **arrays})
        if not self.candidates:
            raise UsageError(
                f"{path}: no columns; arrays X and y, or an array a column, are expected"
            )

    def _load(self) -> dict[str, Array]:
        try:
            # A file that is opened here is also closed here, even where it is no archive.
            with open(self.path, "rb") as file:
                archive = np.load(file, allow_pickle=False)
                if not isinstance(archive, np.lib.npyio.NpzFile):
                    raise UsageError(f"{self.path}: not an .npz file, but a single array")
                return {name: archive[name] for name in archive.files}
        except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
            raise UsageError(
                f"{self.path}: cannot be read as an .npz file of numbers and text: {error}"
            ) from None

    def _use_matrix(self, x: Array, others: dict[str, Array]) -> None:
        names = others.pop("feature_names", None)
        n, d = x.shape
        if names is not None and (names.shape != (d,) or names.dtype.kind != "U"):
            raise UsageError(
                f"{self.path}: feature_names is {names.dtype} {names.shape}, but X {x.shape} needs "
                f"{d} names as text"
            )
        self.named = names is not None
        self.names = [str(i + 1) for i in range(d)] if names is None else names.tolist()
        self._columns = [x[:, j] for j in range(d)]
        self.candidates = range(d)
        for name, a in others.items():
            if a.ndim == 1 or (name == "y" and a.ndim == 2 and a.shape[1] == 1):
                self._require_length(name, a, n, "X")
                self.names.append(name)
                self._columns.append(a.reshape(n))
            elif name == "y":
                raise UsageError(f"{self.path}: y is {a.shape}, but one value a row is expected")
        self.default_target = "y" if "y" in others else None

    def _use_columns(self, arrays: dict[str, Array]) -> None:
        for name, a in arrays.items():
            if a.ndim != 1:
                raise UsageError(
                    f"{self.path}: {name} is {a.dtype} {a.shape}; arrays X (n, d) and y (n,), or "
                    "columns of one dimension and equal length are expected"
                )
        self.names, self._columns = list(arrays), list(arrays.values())
        for name, a in arrays.items():
            self._require_length(name, a, len(self._columns[0]), self.names[0])
        self.candidates = range(len(self.names))

    def _require_length(self, name: str, a: Array, n: int, other: str) -> None:
        if len(a) != n:
            raise UsageError(f"{self.path}: {name} has {len(a)} rows, but {other} has {n}")

    def blocks(self, features: Sequence[int], target: int | None) -> Iterator[Block]:
        """Read the columns at these positions, a block of rows at a time."""
        n, size = len(self._columns[0]), rows_of_block(len(features))
        for start in range(0, n, size):
            part = slice(start, min(start + size, n))
            chosen = [self._columns[i][part] for i in features]
            cells = None if target is None else self._columns[target][part]
            yield block_of_columns(self, start, features, chosen, cells)


def block_of_columns(
    table: Table, start: int, features: Sequence[int], columns: list[Array], target: Array | None
) -> Block:
    """Return rows from `start` on, of arrays (n,) of numbers, or of objects with None for none."""
    x = np.empty((len(columns[0]), len(columns)))
    for j, column in enumerate(columns):
        x[:, j] = _numbers(table, start, table.names[features[j]], column)
    return Block(x, _values(target), np.arange(start + 1, start + 1 + len(x)))


def _values(target: Array | None) -> list[Any]:
    if target is None:
        return []
    values: list[Any] = (target.astype("U") if target.dtype.kind == "S" else target).tolist()
    return values


def _numbers(table: Table, start: int, name: str, column: Array) -> Array:
    if column.dtype.kind in "biuf":
        return column
    if column.dtype.kind != "O":
        if len(column):
            raise not_a_number(table, start + 1, name, column[0])
        return np.empty(0)
    values = np.empty(len(column))
    for i, cell in enumerate(column.tolist()):
        try:
            values[i] = number(cell)
        except (ValueError, TypeError):
            raise not_a_number(table, start + 1 + i, name, cell) from None
        if isinstance(cell, str):  # a column of text, even where a cell looks like a number
            raise not_a_number(table, start + 1 + i, name, cell)
    return values
