"""Chat: a question to a model, answered at once or piece by piece."""

from __future__ import annotations

import json
import time
import uuid
from functools import partial
from typing import TYPE_CHECKING, Any

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse

from ftkit.errors import FtkitError
from ftkit.models import ChatChunk
from ftkit.server.errors import NOT_FOUND, ApiError, api_error
from ftkit.server.routes._common import StrictRoute, reply
from ftkit.server.wire_chat import AskChat  # noqa: TC001 - FastAPI reads it

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from ftkit.models import ChatReply, ChatUsage
    from ftkit.server.dialects import OpenAI
    from ftkit.server.office import Office

_AT_ONCE = 16
"""Questions that are with the provider at once. They have threads of their own: all else is answered meanwhile."""
_REASONS = {"stop", "length", "tool_calls", "content_filter", "function_call"}


def router(office: Office, dialect: OpenAI) -> APIRouter:
    """Returns the path of questions that name a model."""
    paths = APIRouter(tags=["chat"], route_class=StrictRoute)
    desk = _Desk(office, dialect)

    @paths.post("/chat/completions")
    async def create_completion(body: AskChat) -> Response:
        """Asks a model (on Azure, a deployment)."""
        if body.model is None:
            raise ApiError("you must provide a model parameter", param="model", code="missing_required_parameter")
        return await desk.answer(body.model, body)

    return paths


def deployed(office: Office, dialect: OpenAI) -> APIRouter:
    """Returns the path of questions to a deployment, which only Azure's dated form has."""
    paths = APIRouter(tags=["chat"], route_class=StrictRoute)
    desk = _Desk(office, dialect)

    @paths.post("/deployments/{deployment}/chat/completions")
    async def create_completion(deployment: str, body: AskChat) -> Response:
        """Asks a deployment."""
        return await desk.answer(deployment, body)

    return paths


class _Desk:
    """Where questions are answered."""

    def __init__(self, office: Office, dialect: OpenAI) -> None:
        self._office = office
        self._dialect = dialect
        self._limiter: CapacityLimiter | None = None

    async def answer(self, model: str, body: AskChat) -> Response:
        if self._limiter is None:  # made where the loop runs
            self._limiter = CapacityLimiter(_AT_ONCE)
        if self._dialect.asks_deployments and self._office.deployments.find(model) is None:
            raise _no_deployment()
        head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": model}
        if not body.stream:
            chat = await to_thread.run_sync(partial(self._chat, model, body), limiter=self._limiter)
            return reply(_completion(head, chat))
        pieces = self._pieces(model, body)
        first = await to_thread.run_sync(next, pieces, None, limiter=self._limiter)  # whatever is wrong, is wrong now
        stream = self._events(head, body, first, pieces, self._limiter)
        return StreamingResponse(stream, media_type="text/event-stream")

    def _chat(self, model: str, body: AskChat) -> ChatReply:
        asked, options = body.conversation(), _given(body)
        client = self._office.client
        return self._office.serving.ask(model, lambda deployment: client.chat(deployment, asked, **options))

    def _pieces(self, model: str, body: AskChat) -> Iterator[ChatChunk]:
        """Yields the answer as it comes; whole, where the provider cannot do otherwise."""
        if "StreamsChat" not in self._office.client.abilities:
            chat = self._chat(model, body)
            yield ChatChunk(text=chat.text, finish_reason=chat.finish_reason or "stop", usage=chat.usage)
            return
        asked, options = body.conversation(), _given(body)
        client = self._office.client
        yield from self._office.serving.stream(
            model, lambda deployment: client.stream_chat(deployment, asked, **options)
        )

    async def _events(
        self,
        head: dict[str, Any],
        body: AskChat,
        first: ChatChunk | None,
        pieces: Iterator[ChatChunk],
        limiter: CapacityLimiter,
    ) -> AsyncGenerator[str]:
        def event(choices: list[dict[str, Any]], **more: Any) -> str:
            return f"data: {json.dumps({**head, 'object': 'chat.completion.chunk', 'choices': choices, **more})}\n\n"

        def choice(delta: dict[str, Any], reason: str | None = None) -> list[dict[str, Any]]:
            return [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}]

        piece, usage, reason = first, None, None
        try:
            yield event(choice({"role": "assistant", "content": ""}))
            while piece is not None:
                if piece.text:
                    yield event(choice({"content": piece.text}))
                reason, usage = piece.finish_reason or reason, piece.usage or usage
                piece = await to_thread.run_sync(next, pieces, None, limiter=limiter)
            yield event(choice({}, _reason(reason) or "stop"))
            if body.wants_usage and usage is not None:
                yield event([], usage=_usage(usage))
            yield "data: [DONE]\n\n"
        except FtkitError as error:  # the status went out long ago
            yield f"data: {json.dumps(self._dialect.error(api_error(error)))}\n\n"
        finally:
            pieces.close()  # type: ignore[attr-defined]  # a generator: the model need not go on


def _given(body: AskChat) -> dict[str, Any]:
    return {name: value for name, value in body.options() if value is not None}


def _completion(head: dict[str, Any], chat: ChatReply) -> dict[str, Any]:
    calls = {"tool_calls": list(chat.tool_calls)} if chat.tool_calls else {}
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": chat.text or (None if calls else ""), "refusal": None, **calls},
        "logprobs": None,
        "finish_reason": _reason(chat.finish_reason) or "stop",
    }
    usage = {"usage": _usage(chat.usage)} if chat.usage else {}
    return {**head, "object": "chat.completion", "choices": [choice], **usage}


def _usage(usage: ChatUsage) -> dict[str, int]:
    return {**usage.model_dump(), "total_tokens": usage.prompt_tokens + usage.completion_tokens}


def _reason(reason: str | None) -> str | None:
    return reason if reason in _REASONS else None


def _no_deployment() -> ApiError:
    message = (
        "The API deployment for this resource does not exist. If you created the deployment within the last 5 minutes, "
        "please wait a moment and try again."
    )
    return ApiError(message, status=NOT_FOUND, code="DeploymentNotFound")
