"""Rows of CSV, and the JSON in their cells."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

from ftkit.datasets._rows import LONGEST_ROW, Row, bad_row, in_column, raw_lines, too_long
from ftkit.datasets._strict_json import StrictJSON
from ftkit.datasets._values import excerpt, is_list, is_object, named, repeated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from ftkit.datasets._locating import Located

_JSON_ONLY = frozenset(
    {"messages", "tools", "parallel_tool_calls", "input", "preferred_output", "non_preferred_output"}
)
_TEXT_OR_MESSAGES = frozenset({"prompt", "completion", "chosen", "rejected"})


class _Lines:
    """The lines of a file as text. What is wrong with one is remembered, for the row that it belongs to.

    Attributes:
        bad: Code, message and remedy of the last line that cannot be read.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._count = 0
        self.bad: tuple[str, str, str] | None = None

    def __iter__(self) -> Iterator[str]:
        for raw in raw_lines(self._file):
            self._count += 1
            if raw is None:
                self.bad = too_long()
                yield "\n"
                continue
            encoding = "utf-8-sig" if self._count == 1 else "utf-8"
            try:
                yield raw.decode(encoding)
            except UnicodeDecodeError:
                self.bad = ("bad-encoding", f"line {self._count} is not UTF-8.", "Save the file as UTF-8.")
                yield raw.decode(encoding, errors="replace")


def csv_rows(source: Located) -> Iterator[Row]:
    """Yields the rows of a file with a header; the line of a row is the one on which it starts."""
    with source.path.open("rb") as file:
        header: list[str] | None = None
        for line, cells in _cells(source.name, file):
            if isinstance(cells, Row):
                yield cells
                if header is None:
                    return  # without its names, no cell means anything
            elif header is None:
                header = [cell.strip() for cell in cells]
                wrong = _wrong_header(header)
                if wrong:
                    yield bad_row(source.name, line, "bad-csv", *wrong)
                    return
            else:
                yield _row(source.name, line, header, cells)


def _wrong_header(header: list[str]) -> tuple[str, str] | None:
    """Returns what is wrong with the names of the columns, and how to mend it."""
    twice = repeated(header)
    if twice:
        return f"the header names columns twice: {named(twice)}.", "Give each column a name of its own."
    other = next((mark for mark in (";", "\t") if len(header) == 1 and mark in header[0]), None)
    if other:
        return f"the header is one column, {named(header)}.", f"Save the file with commas in place of {other!r}."
    return None


def _cells(name: str, file: BinaryIO) -> Iterator[tuple[int, list[str] | Row]]:
    """Yields the cells of each row that is not blank, or what is wrong with it, and the line on which it starts."""
    # Raised, never lowered, for the whole process: the module knows no other way, and 128 KiB is a short conversation.
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_ROW))
    lines = _Lines(file)
    reader = csv.reader(iter(lines), strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            cells, what = [], str(error)
            if what.startswith("new-line character"):  # and then it asks how the file was opened
                what = "a carriage return outside of quotes, with no line feed after it"
            fix = "Put such a cell in quotes, and double those inside."
            yield line, bad_row(name, line, "bad-csv", f"wrong CSV: {what}.", fix)
        if cells is None:
            return
        if lines.bad is not None:
            yield line, bad_row(name, line, *lines.bad)
        elif cells:
            yield line, cells
        lines.bad = None


def _row(name: str, line: int, header: list[str], cells: list[str]) -> Row:
    if len(cells) != len(header):
        message = f"the row has {len(cells)} cells, and the header {len(header)}."
        fix = "Put cells with a comma, a quote or a line break in quotes."
        return bad_row(name, line, "bad-csv", message, fix, excerpt(",".join(cells)))
    return Row(line, dict(zip(header, cells, strict=True)))


def with_json_cells(name: str, rows: Iterator[Row]) -> Iterator[Row]:
    """Parses the cells that hold JSON: those of columns that are never text, and lists of messages elsewhere."""
    strict = StrictJSON()
    for row in rows:
        yield row if row.record is None else _parsed(name, row, row.record, strict)


def _parsed(name: str, row: Row, record: dict[str, Any], strict: StrictJSON) -> Row:
    found: dict[str, Any] = {}
    for column, cell in record.items():
        if column in _TEXT_OR_MESSAGES:
            found[column] = _messages_or_text(cell, strict)
        elif column not in _JSON_ONLY or (column == "input" and "preferred_output" not in record):
            found[column] = cell
        elif cell.strip():  # an empty cell is how CSV says that there is none
            try:
                decoded = strict.whole(cell.lower() if cell in {"True", "False"} else cell)
            except json.JSONDecodeError as error:
                bad = bad_row(
                    name, row.line, "bad-json", f"wrong JSON: {error.msg}.", "Write it with json.dumps.", excerpt(cell)
                )
                return in_column(bad, column)
            if decoded.flaw is not None:
                return in_column(bad_row(name, row.line, *decoded.flaw, excerpt(cell)), column)
            found[column] = decoded.value
    return Row(row.line, found)


def _messages_or_text(cell: str, strict: StrictJSON) -> Any:  # noqa: ANN401 - what JSON holds
    """Text that only looks like JSON, such as "[INST] ...", stays text."""
    if not cell.lstrip().startswith("["):
        return cell
    try:
        decoded = strict.whole(cell)
    except json.JSONDecodeError:
        return cell
    value: object = decoded.value
    is_messages = is_list(value) and bool(value) and all(is_object(m) and "role" in m for m in value)
    return value if is_messages and decoded.flaw is None else cell
