"""Rows of JSON lines and of JSON arrays, one at a time."""

from __future__ import annotations

import codecs
import json
from typing import TYPE_CHECKING, Any, BinaryIO

from ftkit.datasets._rows import LONGEST_ROW, Row, bad_row, raw_lines, too_long
from ftkit.datasets._strict_json import BLANK, Decoded, StrictJSON
from ftkit.datasets._values import excerpt, is_list, is_object, type_name
from ftkit.datasets.records import FIELD_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ftkit.datasets._locating import Located

_CHUNK = 64 * 1024
_LONGEST_CUT = 16
"""A token that is cut off by the end of the buffer fails this near to that end; a string fails where it starts."""
_ARRAY = "Write an array of objects, one object with that array under one key, or one object on each line."
_SAVE_AS_UTF8 = "Save the file as UTF-8."


def jsonl_rows(source: Located) -> Iterator[Row]:
    """Yields the rows of a file with one object on each line; blank lines are passed over."""
    strict = StrictJSON()
    with source.path.open("rb") as file:
        for line, raw in enumerate(raw_lines(file), start=1):
            if raw is None:
                yield bad_row(source.name, line, *too_long())
                continue
            try:
                text = raw.decode("utf-8-sig" if line == 1 else "utf-8").strip(BLANK)
            except UnicodeDecodeError as error:
                message = f"byte {error.start + 1} of the line is not UTF-8."
                yield bad_row(source.name, line, "bad-encoding", message, _SAVE_AS_UTF8)
                continue
            if text:
                yield _line_row(source.name, line, text, strict)


def json_rows(source: Located) -> Iterator[Row]:
    """Yields the rows of an array, of the array that an object holds under one key, or of lines."""
    with source.path.open("rb") as file:
        text = _Window(file)
        try:
            first = text.peek()
            if first == "[":
                yield from _elements(source.name, text, "")
                return
            objects = _objects_on_lines(source) if first == "{" else 0
            if first == "{" and objects < 2 and _holds_array(text):  # noqa: PLR2004 - two are several
                yield from _elements(source.name, text, "}")
                return
        except (json.JSONDecodeError, _EncodingError) as error:
            yield _stopped(source.name, text.line, error)
            return
    if objects:
        yield from jsonl_rows(source)
    elif first:
        yield bad_row(source.name, 1, "bad-json", "this is no list of objects.", _ARRAY)


def _objects_on_lines(source: Located) -> int:
    """Returns how a file goes on that begins with an object: 2 if another one is on a line of its own.

    1 if the whole file is one line, and 0 if the object goes on over lines.
    """
    last, is_new_line = b"", False
    with source.path.open("rb") as file:
        while piece := file.readline(_CHUNK):
            text = piece.strip()
            if text and is_new_line:
                return 2 if last == b"}" and text.startswith(b"{") else 0
            last = text[-1:] or last
            is_new_line = bool(last) and piece.endswith(b"\n")
    return 1 if last == b"}" else 0


def _line_row(name: str, line: int, text: str, strict: StrictJSON) -> Row:
    try:
        decoded = strict.whole(text)
    except json.JSONDecodeError as error:
        message = f"wrong JSON: {error.msg} at column {error.pos + 1}."
        return bad_row(name, line, "bad-json", message, _mend(text), excerpt(text))
    return _row(name, line, decoded)


def _mend(text: str) -> str:
    if text.startswith("\ufeff"):
        return "Remove the byte order mark at the start of the line, where files were joined."
    if text.startswith(("{'", "['")):
        return "JSON has double quotes; write each row with json.dumps."
    if text in {"{", "[", "[{"}:
        return "Write each object on one line, or name the file .json."
    return "Write one whole JSON object on the line."


def _row(name: str, line: int, decoded: Decoded) -> Row:
    if decoded.flaw is not None:
        return bad_row(name, line, *decoded.flaw, excerpt(decoded.value))
    value: object = decoded.value
    if is_object(value):
        return Row(line, value)
    message = f"a row is an object, and this is {type_name(value)}."
    fix = "Write one object on each line, or name the file .json." if is_list(value) else _ARRAY
    return bad_row(name, line, "not-an-object", message, fix, excerpt(value))


class _EncodingError(Exception):
    """The text breaks off at a byte that is no UTF-8."""


class _Window:
    """A piece of a long text that moves forward, and grows only while one value does not fit.

    Attributes:
        line: The line of the place that was read up to.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.line = 1
        self._file = file
        self._utf8 = codecs.getincrementaldecoder("utf-8-sig")()
        self._strict = StrictJSON()
        self._text = ""
        self._at = 0
        self._ended = False
        self._broken = False

    def peek(self) -> str:
        """Returns the next character that is not white space, or nothing at the end."""
        while True:
            end = self._at
            while end < len(self._text) and self._text[end] in BLANK:
                end += 1
            self._go_to(end)
            if end < len(self._text) or not self._more():
                return self._text[self._at : self._at + 1]

    def skip(self) -> None:
        """Goes past the character that was peeked at."""
        self._go_to(self._at + 1)

    def value(self) -> Decoded:
        """Returns the next value.

        Raises:
            json.JSONDecodeError: There is none.
        """
        while True:
            try:
                decoded = self._strict.decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if not self._is_cut(error) or not self._more():
                    raise
                continue
            closed = isinstance(decoded.value, (dict, list, str))
            if not closed and decoded.end == len(self._text) and self._more():
                continue  # a number may go on
            self._go_to(decoded.end)
            return decoded

    def _is_cut(self, error: json.JSONDecodeError) -> bool:
        """Whether a value may be wrong only because the rest of it is not there yet."""
        return error.msg.startswith("Unterminated string") or error.pos >= len(self._text) - _LONGEST_CUT

    def _go_to(self, end: int) -> None:
        self.line += self._text.count("\n", self._at, end)
        self._at = end

    def _more(self) -> bool:
        """Reads on, as much again as is held, so that one huge value costs no more than twice its length."""
        if self._broken:
            raise _EncodingError
        if self._ended:
            return False
        held = self._text[self._at :]
        if len(held) > LONGEST_ROW:
            message = f"a row is longer than {LONGEST_ROW:,} characters, or a text in it does not end"
            raise json.JSONDecodeError(message, self._text, self._at)
        chunk = self._file.read(max(_CHUNK, len(held)))
        self._ended = not chunk
        try:
            new = self._utf8.decode(chunk, final=self._ended)
        except UnicodeDecodeError as error:
            self._broken = True
            new = error.object[: error.start].decode()
        self._text, self._at = held + new, 0
        return True


def _holds_array(text: _Window) -> bool:
    """Goes into an object, up to the array under its first key, if that is what it holds."""
    text.skip()
    if text.peek() != '"':
        return False
    key: Any = text.value().value
    if text.peek() != ":":
        return False
    text.skip()
    return text.peek() == "[" and key not in FIELD_NAMES


def _elements(name: str, text: _Window, closing: str) -> Iterator[Row]:
    """Yields the rows of an array, up to its end, which must be the end of the file but for `closing`."""
    text.skip()
    if text.peek() == "]":
        text.skip()
    else:
        while True:
            text.peek()
            line = text.line
            yield _row(name, line, text.value())
            mark = text.peek()
            text.skip()
            if mark == "]":
                break
            if mark != ",":
                message = "wrong JSON: after an object of the array comes neither ',' nor ']'."
                yield bad_row(name, text.line, "bad-json", message, "What follows could not be read.")
                return
    if closing and text.peek() == closing:
        text.skip()
        closing = ""
    if closing or text.peek():
        yield bad_row(name, text.line, "bad-json", "after the array comes more.", _ARRAY)


def _stopped(name: str, line: int, error: Exception) -> Row:
    if isinstance(error, json.JSONDecodeError):
        message, fix = f"wrong JSON: {error.msg}.", "Mend it; what follows could not be read."
        return bad_row(name, line, "bad-json", message, fix, excerpt(error.doc[error.pos : error.pos + 60]))
    return bad_row(name, line, "bad-encoding", "in or after this row is a byte that is not UTF-8.", _SAVE_AS_UTF8)
