"""Rows of CSV, and the JSON in their cells."""

from __future__ import annotations

import csv
import json
import re
from typing import TYPE_CHECKING, Any

from ftkit.datasets import _limits
from ftkit.datasets._lines import TooLong, UnreadableError, as_text, raw_lines, too_long
from ftkit.datasets._opening import opened
from ftkit.datasets._rows import Row, bad_row, in_column
from ftkit.datasets._strict_json import Decoded, StrictJSON
from ftkit.datasets._values import excerpt, is_list, is_object, named, repeated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from ftkit.datasets._locating import Located

_JSON_ONLY = frozenset(
    {"messages", "tools", "parallel_tool_calls", "input", "preferred_output", "non_preferred_output"}
)
_TEXT_OR_MESSAGES = frozenset({"prompt", "completion", "chosen", "rejected"})
_LIST_OF_OBJECTS = re.compile(r"\s*\[\s*\{")


class _Lines:
    """The lines of a file as text. What is wrong with one is remembered, for the row that it belongs to.

    Attributes:
        count: Lines that were read.
        bad: Code, message and remedy of the last line that cannot be read.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._lines = raw_lines(file, _limits.LONGEST_CSV_ROW)
        self.count = 0
        self.begin()

    def begin(self) -> None:
        """Takes the next line as the first of a row."""
        self.bad: tuple[str, str, str] | None = None
        self._size = self._commas = 0

    def __iter__(self) -> Iterator[str]:
        for raw in self._lines:
            self.count += 1
            yield self._text(raw)

    def _text(self, raw: bytes | bytearray | TooLong) -> str:
        goes_on = self._size > 0  # then it began within quotes
        if isinstance(raw, TooLong):
            return self._pass_over(raw, too_long(_limits.LONGEST_CSV_ROW), within_quotes=goes_on)
        self._size += len(raw)
        self._commas += raw.count(b",")
        if self._size > _limits.LONGEST_CSV_ROW:
            return self._pass_over(raw, too_long(_limits.LONGEST_CSV_ROW), within_quotes=goes_on)
        if self._commas > _limits.MOST_PARTS:
            message = f"there are more than {_limits.MOST_PARTS:,} commas in one row."
            what = ("row-too-long", message, "Write one row on each line.")
            return self._pass_over(raw, what, within_quotes=goes_on)
        try:
            text = as_text(raw, is_first=self.count == 1)
        except UnreadableError as error:
            code, message, fix = error.what
            self.bad = (code, message.replace("the row", f"line {self.count}"), fix)
            return raw.decode("utf-8", errors="replace")
        if text.startswith("\ufeff"):
            fix = "Remove it, and the header after it, where files were joined."
            self.bad = ("bad-encoding", f"line {self.count} begins with a byte order mark.", fix)
        return text

    def _pass_over(self, raw: bytes | bytearray | TooLong, what: tuple[str, str, str], *, within_quotes: bool) -> str:
        """Goes to the end of a row that is too long, and returns what ends it for the parser."""
        self.bad = what
        opened = within_quotes != _is_odd(raw)
        while opened and (more := next(self._lines, None)) is not None:
            self.count += 1
            opened = opened != _is_odd(more)
        return '"\n' if within_quotes else "\n"


def _is_odd(raw: bytes | bytearray | TooLong) -> bool:
    """Whether there is an odd number of quotes in a line, so that it ends within them if it did not begin there."""
    return (raw.quotes if isinstance(raw, TooLong) else raw.count(b'"')) % 2 == 1


def csv_rows(source: Located) -> Iterator[Row]:
    """Yields the rows of a file with a header; the line of a row is the one on which it starts."""
    with opened(source) as file:
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
    csv.field_size_limit(max(csv.field_size_limit(), _limits.LONGEST_CSV_ROW))
    lines = _Lines(file)
    reader = csv.reader(iter(lines), strict=True)
    while True:
        lines.begin()
        line = lines.count + 1
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


def _row(name: str, line: int, header: list[str], cells: list[str]) -> Row:
    if len(cells) != len(header):
        message = f"the row has {len(cells)} cells, and the header {len(header)}."
        fix = "Put cells with a comma, a quote or a line break in quotes."
        return bad_row(name, line, "bad-csv", message, fix, excerpt(",".join(cells[:50])))
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
            decoded = _messages_or_text(cell, strict)
        elif column not in _JSON_ONLY or (column == "input" and "preferred_output" not in record):
            decoded = Decoded(cell, None)
        elif cell.strip():
            try:
                decoded = strict.whole(cell.lower() if cell in {"True", "False"} else cell)
            except json.JSONDecodeError as error:
                bad = bad_row(
                    name, row.line, "bad-json", f"wrong JSON: {error.msg}.", "Write it with json.dumps.", excerpt(cell)
                )
                return in_column(bad, column)
        else:
            continue  # an empty cell is how CSV says that there is none
        if decoded.flaw is not None:
            return in_column(bad_row(name, row.line, *decoded.flaw, excerpt(cell)), column)
        found[column] = decoded.value
    return Row(row.line, found)


def _messages_or_text(cell: str, strict: StrictJSON) -> Decoded:
    """Reads messages. Text that only looks like JSON, such as "[INST] ...", stays text."""
    if not _LIST_OF_OBJECTS.match(cell):
        return Decoded(cell, None)
    try:
        decoded = strict.whole(cell)
    except json.JSONDecodeError:
        return Decoded(cell, None)
    value: object = decoded.value
    is_messages = is_list(value) and bool(value) and all(is_object(m) and "role" in m for m in value)
    return decoded if is_messages or value is None else Decoded(cell, None)
