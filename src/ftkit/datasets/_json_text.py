"""A long JSON text, value by value. No more of it is held than one value that may be a row."""

from __future__ import annotations

import codecs
import re
from typing import BinaryIO

from ftkit.datasets import _limits

_CHUNK = 64 * 1024
_WINDOW = 8 * 1024
"""Bytes that are looked through at once: the way back through them, string by string, takes memory."""
_BLANKS = re.compile(rb"[ \t\r\n]*+")
# Possessive, so that they remember no way back, however long the text is; but for the outermost group of the first one,
# whose strings a possessive one matches wrongly before Python 3.11.5 (CPython issue 106052).
_NO_BRACKET = re.compile(rb'(?:[^"\[\]{}]++|"(?:[^"\\]++|\\.)*+")*', re.DOTALL)
_IN_STRING = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
_OPENING, _CLOSING = {b"[", b"{"}, {b"]", b"}"}
_AFTER_WORD = re.compile(rb"[ \t\r\n,\]}]")


class EndlessError(Exception):
    """A value has so many parts that its end is not looked for."""


class JSONText:
    """The values of a file, one after the other.

    Attributes:
        line: The line of the place that was read up to.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.line = 1
        self._file = file
        self._held = file.read(_CHUNK).removeprefix(codecs.BOM_UTF8)
        self._at = 0

    def peek(self) -> bytes:
        """Returns the next byte that is not white space, or nothing at the end."""
        while True:
            blanks = _BLANKS.match(self._held, self._at)
            self._go_to(blanks.end() if blanks else self._at)
            if self._at < len(self._held) or not self._more():
                return self._held[self._at : self._at + 1]

    def skip(self) -> None:
        """Goes past the byte that was peeked at."""
        self._go_to(self._at + 1)

    def value(self) -> bytearray | None:
        """Returns the bytes of the next value, up to the end of the file if it does not end before.

        None if there are too many of them for a row; it is passed over then.

        Raises:
            EndlessError: It is no row either, and to find its end would take too long.
        """
        end = _End(self.peek())
        value, fits = bytearray(), True
        while True:
            found = end.find(self._held, self._at)
            until = len(self._held) if found is None else found
            fits = fits and len(value) + until - self._at <= _limits.LONGEST_ROW
            if fits:
                value += self._held[self._at : until]
            else:
                value.clear()
            self._go_to(until)
            if found is not None or not self._more():
                return value if fits else None

    def _go_to(self, place: int) -> None:
        self.line += self._held.count(b"\n", self._at, place)
        self._at = place

    def _more(self) -> bool:
        self._held = self._held[self._at :] + self._file.read(_CHUNK)
        self._at = 0
        return bool(self._held)


class _End:
    """Finds where a value ends, in one piece of text after another.

    Brackets are counted, not paired: whether the value is right is for the parser to say.
    """

    def __init__(self, first: bytes) -> None:
        self._is_word = first not in {b'"', b"[", b"{"}  # a number, true, or what is no JSON
        self._depth = self._parts = 0
        self._in_string = self._is_escaped = False

    def find(self, text: bytes, at: int) -> int | None:
        """Returns the place after the value; None if it goes on."""
        if self._is_word:
            found = _AFTER_WORD.search(text, at)
            return found.start() if found else None
        while at < len(text):
            at = self._after_string(text, at) if self._in_string else self._after_mark(text, at)
            if self._depth == 0 and not self._in_string:
                return at
        return None

    def _after_mark(self, text: bytes, at: int) -> int:
        """Returns the place after the next bracket, or after the quote of a string that is cut off by the end."""
        # A value begins with its first bracket or quote. A string that goes on beyond the window ends what is matched.
        between = _NO_BRACKET.match(text, at, at + _WINDOW) if self._depth else None
        at = between.end() if between else at
        mark = text[at : at + 1]
        self._in_string = mark == b'"'
        self._depth += (mark in _OPENING) - (mark in _CLOSING)
        self._parts += 1
        if self._parts > _limits.MOST_PARTS:
            raise EndlessError
        return at + 1

    def _after_string(self, text: bytes, at: int) -> int:
        """Returns the place after a string, which the end of the text may cut off, even within an escape."""
        found = _IN_STRING.match(text, at + self._is_escaped)
        at = found.end() if found else at
        self._in_string = at == len(text) or text[at : at + 1] != b'"'
        self._is_escaped = self._in_string and at < len(text)
        return at + 1
