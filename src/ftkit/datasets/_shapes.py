"""The forms in which records are found, and what it takes to read one: messages, tools, JSON in a text."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from ftkit.datasets._strict_json import StrictJSON
from ftkit.datasets._values import excerpt, is_list, is_object, type_name
from ftkit.errors import DatasetError
from ftkit.models import Problem, RecordKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Record: TypeAlias = dict[str, Any]

MESSAGE_FIELDS = ("role", "content", "name", "tool_calls", "tool_call_id", "weight")
"""The fields of a message, in the order in which they are written."""
TOOL_FIELDS = frozenset({"tools", "parallel_tool_calls"})
"""What may stand beside the messages."""


class At(NamedTuple):
    """A place in a canonical record.

    Attributes:
        field: The field of the record.
        nth: Which message (or tool) of it, counted from 0.
        rest: What in that message, such as "content".
    """

    field: str
    nth: int | None = None
    rest: str = ""


class LossError(ValueError):
    """A form has no place for something in a record.

    Attributes:
        at: Where that is, in the canonical record.
        message: What would be lost.
        fix: How to mend it, or nothing.
    """

    def __init__(self, at: At, message: str, fix: str = "") -> None:
        super().__init__(message)
        self.at, self.message, self.fix = at, message, fix


def in_place(_raw: Mapping[str, Any], _record: Record, at: At) -> str:
    """Returns the path of a place that is where the canonical record has it."""
    return path_to(at.field if at.nth is None else f"{at.field}[{at.nth}]", at.rest)


def path_to(place: str, rest: str) -> str:
    """Returns the path of something in a place."""
    return f"{place}.{rest}" if rest else place


def any_row(_raw: Mapping[str, Any]) -> bool:
    """Every row fits."""
    return True


@dataclass(frozen=True, slots=True)
class Shape:
    """A form in which records are found.

    Attributes:
        kind: The kind of record that it holds.
        needs: The fields that a row must have.
        canonical: Reads a row into the canonical form.
        fits: Whether a row that has them is of this form.
        place: The path, in a row, of a place in its canonical form.
        may: Further fields that a row may have.
        keeps: Whether all other fields belong to the record as well.
        knows: The fields of a message that are read.
        mark: A field that no other form has; without it, a row is not told that it lacks the others.
    """

    kind: RecordKind
    needs: tuple[str, ...]
    canonical: Callable[[Mapping[str, Any]], Record]
    fits: Callable[[Mapping[str, Any]], bool] = any_row
    place: Callable[[Mapping[str, Any], Record, At], str] = in_place
    may: frozenset[str] = frozenset()
    keeps: bool = False
    knows: frozenset[str] = frozenset(MESSAGE_FIELDS)
    mark: str | None = None


def no_record(code: str, field: str | None, message: str, fix: str, piece: object = None) -> DatasetError:
    """Returns the error of a row that cannot be read as a record."""
    shown = None if piece is None else excerpt(piece)
    problem = Problem(code=code, field=field, message=message, fix=fix, excerpt=shown)
    return DatasetError("this is no training record.", [problem])


def message_of(raw: Any) -> Any:  # noqa: ANN401 - what is no message stays as it is, for the rules to find
    """Returns a message in its canonical form."""
    if not is_object(raw):
        return raw
    message = {key: raw[key] for key in MESSAGE_FIELDS if raw.get(key) is not None}
    if "tool_calls" in message and "content" not in message:
        message = {key: message.get(key) for key in MESSAGE_FIELDS if key in message or key == "content"}
    weight = message.get("weight")
    if isinstance(weight, float) and weight.is_integer():
        message["weight"] = int(weight)  # a table has its whole numbers as 1.0 where some are missing
    return message


def messages_of(field: str, value: object, role: str | None = None) -> list[Any]:
    """Returns a list of messages; text becomes one message of the given role."""
    if is_list(value):
        return [message_of(item) for item in value]
    if isinstance(value, str) and role is not None:
        return [{"role": role, "content": value}]
    wanted = "a list of messages" if role is None else "text or a list of messages"
    message = f"'{field}' must be {wanted}, and is {type_name(value)}."
    raise no_record("not-a-list", field, message, 'A message is {"role": "user", "content": "..."}.', value)


def with_tools(record: Record, raw: Mapping[str, Any]) -> Record:
    """Adds the tools of a row to its record."""
    tools = parsed(raw.get("tools"))  # TRL takes them as JSON text, since a table has no room for what differs by row
    if tools not in (None, [], ""):
        record["tools"] = tools
    if raw.get("parallel_tool_calls") is not None:
        record["parallel_tool_calls"] = raw["parallel_tool_calls"]
    return record


def parsed(value: Any) -> Any:  # noqa: ANN401 - what JSON holds
    """Returns what a text holds as JSON; the value itself if it is no such text, for the rules to find."""
    if not isinstance(value, str):
        return value
    try:
        decoded = StrictJSON().whole(value)
    except json.JSONDecodeError:
        return value
    return value if decoded.flaw is not None else decoded.value


_PICTURES = ("images", "videos", "audios")


def refuse_unread(raw: Mapping[str, Any]) -> None:
    """Refuses a row of LLaMA-Factory's that says more than its text, in columns that no record has.

    Raises:
        DatasetError: It holds pictures, sounds or a verdict on its answer.
    """
    for field in _PICTURES:
        if raw.get(field):
            message = f"'{field}' are not read in this form, and the text would be learnt without them."
            raise no_record("not-taken", field, message, "Give pictures as parts of messages, or leave the row out.")
    if raw.get("kto_tag") not in (None, ""):
        message = "whether the one answer is good is what no record holds: a bad one would be learnt like a good one."
        fix = "Make pairs of a good and a bad answer, or keep the good rows and leave the column out."
        raise no_record("not-taken", "kto_tag", message, fix)
