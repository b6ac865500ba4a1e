"""Writes CSV of which every cell reads back as what it was."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any, BinaryIO

from ftkit.datasets._csv_rows import with_json_cells
from ftkit.datasets._encoding import as_json
from ftkit.datasets._rows import Row
from ftkit.datasets._values import named
from ftkit.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ftkit.datasets._spool import Spool
    from ftkit.datasets._writers import Says

_MARK = "\ufeff"


class CSVWriter:
    """Writes a header and cells with commas between, as RFC 4180 has it; what is not text is JSON in its cell.

    Args:
        file: Where to.
        says: What a row says.
        rows: Where rows wait.
    """

    def __init__(self, file: BinaryIO, says: Says, rows: Spool) -> None:
        self._file = file
        self._says = says
        self._waiting = rows
        self._columns: dict[str, None] = {}

    def add(self, line: int, row: Mapping[str, Any]) -> None:
        """Keeps a row, whose columns may be others than those of the rows before it."""
        self._columns |= dict.fromkeys(row)
        self._waiting.add(line, row)

    def close(self) -> Iterator[tuple[int, str]]:
        """Writes all rows; yields those in which a cell would be read as something else."""
        self._put([*self._columns])
        for line, row, _ in self._waiting:
            cells = [_cell(row.get(column)) for column in self._columns]
            wrong = self._wrong(row, cells)
            if wrong is None:
                self._put(cells)
            else:
                yield line, wrong

    def _put(self, cells: list[str]) -> None:
        # a byte order mark where a line begins is told as a wrong one, and is no mark within quotes
        line = io.StringIO(newline="")
        csv.writer(line, quoting=csv.QUOTE_ALL if cells[0].startswith(_MARK) else csv.QUOTE_MINIMAL).writerow(cells)
        self._file.write(line.getvalue().encode())

    def _wrong(self, row: Mapping[str, Any], cells: list[str]) -> str | None:
        """Returns what of a row CSV cannot hold."""
        held = dict(zip(self._columns, cells, strict=True))
        for column, cell in held.items():
            if "\0" in cell:
                return f"{named([column])} holds a NUL, which CSV has no way to write."
            if f"\n{_MARK}" in cell:
                return f"a line of {named([column])} begins with a byte order mark, which CSV takes for one."
        read = next(with_json_cells("", iter([Row(1, {column.strip(): cell for column, cell in held.items()})])))
        if read.record is not None and self._says_same(row, read.record):
            return None
        found = read.record or {}
        others = [name for name in self._columns if name not in found or found[name] != row.get(name)]
        return f"read back from CSV, {named(others)} would be something else."

    def _says_same(self, row: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
        try:
            return self._says(row) == self._says(other)
        except DatasetError:
            return False


def _cell(value: object) -> str:
    return "" if value is None else value if isinstance(value, str) else as_json(value)
