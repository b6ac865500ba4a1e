"""Rows that wait on disk until it is known which columns there are."""

from __future__ import annotations

import json
import tempfile
from typing import IO, TYPE_CHECKING, Any, NamedTuple, Self

from ftkit.datasets._encoding import as_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from types import TracebackType

    from ftkit.datasets.records import Record


class Waiting(NamedTuple):
    """A row that waits.

    Attributes:
        line: Its line in the source.
        row: The row.
        size: Bytes that it takes as JSON.
    """

    line: int
    row: Record
    size: int


class Spool:
    """Rows in a file without a name, which is made when there is one.

    Args:
        folder: On which disk they wait.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, line: int, row: Mapping[str, Any]) -> None:
        """Takes one more row, of which `as_json` is known to be possible."""
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - it is closed with this
        self._file.write(as_json([line, row]).encode() + b"\n")

    def __iter__(self) -> Iterator[Waiting]:
        """Yields all rows, in order."""
        if self._file is None:
            return
        self._file.seek(0)
        for encoded in self._file:
            line, row = json.loads(encoded)
            yield Waiting(line, row, len(encoded))
