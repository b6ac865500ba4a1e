"""Bedrock's form of a conversation: in training data, which brings two layouts, and in a chat.

* `bedrock-conversation`: Nova, and Llama from 3.2 on. The form of the Converse API.
* `bedrock-claude`: Claude 3 Haiku. The form of Anthropic's messages.

Both are told in "Prepare data for fine-tuning text-to-text models" of the Bedrock user guide (read 2026-11-28).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from ftkit.datasets import Layout, register_layout
from ftkit.errors import ConfigurationError, ProviderUnavailableError, UnsupportedError
from ftkit.models import ChatChunk, ChatReply, ChatUsage, RecordKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ftkit.models import ChatMessage, ChatOptions

_SYSTEM = {"system", "developer"}
_TURNS = {"user", "assistant"}
_NO_PLACE = ("tool_calls", "tool_call_id", "name")
_ENDS: Mapping[str, str] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
}
"""Bedrock's words for why an answer ended, and ours. Others stay as they are."""


# -- in a chat ---------------------------------------------------------------------------------------------------


def question(model: str, messages: Sequence[ChatMessage], options: ChatOptions) -> dict[str, Any]:
    """Returns what Converse and ConverseStream are asked; `options.extra` goes in as it is.

    Raises:
        ConfigurationError: `extra` sets what is set already.
        UnsupportedError: There is something in it that is not written here.
    """
    for name in ("seed", "tools"):
        if getattr(options, name) is not None:
            raise UnsupportedError(f"the provider 'bedrock' takes no {name} in a chat")
    try:
        told = _conversation([message.model_dump() for message in messages])
    except ValueError as error:
        raise UnsupportedError(f"the provider 'bedrock' cannot send these messages: {error}") from error
    config = {
        "maxTokens": options.max_tokens,
        "temperature": options.temperature,
        "topP": options.top_p,
        "stopSequences": list(options.stop) if options.stop else None,
    }
    given = {name: value for name, value in config.items() if value is not None}
    asked = {"modelId": model, **told, **({"inferenceConfig": given} if given else {})}
    twice = sorted(asked.keys() & options.extra.keys())
    if twice:
        raise ConfigurationError(f"ChatOptions.extra may not hold {', '.join(twice)}: that is set already")
    return {**asked, **options.extra}


def reply_of(told: Mapping[str, Any], model: str) -> ChatReply:
    """Reads an answer."""
    text = "".join(part.get("text", "") for part in told["output"]["message"]["content"])
    end = told["stopReason"]
    return ChatReply(text=text, model=model, finish_reason=_ENDS.get(end, end), usage=_usage(told))


def chunks_of(events: Iterable[Mapping[str, Any]]) -> Iterator[ChatChunk]:
    """Reads a stream. What it took is told after its end, so the last piece waits for that.

    Raises:
        ProviderUnavailableError: It broke off.
    """
    end, usage = None, None
    for event in events:
        text = event.get("contentBlockDelta", {}).get("delta", {}).get("text")
        if text:
            yield ChatChunk(text=text)
        end = event.get("messageStop", {}).get("stopReason", end)
        usage = _usage(event.get("metadata", {})) or usage
    if end is None:
        raise ProviderUnavailableError("the answer broke off", provider="bedrock")
    yield ChatChunk(text="", finish_reason=_ENDS.get(end, end), usage=usage)


def _usage(told: Mapping[str, Any]) -> ChatUsage | None:
    usage = told.get("usage")
    return usage and ChatUsage(prompt_tokens=usage["inputTokens"], completion_tokens=usage["outputTokens"])


# -- in training data ----------------------------------------------------------------------------------------------


def _split(messages: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[tuple[str, str]]]:
    """Returns the texts of the system, and the turns, each with its role and text.

    Raises:
        ValueError: There is something in them that Bedrock's form of a conversation has no place for here.
    """
    for message in messages:
        lost = [name for name in _NO_PLACE if message.get(name) is not None]
        if message["role"] not in _SYSTEM | _TURNS or lost:
            said = f"its {lost[0]}" if lost else f"the role '{message['role']}'"
            raise ValueError(f"there is no place for {said}: text of system, user and assistant is all that is written")
    texts = [(str(message["role"]), _text(message["content"])) for message in messages]
    return [text for role, text in texts if role in _SYSTEM], [turn for turn in texts if turn[0] in _TURNS]


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    parts = cast("list[dict[str, Any]]", content if isinstance(content, list) else [{}])  # what a chat message may hold
    if not all(part.get("type") == "text" for part in parts):
        raise ValueError("there is no place for what is not text")
    return "".join(part["text"] for part in parts)


def _conversation(messages: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    system, turns = _split(messages)
    told: dict[str, Any] = {"system": [{"text": text} for text in system]} if system else {}
    return {**told, "messages": [{"role": role, "content": [{"text": text}]} for role, text in turns]}


def _to_learn(record: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    messages: Sequence[Mapping[str, Any]] = record["messages"]
    roles = [role for role, _ in _split(messages)[1]]
    if roles[:1] != ["user"] or roles[-1:] != ["assistant"]:
        raise ValueError("the first turn must be the user's, and the last one the assistant's")
    return messages


def _conversation_row(record: Mapping[str, Any]) -> dict[str, Any]:
    return {"schemaVersion": "bedrock-conversation-2024", **_conversation(_to_learn(record))}


def _claude_row(record: Mapping[str, Any]) -> dict[str, Any]:
    system, turns = _split(_to_learn(record))
    told: dict[str, Any] = {"system": "\n\n".join(system)} if system else {}
    return {**told, "messages": [{"role": role, "content": text} for role, text in turns]}


register_layout(Layout("bedrock-conversation", frozenset({RecordKind.CHAT}), _conversation_row))
register_layout(Layout("bedrock-claude", frozenset({RecordKind.CHAT}), _claude_row))
