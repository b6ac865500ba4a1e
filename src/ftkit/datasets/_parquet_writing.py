"""Writes Parquet. pyarrow is imported here, and only when it is needed."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, BinaryIO

from ftkit.datasets._arrow_rows import without_nulls
from ftkit.datasets._column_types import ListOf, StructOf, Type, fitted, widened
from ftkit.datasets._encoding import as_json
from ftkit.datasets._values import is_list, is_object
from ftkit.errors import DatasetError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ftkit.datasets._spool import Spool
    from ftkit.datasets._writers import Says
    from ftkit.datasets.records import Record

_ROWS, _BYTES = 1000, 2**24
"""The most rows of a row group, and about the most bytes of text: whoever reads it holds one group at a time."""


def need_pyarrow() -> None:
    """Makes sure that pyarrow is there.

    Raises:
        MissingExtraError: It is not.
    """
    try:
        importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise MissingExtraError("Writing Parquet", "parquet") from error


class ParquetWriter:
    """Writes a table whose nested columns have types, as far as all rows agree on them.

    Tools are JSON text, as TRL takes them. Elsewhere, what differs from row to row is of the type arrow.json, as in
    tables of Hugging Face's `datasets`. A table has every field in every row and cannot say "null" apart from "not
    there": a column in which that matters is arrow.json as a whole.

    Args:
        file: Where to.
        says: What a row says.
        rows: Where rows wait.
    """

    def __init__(self, file: BinaryIO, says: Says, rows: Spool) -> None:
        self._file = file
        self._says = says
        self._waiting = rows
        self._types: dict[str, Type] = {}

    def add(self, line: int, row: Mapping[str, Any]) -> None:
        """Keeps a row, and learns of it what types the columns have."""
        kept = _with_tools_as_text(row)
        nullless: Record = without_nulls(kept)
        matter = nullless != kept and not self._says_same(row, nullless)
        for name, value in kept.items():
            differs = matter and nullless.get(name) != value
            self._types[name] = "json" if differs else widened(self._types.get(name), nullless.get(name))
        self._waiting.add(line, kept)

    def close(self) -> Iterator[tuple[int, str]]:
        """Writes all rows."""
        arrow: Any = importlib.import_module("pyarrow")
        parquet: Any = importlib.import_module("pyarrow.parquet")
        stored, meant = (arrow.schema(_fields(arrow, self._types, json)) for json in (arrow.string(), arrow.json_()))
        with parquet.ParquetWriter(self._file, meant) as writer:
            for group in _groups(self._waiting):
                values = [self._fitted(row) for row in group]
                table = arrow.Table.from_pylist(values, schema=stored).cast(meant)
                writer.write_table(table, row_group_size=len(group))
        return iter(())

    def _fitted(self, row: Record) -> Record:
        whole = {name for name, type_ in self._types.items() if type_ == "json"}
        typed = without_nulls({name: value for name, value in row.items() if name not in whole})
        return {name: fitted(self._types[name], row[name] if name in whole else typed.get(name)) for name in row}

    def _says_same(self, row: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
        try:
            return self._says(row) == self._says(other)
        except DatasetError:
            return False


def _with_tools_as_text(row: Mapping[str, Any]) -> Record:
    """Returns a row with its tools as JSON text; no two of them have parameters of one type."""
    found = dict(row)
    if is_list(row.get("tools")):
        found["tools"] = as_json(row["tools"])
    given: object = row.get("input")
    if is_object(given) and is_list(given.get("tools")):
        found["input"] = {**given, "tools": as_json(given["tools"])}
    return found


def _groups(rows: Spool) -> Iterator[list[Record]]:
    group: list[Record] = []
    size = 0
    for waiting in rows:
        group.append(waiting.row)
        size += waiting.size
        if len(group) == _ROWS or size >= _BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _fields(arrow: Any, types: Mapping[str, Type], json: Any) -> list[tuple[str, Any]]:  # noqa: ANN401
    return [(name, _arrow_type(arrow, type_, json)) for name, type_ in types.items()]


def _arrow_type(arrow: Any, type_: Type, json: Any) -> Any:  # noqa: ANN401 - pyarrow has no types
    if isinstance(type_, ListOf):
        return arrow.list_(_arrow_type(arrow, type_.item, json))
    if isinstance(type_, StructOf):
        return arrow.struct(_fields(arrow, type_.fields, json))
    plain = {"bool": arrow.bool_(), "int64": arrow.int64(), "double": arrow.float64(), "json": json}
    return plain.get(type_ or "string", arrow.string())
