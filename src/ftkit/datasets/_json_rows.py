"""Rows of JSON lines and of JSON arrays, one at a time."""

from __future__ import annotations

import json
from itertools import count, repeat
from typing import TYPE_CHECKING

from ftkit.datasets import _limits
from ftkit.datasets._json_text import EndlessError, JSONText
from ftkit.datasets._lines import TooLong, UnreadableError, as_text, raw_lines, too_long
from ftkit.datasets._opening import opened
from ftkit.datasets._rows import Row, bad_row, of_element
from ftkit.datasets._strict_json import BLANK, StrictJSON
from ftkit.datasets._values import excerpt, is_list, is_object, type_name
from ftkit.datasets.records import FIELD_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ftkit.datasets._locating import Located

_CHUNK = 64 * 1024
_ARRAY = "Write an array of objects, one object with that array under one key, or one object on each line."
_ALONE = "Write just the array, or one object that holds the array and nothing else."
_CR_ONLY = "the lines end with CR only, which ends no line here."
_CONVERT = r"Convert them, such as by: tr '\r' '\n' < OLD > NEW"
_CONTROL = "Invalid control character"  # as Python says it
_NO_CONTROL = r"Write it as an escape, such as \t for a tab; json.dumps does."


def jsonl_rows(source: Located) -> Iterator[Row]:
    """Yields the rows of a file with one object on each line; blank lines are passed over."""
    with opened(source) as file:
        lines = raw_lines(file, _limits.LONGEST_ROW)
        # by `map`, so that nothing here holds a line while its row is looked at
        for row in map(jsonl_row, repeat(source.name), count(1), lines, repeat(StrictJSON())):
            if row is not None:
                yield row


def json_rows(source: Located) -> Iterator[Row]:
    """Yields the rows of an array, of the array that an object holds under one key, or of lines."""
    with opened(source) as file:
        text = JSONText(file)
        first = text.peek()
        objects = _objects_on_lines(source) if first == b"{" else 0
        if first == b"[" or (first == b"{" and objects < 2 and _holds_array(text)):  # noqa: PLR2004 - two are several
            try:
                yield from _elements(source.name, text, b"" if first == b"[" else b"}")
            except EndlessError:
                message = f"there are more than {_limits.MOST_PARTS:,} parts in one row."
                yield bad_row(source.name, text.line, "row-too-long", message, "What follows could not be read.")
            return
    if objects:
        yield from jsonl_rows(source)
    elif first:
        message = "this is one object over several lines, whose first key holds no array of rows."
        yield bad_row(source.name, 1, "bad-json", message if first == b"{" else "this is no list of objects.", _ARRAY)


def _objects_on_lines(source: Located) -> int:
    """Returns how a file goes on that begins with an object: 2 if another one is on a line of its own.

    1 if the whole file is one line, and 0 if the object goes on over lines.
    """
    last, is_new_line = b"", False
    with opened(source) as file:
        while piece := file.readline(_CHUNK):
            text = piece.strip()
            if text and is_new_line:
                return 2 if last == b"}" and text.startswith(b"{") else 0
            last = text[-1:] or last
            is_new_line = bool(last) and piece.endswith(b"\n")
    return 1 if last == b"}" else 0


def jsonl_row(name: str, line: int, raw: bytes | bytearray | TooLong | None, strict: StrictJSON) -> Row | None:
    """Returns the row that some bytes hold; None if they are blank."""
    if raw is None or isinstance(raw, TooLong):
        return bad_row(name, line, *too_long(_limits.LONGEST_ROW))
    try:
        text = as_text(raw, is_first=line == 1)
    except UnreadableError as error:
        return bad_row(name, line, *error.what)
    if isinstance(raw, bytearray):
        raw.clear()  # a long row is not held twice
    if not text or (text.isspace() and not text.strip(BLANK)):
        return None
    try:
        decoded = strict.whole(text)
    except json.JSONDecodeError as error:
        return bad_row(name, line, "bad-json", *_wrong(text, error), excerpt(text))
    if decoded.flaw is not None:
        return bad_row(name, line, *decoded.flaw, excerpt(text))
    return _object(name, line, decoded.value)


def _object(name: str, line: int, value: object) -> Row:
    if is_object(value):
        return Row(line, value)
    message = f"a row is an object, and this is {type_name(value)}."
    is_array = is_list(value)
    fix = "Write one object on each line, or name the file .json." if is_array else "Write an object in its place."
    return bad_row(name, line, "not-an-object", message, fix, excerpt(value))


def _wrong(text: str, error: json.JSONDecodeError) -> tuple[str, str]:
    """Returns what is wrong with a text that is no JSON, and how to mend it."""
    if error.msg == "Extra data" and "\n" not in (before := text[: error.pos]) and before.endswith("\r"):
        return _CR_ONLY, _CONVERT
    end = len(text)
    while end and text[end - 1] in "\r\n":  # which is there or not, as the line was read
        end -= 1
    place = min(error.pos, end)
    column = place - text.rfind("\n", 0, place)
    message = f"wrong JSON: {error.msg.removesuffix(' at')} at column {column}."
    return message, _NO_CONTROL if error.msg.startswith(_CONTROL) else _mend(text)


def _mend(text: str) -> str:
    start = text[:20].strip(BLANK)
    if start.startswith("\ufeff"):
        return "Remove the byte order mark at the start of the line, where files were joined."
    if start.startswith(("{'", "['")):
        return "JSON has double quotes; write each row with json.dumps."
    if start in {"{", "[", "[{"}:
        return "Write each object on one line, or name the file .json."
    return "Write one whole JSON object on the line."


def _holds_array(text: JSONText) -> bool:
    """Goes into an object, up to the array under its first key, if that is what it holds."""
    text.skip()
    if text.peek() != b'"':
        return False
    key = text.value()
    if text.peek() != b":":
        return False
    text.skip()
    return text.peek() == b"[" and key is not None and _unquoted(key) not in FIELD_NAMES


def _unquoted(key: bytes | bytearray) -> object:
    try:
        return StrictJSON().whole(as_text(key)).value
    except (json.JSONDecodeError, UnreadableError):
        return None


def _elements(name: str, text: JSONText, closing: bytes) -> Iterator[Row]:
    """Yields the rows of an array, up to its end, which must be the end of the file but for `closing`."""
    strict = StrictJSON()
    text.skip()
    if text.peek() == b"]":
        text.skip()
    else:
        before = 0
        for nth in count(1):
            text.peek()
            line = text.line
            row = jsonl_row(name, line, text.value(), strict)
            mark = text.peek()
            text.skip()
            shares_line = line == before or (mark == b"," and bool(text.peek()) and text.line == line)
            if row is not None:
                yield _numbered(row, nth) if shares_line else row
            if not mark and (row is None or row.problem is not None):
                return  # the file ends within the row
            before = line
            if mark == b"]":
                break
            if mark != b",":
                message = "wrong JSON: after an object of the array comes neither ',' nor ']'."
                yield bad_row(name, text.line, "bad-json", message, "What follows could not be read.")
                return
    if closing and text.peek() == closing:
        text.skip()
        closing = b""
    if closing or text.peek():
        yield bad_row(name, text.line, "bad-json", "after the array of rows comes more.", _ALONE)._replace(is_row=False)


def _numbered(row: Row, nth: int) -> Row:
    problem = None if row.problem is None else of_element(row.problem, nth)
    return row._replace(nth=nth, problem=problem)
