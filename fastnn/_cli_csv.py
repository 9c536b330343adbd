"""CSV files for the command line, read by the csv module, a block of rows at a time."""

from __future__ import annotations

import codecs
import csv
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from operator import itemgetter
from typing import Any

import numpy as np

from ._cli_data import Block, Table, UsageError, not_a_number, number, rows_of_block

UTF8 = "utf-8-sig"  # with or without a byte order mark
CHUNK = 1 << 16  # bytes read at a time in search of what cannot be decoded


class CsvTable(Table):
    """A text file of cells between delimiters, quoted by " where they need it."""

    unit = "line"

    def __init__(self, path: str, delimiter: str, encoding: str, header: bool) -> None:
        self.path, self._delimiter, self.named = path, delimiter, header
        self._encoding = UTF8 if _is_utf8(encoding) else encoding
        with self._rows() as rows:
            _, first = next(rows, (0, []))
        if not first:
            raise UsageError(
                f"{path}: empty; " + ("a header row" if header else "a row") + " is expected"
            )
        self.names = first if header else [str(i + 1) for i in range(len(first))]
        self.candidates = range(len(first))

    def columns_there(self) -> str:
        """Say which columns there are, and what else the first line may be."""
        words = super().columns_there()
        name = self.names[0]
        other = next((d for d in ";\t|," if d != self._delimiter and d in name), None)
        if len(self.names) == 1 and other is not None:
            shown = "tab" if other == "\t" else f"'{other}'"
            return f"{words}. Cells seem to be delimited otherwise; try --delimiter {shown}"
        if self.named and all(_is_number(n) for n in self.names):
            return f"{words}. If the first line is data, give --no-header"
        return words

    def blocks(self, features: Sequence[int], target: int | None) -> Iterator[Block]:
        """Read the columns at these positions, a block of rows at a time."""
        size, pick = rows_of_block(len(features)), _picker(features)
        values, places, cells = array("d"), array("q"), []
        with self._rows() as rows:
            if self.named:
                next(rows, None)
            for place, row in rows:
                self._require_width(place, row)
                chosen = pick(row)
                try:
                    values.extend(map(float, chosen))
                except ValueError:
                    del values[len(places) * len(features) :]
                    values.extend(self._numbers(place, features, chosen))
                else:
                    if "_" in "".join(chosen):
                        self._numbers(place, features, chosen)
                places.append(place)
                if target is not None:
                    cells.append(row[target])
                if len(places) == size:
                    yield _block(values, cells, places)
                    values, places, cells = array("d"), array("q"), []
        if places:
            yield _block(values, cells, places)

    @contextmanager
    def _rows(self) -> Iterator[Iterator[tuple[int, list[str]]]]:
        """Open the file: an iterator of the rows that are not blank, with the line of each."""
        try:
            with open(self.path, encoding=self._encoding, newline="") as text:
                yield self._numbered(csv.reader(text, delimiter=self._delimiter, strict=True))
        except UnicodeError as error:
            raise self._undecodable(error) from None
        except OSError as error:
            raise UsageError(f"{self.path}: {error.strerror or error}") from None

    def _numbered(self, reader: Any) -> Iterator[tuple[int, list[str]]]:
        place = 1
        try:
            for row in reader:
                if row:
                    yield place, row
                place = reader.line_num + 1
        except csv.Error as error:
            raise UsageError(
                f"{self.where(place)}: {error}. Cells that hold a quote, a delimiter or a line break "
                'must be quoted by ", with quotes in them doubled'
            ) from None

    def _require_width(self, place: int, row: list[str]) -> None:
        if len(row) != len(self.names):
            of = "header" if self.named else "first line"
            raise UsageError(
                f"{self.where(place)}: {len(row)} cells, but the {of} has {len(self.names)}; add or "
                "remove cells, or quote those that hold a delimiter"
            )

    def _numbers(self, place: int, features: Sequence[int], cells: Sequence[str]) -> list[float]:
        """Return the numbers of a row with empty cells, or raise for what is no number."""
        values = []
        for i, cell in zip(features, cells):
            try:
                values.append(number(cell))
            except ValueError:
                raise not_a_number(self, place, self.names[i], cell) from None
        return values

    def _undecodable(self, error: UnicodeError) -> UsageError:
        encoding = "utf-8" if self._encoding == UTF8 else self._encoding
        where = self.where(self._first_undecodable_line())
        other = "latin-1, cp1252 or utf-16" if encoding == "utf-8" else "utf-8"
        reason = getattr(error, "reason", error)
        return UsageError(
            f"{where}: not {encoding} ({reason}); give the encoding of the file, such as "
            f"--encoding {other}, or save the file as UTF-8"
        )

    def _first_undecodable_line(self) -> int:
        decoder, line = codecs.getincrementaldecoder(self._encoding)(), 1
        with open(self.path, "rb") as file:
            while chunk := file.read(CHUNK):
                try:
                    line += decoder.decode(chunk).count("\n")
                except UnicodeDecodeError as error:
                    before = error.object[: error.start]
                    return line + before.decode(error.encoding, "ignore").count("\n")
                except UnicodeError:  # no byte order mark: the first line
                    return line
        return line


def _is_utf8(encoding: str) -> bool:
    try:
        name = codecs.lookup(encoding).name
    except LookupError:
        raise UsageError(
            f"--encoding {encoding}: unknown; known are utf-8, latin-1, cp1252, utf-16 and others"
        ) from None
    return name == "utf-8"


def _is_number(text: str) -> bool:
    try:
        number(text)
    except ValueError:
        return False
    return bool(text)


def _picker(features: Sequence[int]) -> Callable[[list[str]], tuple[str, ...]]:
    if len(features) == 1:
        only = features[0]
        return lambda row: (row[only],)
    return itemgetter(*features)


def _block(values: Any, cells: list[Any], places: Any) -> Block:
    x = np.frombuffer(values, np.float64).reshape(len(places), -1)
    return Block(x, cells, np.frombuffer(places, np.int64))
