"""Alpaca's form: {"instruction": "...", "input": "...", "output": "..."}.

Stanford's data has these three, `input` often empty; LLaMA-Factory adds `system` and `history`, earlier questions and
answers in pairs, which are learnt as well, and has `chosen` and `rejected` in place of `output` for preferences. What
the user says is the instruction, and after a line end the input, as there; Stanford's own template puts headings around
both, which is for a template to do. Sources, read 2026-11-27: tatsu-lab/stanford_alpaca README.md; LLaMA-Factory
data/README.md and src/llamafactory/data/converter.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ftkit.datasets._shapes import At, LossError, Record, Shape, no_record, parsed, refuse_unread
from ftkit.datasets._values import is_list, is_object, type_name
from ftkit.models import RecordKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PAIR = 2
_BESIDE = frozenset({"input", "system", "history"})


# -- reading -----------------------------------------------------------------------------------------------------------


def _chat(raw: Mapping[str, Any]) -> Record:
    return {"messages": [*_prompt(raw), {"role": "assistant", "content": raw["output"]}]}


def _preference(raw: Mapping[str, Any]) -> Record:
    answers = {field: [{"role": "assistant", "content": raw[field]}] for field in ("chosen", "rejected")}
    return {"prompt": _prompt(raw), **answers}


def _prompt(raw: Mapping[str, Any]) -> list[Record]:
    """Returns what comes before the answer."""
    refuse_unread(raw)
    system: object = raw.get("system")
    messages = [] if system in (None, "") else [{"role": "system", "content": system}]
    for asked, answered in _history(raw):
        messages += [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]
    return [*messages, {"role": "user", "content": _asked(raw)}]


def _asked(raw: Mapping[str, Any]) -> Any:  # noqa: ANN401 - what is no text stays as it is, for the rules to find
    given = [(name, raw[name]) for name in ("instruction", "input") if raw.get(name) not in (None, "")]
    if len(given) < _PAIR:
        return given[0][1] if given else ""
    for name, value in given:
        if not isinstance(value, str):
            message = f"'{name}' must be text, and is {type_name(value)}."
            raise no_record("not-text", name, message, "Write text.", value)
    return "\n".join(value for _, value in given)


def _history(raw: Mapping[str, Any]) -> list[Sequence[Any]]:
    history: object = parsed(raw.get("history"))
    if history in (None, ""):
        return []
    fix = 'Write [["question", "answer"], ...], or leave it out.'
    if not is_list(history):
        message = f"'history' must be a list of pairs, and is {type_name(history)}."
        raise no_record("not-a-list", "history", message, fix, history)
    for n, pair in enumerate(history):
        if not is_list(pair) or len(pair) != _PAIR or None in pair:
            raise no_record("bad-history", f"history[{n}]", "this is no question with its answer.", fix, pair)
    return history


# -- where things are --------------------------------------------------------------------------------------------------


def _place(raw: Mapping[str, Any], record: Record, at: At) -> str:
    field = "messages" if "messages" in record else "prompt"
    if at.field != field or at.nth is None:
        return at.field if at.field != field else "instruction"
    before = len(record["prompt"]) - 1 if field == "prompt" else len(record["messages"]) - 2
    if at.nth >= before:
        return ("instruction", "output")[at.nth - before]
    nth = at.nth - (before - _PAIR * len(_history(raw)))
    return "system" if nth < 0 else f"history[{nth // _PAIR}][{nth % _PAIR}]"


ALPACA = Shape(
    RecordKind.CHAT, ("instruction", "output"), _chat, place=_place, may=_BESIDE, knows=frozenset(), mark="instruction"
)
ALPACA_PREFERENCE = Shape(
    RecordKind.PREFERENCE,
    ("instruction", "chosen", "rejected"),
    _preference,
    fits=lambda raw: raw.get("prompt") is None and isinstance(raw["chosen"], str) and isinstance(raw["rejected"], str),
    place=_place,
    may=_BESIDE,
    knows=frozenset(),
    mark="instruction",
)


# -- writing -----------------------------------------------------------------------------------------------------------


def chat_row(record: Mapping[str, Any]) -> Record:
    """Writes a chat.

    Raises:
        LossError: It is something else than one system prompt, and then questions and answers by turns.
    """
    messages: list[Any] = record["messages"]
    if not messages:
        raise LossError(At("messages"), "that there are no messages: Alpaca has at least one question and its answer.")
    asked = _asked_row(messages[:-1], "messages")
    output = _text(At("messages", len(messages) - 1), messages[-1], "assistant")
    return {"instruction": asked.pop("instruction"), "input": "", "output": output, **asked}


def preference_row(record: Mapping[str, Any]) -> Record:
    """Writes a preference, each answer of which is one text.

    Raises:
        LossError: It is something else.
    """
    row = _asked_row(record["prompt"], "prompt")
    answers: Record = {}
    for field in ("chosen", "rejected"):
        if len(record[field]) != 1:
            raise LossError(At(field), "an answer of several messages: Alpaca has one text for each.")
        answers[field] = _text(At(field, 0), record[field][0], "assistant")
    return {"instruction": row.pop("instruction"), "input": "", **answers, **row}


def _asked_row(messages: list[Any], field: str) -> Record:
    first: object = messages[0] if messages else None
    begin = int(is_object(first) and first.get("role") == "system")
    texts = [
        _text(At(field, n), messages[n], "assistant" if (n - begin) % _PAIR else "user")
        for n in range(begin, len(messages))
    ]
    if len(texts) % _PAIR != 1:
        raise LossError(At(field), "what is not question and answer by turns: Alpaca's history holds nothing else.")
    row: Record = {"instruction": texts[-1]}
    if begin:
        row["system"] = _text(At(field, 0), first, "system")
    if len(texts) > 1:
        row["history"] = [texts[n : n + _PAIR] for n in range(0, len(texts) - 1, _PAIR)]
    return row


def _text(at: At, message: object, role: str) -> str:
    """Returns what a message says; what else is in it has no place there, which is seen when it is read back."""
    found: object = message.get("role") if is_object(message) else None
    if not is_object(message) or found != role:
        wrong = f"the order of the turns: Alpaca has one of {role!r} here, for its history is questions and answers."
        raise LossError(at._replace(rest="role"), wrong)
    if "tool_calls" in message:
        raise LossError(at._replace(rest="tool_calls"), "the call of a tool: Alpaca has none.")
    content: object = message.get("content")
    if not isinstance(content, str):
        raise LossError(at._replace(rest="content"), "content that is not text: Alpaca has none.")
    return content
