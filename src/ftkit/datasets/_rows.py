"""One row of a source, as it was read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from ftkit.datasets._values import one_line
from ftkit.models import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_ROW = 128 * 2**20
"""Bytes of the longest row that is held in memory. Ten images in one row have less; a file without line ends, more."""
_CHUNK = 64 * 1024


class Row(NamedTuple):
    """One row: a record, or the problem that kept it from being read.

    Attributes:
        line: Line of the file on which it starts, or row of the table, counted from 1.
        record: The row by the names of its columns; None if it could not be read.
        problem: Why it could not be read; None if it could.
    """

    line: int
    record: dict[str, Any] | None
    problem: Problem | None = None


def bad_row(source: str, line: int, code: str, message: str, fix: str, piece: str | None = None) -> Row:
    """Returns a row that could not be read."""
    problem = Problem(code=code, message=one_line(message), fix=fix, source=source, line=line, excerpt=piece or None)
    return Row(line, None, problem)


def in_column(row: Row, column: str) -> Row:
    """Returns a row that could not be read, with the name of the column that is to blame."""
    assert row.problem is not None  # noqa: S101 - it was made as a bad row
    return row._replace(problem=row.problem.model_copy(update={"field": column}))


def raw_lines(file: BinaryIO) -> Iterator[bytes | None]:
    """Yields the lines of a file; None in place of one that is too long to be held."""
    while raw := file.readline(LONGEST_ROW + 1):
        if len(raw) <= LONGEST_ROW:
            yield raw
            continue
        while raw and not raw.endswith(b"\n"):
            raw = file.readline(_CHUNK)
        yield None


def too_long() -> tuple[str, str, str]:
    """Returns what is to be said of such a line: code, message, how to mend it."""
    message = f"the line is longer than {LONGEST_ROW:,} bytes."
    return "row-too-long", message, "Write one row on each line."
