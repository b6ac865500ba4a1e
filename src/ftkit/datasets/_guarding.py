"""Forms and layouts that others brought: one that stumbles over a row is a problem of that row, which names it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from ftkit.datasets._shapes import At, Record, Shape, in_place
from ftkit.datasets._values import is_list, is_object, named, one_line, type_name
from ftkit.errors import DatasetError
from ftkit.models import Problem, RecordKind

if TYPE_CHECKING:
    from collections.abc import Mapping

_HOLDS = {
    RecordKind.CHAT: ("messages",),
    RecordKind.ITEM: ("messages",),
    RecordKind.PROMPT_COMPLETION: ("prompt", "completion"),
    RecordKind.PREFERENCE: ("prompt", "chosen", "rejected"),
    RecordKind.TEXT: ("text",),
}
"""What a canonical record of a kind has. Where there are messages, each of them is a list."""
_LISTS = {RecordKind.CHAT, RecordKind.ITEM, RecordKind.PREFERENCE}


def stumbled(layout: str, what: str, why: str) -> DatasetError:
    """Returns the error of a row that a layout cannot read or write."""
    message = one_line(f"the layout '{layout}' cannot {what} this row: {why}.")
    fix = "Mend the row; or the layout, if such rows are to be taken."
    return DatasetError(message, [Problem(code="layout-failed", message=message, fix=fix)])


def told(error: Exception) -> str:
    """Returns an exception in the words of Python: "KeyError: 'body'"."""
    return f"{type(error).__name__}: {str(error).rstrip('.')}" if str(error) else type(error).__name__


def guarded(shape: Shape, layout: str) -> Shape:
    """Returns a form that says for which row it fails, and where in the row something is, as far as that is known."""
    return replace(
        shape,
        fits=partial(_fits, shape, layout),
        canonical=partial(_canonical, shape, layout),
        place=partial(_place, shape),
    )


def _fits(shape: Shape, layout: str, raw: Mapping[str, Any]) -> bool:
    try:
        return bool(shape.fits(raw))
    except DatasetError:
        raise
    except Exception as error:  # whatever somebody else's code raises
        raise stumbled(layout, "read", told(error)) from error


def _canonical(shape: Shape, layout: str, raw: Mapping[str, Any]) -> Record:
    try:
        record: object = shape.canonical(raw)
    except DatasetError:
        raise
    except Exception as error:
        raise stumbled(layout, "read", told(error)) from error
    if not is_object(record):
        raise stumbled(layout, "read", f"its Shape returns {type_name(record)}, and no record")
    wrong = _wrong(record, shape.kind)
    if wrong:
        raise stumbled(layout, "read", f"its Shape returns a {shape.kind.value} record {wrong}")
    return record


def _place(shape: Shape, raw: Mapping[str, Any], record: Record, at: At) -> str:
    if shape.place is in_place and len(shape.needs) == 1 and at.field not in raw:
        return shape.needs[0]  # all that is learnt comes of this field
    try:
        return str(shape.place(raw, record, at))
    except Exception:  # noqa: BLE001 - the problem itself is told; the place is that of the canonical record
        return in_place(raw, record, at)


def _wrong(record: Record, kind: RecordKind) -> str | None:
    """Returns what somebody else's form gave in place of a record of its kind."""
    lacking = [name for name in _HOLDS[kind] if record.get(name) is None]
    if lacking:
        return f"without {named(lacking)}"
    odd = [name for name in _HOLDS[kind] if kind in _LISTS and not is_list(record[name])]
    return f"in which {named(odd)} is no list of messages" if odd else None
