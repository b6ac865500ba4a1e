"""One row of a source, as it was read."""

from __future__ import annotations

from typing import Any, NamedTuple

from ftkit.datasets._values import one_line
from ftkit.models import Problem

_LONGEST_COLUMN = 400  # characters of the name of a column, where it is named in a problem


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
    return row._replace(problem=row.problem.model_copy(update={"field": one_line(column, _LONGEST_COLUMN)}))
