"""File layouts that a provider can ask for by name. A plug-in adds its own with `register_layout`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ftkit.datasets._values import one_line
from ftkit.errors import ConfigurationError
from ftkit.methods import near
from ftkit.models import Problem, RecordKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ftkit.datasets.records import Record


@dataclass(frozen=True, slots=True)
class Layout:
    """How records are written, one JSON object a line.

    Attributes:
        name: The name that `DatasetRules.layout` gives.
        kinds: The kinds of record that it can hold.
        row: Turns a canonical record into the object that is written.
    """

    name: str
    kinds: frozenset[RecordKind]
    row: Callable[[Mapping[str, Any]], Record]

    def encode(self, record: Mapping[str, Any]) -> bytes:
        """Returns the line of a record: compact UTF-8 with a line end; the same bytes on any machine.

        Raises:
            TypeError: There is something in it that JSON has no form for, such as a date.
            ValueError: There is a number in it that would be sent as another one, or not at all.
        """
        return _ENCODER.encode(self.row(record)).encode() + b"\n"


def _exactly(value: object) -> float:
    """Returns a number of a table, or one with many digits, as a float that equals it."""
    if not isinstance(value, Decimal):
        raise TypeError(f"JSON has no {type(value).__name__}")
    if Decimal(repr(float(value))) != value:
        raise ValueError(f"no float equals the number {value}, and it would be sent as another one")
    return float(value)


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_exactly)


def not_json(source: str, line: int, error: Exception) -> Problem:
    """Returns the problem of a row that `Layout.encode` refused."""
    message = one_line(f"the row cannot be written as JSON: {error}.")
    fix = "Write text, numbers, lists and objects only."
    return Problem(code="not-json", message=message, fix=fix, source=source, line=line)


LAYOUTS: dict[str, Layout] = {}
"""All layouts by name. Add to it with `register_layout`."""


def register_layout(layout: Layout) -> Layout:
    """Makes a layout known by its name.

    Raises:
        ConfigurationError: Another layout has that name, or it holds no kind of record.
    """
    if not layout.kinds:
        raise ConfigurationError(f"the layout '{layout.name}' holds no kind of record.")
    if LAYOUTS.setdefault(layout.name, layout) != layout:
        raise ConfigurationError(f"there is a layout '{layout.name}' already.", hint="Give yours a name of its own.")
    return layout


def layout_named(name: str) -> Layout:
    """Returns a layout.

    Raises:
        ConfigurationError: There is none of that name.
    """
    if name not in LAYOUTS:
        known = ", ".join(sorted(LAYOUTS))
        raise ConfigurationError(f"there is no layout '{name}'{near(name, LAYOUTS) or '.'}", hint=f"Known: {known}.")
    return LAYOUTS[name]


def _as_it_is(record: Mapping[str, Any]) -> Record:
    return dict(record)


def _openai_preference(record: Mapping[str, Any]) -> Record:
    given = {key: record[key] for key in ("tools", "parallel_tool_calls") if key in record}
    return {
        "input": {"messages": record["prompt"], **given},
        "preferred_output": record["chosen"],
        "non_preferred_output": record["rejected"],
    }


CANONICAL = register_layout(Layout("ftkit", frozenset(RecordKind), _as_it_is))
"""The canonical form itself, of any kind: what local training and `split` use."""
register_layout(Layout("chat", frozenset({RecordKind.CHAT}), _as_it_is))
register_layout(Layout("openai-item", frozenset({RecordKind.ITEM}), _as_it_is))
register_layout(Layout("openai-preference", frozenset({RecordKind.PREFERENCE}), _openai_preference))
