"""Any noun as a table of its fields that are set."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, cast

from pydantic import BaseModel

from ftkit.displays import html
from ftkit.errors import without_keys
from ftkit.methods import Method, names_secret

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from ftkit.displays.html import Html

_HIDDEN = "***"
_MOST_ROWS = 100
_LONGEST_CELL = 120
_NO_COUNTS = frozenset({"seed", "status_code"})
"""Fields that are numbers, and no quantity of anything."""
_LOOKS = {
    "succeeded": "good",
    "running": "going",
    "validating": "going",
    "queued": "going",
    "creating": "going",
    "paused": "doubtful",
    "cancelling": "doubtful",
    "cancelled": "doubtful",
    "deleting": "doubtful",
    "deleted": "doubtful",
    "unknown": "doubtful",
    "failed": "bad",
    "error": "bad",
    "warning": "doubtful",
}


def noun_html(noun: BaseModel) -> Html:
    """Returns a noun as HTML."""
    return html.page(html.head(html.text(type(noun).__name__)), _fields(noun))


def _fields(noun: BaseModel) -> Html:
    return html.pairs((name, _value(noun, name, value)) for name, value in told(noun))


def told(noun: BaseModel) -> Iterator[tuple[str, object]]:
    """Yields the fields of a noun that say something, and their values. A currency stands beside its amounts."""
    for name, field in type(noun).model_fields.items():
        value = getattr(noun, name)
        is_empty = value is None or (value is False and field.default is False)
        if name != "currency" and not is_empty and not (isinstance(value, str | Mapping | tuple | list) and not value):
            yield name, value


def _value(noun: BaseModel, name: str, value: object) -> Html:
    if isinstance(value, Decimal):
        return html.text(f"{value:f} {getattr(noun, 'currency', '')}".rstrip())
    if isinstance(value, int) and not isinstance(value, bool) and name in _NO_COUNTS:
        return html.text(value)
    return shown(value)


def shown(value: object) -> Html:
    """Returns a value as HTML."""
    if isinstance(value, Method):
        return _method(value)
    if isinstance(value, BaseModel):
        return _fields(value)
    if isinstance(value, Enum):
        return html.marked(value.value, _LOOKS.get(str(value.value), ""))
    if isinstance(value, Mapping | frozenset | set | tuple | list):
        return _collected(cast("Collection[object]", value))
    return html.text(_plain(value))


def _plain(value: object) -> str:
    """Returns a value that is a single thing as text."""
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _collected(value: Collection[object]) -> Html:
    if isinstance(value, Mapping):
        return html.pairs(_said(cast("Mapping[str, object]", value)))
    if isinstance(value, frozenset | set):
        return html.text(", ".join(sorted(map(_plain, value))))
    return _several(cast("Sequence[object]", value))


def _method(method: Method) -> Html:
    given = method.hyperparameters()
    words = html.text(method.type)
    return html.Html(f"{words}{html.pairs(_said(given))}") if given else words


def _said(given: Mapping[str, object]) -> Iterator[tuple[str, Html]]:
    """Yields what a user wrote by names of their own, which may be that of a secret."""
    for name, value in given.items():
        yield str(name), html.text(_HIDDEN) if names_secret(str(name)) else _written(value)


def _written(value: object) -> Html:
    """Returns a value that a user wrote, as it was written: an integer of theirs may be no quantity."""
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    return html.text(value) if is_integer or value is None else shown(value)


def _several(values: Sequence[object]) -> Html:
    first = values[:_MOST_ROWS]
    if all(isinstance(value, BaseModel) for value in first):
        parts = [_nouns(cast("Sequence[BaseModel]", first))]
    elif any(isinstance(value, Mapping | tuple | list) for value in first):
        parts = [html.pairs((str(number), _written(value)) for number, value in enumerate(first, start=1))]
    else:
        parts = [html.text("\n".join(_plain(value) for value in first))]
    if len(values) > len(first):
        parts.append(html.note(f"and {len(values) - len(first):,} more"))
    return html.Html("".join(parts))


def _nouns(nouns: Sequence[BaseModel]) -> Html:
    """Returns nouns as a table: a column for each field that says something of one of them."""
    rows = [dict(told(noun)) for noun in nouns]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    cells = (
        [_cell(noun, name, row[name]) if name in row else html.text("") for name in columns]
        for noun, row in zip(nouns, rows, strict=True)
    )
    return html.table(columns, cells)


def _cell(noun: BaseModel, name: str, value: object) -> Html:
    """Returns a value in one line: a table in a cell would tear its row apart."""
    if not isinstance(value, BaseModel | Mapping | tuple | list):
        return _value(noun, name, value)
    line = _in_words(cast("object", value))
    return html.text(line if len(line) <= _LONGEST_CELL else f"{line[:_LONGEST_CELL]} ...")


def _in_words(value: object) -> str:
    if isinstance(value, Method):
        given = _in_words(value.hyperparameters())
        return f"{value.type} ({given})" if given else value.type
    if isinstance(value, BaseModel):
        return ", ".join(f"{name} {_in_words(inner)}" for name, inner in told(value))
    if isinstance(value, Mapping):
        pairs = cast("Mapping[object, object]", value).items()
        return ", ".join(f"{name} {_HIDDEN if names_secret(str(name)) else _in_words(inner)}" for name, inner in pairs)
    if isinstance(value, tuple | list):
        return ", ".join(map(_in_words, cast("Sequence[object]", value)))
    return without_keys(_plain(value))
