"""Decodes a table in a process of its own, and hands it on in small batches of rows.

A table of five hundred bytes may unfold to terabytes: packed pages, one text for a million rows, a list that is null a
million times. Arrow's C++ code sets no bound to that, and wrong offsets make it read what is not there. Here that ends
a process that nobody misses; `_arrow_rows` watches what memory it takes.

Standard input is {"format": "parquet" or "arrow", "files": [...], "longest": bytes of the longest row, "most": bytes of
all rows}; standard output is an Arrow stream. A batch with `TOO_LONG` in its metadata has no rows, and stands for one
that was left out. What is wrong with the table goes to standard error, with the exit code `BROKEN`.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportMissingTypeStubs=false, reportAttributeAccessIssue=false
# ruff: noqa: ANN401
# (pyarrow has no types, and makes the functions of pyarrow.compute when it is imported)

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __name__ == "__main__":
    sys.modules["numpy"] = None  # type: ignore[assignment]  # not needed, and half of what pyarrow takes to start

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Iterator

BROKEN = 3
TOO_LONG = b"row-too-long"
_ROWS_AT_ONCE = 64
_BYTES_AT_ONCE = 2**24
_BYTES_A_VALUE = 64
"""What a value takes in Python, about, besides its text."""
_BYTES_A_ROW = 1024


def main() -> int:
    """Does what standard input asks for."""
    order = json.load(sys.stdin)
    files = [Path(file) for file in order["files"]]
    try:
        table = _parquet(files[0]) if order["format"] == "parquet" else _arrow(files)
        _hand_on(table, order["longest"], order["most"])
    except (pa.ArrowException, OSError, ValueError) as error:  # a ValueError, for a name that is no text
        sys.stderr.write(str(error))
        return BROKEN
    return 0


def _parquet(path: Path) -> Iterator[Any]:
    """Yields the schema, and then batches."""
    with pq.ParquetFile(path, pre_buffer=False, buffer_size=2**20) as file:
        yield file.schema_arrow
        groups = [file.metadata.row_group(n) for n in range(file.metadata.num_row_groups)]
        a_row = max((group.total_byte_size // max(group.num_rows, 1) for group in groups), default=0)
        at_once = max(1, min(_ROWS_AT_ONCE, _BYTES_AT_ONCE // max(a_row, 1)))
        yield from file.iter_batches(batch_size=at_once, use_threads=False)


def _arrow(files: list[Path]) -> Iterator[Any]:
    """Yields the schema and then batches of Arrow streams, which is what `datasets` writes, or of Arrow files."""
    # what is mapped is not memory that is taken, where the two can be told apart
    opened = pa.memory_map if sys.platform == "linux" else pa.OSFile
    for path in files:
        with opened(str(path)) as file:
            try:
                stream = pa.ipc.open_stream(file)
            except pa.ArrowInvalid:
                table = pa.ipc.open_file(file)
                yield table.schema
                batches = (table.get_batch(n) for n in range(table.num_record_batches))
            else:
                yield stream.schema
                batches = iter(stream)
            for batch in batches:
                batch.validate(full=True)  # it is memory as somebody wrote it; Parquet is checked as it is decoded
                yield batch


def _hand_on(table: Iterator[Any], longest: int, most: int) -> None:
    schema = next(table)
    none = pa.RecordBatch.from_arrays([pa.nulls(0, kind) for kind in schema.types], schema=schema)
    unfolded = 0
    with ExitStack() as stack:
        stream = stack.enter_context(pa.ipc.new_stream(sys.stdout.buffer, schema))
        for batch in table:
            for weight, part in _parts(batch, longest) if isinstance(batch, pa.RecordBatch) else ():
                unfolded += weight
                if unfolded > most:
                    raise ValueError(f"it unfolds to more than {most:,} bytes")
                if part is None:
                    stream.write_batch(none, custom_metadata={TOO_LONG: b""})
                else:
                    stream.write_batch(part)


def _parts(batch: Any, longest: int) -> Iterator[tuple[int, Any]]:
    """Yields what the rows take in Python, and some at a time; None for one that is too long."""
    rows = batch.num_rows
    weight = _BYTES_A_ROW * rows + sum(_weigh(column) for column in batch.columns)
    if (rows <= _ROWS_AT_ONCE and weight <= _BYTES_AT_ONCE) or (rows == 1 and weight <= longest):
        yield weight, batch
    elif rows == 1:
        yield longest, None
    else:
        yield from _parts(batch.slice(0, rows // 2), longest)
        yield from _parts(batch.slice(rows // 2), longest)


def _weigh(array: Any) -> int:
    """Returns about how many bytes the values of an array take in Python."""
    kind, own = array.type, _BYTES_A_VALUE * len(array)
    if isinstance(array, pa.ExtensionArray):
        return _weigh(array.storage)
    if pa.types.is_dictionary(kind):
        if pa.types.is_nested(kind.value_type):
            raise ValueError(f"columns of the type {kind} are not read")
        return own + _text(array.dictionary, array.indices) + _weigh(array.dictionary)
    if pa.types.is_map(kind):
        first, end = array.offsets[0].as_py(), array.offsets[-1].as_py()
        return own + _weigh(array.keys.slice(first, end - first)) + _weigh(array.items.slice(first, end - first))
    if pa.types.is_struct(kind):
        return own + sum(_weigh(field) for field in array.flatten())
    if pa.types.is_union(kind) or pa.types.is_run_end_encoded(kind):
        raise ValueError(f"columns of the type {kind} are not read")
    if pa.types.is_nested(kind):
        return own + _weigh(array.flatten())
    return own + _text(array)


def _text(array: Any, indices: Any = None) -> int:
    """Returns the bytes of the texts of an array, or of those that are asked for; 0 where there are none."""
    kind = array.type
    if pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):
        array = array.cast(pa.large_string() if pa.types.is_string_view(kind) else pa.large_binary())
    elif not (pa.types.is_binary(kind) or pa.types.is_string(kind) or _is_large(kind)):
        return 0
    lengths = pc.binary_length(array)
    size = pc.sum(lengths if indices is None else lengths.take(indices)).as_py() or 0
    return 2 * size if size > _BYTES_AT_ONCE and _is_wide(array) else size


def _is_wide(array: Any) -> bool:
    """Whether Python takes four bytes for each character of a text, where two are reckoned with."""
    is_text = pa.types.is_string(array.type) or pa.types.is_large_string(array.type)
    return is_text and bool(pc.any(pc.match_substring_regex(array, "[\U00010000-\U0010ffff]")).as_py())


def _is_large(kind: Any) -> bool:
    large = pa.types.is_large_binary(kind) or pa.types.is_large_string(kind)
    return bool(large or pa.types.is_fixed_size_binary(kind))


if __name__ == "__main__":
    sys.exit(main())
