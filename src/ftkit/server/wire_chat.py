"""The body of a chat request, OpenAI's form. What the provider has a field for is checked here; the rest by it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PositiveInt, StringConstraints

from ftkit.models import ChatMessage, ChatOptions
from ftkit.server.errors import ApiError
from ftkit.server.wire import ModelName

_ONLY_ONE = {"n": (1,), "logprobs": (False,), "top_logprobs": (0,)}
"""What would ask for more than an answer of ours holds."""
_WITHOUT_EFFECT = frozenset({"user", "metadata", "store", "safety_identifier", "prompt_cache_key", "service_tier"})
"""What says something about the caller, and nothing about the answer."""
_MESSAGE_FIELDS = frozenset(ChatMessage.model_fields)


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


Stops = Annotated[list[Annotated[str, StringConstraints(min_length=1)]], Field(max_length=4)]


class Message(BaseModel):
    """One message. Fields that answers hold, and questions need not, are passed over when they are empty."""

    model_config = ConfigDict(extra="allow", strict=True)

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[dict[str, Any]] | None = None
    name: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None


class StreamOptions(BaseModel):
    """How to stream."""

    model_config = ConfigDict(extra="forbid", strict=True)

    include_usage: bool = False
    include_obfuscation: bool = False


class AskChat(BaseModel):
    """A question to a model."""

    model_config = ConfigDict(extra="allow", strict=True)

    model: ModelName | None = None
    messages: Annotated[list[Message], Field(min_length=1, max_length=10_000)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    max_tokens: PositiveInt | None = None
    max_completion_tokens: PositiveInt | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    stop: Annotated[Stops | None, BeforeValidator(_as_list)] = None
    tools: list[dict[str, Any]] | None = None

    @property
    def wants_usage(self) -> bool:
        """Whether a stream shall end with the tokens that it took."""
        return self.stream_options is not None and self.stream_options.include_usage

    def conversation(self) -> list[ChatMessage]:
        """Returns the messages.

        Raises:
            ApiError: One of them holds what we would have to drop.
        """
        return [_message(message, f"messages[{n}]") for n, message in enumerate(self.messages)]

    def options(self) -> ChatOptions:
        """Returns how to answer; what we have no field for is the provider's to take or to refuse.

        Raises:
            ApiError: It asks for more than one answer, or for what none of ours holds.
        """
        others = {name: value for name, value in (self.model_extra or {}).items() if value is not None}
        for name, allowed in _ONLY_ONE.items():
            if others.pop(name, allowed[0]) not in allowed:
                message = f"'{name}' can only be {allowed[0]!r} here."
                raise ApiError(message.replace("False", "false"), param=name, code="unsupported_value")
        limit = self.max_completion_tokens if self.max_completion_tokens is not None else self.max_tokens
        return ChatOptions(
            temperature=self.temperature,
            max_tokens=limit,
            top_p=self.top_p,
            seed=self.seed,
            stop=tuple(self.stop) if self.stop else None,
            tools=tuple(self.tools) if self.tools else None,
            extra={name: value for name, value in others.items() if name not in _WITHOUT_EFFECT},
        )


def _message(message: Message, where: str) -> ChatMessage:
    unknown = [name for name, value in (message.model_extra or {}).items() if value not in (None, [], {})]
    if unknown:
        param = f"{where}.{unknown[0]}"
        raise ApiError(f"Unrecognized field: {param[:200]}", param=param[:200], code="unknown_parameter")
    return ChatMessage(**message.model_dump(include=set(_MESSAGE_FIELDS)))
