"""Rows of Parquet files and of folders saved by `datasets`. pyarrow is imported here, and only when it is needed."""

from __future__ import annotations

import importlib
import math
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from ftkit.datasets import _limits
from ftkit.datasets._arrow_process import BrokenError, decoded
from ftkit.datasets._lines import too_long
from ftkit.datasets._rows import Row, bad_row, in_column
from ftkit.datasets._strict_json import StrictJSON
from ftkit.datasets._values import is_list, is_object, named, repeated
from ftkit.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ftkit.datasets._locating import Located

    Reader: TypeAlias = Callable[[Any], Any]


def arrow_rows(source: Located) -> Iterator[Row]:
    """Returns the rows of a table.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    try:
        arrow: Any = importlib.import_module("pyarrow")
        importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise MissingExtraError("Reading Parquet", "parquet") from error
    return _rows(source, arrow)


def _rows(source: Located, arrow: Any) -> Iterator[Row]:  # noqa: ANN401 - pyarrow has no types
    line = 0
    try:
        for batch in decoded(source, arrow):
            if batch is None:
                line += 1
                yield bad_row(source.name, line, *too_long(_limits.LONGEST_ROW))
                continue
            twice = repeated(batch.schema.names)
            if twice:
                message = f"the table names columns twice: {named(twice)}."
                yield bad_row(source.name, line + 1, "bad-table", message, "Give each column a name of its own.")
                return
            for row in _some(source.name, line, batch, _readers(batch.schema)):
                line += 1
                yield row
    except (BrokenError, arrow.ArrowException, UnicodeDecodeError) as error:  # the last, for names that are no text
        message = f"the table cannot be read any further: {str(error).rstrip('.')}."
        fix = error.fix if isinstance(error, BrokenError) else "Write the file again."
        yield bad_row(source.name, line + 1, "bad-table", message, fix)


def _some(name: str, line: int, batch: Any, readers: dict[str, Reader]) -> list[Row]:  # noqa: ANN401
    """Returns the rows of a small batch, which come after so many lines."""
    try:
        records = [_with_json(without_nulls(record), readers) for record in batch.to_pylist()]
        return [Row(line + n, record) for n, record in enumerate(records, start=1)]
    except (ValueError, OverflowError):  # one cell that cannot be read spoils them all
        return [_alone(name, line + n, batch.slice(n - 1, 1), readers) for n in range(1, batch.num_rows + 1)]


def _alone(name: str, line: int, batch: Any, readers: dict[str, Reader]) -> Row:  # noqa: ANN401
    record: dict[str, Any] = {}
    for column, cells in zip(batch.schema.names, batch.columns, strict=True):
        try:
            cell = without_nulls({column: cells.to_pylist()[0]})
            record |= _with_json(cell, readers)
        except (ValueError, OverflowError) as error:  # text that is not UTF-8, a date beyond the year 9999
            message = f"the cell cannot be read: {error}."
            return in_column(bad_row(name, line, "bad-cell", message, "Write it again, or leave it out."), column)
    return Row(line, record)


def _readers(fields: Any) -> dict[str, Reader]:  # noqa: ANN401
    found = {field.name: _reader(field.type) for field in fields}
    return {name: reader for name, reader in found.items() if reader is not None}


def _reader(kind: Any) -> Reader | None:  # noqa: ANN401
    """Returns what parses the JSON in values of a type; None if there can be none.

    `datasets` 5 keeps as JSON what differs from row to row, such as the parameters of tools. Its text is not the value.
    """
    if getattr(kind, "extension_name", None) == "arrow.json":
        return _parsed
    item = getattr(kind, "value_type", None)
    if item is not None:
        inner = _reader(item)
        return None if inner is None else lambda values: [None if v is None else inner(v) for v in values]
    inside = _readers(getattr(kind, "fields", ()))
    return partial(_with_json, readers=inside) if inside else None


def _with_json(record: dict[str, Any], readers: dict[str, Reader]) -> dict[str, Any]:
    return {key: readers[key](value) if key in readers else value for key, value in record.items()}


def _parsed(text: str) -> Any:  # noqa: ANN401 - what JSON holds
    decoded = StrictJSON().whole(text)
    if decoded.flaw is not None:
        raise ValueError(decoded.flaw.message)
    return decoded.value


def without_nulls(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Leaves out the fields that are null: a table has every field in every row, and cannot say "not there".

    NaN counts as null, for so pandas writes a number that is missing.
    """
    if is_object(value):
        return {key: without_nulls(item) for key, item in value.items() if not _is_null(item)}
    if is_list(value):
        return [without_nulls(item) for item in value]
    return value


def _is_null(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
