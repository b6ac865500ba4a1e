"""JSON as the standard has it: what `json.loads` lets pass in silence is told."""

from __future__ import annotations

import json
import math
from typing import Any, NamedTuple

from ftkit.datasets._values import is_list, is_object, named, repeated

BLANK = " \t\r\n"
"""What JSON counts as white space."""
_DEEPEST = 200
"""Levels of nesting: more than any record has, and few enough to be written again from wherever that is done."""


class Flaw(NamedTuple):
    """What is wrong with JSON that could be parsed all the same."""

    code: str
    message: str
    fix: str


class Decoded(NamedTuple):
    """A value, where it ends in the text, and what is wrong with it."""

    value: Any
    end: int
    flaw: Flaw | None


class StrictJSON:
    """Decodes one value after another; not to be shared by threads."""

    def __init__(self) -> None:
        self._flaw: Flaw | None = None
        self._decoder = json.JSONDecoder(
            object_pairs_hook=self._object, parse_constant=self._constant, parse_float=self._float
        )

    def decode(self, text: str, start: int = 0) -> Decoded:
        """Decodes the value that starts at a place of a text.

        Raises:
            json.JSONDecodeError: There is none, or the text ends before it does.
        """
        self._flaw = None
        try:
            value, end = self._decoder.raw_decode(text, start)
        except json.JSONDecodeError:
            raise
        except RecursionError as error:
            raise json.JSONDecodeError("nested too deeply", text, start) from error
        except ValueError as error:  # a whole number of thousands of digits
            raise json.JSONDecodeError(str(error), text, start) from error
        brackets = text.count("[", start, end) + text.count("{", start, end)
        if brackets > _DEEPEST and _is_too_deep(value):
            self._flaw = Flaw("bad-json", "wrong JSON: nested too deeply.", f"Write at most {_DEEPEST} levels.")
        if self._flaw is None and ("\\ud" in text[start:end] or "\\uD" in text[start:end]):
            self._flaw = _surrogate(value)
        return Decoded(value, end, self._flaw)

    def whole(self, text: str) -> Decoded:
        """Decodes a text that is one value and nothing else.

        Raises:
            json.JSONDecodeError: It is not.
        """
        start = len(text) - len(text.lstrip(BLANK))
        decoded = self.decode(text, start)
        if text[decoded.end :].strip(BLANK):
            raise json.JSONDecodeError("Extra data", text, decoded.end)
        return decoded

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            twice = named(repeated(name for name, _ in pairs)[:1])
            self._flaw = Flaw("duplicate-key", f"the key {twice} occurs twice in one object.", "Keep one of them.")
        return found

    def _constant(self, name: str) -> None:
        self._flaw = Flaw("not-finite", f"{name} is no JSON.", "Write null, or a number.")

    def _float(self, digits: str) -> float:
        number = float(digits)
        if math.isinf(number):
            self._flaw = Flaw("not-finite", f"the number {digits} is too large.", "Write a smaller one.")
        return number


def _is_too_deep(value: object) -> bool:
    level = [value]
    for _ in range(_DEEPEST):
        inner = (item.values() if is_object(item) else item for item in level if is_object(item) or is_list(item))
        level = [item for items in inner for item in items if is_object(item) or is_list(item)]
        if not level:
            return False
    return True


def _surrogate(value: object) -> Flaw | None:
    r"""Half of a \u pair is a str in Python, but no text that can be written as UTF-8."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return Flaw("bad-encoding", "a \\u escape is half of a pair.", "Write the character itself, or both halves.")
    return None
