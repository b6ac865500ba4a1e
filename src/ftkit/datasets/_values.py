"""What every part of `ftkit.datasets` needs of plain JSON values: telling them apart, and showing a short piece."""

from __future__ import annotations

import json
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeGuard

from ftkit.datasets._masking import masked
from ftkit.errors import without_keys

if TYPE_CHECKING:
    from collections.abc import Iterable

    Record = dict[str, Any]

_LONGEST_EXCERPT = 60
_LOOKED_AT = 2000  # letters of a text in which keys are looked for, before it is cut to what is shown
_LONGEST_NAME = 400  # of a path, or of what was meant to be the name of a column


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    """Whether a value is a JSON object."""
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Whether a value is a JSON array."""
    return isinstance(value, list)


def printable(text: str) -> str:
    """Returns a text without halves of surrogate pairs, which no terminal and no JSON takes."""
    return text.encode("utf-8", "replace").decode()


def excerpt(value: object) -> str:
    """Returns a short piece of a value, on one line, without what is a person's or a key."""
    text = value if isinstance(value, str) else _beginning(value)
    return one_line(masked(text[:_LOOKED_AT]), _LONGEST_EXCERPT)


def quoted(text: str) -> str:
    """Returns a short piece of a text in quotes, with its blanks, where they may be what is wrong."""
    return f"'{_harmless(_cut(masked(printable(text[:_LOOKED_AT])), _LONGEST_EXCERPT))}'"


def around(text: str, start: int, end: int, most: int = 20) -> str:
    """Returns what stands at a place of a text, with so much before and after it as can be shown."""
    piece = text[start:end]
    window = masked(text[max(0, start - _LOOKED_AT) : end + _LOOKED_AT])
    place = window.find(piece)
    if place < 0:  # it is hidden itself
        return piece
    return one_line(window[max(0, place - most) : place + len(piece) + most])


def one_line(text: str, most: int = 1000) -> str:
    """Returns the beginning of a text, with nothing in it that breaks the line or tells a terminal what to do.

    Keys are hidden first: one that is cut in the middle would not be known any more.
    """
    return _harmless(_cut(" ".join(printable(without_keys(text[:_LOOKED_AT])[:1000]).split()), most))


def _cut(line: str, most: int) -> str:
    return line if len(line) <= most else f"{line[: most - 3]}..."


def _harmless(line: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


def _beginning(value: object) -> str:
    """Returns where the JSON of a value begins. One value may be as long as a file, and as deep as JSON can be read."""
    text = ""
    for piece in _ENCODER.iterencode(value):
        text += piece[:_LOOKED_AT]
        if len(text) > _LOOKED_AT:
            break
    return text


_ENCODER = json.JSONEncoder(ensure_ascii=False, default=str)


def repeated(names: Iterable[str]) -> list[str]:
    """Returns the names that occur more than once."""
    return [name for name, times in Counter(names).items() if times > 1]


def named(names: Iterable[object], most: int = 10) -> str:
    """Returns names in quotes, with commas between; beyond `most`, how many more there are."""
    rest = iter(names)
    first = [f"'{one_line(str(name), _LONGEST_NAME)}'" for name in islice(rest, most)]
    more = sum(1 for _ in rest)
    return ", ".join(first) + (f" and {more} more" if more else "")


def type_name(value: object) -> str:
    """Returns what JSON calls the type of a value."""
    return "null" if value is None else _TYPE_NAMES.get(type(value), type(value).__name__)


_TYPE_NAMES: dict[type, str] = {
    dict: "an object",
    list: "a list",
    str: "text",
    bool: "true or false",
    int: "a number",
    float: "a number",
}
