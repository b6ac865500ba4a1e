"""Reads a data set in any format, one row at a time. A row that cannot be read is a problem, and reading goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ftkit.datasets._arrow_rows import arrow_rows
from ftkit.datasets._csv_rows import csv_rows, with_json_cells
from ftkit.datasets._json_rows import json_rows, jsonl_rows
from ftkit.datasets._locating import Format, Located, Source, locate
from ftkit.datasets._opening import BrokenOffError, why_broken_off
from ftkit.datasets._rows import Row, bad_row, of_element
from ftkit.datasets._values import named, one_line
from ftkit.datasets.records import FIELD_NAMES, OPTIONAL_FIELDS
from ftkit.errors import ConfigurationError
from ftkit.methods import near
from ftkit.models import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_READERS: dict[Format, Callable[[Located], Iterator[Row]]] = {
    Format.JSONL: jsonl_rows,
    Format.JSON: json_rows,
    Format.CSV: csv_rows,
    Format.PARQUET: arrow_rows,
    Format.ARROW: arrow_rows,
}
_MOST_NAMES = 1000  # among which one that was meant is looked for


def read(source: Source, *, columns: Mapping[str, str] | None = None) -> Iterator[Row]:
    """Reads a data set. Memory does not grow with its length.

    Args:
        source: A file (.jsonl, .ndjson, .json, .csv, .parquet; all but the last also packed, with .gz or .zst after),
            or a folder saved by `datasets.save_to_disk`.
        columns: The file's own column names -> those of the record, such as {"question": "prompt"}. Where the file
            has a column of the new name as well, that one is kept as "prompt (the file's own)".

    Returns:
        The rows, in order; those that cannot be read hold a problem in place of a record. A number that no float
        equals is a `Decimal`.

    Raises:
        DatasetError: There is no such file, or it is no data set.
        ConfigurationError: `columns` names a field that no record has, or one field twice.
        MissingExtraError: pyarrow is needed and not installed.
    """
    located = locate(source)
    wanted = _known_columns(columns or {})
    rows = _to_the_end(located.name, _READERS[located.format](located))
    if wanted:
        rows = _renamed(located.name, rows, wanted)
    return with_json_cells(located.name, rows) if located.format is Format.CSV else rows


def _to_the_end(name: str, rows: Iterator[Row]) -> Iterator[Row]:
    """Passes rows on; a file that vanishes, or a disk that fails, is a problem where it happens."""
    line = 0
    try:
        for row in rows:
            line = row.line
            yield row
    except (OSError, BrokenOffError) as error:
        yield bad_row(name, line + 1, *why_broken_off(error))


def _known_columns(columns: Mapping[str, str]) -> dict[str, str]:
    for target in columns.values():
        if target not in FIELD_NAMES:
            message = f"columns: no record has a field '{target}'{near(target, FIELD_NAMES) or '.'}"
            raise ConfigurationError(message, hint=f"Fields: {', '.join(sorted(FIELD_NAMES))}.")
    if len({*columns.values()}) != len(columns):
        raise ConfigurationError("columns: two columns are mapped to one field.", hint="Map each to its own.")
    return dict(columns)


def _renamed(name: str, rows: Iterator[Row], columns: dict[str, str]) -> Iterator[Row]:
    for row in rows:
        if row.record is None:
            yield row
            continue
        lacking = [
            old
            for old, new in columns.items()
            if old not in row.record and new not in row.record and new not in OPTIONAL_FIELDS
        ]
        yield _without_column(name, row, lacking[0]) if lacking else row._replace(record=_rename(row.record, columns))


def _rename(record: dict[str, Any], columns: dict[str, str]) -> dict[str, Any]:
    taken = {new for old, new in columns.items() if old in record}
    renamed: dict[str, Any] = {}
    for key, value in record.items():
        own = f"{key} (the file's own)" if key in taken else key
        renamed[columns.get(key, own)] = value
    return renamed


def _without_column(name: str, row: Row, column: str) -> Row:
    has = list(row.record or {})
    problem = Problem(
        code="missing-column",
        message=one_line(f"there is no column '{column}'{near(column, has[:_MOST_NAMES]) or '.'}"),
        fix=f"The row has {named(has)}." if has else "The row is empty.",
        source=name,
        line=row.line,
        field=column,
    )
    return row._replace(record=None, problem=of_element(problem, row.nth))
