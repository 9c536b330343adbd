"""Tables for the command line: what files of all kinds have in common."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

BLOCK_CELLS = 1 << 18  # of a block of rows: 2 MiB of numbers, enough to keep the kernels busy
NAMES_SHOWN = 20  # in messages about columns


class UsageError(Exception):
    """What the user asked for cannot be done; the message says why."""


class Failure(Exception):
    """What the user asked for went wrong through no fault of the input; the message says how."""


class Block(NamedTuple):
    """Consecutive rows of a table.

    x (n, d) float64 holds the features; target has the n values of the target column, or none if it
    was not asked for; places (n,) are the lines or rows of the file, counted from 1.
    """

    x: Array
    target: list[Any]
    places: Array


class Frame:
    """Rows with column names, as much of a data frame as estimators look at."""

    def __init__(self, x: Array, names: Sequence[str]) -> None:
        self.columns = list(names)
        self.shape = x.shape
        self._x = x

    def __len__(self) -> int:
        return len(self._x)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self._x, dtype, copy=copy)


class Table:
    """A file of named columns.

    names are those of all columns, or their numbers from 1 if the file has none (then `named` is
    False). candidates are the positions of the columns that may be features; default_target is the
    name of the column that is plainly the target. unit is what `Block.places` counts.
    """

    path: str
    names: list[str]
    named: bool = True
    candidates: Sequence[int]
    default_target: str | None = None
    unit: str = "row"

    def blocks(self, features: Sequence[int], target: int | None) -> Iterator[Block]:
        """Read the columns at these positions, a block of rows at a time."""
        raise NotImplementedError

    def index(self, name: str) -> int:
        """Return the position of a column."""
        positions = [i for i, other in enumerate(self.names) if other == name]
        if len(positions) == 1:
            return positions[0]
        if positions:
            numbers = " and ".join(str(i + 1) for i in positions)
            raise UsageError(
                f"{self.path}: columns {numbers} have the same name {name!r}; rename all but one"
            )
        raise UsageError(f"{self.path}: there is no column {name!r}; {self.columns_there()}")

    def columns_there(self) -> str:
        """Say which columns there are."""
        if not self.named:
            return f"there is no header, so columns are named by number, 1 to {len(self.names)}"
        return f"columns: {listed(self.names)}"

    def where(self, place: int, column: str | None = None) -> str:
        """Return the words for a place in the file."""
        words = f"{self.path}, {self.unit} {place}"
        return words if column is None else f"{words}, column {column!r}"


def listed(names: Sequence[str]) -> str:
    """Return names in quotes, not too many of them."""
    shown = ", ".join(map(repr, names[:NAMES_SHOWN]))
    more = len(names) - NAMES_SHOWN
    return shown if more <= 0 else f"{shown} and {more} more"


def rows_of_block(n_columns: int) -> int:
    """Return how many rows a block has."""
    return max(1, BLOCK_CELLS // max(1, n_columns))


def number(cell: Any) -> float:
    """Return the number in a cell, NaN for an empty one; raise ValueError for anything else."""
    if cell is None:
        return math.nan
    if isinstance(cell, str):
        text = cell.strip()
        if "_" in text:  # Python reads 1_000; a table means a word by it
            raise ValueError(f"{text!r} is not a number")
        return float(text) if text else math.nan
    if isinstance(cell, (int, float, np.number)) or hasattr(cell, "__float__"):
        return float(cell)
    raise ValueError(f"{cell!r} is not a number")


def not_a_number(table: Table, place: int, column: str, cell: Any) -> UsageError:
    """Return the error about a feature that is no number."""
    shown = str(cell)
    shown = shown if len(shown) <= 40 else shown[:37] + "..."
    return UsageError(
        f"{table.where(place, column)}: {shown!r} is not a number. Features must be numbers: "
        f"encode the column as numbers, or leave it out of training by --ignore {column!r}"
    )


def require_values(
    table: Table, block: Block, features: Sequence[int], *, missing: bool, help_missing: str
) -> None:
    """Raise for the first infinite cell of a block, and for an empty one unless it may be missing.

    help_missing says what to do about it.
    """
    finite = np.isfinite(block.x)
    if finite.all():
        return
    bad = np.isinf(block.x) if missing else ~finite
    if not bad.any():
        return
    i, j = np.unravel_index(int(bad.argmax()), bad.shape)
    where = table.where(int(block.places[i]), table.names[features[int(j)]])
    if np.isnan(block.x[i, j]):
        raise UsageError(f"{where}: empty or NaN. {help_missing}")
    raise UsageError(f"{where}: infinite or beyond the range of numbers; correct or remove the row")


def require_file(path: str) -> None:
    """Raise if there is no such file that can be read."""
    if os.path.isdir(path):
        raise UsageError(f"{path}: a folder, not a file")
    if not os.path.exists(path):
        raise UsageError(f"{path}: there is no such file")
    if not os.access(path, os.R_OK):
        raise UsageError(f"{path}: no permission to read it")
    if not os.path.isfile(path):
        raise UsageError(f"{path}: a pipe or device; write what it gives to a file first")


def require_writable(path: str, option: str, *, device: bool = False) -> None:
    """Raise if a file, or also a `device`, could not be written, before any work is done for it."""
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        raise UsageError(f"{option} {path}: there is no folder {folder}; create it first")
    if os.path.isdir(path) or not os.access(path if os.path.exists(path) else folder, os.W_OK):
        raise UsageError(f"{option} {path}: not a file that can be written")
    if not device and os.path.exists(path) and not os.path.isfile(path):
        raise UsageError(f"{option} {path}: a pipe or device; name a file")


def open_table(path: str, *, delimiter: str, encoding: str, header: bool) -> Table:
    """Open a file by the ending of its name: .npz, .parquet or .pq, and anything else as CSV."""
    require_file(path)
    ending = os.path.splitext(path)[1].lower()
    if ending == ".npz":
        from ._cli_npz import NpzTable

        return NpzTable(path)
    if ending in (".parquet", ".pq"):
        from ._cli_parquet import ParquetTable

        return ParquetTable(path)
    from ._cli_csv import CsvTable

    return CsvTable(path, delimiter, encoding, header)
