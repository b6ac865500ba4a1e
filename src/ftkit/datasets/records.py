"""The canonical form of a training record, and the forms that are read into it.

    chat               {"messages": [...], "tools"?, "parallel_tool_calls"?}
    prompt_completion  {"prompt": "...", "completion": "..."}
    preference         {"prompt": [...], "chosen": [...], "rejected": [...], "tools"?, "parallel_tool_calls"?}
    text               {"text": "..."}
    item               {"messages": [...], "tools"?, "parallel_tool_calls"?, and any other fields}

A message is {"role", "content", "name"?, "tool_calls"?, "tool_call_id"?, "weight"?}. Reading into this form changes
how a record is written, never what it says; whether what it says makes sense is for `rules` to judge.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from ftkit.datasets._strict_json import StrictJSON
from ftkit.datasets._values import excerpt, is_list, is_object, named, type_name
from ftkit.errors import DatasetError
from ftkit.models import Problem, RecordKind

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

Record: TypeAlias = dict[str, Any]

MESSAGE_FIELDS = ("role", "content", "name", "tool_calls", "tool_call_id", "weight")
"""The fields of a message, in the order in which they are written."""
OPTIONAL_FIELDS = frozenset({"tools", "parallel_tool_calls"})
"""The fields of a record that a row may lack."""


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


@dataclass(frozen=True, slots=True)
class _Shape:
    """A form in which records are found.

    Attributes:
        kind: The kind of record that it holds.
        needs: The fields that a row must have.
        fits: Whether a row that has them is of this form.
        canonical: Reads a row into the canonical form.
        place: The path, in a row, of one message of its canonical form; with False if that is text, not a message.
        may: Further fields that a row may have.
        keeps: Whether all other fields belong to the record as well.
    """

    kind: RecordKind
    needs: tuple[str, ...]
    fits: Callable[[Mapping[str, Any]], bool]
    canonical: Callable[[Mapping[str, Any]], Record]
    place: Callable[[Mapping[str, Any], Record, At], tuple[str, bool]]
    may: frozenset[str] = frozenset()
    keeps: bool = False


class Normal(NamedTuple):
    """A record in its canonical form.

    Attributes:
        kind: Its kind.
        record: The record.
        ignored: Paths of the fields that are no part of such a record.
        path: Tells where, in the row as it was read, a place of the record is.
    """

    kind: RecordKind
    record: Record
    ignored: tuple[str, ...]
    path: Callable[[At], str]


def normalise(raw: Mapping[str, Any]) -> Record:
    """Returns a row in the canonical form of its kind. Fields that are no part of it are left out.

    Args:
        raw: A row as `read` yields it.

    Raises:
        DatasetError: It is no training record of any form.
    """
    return normal(raw).record


def normal(raw: Mapping[str, Any], prefer: Collection[RecordKind] = ()) -> Normal:
    """Returns the canonical form of a row, and what is worth knowing of how it came about.

    Args:
        raw: A row as `read` yields it.
        prefer: The kinds that are wanted, where the row can be read as more than one.

    Raises:
        DatasetError: It is no training record of any form.
    """
    fitting = [shape for shape in _SHAPES if _has(raw, shape.needs) and shape.fits(raw)]
    if not fitting:
        raise _no_record(raw)
    shape = next((shape for shape in fitting if shape.kind in prefer), fitting[0])
    record = shape.canonical(raw)
    return Normal(shape.kind, record, _ignored(raw, shape), partial(_path, shape, raw, record))


def _has(raw: Mapping[str, Any], names: Collection[str]) -> bool:
    return all(raw.get(name) is not None for name in names)


def _path(shape: _Shape, raw: Mapping[str, Any], record: Record, at: At) -> str:
    place, is_message = shape.place(raw, record, at)
    return f"{place}.{at.rest}" if at.rest and is_message else place


def _ignored(raw: Mapping[str, Any], shape: _Shape) -> tuple[str, ...]:
    """Returns the fields of a row that say something, and that its canonical form has no place for."""
    known = raw.keys() if shape.keeps else {*shape.needs, *shape.may}
    extra = [name for name, value in raw.items() if value is not None and name not in known]
    for field in (*shape.needs, *shape.may):
        value: object = raw.get(field)
        if field == "input" and is_object(value):  # OpenAI's preferences
            extra += [f"input.{k}" for k in value if k not in {"messages", *OPTIONAL_FIELDS}]
            extra += _ignored_in("input.messages", value.get("messages"))
        elif field != "tools":
            extra += _ignored_in(field, value)
    return tuple(dict.fromkeys(extra))


def _ignored_in(field: str, messages: object) -> Iterator[str]:
    for message in messages if is_list(messages) else ():
        if is_object(message) and not message.keys() <= _MESSAGE_FIELDS:
            for key, value in message.items():
                if key not in _MESSAGE_FIELDS and value is not None:
                    yield f"{field}[].{key}"


_MESSAGE_FIELDS = frozenset(MESSAGE_FIELDS)


def _error(code: str, field: str | None, message: str, fix: str, piece: object = None) -> DatasetError:
    shown = None if piece is None else excerpt(piece)
    problem = Problem(code=code, field=field, message=message, fix=fix, excerpt=shown)
    return DatasetError("this is no training record.", [problem])


def _no_record(raw: Mapping[str, Any]) -> DatasetError:
    """Returns the error that says what a row lacks, of the form that it comes nearest to."""
    for shape in _SHAPES:
        lacking = [name for name in shape.needs if raw.get(name) is None]
        has = [name for name in shape.needs if name not in lacking]
        if not lacking:  # it has the fields, and not in the form that they need
            return _error("not-a-record", shape.needs[0], f"{named(shape.needs)} do not fit together.", _FORMS)
        if len(lacking) == 1 and (has or lacking[0] in raw):
            absent = "is null" if lacking[0] in raw else "is missing"
            beside = f" beside {named(has)}" if has else ""
            return _error("missing-field", lacking[0], f"'{lacking[0]}' {absent}{beside}.", f"Add '{lacking[0]}'.")
    found = f"among {named(raw)} is no field of a training record." if raw else "the row is empty."
    return _error("unknown-kind", None, found, _FORMS)


_FORMS = (
    "A row has messages; or prompt and completion; or prompt, chosen and rejected; or text. "
    "Other names are mapped with columns={'question': 'prompt', ...}."
)


# -- messages ----------------------------------------------------------------------------------------------------------


def _message(raw: Any) -> Any:  # noqa: ANN401 - what is no message stays as it is, for the rules to find
    if not is_object(raw):
        return raw
    message = {key: raw[key] for key in MESSAGE_FIELDS if raw.get(key) is not None}
    if "tool_calls" in message and "content" not in message:
        message = {key: message.get(key) for key in MESSAGE_FIELDS if key in message or key == "content"}
    weight = message.get("weight")
    if isinstance(weight, float) and weight.is_integer():
        message["weight"] = int(weight)  # a table has its whole numbers as 1.0 where some are missing
    return message


def _messages(field: str, value: object, role: str | None = None) -> list[Any]:
    """Returns a list of messages; text becomes one message of the given role."""
    if is_list(value):
        return [_message(item) for item in value]
    if isinstance(value, str) and role is not None:
        return [{"role": role, "content": value}]
    wanted = "a list of messages" if role is None else "text or a list of messages"
    message = f"'{field}' must be {wanted}, and is {type_name(value)}."
    raise _error("not-a-list", field, message, 'A message is {"role": "user", "content": "..."}.', value)


def _with_tools(record: Record, raw: Mapping[str, Any]) -> Record:
    tools = raw.get("tools")
    if isinstance(tools, str):  # TRL takes them as JSON text, since a table has no room for what differs by row
        tools = _parsed(tools)
    if tools not in (None, [], ""):
        record["tools"] = tools
    if raw.get("parallel_tool_calls") is not None:
        record["parallel_tool_calls"] = raw["parallel_tool_calls"]
    return record


def _parsed(text: str) -> Any:  # noqa: ANN401 - what JSON holds
    """Returns what a text holds as JSON; the text itself if it holds none, for the rules to find."""
    try:
        decoded = StrictJSON().whole(text)
    except json.JSONDecodeError:
        return text
    return text if decoded.flaw is not None else decoded.value


# -- chat --------------------------------------------------------------------------------------------------------------


def _chat(raw: Mapping[str, Any]) -> Record:
    return _with_tools({"messages": _messages("messages", raw["messages"])}, raw)


def _item(raw: Mapping[str, Any]) -> Record:
    """Reads messages to answer, with what a grader judges by: its fields stay as they are."""
    beside = {name: value for name, value in raw.items() if name not in {"messages", *OPTIONAL_FIELDS}}
    return {**_chat(raw), **{name: value for name, value in beside.items() if value is not None}}


def _in_place(_raw: Mapping[str, Any], _record: Record, at: At) -> tuple[str, bool]:
    return (at.field, True) if at.nth is None else (f"{at.field}[{at.nth}]", True)


def _is_conversation(raw: Mapping[str, Any]) -> bool:
    return is_list(raw["prompt"]) or is_list(raw["completion"])


def _chat_of_halves(raw: Mapping[str, Any]) -> Record:
    """Joins TRL's conversational prompt and completion. What the assistant says in the prompt is not learnt from."""
    prompt = [
        {**m, "weight": 0} if is_object(m) and m.get("role") == "assistant" else m
        for m in _messages("prompt", raw["prompt"], "user")
    ]
    return _with_tools({"messages": prompt + _messages("completion", raw["completion"], "assistant")}, raw)


def _in_halves(raw: Mapping[str, Any], record: Record, at: At) -> tuple[str, bool]:
    if at.field != "messages" or at.nth is None:
        return _in_place(raw, record, at)
    length = len(raw["prompt"]) if is_list(raw["prompt"]) else 1
    field, index = ("prompt", at.nth) if at.nth < length else ("completion", at.nth - length)
    return (f"{field}[{index}]", True) if is_list(raw[field]) else (field, False)


# -- preferences -------------------------------------------------------------------------------------------------------


def _preference(raw: Mapping[str, Any]) -> Record:
    """Reads TRL's forms: text or messages, with the prompt by itself or at the head of both conversations."""
    chosen = _messages("chosen", raw["chosen"], "assistant")
    rejected = _messages("rejected", raw["rejected"], "assistant")
    prompt = raw.get("prompt")
    if _holds_prompt(raw, chosen):
        length = _shared(chosen, rejected)
        head, chosen, rejected = chosen[:length], chosen[length:], rejected[length:]
    elif prompt is None:
        message = "there is no prompt, by itself or at the head of both answers."
        raise _error("missing-field", "prompt", message, "Add 'prompt', or give both answers as whole conversations.")
    else:
        head = _messages("prompt", prompt, "user")
    return _with_tools({"prompt": head, "chosen": chosen, "rejected": rejected}, raw)


def _holds_prompt(raw: Mapping[str, Any], chosen: list[Any]) -> bool:
    """Whether both answers are whole conversations: there is no prompt, or it is text that they begin with."""
    if not (is_list(raw["chosen"]) and is_list(raw["rejected"])) or is_list(raw.get("prompt")):
        return False
    length = _shared(chosen, _messages("rejected", raw["rejected"]))
    if raw.get("prompt") is None:
        return length > 0
    asked = [m.get("content") for m in chosen[:length] if is_object(m) and m.get("role") == "user"]
    return raw["prompt"] in asked


def _shared(chosen: list[Any], rejected: list[Any]) -> int:
    """Returns how many messages both begin with, leaving at least one to each."""
    most = min(len(chosen), len(rejected)) - 1
    return next((i for i in range(max(most, 0)) if chosen[i] != rejected[i]), max(most, 0))


def _in_preference(raw: Mapping[str, Any], record: Record, at: At) -> tuple[str, bool]:
    if at.nth is None or at.field not in {"prompt", "chosen", "rejected"}:
        return _in_place(raw, record, at)
    head = len(raw["chosen"]) - len(record["chosen"]) if is_list(raw["chosen"]) else 0
    field, index = (at.field, at.nth) if at.field != "prompt" else ("chosen" if head else "prompt", at.nth)
    if at.field != "prompt":
        index += head
    return (f"{field}[{index}]", True) if is_list(raw[field]) else (field, False)


def _openai_preference(raw: Mapping[str, Any]) -> Record:
    given: dict[str, Any] = raw["input"]
    if given.get("messages") is None:
        raise _error("missing-field", "input.messages", "'input' has no messages.", "Add 'messages' to it.")
    record = {
        "prompt": _messages("input.messages", given["messages"]),
        "chosen": _messages("preferred_output", raw["preferred_output"]),
        "rejected": _messages("non_preferred_output", raw["non_preferred_output"]),
    }
    return _with_tools(record, given)


_OPENAI_NAMES = {"prompt": "input.messages", "chosen": "preferred_output", "rejected": "non_preferred_output"}


def _in_openai_preference(raw: Mapping[str, Any], record: Record, at: At) -> tuple[str, bool]:
    return _in_place(raw, record, at._replace(field=_OPENAI_NAMES.get(at.field, f"input.{at.field}")))


# -- text --------------------------------------------------------------------------------------------------------------


def _any(_raw: Mapping[str, Any]) -> bool:
    return True


def _only(*names: str) -> Callable[[Mapping[str, Any]], Record]:
    return lambda raw: {name: raw[name] for name in names}


_SHAPES = (
    _Shape(
        RecordKind.PREFERENCE,
        ("input", "preferred_output", "non_preferred_output"),
        lambda raw: is_object(raw["input"]),
        _openai_preference,
        _in_openai_preference,
    ),
    _Shape(
        RecordKind.PREFERENCE,
        ("chosen", "rejected"),
        _any,
        _preference,
        _in_preference,
        may=OPTIONAL_FIELDS | {"prompt"},
    ),
    _Shape(RecordKind.CHAT, ("messages",), _any, _chat, _in_place, may=OPTIONAL_FIELDS),
    _Shape(
        RecordKind.CHAT,
        ("prompt", "completion"),
        _is_conversation,
        _chat_of_halves,
        _in_halves,
        may=OPTIONAL_FIELDS,
    ),
    _Shape(
        RecordKind.PROMPT_COMPLETION,
        ("prompt", "completion"),
        lambda raw: not _is_conversation(raw),
        _only("prompt", "completion"),
        _in_place,
    ),
    _Shape(RecordKind.TEXT, ("text",), _any, _only("text"), _in_place),
    _Shape(RecordKind.ITEM, ("messages",), _any, _item, _in_place, may=OPTIONAL_FIELDS, keeps=True),
)
"""The forms that are read, the most telling first: a preference often has `messages` or `text` beside it. An item is
only read as one where items are wanted."""

FIELD_NAMES = frozenset(name for shape in _SHAPES for name in (*shape.needs, *shape.may))
"""The fields at the top of a row that mean something."""
