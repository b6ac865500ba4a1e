"""The types of a table's columns, found by looking at every row: what differs from row to row is JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from ftkit.datasets._encoding import as_json
from ftkit.datasets._values import is_list, is_object

if TYPE_CHECKING:
    from collections.abc import Mapping

_DEEPEST = 16
_MOST_FIELDS = 256
_LARGEST = 2**63 - 1


@dataclass(slots=True)
class ListOf:
    """A list whose items are of one type."""

    item: Type = None


@dataclass(slots=True)
class StructOf:
    """An object whose fields have a type each; in every value they come in this order."""

    fields: dict[str, Type] = field(default_factory=dict["str", "Type"])


Type: TypeAlias = "str | ListOf | StructOf | None"
"""'string', 'bool', 'int64', 'double' or 'json'; None while nothing is known."""


def widened(known: Type, value: object, depth: int = 0) -> Type:
    """Returns the type that holds a value as well as those before it."""
    if value is None or known == "json":
        return known  # a null in a list is of any type
    if depth > _DEEPEST:
        return "json"
    if is_list(value):
        return _list(known, value, depth) if known is None or isinstance(known, ListOf) else "json"
    if is_object(value):
        return _struct(known, value, depth) if known is None or isinstance(known, StructOf) else "json"
    found = _plain(value)
    return found if known in (None, found) else "json"


def _plain(value: object) -> Type:
    if isinstance(value, str):
        return "string"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int64" if -_LARGEST <= value <= _LARGEST else "json"
    return "double" if isinstance(value, float) else "json"


def _list(known: ListOf | None, values: list[Any], depth: int) -> Type:
    found = known or ListOf()
    for value in values:
        found.item = widened(found.item, value, depth + 1)
    return found


def _struct(known: StructOf | None, value: Mapping[str, Any], depth: int) -> Type:
    """Returns the type of an object; JSON if its fields come in another order, or it has none, which no table holds."""
    found = known or StructOf()
    for name, inner in value.items():
        found.fields[name] = widened(found.fields.get(name), inner, depth + 1)
    in_order = [name for name in found.fields if name in value]
    return found if value and in_order == [*value] and len(found.fields) <= _MOST_FIELDS else "json"


def fitted(known: Type, value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Returns a value as a column of that type takes it."""
    if value is None:
        return None
    if known == "json":
        return as_json(value)
    if isinstance(known, ListOf):
        return [fitted(known.item, item) for item in value]
    if isinstance(known, StructOf):
        return {name: fitted(known.fields[name], inner) for name, inner in value.items()}
    return value
