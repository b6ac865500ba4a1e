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
        nth: Which element of a JSON array it is, counted from 1, where its line alone does not tell; else None.
        is_row: Whether it stands for a row at all: what comes after the last one does not.
    """

    line: int
    record: dict[str, Any] | None
    problem: Problem | None = None
    nth: int | None = None
    is_row: bool = True


def bad_row(source: str, line: int, code: str, message: str, fix: str, piece: str | None = None) -> Row:
    """Returns a row that could not be read."""
    problem = Problem(code=code, message=one_line(message), fix=fix, source=source, line=line, excerpt=piece or None)
    return Row(line, None, problem)


def of_element(problem: Problem, nth: int | None) -> Problem:
    """Returns a problem of an element of an array, told by its number where its line does not tell which it is."""
    if nth is None:
        return problem
    return problem.model_copy(update={"message": f"element {nth:,} of the array: {problem.message}"})


def in_column(row: Row, column: str) -> Row:
    """Returns a row that could not be read, with the name of the column that is to blame."""
    assert row.problem is not None  # noqa: S101 - it was made as a bad row
    return row._replace(problem=row.problem.model_copy(update={"field": one_line(column, _LONGEST_COLUMN)}))
