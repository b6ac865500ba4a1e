"""What may stand in a chat request, OpenAI's form. What we cannot honour is refused, never dropped."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PositiveInt, ValidationError


class RequestError(Exception):
    """A request is refused.

    Attributes:
        status: The HTTP status.
        message: What is wrong.
        type: OpenAI's kind of error.
        param: The field, or None.
        code: OpenAI's short name of it, or None.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        type: str = "invalid_request_error",  # noqa: A002 - the wire's own name
        param: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.type = type
        self.param = param
        self.code = code

    def envelope(self) -> dict[str, Any]:
        """Returns it as OpenAI writes errors."""
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}


# Fields that would change the answer, and the values that do not. Null always means "not set".
_ONLY: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "response_format": ({"type": "text"},),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "logit_bias": ({},),
    "modalities": (["text"],),
    "service_tier": ("auto", "default"),
    "tool_choice": ("auto", "none"),
}
# Fields that say something about the caller, and nothing about the answer.
_WITHOUT_EFFECT = frozenset({"user", "metadata", "store", "safety_identifier", "prompt_cache_key"})


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


class _Message(BaseModel):
    """One message; other fields are the template's business."""

    model_config = ConfigDict(extra="allow", strict=True)

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[dict[str, Any]] | None = None
    tool_calls: list[dict[str, Any]] | None = None


class _StreamOptions(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    include_usage: bool = False


class ChatRequest(BaseModel):
    """A request that we can honour in full."""

    model_config = ConfigDict(extra="forbid", strict=True)

    model: str
    messages: Annotated[list[_Message], Field(min_length=1)]
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    max_tokens: PositiveInt | None = None
    max_completion_tokens: PositiveInt | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    stop: Annotated[list[Annotated[str, Field(min_length=1)]] | None, BeforeValidator(_as_list)] = None
    tools: list[dict[str, Any]] | None = None

    @property
    def limit(self) -> int | None:
        """Most tokens in the answer; `max_tokens` is the older name."""
        return self.max_completion_tokens if self.max_completion_tokens is not None else self.max_tokens


def read_request(body: bytes) -> ChatRequest:
    """Reads the body of a chat request.

    Raises:
        RequestError: It is no JSON object, is wrong, or asks for what we do not have.
    """
    try:
        payload: Any = json.loads(body)
    except ValueError as error:
        message = f"the body is not valid JSON: {error}"
        raise RequestError(message) from error
    if not isinstance(payload, dict):
        raise RequestError("the body must be a JSON object")
    fields = dict(cast("dict[str, Any]", payload))
    for name, allowed in _ONLY.items():
        value = fields.get(name)
        if value is not None and value not in allowed:
            shown = " or ".join(json.dumps(one) for one in allowed)
            message = f"'{name}' is not supported here; leave it out, or set it to {shown}"
            raise RequestError(message, param=name, code="unsupported_parameter")
    if fields.get("tool_choice") == "none":
        fields.pop("tools", None)
    try:
        return ChatRequest.model_validate(
            {name: value for name, value in fields.items() if name not in _ONLY and name not in _WITHOUT_EFFECT}
        )
    except ValidationError as error:
        raise _refusal(error) from error


def _refusal(error: ValidationError) -> RequestError:
    first = error.errors(include_url=False)[0]
    param = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]).lstrip(".")
    if first["type"] == "extra_forbidden":
        return RequestError(f"Unrecognized request argument supplied: {param}", param=param, code="unknown_parameter")
    return RequestError(f"{param}: {first['msg']}", param=param, code="invalid_value")


def messages_for_template(request: ChatRequest) -> list[dict[str, Any]]:
    """Returns the messages as chat templates expect them: plain text, and the arguments of calls as objects.

    Raises:
        RequestError: A message holds something that is not text, or arguments that are no JSON.
    """
    messages: list[dict[str, Any]] = []
    for n, message in enumerate(request.messages):
        plain = message.model_dump(exclude_none=True)
        plain["content"] = _text(message.content, f"messages[{n}].content")
        if message.tool_calls:
            plain["tool_calls"] = [_call(call, f"messages[{n}].tool_calls") for call in message.tool_calls]
        messages.append(plain)
    return messages


def _text(content: str | list[dict[str, Any]] | None, param: str) -> str:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    for part in content:
        if part.get("type") != "text" or not isinstance(part.get("text"), str):
            message = f"{param}: only parts of type 'text' are supported, this one is {part.get('type')!r}"
            raise RequestError(message, param=param, code="unsupported_content")
    return "".join(part["text"] for part in content)


def _call(call: dict[str, Any], param: str) -> dict[str, Any]:
    function: Any = call.get("function")
    if not isinstance(function, dict) or not isinstance(cast("dict[str, Any]", function).get("arguments"), str):
        return call
    called = cast("dict[str, Any]", function)
    try:
        return {**call, "function": {**called, "arguments": json.loads(called["arguments"])}}
    except ValueError as error:
        message = f"{param}: the arguments are not valid JSON: {error}"
        raise RequestError(message, param=param, code="invalid_value") from error
