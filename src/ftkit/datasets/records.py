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

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from ftkit.datasets._alpaca import ALPACA, ALPACA_PREFERENCE
from ftkit.datasets._guarding import guarded
from ftkit.datasets._shapes import (
    MESSAGE_FIELDS,
    TOOL_FIELDS,
    At,
    Record,
    Shape,
    any_row,
    in_place,
    messages_of,
    no_record,
    path_to,
    with_tools,
)
from ftkit.datasets._sharegpt import SHAREGPT, SHAREGPT_PREFERENCE
from ftkit.datasets._values import is_list, is_object, named
from ftkit.errors import ConfigurationError
from ftkit.models import RecordKind

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from ftkit.errors import DatasetError

__all__ = [
    "FIELD_NAMES",
    "MESSAGE_FIELDS",
    "OPTIONAL_FIELDS",
    "SHAPES",
    "At",
    "Normal",
    "Record",
    "Shape",
    "add_shape",
    "normal",
    "normalise",
    "without_ignored",
]

OPTIONAL_FIELDS = TOOL_FIELDS | {"input", "system", "history"}
"""The fields of a record that a row may lack."""


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
    shape = _shape_of(raw, prefer)
    record = shape.canonical(raw)
    return Normal(shape.kind, record, _ignored(raw, shape), partial(shape.place, raw, record))


def _shape_of(raw: Mapping[str, Any], prefer: Collection[RecordKind]) -> Shape:
    there = {name for name, value in raw.items() if value is not None}
    fitting = [shape for shape in SHAPES if there.issuperset(shape.needs) and shape.fits(raw)]
    if not fitting:
        raise _no_record(raw)
    return next((shape for shape in fitting if shape.kind in prefer), fitting[0])


def without_ignored(raw: Mapping[str, Any], prefer: Collection[RecordKind] = ()) -> tuple[Record, tuple[str, ...]]:
    """Returns a row without the fields that its canonical form has no place for, and their paths.

    Raises:
        DatasetError: It is no training record of any form.
    """
    shape = _shape_of(raw, prefer)
    known = raw.keys() if shape.keeps else {*shape.needs, *shape.may}
    kept = {name: value for name, value in raw.items() if value is None or name in known}
    for field in kept.keys() & {*shape.needs, *shape.may} - {"tools"}:
        value: object = kept[field]
        if field == "input" and is_object(value):  # OpenAI's preferences
            own = {k: v for k, v in value.items() if v is None or k in {"messages", *TOOL_FIELDS}}
            kept[field] = {k: _bare(v, shape.knows) if k == "messages" else v for k, v in own.items()}
        else:
            kept[field] = _bare(value, shape.knows)
    return kept, _ignored(raw, shape)


def _bare(messages: object, known: frozenset[str]) -> object:
    """Returns messages, or one, without the fields that are not read."""
    if is_list(messages):
        return [_bare(message, known) for message in messages]
    if not is_object(messages) or not known:
        return messages
    return {key: value for key, value in messages.items() if value is None or key in known}


def _ignored(raw: Mapping[str, Any], shape: Shape) -> tuple[str, ...]:
    """Returns the fields of a row that say something, and that its canonical form has no place for."""
    known = raw.keys() if shape.keeps else {*shape.needs, *shape.may}
    extra = [name for name, value in raw.items() if value is not None and name not in known]
    for field in (*shape.needs, *shape.may):
        value: object = raw.get(field)
        if field == "input" and is_object(value):  # OpenAI's preferences
            extra += [f"input.{k}" for k in value if k not in {"messages", *TOOL_FIELDS}]
            extra += _ignored_in("input.messages", value.get("messages"), shape.knows)
        elif field != "tools":
            extra += _ignored_in(field, value, shape.knows)
    return tuple(dict.fromkeys(extra))


def _ignored_in(field: str, messages: object, known: frozenset[str]) -> Iterator[str]:
    for message in messages if is_list(messages) else (messages,):
        if is_object(message) and not message.keys() <= known:
            for key, value in message.items():
                if key not in known and value is not None:
                    yield f"{field}[].{key}" if is_list(messages) else f"{field}.{key}"


def _no_record(raw: Mapping[str, Any]) -> DatasetError:
    """Returns the error that says what a row lacks, of the form that it comes nearest to."""
    for shape in SHAPES:
        if shape.mark is not None and raw.get(shape.mark) is None:
            continue
        lacking = [name for name in shape.needs if raw.get(name) is None]
        has = [name for name in shape.needs if name not in lacking]
        if not lacking:  # it has the fields, and not in the form that they need
            return no_record("not-a-record", shape.needs[0], f"{named(shape.needs)} do not fit together.", _FORMS)
        if len(lacking) == 1 and (has or lacking[0] in raw):
            absent = "is null" if lacking[0] in raw else "is missing"
            beside = f" beside {named(has)}" if has else ""
            return no_record("missing-field", lacking[0], f"'{lacking[0]}' {absent}{beside}.", f"Add '{lacking[0]}'.")
    found = f"among {named(raw)} is no field of a training record." if raw else "the row is empty."
    arrays = [name for name, value in raw.items() if is_list(value) and value and all(map(is_object, value))]
    if len(raw) > 1 and len(arrays) == 1:  # a whole data set, with something about it before its rows
        fix = f"If {named(arrays)} holds the rows, write just that array, or an object that holds nothing else."
        return no_record("unknown-kind", None, found, f"{fix} {_FORMS}")
    return no_record("unknown-kind", None, found, _FORMS)


_FORMS = (
    "A row has messages; or prompt and completion; or prompt, chosen and rejected; or text; or, as ShareGPT has it, "
    "conversations; or, as Alpaca has it, instruction and output. "
    "Other names are mapped with columns={'question': 'prompt', ...}."
)


# -- chat --------------------------------------------------------------------------------------------------------------


def _chat(raw: Mapping[str, Any]) -> Record:
    return with_tools({"messages": messages_of("messages", raw["messages"])}, raw)


def _item(raw: Mapping[str, Any]) -> Record:
    """Reads messages to answer, with what a grader judges by: its fields stay as they are."""
    beside = {name: value for name, value in raw.items() if name not in {"messages", *TOOL_FIELDS}}
    return {**_chat(raw), **{name: value for name, value in beside.items() if value is not None}}


def _is_conversation(raw: Mapping[str, Any]) -> bool:
    return is_list(raw["prompt"]) or is_list(raw["completion"])


def _chat_of_halves(raw: Mapping[str, Any]) -> Record:
    """Joins TRL's conversational prompt and completion. What the assistant says in the prompt is not learnt from."""
    prompt = [
        {**m, "weight": 0} if is_object(m) and m.get("role") == "assistant" else m
        for m in messages_of("prompt", raw["prompt"], "user")
    ]
    return with_tools({"messages": prompt + messages_of("completion", raw["completion"], "assistant")}, raw)


def _in_halves(raw: Mapping[str, Any], record: Record, at: At) -> str:
    if at.field != "messages" or at.nth is None:
        return in_place(raw, record, at)
    length = len(raw["prompt"]) if is_list(raw["prompt"]) else 1
    field, index = ("prompt", at.nth) if at.nth < length else ("completion", at.nth - length)
    return path_to(f"{field}[{index}]", at.rest) if is_list(raw[field]) else field


# -- preferences -------------------------------------------------------------------------------------------------------


def _preference(raw: Mapping[str, Any]) -> Record:
    """Reads TRL's forms: text or messages, with the prompt by itself or at the head of both conversations."""
    chosen = messages_of("chosen", raw["chosen"], "assistant")
    rejected = messages_of("rejected", raw["rejected"], "assistant")
    prompt = raw.get("prompt")
    if _holds_prompt(raw, chosen):
        length = _shared(chosen, rejected)
        head, chosen, rejected = chosen[:length], chosen[length:], rejected[length:]
    elif prompt is None:
        message = "there is no prompt, by itself or at the head of both answers."
        raise no_record(
            "missing-field", "prompt", message, "Add 'prompt', or give both answers as whole conversations."
        )
    else:
        head = messages_of("prompt", prompt, "user")
    return with_tools({"prompt": head, "chosen": chosen, "rejected": rejected}, raw)


def _holds_prompt(raw: Mapping[str, Any], chosen: list[Any]) -> bool:
    """Whether both answers are whole conversations: there is no prompt, or it is text that they begin with."""
    if not (is_list(raw["chosen"]) and is_list(raw["rejected"])) or is_list(raw.get("prompt")):
        return False
    length = _shared(chosen, messages_of("rejected", raw["rejected"]))
    if raw.get("prompt") is None:
        return length > 0
    asked = [m.get("content") for m in chosen[:length] if is_object(m) and m.get("role") == "user"]
    return raw["prompt"] in asked


def _shared(chosen: list[Any], rejected: list[Any]) -> int:
    """Returns how many messages both begin with, leaving at least one to each."""
    most = min(len(chosen), len(rejected)) - 1
    return next((i for i in range(max(most, 0)) if chosen[i] != rejected[i]), max(most, 0))


def _in_preference(raw: Mapping[str, Any], record: Record, at: At) -> str:
    if at.nth is None or at.field not in {"prompt", "chosen", "rejected"}:
        return in_place(raw, record, at)
    head = len(raw["chosen"]) - len(record["chosen"]) if is_list(raw["chosen"]) else 0
    field, index = (at.field, at.nth) if at.field != "prompt" else ("chosen" if head else "prompt", at.nth)
    if at.field != "prompt":
        index += head
    return path_to(f"{field}[{index}]", at.rest) if is_list(raw[field]) else field


def _openai_preference(raw: Mapping[str, Any]) -> Record:
    given: dict[str, Any] = raw["input"]
    if given.get("messages") is None:
        raise no_record("missing-field", "input.messages", "'input' has no messages.", "Add 'messages' to it.")
    record = {
        "prompt": messages_of("input.messages", given["messages"]),
        "chosen": messages_of("preferred_output", raw["preferred_output"]),
        "rejected": messages_of("non_preferred_output", raw["non_preferred_output"]),
    }
    return with_tools(record, given)


_OPENAI_NAMES = {"prompt": "input.messages", "chosen": "preferred_output", "rejected": "non_preferred_output"}


def _in_openai_preference(raw: Mapping[str, Any], record: Record, at: At) -> str:
    return in_place(raw, record, at._replace(field=_OPENAI_NAMES.get(at.field, f"input.{at.field}")))


# -- text --------------------------------------------------------------------------------------------------------------


def _only(*names: str) -> Callable[[Mapping[str, Any]], Record]:
    return lambda raw: {name: raw[name] for name in names}


_ITEM = Shape(RecordKind.ITEM, ("messages",), _item, may=TOOL_FIELDS, keeps=True)

SHAPES = [
    Shape(
        RecordKind.PREFERENCE,
        ("input", "preferred_output", "non_preferred_output"),
        _openai_preference,
        fits=lambda raw: is_object(raw["input"]),
        place=_in_openai_preference,
    ),
    SHAREGPT_PREFERENCE,
    ALPACA_PREFERENCE,
    Shape(
        RecordKind.PREFERENCE,
        ("chosen", "rejected"),
        _preference,
        place=_in_preference,
        may=TOOL_FIELDS | {"prompt"},
    ),
    Shape(RecordKind.CHAT, ("messages",), _chat, may=TOOL_FIELDS),
    Shape(
        RecordKind.CHAT,
        ("prompt", "completion"),
        _chat_of_halves,
        fits=_is_conversation,
        place=_in_halves,
        may=TOOL_FIELDS,
    ),
    Shape(
        RecordKind.PROMPT_COMPLETION,
        ("prompt", "completion"),
        _only("prompt", "completion"),
        fits=lambda raw: not _is_conversation(raw),
    ),
    Shape(RecordKind.TEXT, ("text",), _only("text")),
    SHAREGPT,
    ALPACA,
    _ITEM,
]
"""The forms that are read, the most telling first: a preference often has `messages` or `text` beside it. An item is
only read as one where items are wanted. Add to them with `register_layout`."""

FIELD_NAMES = {name for shape in SHAPES for name in (*shape.needs, *shape.may)}
"""The fields at the top of a row that mean something."""


def add_shape(shape: Shape, layout: str) -> None:
    """Reads a form from now on; where a row is also of a form that was known before, it stays that.

    Args:
        shape: The form.
        layout: The name of its layout, which is told where it stumbles over a row.

    Raises:
        ConfigurationError: No row is of that form which is not of a form that was known before.
    """
    if _GUARDED.get(shape) in SHAPES:
        return
    always = [known for known in SHAPES if known.fits is any_row and known is not _ITEM]  # of ftkit's own
    for known in always if shape.needs else always[:1]:
        own, theirs = {*shape.needs}, {*known.needs}
        if not own or theirs == own or (theirs < own and known.kind is shape.kind):
            message = (
                f"the layout '{layout}' reads rows with {named(shape.needs) or 'any field'}, which are known already"
            )
            raise ConfigurationError(
                f"{message}: rows with {named(known.needs)} are {known.kind.value} rows, and stay that.",
                hint="Let its Shape need a field that no other form has.",
            )
    _GUARDED[shape] = guarded(shape, layout)
    SHAPES.insert(SHAPES.index(_ITEM), _GUARDED[shape])
    FIELD_NAMES.update(shape.needs, shape.may)


_GUARDED: dict[Shape, Shape] = {}
"""The forms that were added -> what is read by them in their place."""
