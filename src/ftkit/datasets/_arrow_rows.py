"""Rows of Parquet files and of folders saved by `datasets`. pyarrow is imported here, and only when it is needed."""

from __future__ import annotations

import importlib
import math
from typing import TYPE_CHECKING, Any

from ftkit.datasets._locating import Format, Located
from ftkit.datasets._rows import Row, bad_row
from ftkit.datasets._values import is_list, is_object
from ftkit.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROWS_AT_ONCE = 256


def arrow_rows(source: Located) -> Iterator[Row]:
    """Returns the rows of a table.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    try:
        arrow: Any = importlib.import_module("pyarrow")
        parquet: Any = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise MissingExtraError("Reading Parquet", "parquet") from error
    return _rows(source, arrow, parquet)


def _rows(source: Located, arrow: Any, parquet: Any) -> Iterator[Row]:  # noqa: ANN401 - pyarrow has no types
    line = 0
    batches = _parquet(source, parquet) if source.format is Format.PARQUET else _folder(source, arrow)
    try:
        for batch in batches:
            for first in range(0, batch.num_rows, _ROWS_AT_ONCE):
                for record in batch.slice(first, _ROWS_AT_ONCE).to_pylist():
                    line += 1
                    yield Row(line, without_nulls(record))
    except (arrow.ArrowException, OSError) as error:
        message = f"the table cannot be read any further: {error}."
        yield bad_row(source.name, line + 1, "bad-table", message, "Write the file again.")


def _parquet(source: Located, parquet: Any) -> Iterator[Any]:  # noqa: ANN401
    with parquet.ParquetFile(source.path) as file:
        yield from file.iter_batches(batch_size=_ROWS_AT_ONCE)


def _folder(source: Located, arrow: Any) -> Iterator[Any]:  # noqa: ANN401
    """Yields batches of Arrow streams, which is what `datasets` writes, or of Arrow files."""
    for path in source.files:
        with arrow.memory_map(str(path)) as file:
            try:
                stream = arrow.ipc.open_stream(file)
            except arrow.ArrowInvalid:
                opened = arrow.ipc.open_file(file)
                yield from (opened.get_batch(i) for i in range(opened.num_record_batches))
            else:
                yield from stream


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
