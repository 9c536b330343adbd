"""Parquet files for the command line, by pyarrow, polars or pandas, whichever is installed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ._cli_data import Array, Block, Table, UsageError, rows_of_block
from ._cli_npz import block_of_columns

Columns = list["Array"]


class _Pyarrow:
    def __init__(self, path: str) -> None:
        import pyarrow.parquet  # type: ignore[import-not-found,import-untyped,unused-ignore]

        self._file = pyarrow.parquet.ParquetFile(path)
        self.names: list[str] = self._file.schema_arrow.names

    def batches(self, names: list[str], size: int) -> Iterator[Columns]:
        for batch in self._file.iter_batches(size, columns=names):
            found = dict(zip(batch.schema.names, batch.columns))
            yield [self._array(found[name]) for name in names]

    @staticmethod
    def _array(column: Any) -> Array:
        if hasattr(column, "dictionary_decode"):
            column = column.dictionary_decode()
        return column.to_numpy(zero_copy_only=False)


class _Polars:
    def __init__(self, path: str) -> None:
        import polars  # type: ignore[import-not-found,unused-ignore]

        self._rows = polars.scan_parquet(path)
        self.names: list[str] = self._rows.collect_schema().names()

    def batches(self, names: list[str], size: int) -> Iterator[Columns]:
        start = 0
        while len(frame := self._rows.select(names).slice(start, size).collect()):
            yield [frame[name].to_numpy() for name in names]
            start += len(frame)


class _Pandas:
    def __init__(self, path: str) -> None:
        import pandas  # type: ignore[import-untyped,unused-ignore]

        self._frame = pandas.read_parquet(path)
        self.names: list[str] = [str(name) for name in self._frame.columns]

    def batches(self, names: list[str], size: int) -> Iterator[Columns]:
        for start in range(0, len(self._frame), size):
            part = self._frame.iloc[start : start + size]
            columns = (part.iloc[:, self.names.index(name)] for name in names)
            yield [c.astype(object).where(c.notna(), None).to_numpy() for c in columns]


def _reader(path: str) -> Any:
    for reader in (_Pyarrow, _Polars, _Pandas):
        try:
            return reader(path)
        except ImportError:  # not installed; or pandas, with nothing that reads Parquet for it
            continue
        except Exception as error:  # noqa: BLE001  each has errors of its own for a broken file
            words = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise UsageError(f"{path}: cannot be read as Parquet: {words}") from None
    raise UsageError(f"{path}: Parquet files need pyarrow (or polars); pip install pyarrow")


class ParquetTable(Table):
    """A Parquet file."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._reader = _reader(path)
        self.names = self._reader.names
        self.candidates = range(len(self.names))

    def blocks(self, features: Sequence[int], target: int | None) -> Iterator[Block]:
        """Read the columns at these positions, a block of rows at a time."""
        positions = [*features] if target is None else [*features, target]
        names, start = [self.names[i] for i in positions], 0
        for columns in self._reader.batches(names, rows_of_block(len(features))):
            cells = None if target is None else columns.pop()
            yield block_of_columns(self, start, features, columns, cells)
            start += len(columns[0])
