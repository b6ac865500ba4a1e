"""File layouts that a provider can ask for by name. A plug-in adds its own with `register_layout`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ftkit.errors import ConfigurationError
from ftkit.methods import near
from ftkit.models import RecordKind

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
        """Returns the line of a record: compact UTF-8 with a line end; the same bytes on any machine."""
        return _ENCODER.encode(self.row(record)).encode() + b"\n"


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
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
