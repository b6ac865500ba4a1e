"""File layouts that a provider can ask for by name, and that `transcribe` writes. A plug-in adds its own.

    register_layout(Layout("mine", frozenset({RecordKind.TEXT}), lambda record: {"body": record["text"]},
                           reads=Shape(RecordKind.TEXT, ("body",), lambda raw: {"text": raw["body"]})))

An installed package whose entry point in the group `ftkit.layouts` names a module is imported when a layout is asked
for that nobody knows yet: so the command line finds it as well.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from ftkit.datasets import _alpaca, _sharegpt
from ftkit.datasets._encoding import as_json
from ftkit.datasets._guarding import stumbled, told
from ftkit.datasets._shapes import At, LossError
from ftkit.datasets._values import is_object, one_line, type_name
from ftkit.datasets.records import add_shape
from ftkit.errors import ConfigurationError
from ftkit.methods import near
from ftkit.models import Problem, RecordKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ftkit.datasets.records import Record, Shape

GROUP = "ftkit.layouts"
_PLAIN_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class Layout:
    """How records are written, one JSON object a line.

    Attributes:
        name: The name that `DatasetRules.layout` and `transcribe` give.
        kinds: The kinds of record that it can hold.
        row: Turns a canonical record into the object that is written. It may raise a ValueError that says what would
            be lost.
        reads: How such an object is read, if not in one of the forms that are known anyway; None if it is, or if nobody
            reads it back.
    """

    name: str
    kinds: frozenset[RecordKind]
    row: Callable[[Mapping[str, Any]], Record]
    reads: Shape | None = None

    @property
    def is_canonical(self) -> bool:
        """Whether it writes records as they are."""
        return self.row is _as_it_is

    def encode(self, record: Mapping[str, Any]) -> bytes:
        """Returns the line of a record: compact UTF-8 with a line end; the same bytes on any machine.

        Raises:
            TypeError: There is something in it that JSON has no form for, such as a date.
            ValueError: There is a number in it that would be sent as another one, or not at all; or something that the
                layout has no place for.
            DatasetError: `row` failed, or returned no object.
        """
        return encoded(self.written(record))

    def written(self, record: Mapping[str, Any]) -> Record:
        """Returns the object that is written for a canonical record.

        Raises:
            ValueError: There is something in it that the layout has no place for.
            DatasetError: `row` failed, or returned no object; the problem names the layout.
        """
        try:
            row: object = self.row(record)
        except ValueError:  # which says what would be lost
            raise
        except Exception as error:  # whatever somebody else's code raises
            raise stumbled(self.name, "write", told(error)) from error
        if not is_object(row):
            raise stumbled(self.name, "write", f"it returns {type_name(row)}, and no object")
        return row


def encoded(row: Mapping[str, Any]) -> bytes:
    """Returns the line of a row: compact UTF-8 with a line end.

    Raises:
        TypeError: There is something in it that JSON has no form for.
        ValueError: There is a number in it that would be sent as another one.
    """
    return as_json(row).encode() + b"\n"


def not_json(source: str, line: int, error: Exception) -> Problem:
    """Returns the problem of a row that `Layout.encode` refused."""
    message = one_line(f"the row cannot be written as JSON: {error}.")
    fix = "Write text, numbers, lists and objects only."
    return Problem(code="not-json", message=message, fix=fix, source=source, line=line)


LAYOUTS: dict[str, Layout] = {}
"""All layouts by name. Add to it with `register_layout`."""


def register_layout(layout: Layout) -> Layout:
    """Makes a layout known by its name, and reads its form from now on.

    Raises:
        ConfigurationError: Another layout has that name, or it is no plain word; it holds no kind of record; or it
            reads rows that are of another form as well.
    """
    if not _PLAIN_WORD.fullmatch(layout.name):
        raise ConfigurationError(
            f"'{one_line(layout.name)}' is no name of a layout.", hint="Use letters, digits, '-', '_' and '.'."
        )
    if not layout.kinds:
        raise ConfigurationError(f"the layout '{layout.name}' holds no kind of record.")
    if LAYOUTS.get(layout.name, layout) != layout:
        raise ConfigurationError(f"there is a layout '{layout.name}' already.", hint="Give yours a name of its own.")
    if layout.reads is not None:
        add_shape(layout.reads, layout.name)
    return LAYOUTS.setdefault(layout.name, layout)


def layout_named(name: str) -> Layout:
    """Returns a layout.

    Raises:
        ConfigurationError: There is none of that name.
    """
    if name not in LAYOUTS:
        _load_plugged_in()
    if name not in LAYOUTS:
        known = ", ".join(sorted(LAYOUTS))
        raise ConfigurationError(f"there is no layout '{name}'{near(name, LAYOUTS) or '.'}", hint=f"Known: {known}.")
    return LAYOUTS[name]


def _load_plugged_in() -> None:
    for entry in entry_points(group=GROUP):
        try:
            entry.load()
        except ConfigurationError:
            raise
        except Exception as error:
            package = entry.dist.name if entry.dist is not None else entry.module
            message = f"the layouts of the package '{package}' cannot be loaded: {error}."
            raise ConfigurationError(message, hint="Upgrade or uninstall that package.") from error


def _as_it_is(record: Mapping[str, Any]) -> Record:
    return dict(record)


def _openai_preference(record: Mapping[str, Any]) -> Record:
    given = {key: record[key] for key in ("tools", "parallel_tool_calls") if key in record}
    return {
        "input": {"messages": record["prompt"], **given},
        "preferred_output": record["chosen"],
        "non_preferred_output": record["rejected"],
    }


def _preference_as_text(record: Mapping[str, Any]) -> Record:
    """Writes a question and two answers. What else is in the messages is missed when they are read back."""
    row: Record = {}
    for field, role in (("prompt", "user"), ("chosen", "assistant"), ("rejected", "assistant")):
        only: object = record[field][0] if len(record[field]) == 1 else None
        if not is_object(only) or only.get("role") != role or not isinstance(only.get("content"), str):
            raise LossError(At(field), f"what is not one message of '{role}' that is text: this form has no other.")
        row[field] = only["content"]
    return row


CANONICAL = register_layout(Layout("ftkit", frozenset(RecordKind), _as_it_is))
"""The canonical form itself, of any kind: what local training and `split` use."""
register_layout(Layout("chat", frozenset({RecordKind.CHAT}), _as_it_is))
register_layout(Layout("prompt-completion", frozenset({RecordKind.PROMPT_COMPLETION}), _as_it_is))
register_layout(Layout("text", frozenset({RecordKind.TEXT}), _as_it_is))
register_layout(Layout("openai-item", frozenset({RecordKind.ITEM}), _as_it_is))
register_layout(Layout("openai-preference", frozenset({RecordKind.PREFERENCE}), _openai_preference))
# TRL's preferences: docs/source/dataset_formats.md of TRL 1.16, read 2026-11-27
register_layout(Layout("trl-preference", frozenset({RecordKind.PREFERENCE}), _as_it_is))
register_layout(Layout("trl-preference-text", frozenset({RecordKind.PREFERENCE}), _preference_as_text))
register_layout(Layout("sharegpt", frozenset({RecordKind.CHAT}), _sharegpt.chat_row))
register_layout(Layout("sharegpt-preference", frozenset({RecordKind.PREFERENCE}), _sharegpt.preference_row))
register_layout(Layout("alpaca", frozenset({RecordKind.CHAT}), _alpaca.chat_row))
register_layout(Layout("alpaca-preference", frozenset({RecordKind.PREFERENCE}), _alpaca.preference_row))
