"""What every part of `ftkit.datasets` needs of plain JSON values: telling them apart, and showing a short piece."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeGuard

if TYPE_CHECKING:
    from collections.abc import Iterable

    Record = dict[str, Any]

_LONGEST_EXCERPT = 60


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
    """Returns a short piece of a value, on one line."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    line = " ".join(printable(text[:1000]).split())
    return line if len(line) <= _LONGEST_EXCERPT else f"{line[: _LONGEST_EXCERPT - 3]}..."


def named(names: Iterable[object], most: int = 10) -> str:
    """Returns names in quotes, with commas between; beyond `most`, how many more there are."""
    every = [f"'{name}'" for name in names]
    return ", ".join(every[:most]) + (f" and {len(every) - most} more" if len(every) > most else "")


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
