"""Turns a record of one kind into another, where nothing is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ftkit.datasets._values import is_object, named
from ftkit.datasets.records import Record, normal
from ftkit.errors import ConfigurationError, DatasetError
from ftkit.methods import near
from ftkit.models import Problem, RecordKind

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_LOSSES = {
    RecordKind.PREFERENCE: "the rejected answer would be lost.",
    RecordKind.TEXT: "where the question ends and the answer begins is not known.",
    RecordKind.ITEM: "what stands beside the messages would be lost.",
}
_LACKS = {
    RecordKind.PREFERENCE: "it has no rejected answer.",
    RecordKind.TEXT: "where the question ends and the answer begins would be lost.",
    RecordKind.CHAT: "it is no prompt and completion.",
    RecordKind.ITEM: "it has nothing that an answer could be judged by.",
}


def convert(record: Mapping[str, Any], to: RecordKind | str) -> Record:
    """Returns a record as one of another kind that says the same.

    A prompt and its completion become the message of a user and the answer of an assistant, and back. A record of the
    wanted kind is returned in its canonical form.

    Args:
        record: A record of any form that is read.
        to: The kind that is wanted, or its name, such as "chat".

    Raises:
        DatasetError: It is no record, or something would be lost; the problem says what.
        ConfigurationError: There is no kind of that name.
    """
    if to not in [*RecordKind]:
        known = [kind.value for kind in RecordKind]
        raise ConfigurationError(
            f"there is no kind of record '{to}'{near(str(to), known) or '.'}", hint=f"Known: {', '.join(known)}."
        )
    wanted = RecordKind(to)
    return converted(*normal(record, prefer=(wanted,))[:2], wanted)


def converted(kind: RecordKind, record: Record, to: RecordKind) -> Record:
    """Does the same for a canonical record of a known kind.

    Raises:
        DatasetError: Something would be lost.
    """
    if kind is to:
        return record
    if (kind, to) == (RecordKind.PROMPT_COMPLETION, RecordKind.CHAT):
        asked = {"role": "user", "content": record["prompt"]}
        return {"messages": [asked, {"role": "assistant", "content": record["completion"]}]}
    loss = _loss(kind, record, to)
    if loss is None:
        asked, answered = record["messages"]
        return {"prompt": asked["content"], "completion": answered["content"]}
    fix = f"Give {to.value} records, or choose a method or a provider that takes {kind.value}."
    problem = Problem(code="lossy-conversion", message=f"{kind.value} cannot become {to.value}: {loss}", fix=fix)
    raise DatasetError(f"A {kind.value} record cannot become {to.value}.", [problem])


def reachable(kind: RecordKind, accepted: Collection[RecordKind]) -> RecordKind | None:
    """Returns the accepted kind that a kind is written as, if there is one that may hold it without a loss."""
    if kind in accepted:
        return kind
    pair = {RecordKind.CHAT, RecordKind.PROMPT_COMPLETION}
    return next((other for other in pair - {kind} if kind in pair and other in accepted), None)


def _loss(kind: RecordKind, record: Record, to: RecordKind) -> str | None:
    """Returns what a conversion would lose; None for a chat that is a prompt and its completion."""
    if kind in _LOSSES:
        return _LOSSES[kind]
    if to is not RecordKind.PROMPT_COMPLETION:
        return _LACKS[to]
    messages: list[Any] = record["messages"]
    roles = [is_object(message) and message.get("role") for message in messages]
    if roles != ["user", "assistant"]:
        system = "the system message would be lost: " if "system" in roles or "developer" in roles else ""
        return f"{system}it is more than one message of a user and one answer."
    asked, answered = messages
    if not (isinstance(asked.get("content"), str) and isinstance(answered.get("content"), str)):
        return "content that is not text would be lost."
    beside = [key for key in (*record, *asked, *answered) if key not in {"messages", "role", "content"}]
    if answered.get("weight") == 1:
        beside.remove("weight")  # which is what no weight means
    return f"{named(dict.fromkeys(beside))} would be lost." if beside else None
