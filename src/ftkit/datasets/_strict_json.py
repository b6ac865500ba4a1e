"""JSON as the standard has it, and no more of it than fits: what `json.loads` lets pass in silence is told."""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal, InvalidOperation
from itertools import islice
from typing import Any, NamedTuple

from ftkit.datasets import _limits
from ftkit.datasets._values import named, repeated

BLANK = " \t\r\n"
"""What JSON counts as white space."""
_NOT_BLANK = re.compile(r"[^ \t\r\n]")
# Possessive, so that they remember no way back, however long the text is; but for the outermost group of the first one,
# whose strings a possessive one matches wrongly before Python 3.11.5 (CPython issue 106052).
_NO_BRACKET = re.compile(r'(?:[^"\[\]{}]++|"(?:[^"\\]++|\\.)*+")*', re.DOTALL)
_PART = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[{,]', re.DOTALL)
_PAIR = re.compile(r"\\u[dD][89abAB]")
_WINDOW = 1 << 16
"""Characters that are looked through at once: the way back through them, string by string, takes memory."""
_SURELY_EXACT = 15
"""Digits of a number that every float keeps."""
_SMALLEST_NORMAL = 2.3e-308


class Flaw(NamedTuple):
    """What is wrong with JSON that could be parsed, or that is not worth it."""

    code: str
    message: str
    fix: str


class Decoded(NamedTuple):
    """A value, and what is wrong with it."""

    value: Any
    flaw: Flaw | None


class StrictJSON:
    """Decodes one value after another; not to be shared by threads.

    A number that no float equals is a `Decimal`, so that it is never sent as another one in silence.
    """

    def __init__(self) -> None:
        self._flaw: Flaw | None = None
        self._decoder = json.JSONDecoder(
            object_pairs_hook=self._object,
            parse_constant=self._constant,
            parse_float=self._float,
            parse_int=self._int,
        )

    def whole(self, text: str) -> Decoded:
        """Decodes a text that is one value and nothing else.

        Raises:
            json.JSONDecodeError: It is not.
        """
        self._flaw = _too_much(text)
        if self._flaw is not None:
            return Decoded(None, self._flaw)
        start = _NOT_BLANK.search(text)
        try:
            value, end = self._decoder.raw_decode(text, start.start() if start else len(text))
        except json.JSONDecodeError:
            raise
        except RecursionError as error:  # whoever called has little of the stack left
            raise json.JSONDecodeError("nested too deeply", text, 0) from error
        except ValueError as error:  # Python may have been told to read shorter numbers only
            raise json.JSONDecodeError(str(error), text, 0) from error
        more = _NOT_BLANK.search(text, end)
        if more:
            raise json.JSONDecodeError("Extra data", text, more.start())
        if self._flaw is None and ("\\ud" in text or "\\uD" in text):
            self._flaw = _surrogate(value)
        return Decoded(value, self._flaw)

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            twice = named(repeated(name for name, _ in pairs)[:1])
            self._flaw = Flaw("duplicate-key", f"the key {twice} occurs twice in one object.", "Keep one of them.")
        return found

    def _constant(self, name: str) -> None:
        self._flaw = Flaw("not-finite", f"{name} is no JSON.", "Write null, or a number.")

    def _int(self, digits: str) -> int:
        return 0 if self._is_too_long(digits) else int(digits)

    def _float(self, digits: str) -> float | Decimal:
        if self._is_too_long(digits):
            return 0.0
        number = float(digits)
        if math.isinf(number):
            self._flaw = Flaw("not-finite", f"the number {digits} is too large.", "Write a smaller one.")
        elif len(digits) > _SURELY_EXACT or abs(number) < _SMALLEST_NORMAL:
            return self._exact(digits, number)
        return number

    def _exact(self, digits: str, number: float) -> float | Decimal:
        try:
            exact = Decimal(digits)
        except InvalidOperation:  # an exponent of twenty digits
            self._flaw = Flaw("bad-json", f"the number {digits} is too small.", "Write 0.")
            return number
        return number if Decimal(repr(number)) == exact else exact

    def _is_too_long(self, digits: str) -> bool:
        most = _limits.LONGEST_NUMBER
        if len(digits) > most:
            message = f"a number has {len(digits):,} digits, and at most {most:,} are read."
            self._flaw = Flaw("bad-json", message, "Write it as text.")
        return len(digits) > most


def _too_much(text: str) -> Flaw | None:
    """Returns what is wrong with a text that would take too much memory, or too much of the stack, to be parsed."""
    if 4 * len(text) > _limits.MOST_TEXT and _PAIR.search(text):
        message = f"the row has {len(text):,} characters, and one that makes Python hold four bytes for each."
        return Flaw("row-too-long", message, "Shorten it, or leave it out.")
    opened = text.count("[") + text.count("{")
    most = _limits.MOST_PARTS
    if (
        opened + text.count(",") + text.count('"') > most
        and sum(1 for _ in islice(_PART.finditer(text), most + 1)) > most
    ):
        message = f"there are more than {most:,} parts in one row."
        return Flaw("row-too-long", message, "Write one row on each line.")
    if opened > _limits.DEEPEST and _is_too_deep(text):
        return Flaw("bad-json", "wrong JSON: nested too deeply.", f"Write at most {_limits.DEEPEST} levels.")
    return None


def _is_too_deep(text: str) -> bool:
    depth = at = 0
    while True:
        between = _NO_BRACKET.match(text, at, at + _WINDOW)
        at = between.end() if between else at
        if at >= len(text):
            return False
        if text[at] == '"':  # a string that goes on beyond the window
            string = _PART.match(text, at)
            at = string.end() if string else at + 1
            continue
        depth += (text[at] in "[{") - (text[at] in "]}")
        if depth > _limits.DEEPEST:
            return True
        at += 1


def _surrogate(value: object) -> Flaw | None:
    r"""Half of a \u pair is a str in Python, but no text that can be written as UTF-8."""
    try:
        for piece in _ENCODER.iterencode(value):
            piece.encode()
    except UnicodeEncodeError:
        return Flaw("bad-encoding", "a \\u escape is half of a pair.", "Write the character itself, or both halves.")
    return None


_ENCODER = json.JSONEncoder(ensure_ascii=False, default=str)
