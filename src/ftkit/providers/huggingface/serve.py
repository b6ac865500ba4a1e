"""The server of a local deployment: OpenAI's chat endpoint in front of one model, on loopback, behind a token.

    python -m ftkit.providers.huggingface.serve --model REF --folder F --name N [--port P] [--threads T]

The folder holds the token; what becomes of the server is written there (see `ftkit.providers._local_endpoints`).
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
import traceback
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from ftkit.providers._local_endpoints import TOKEN
from ftkit.providers._local_servers import Report, arguments, run, take_port
from ftkit.providers.huggingface.chat_requests import (
    ChatRequest,
    RequestError,
    messages_for_template,
    read_request,
)
from ftkit.providers.huggingface.guard.ftkit_bearer import BearerOnly

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from starlette.requests import Request

    from ftkit.providers.huggingface.generation import Batches, ChatModel, Generation, Piece

_MOST_BYTES = 4 * 2**20
_SHUTDOWN_S = 2
_CLIENT_CLOSED = 499  # nobody is there to read it
_INTERNAL = "server_error"


def _refuse(error: RequestError) -> JSONResponse:
    return JSONResponse(error.envelope(), status_code=error.status)


async def _on_refusal(_: Request, error: Exception) -> Response:
    if isinstance(error, RequestError):
        return _refuse(error)
    if isinstance(error, HTTPException):  # Starlette's own: no such path, no such method
        return _refuse(RequestError(error.detail, status=error.status_code))
    return _refuse(_internal(error))  # Starlette raises it again once this is sent, so that uvicorn logs it


def _internal(error: Exception) -> RequestError:
    message = f"the model could not answer ({type(error).__name__}); the log of the deployment says why"
    return RequestError(message, status=500, type=_INTERNAL)


class _Answer:
    """An answer on its way from the model's thread to the event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._pieces: asyncio.Queue[Piece | Exception] = asyncio.Queue()

    def deliver(self, piece: Piece | Exception) -> None:
        """Called from the model's thread."""
        self._loop.call_soon_threadsafe(self._pieces.put_nowait, piece)

    async def pieces(self) -> AsyncGenerator[Piece]:
        """Yields the pieces up to the last.

        Raises:
            RequestError: The model failed.
        """
        while True:
            piece = await self._pieces.get()
            if isinstance(piece, Exception):
                raise _internal(piece) from piece
            yield piece
            if piece.finish_reason:
                return


class Endpoint:
    """The endpoint of one model.

    Args:
        name: The name that requests have to give.
        token: What they have to bear.
    """

    def __init__(self, name: str, token: str) -> None:
        self._name = name
        self._created = int(time.time())
        self._batches: Batches | None = None
        routes = [
            Route("/health", self._health),
            Route("/v1/models", self._models),
            Route("/v1/chat/completions", self._chat, methods=["POST"]),
        ]
        kinds: tuple[type[Exception], ...] = (RequestError, HTTPException, Exception)
        self.app = Starlette(
            routes=routes,
            middleware=[Middleware(BearerOnly, token=lambda: token)],
            exception_handlers=dict.fromkeys(kinds, _on_refusal),
        )

    def open(self, batches: Batches) -> None:
        """Begins to answer."""
        self._batches = batches

    async def _health(self, _: Request) -> Response:
        loaded = self._batches is not None
        return JSONResponse({"status": "ok" if loaded else "loading"}, status_code=200 if loaded else 503)

    async def _models(self, _: Request) -> Response:
        model = {"id": self._name, "object": "model", "created": self._created, "owned_by": "ftkit"}
        return JSONResponse({"object": "list", "data": [model]})

    async def _chat(self, request: Request) -> Response:
        asked = read_request(await _body(request))
        if asked.model != self._name:
            message = f"The model '{asked.model}' does not exist; this endpoint serves '{self._name}'"
            raise RequestError(message, status=404, param="model", code="model_not_found")
        if self._batches is None:
            raise RequestError("the model is being loaded", status=503, type=_INTERNAL)
        answer = _Answer()
        wanted = await run_in_threadpool(_generation, self._batches.model, asked, answer.deliver)
        self._batches.submit(wanted)
        head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": self._name}
        if asked.stream:
            return StreamingResponse(_events(head, asked, wanted, answer), media_type="text/event-stream")
        return await _while_connected(request, _whole(head, wanted, answer))


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            message = f"the body is larger than {_MOST_BYTES} bytes"
            raise RequestError(message, status=413, code="request_too_large")
    return bytes(body)


def _generation(model: ChatModel, asked: ChatRequest, deliver: Callable[[Piece | Exception], None]) -> Generation:
    from ftkit.providers.huggingface.generation import Generation, PromptError, Sampling

    try:
        prompt = model.prompt(messages_for_template(asked), asked.tools)
    except PromptError as error:
        raise RequestError(str(error), param="messages") from error
    limit = asked.limit or model.default_max_tokens
    if model.context is not None:
        room = model.context - len(prompt)
        if room < 1:
            message = (
                f"This model's maximum context length is {model.context} tokens, and the messages are {len(prompt)}."
            )
            raise RequestError(message, param="messages", code="context_length_exceeded")
        limit = min(limit, room)  # the finish_reason will tell
    sampling = Sampling(temperature=asked.temperature, top_p=asked.top_p, seed=asked.seed)
    return Generation(prompt=prompt, max_tokens=limit, deliver=deliver, stop=asked.stop or (), sampling=sampling)


def _usage(wanted: Generation, tokens: int) -> dict[str, int]:
    prompt = len(wanted.prompt)
    return {"prompt_tokens": prompt, "completion_tokens": tokens, "total_tokens": prompt + tokens}


async def _whole(head: dict[str, Any], wanted: Generation, answer: _Answer) -> Response:
    try:
        pieces = [piece async for piece in answer.pieces()]
    finally:
        wanted.cancelled = True  # if nobody waits any more, the model need not go on
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": "".join(piece.text for piece in pieces)},
        "logprobs": None,
        "finish_reason": pieces[-1].finish_reason,
    }
    usage = _usage(wanted, pieces[-1].tokens)
    return JSONResponse({**head, "object": "chat.completion", "choices": [choice], "usage": usage})


async def _events(head: dict[str, Any], asked: ChatRequest, wanted: Generation, answer: _Answer) -> AsyncGenerator[str]:
    def event(delta: dict[str, Any], finish_reason: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return _event({**head, "object": "chat.completion.chunk", "choices": [choice]})

    try:
        yield event({"role": "assistant", "content": ""})
        tokens = 0
        async for piece in answer.pieces():
            tokens = piece.tokens
            if piece.text:
                yield event({"content": piece.text})
            if piece.finish_reason:
                yield event({}, piece.finish_reason)
        if asked.stream_options and asked.stream_options.include_usage:
            usage = _usage(wanted, tokens)
            yield _event({**head, "object": "chat.completion.chunk", "choices": [], "usage": usage})
        yield "data: [DONE]\n\n"
    except RequestError as error:  # the status went out long ago
        yield _event(error.envelope())
    finally:
        wanted.cancelled = True


def _event(payload: dict[str, Any]) -> str:
    return f"data: {json.dumps(payload)}\n\n"


async def _while_connected(request: Request, answer: Awaitable[Response]) -> Response:
    working = asyncio.ensure_future(answer)
    leaving = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait([working, leaving], return_when=asyncio.FIRST_COMPLETED)
        return await working if working.done() else Response(status_code=_CLIENT_CLOSED)
    finally:
        for task in (working, leaving):
            task.cancel()
            with suppress(asyncio.CancelledError, RequestError):
                await task


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _load_and_answer(
    model: str, threads: int | None, endpoint: Endpoint, report: Report, server: uvicorn.Server
) -> None:
    try:
        from ftkit.providers.huggingface.generation import Batches, load

        batches = Batches(load(model, threads))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told where the deployer looks
        traceback.print_exc()
        report.tell(problem=f"{type(error).__name__}: {error}")
        server.should_exit = True
        return
    endpoint.open(batches)
    report.tell(ready=True)
    batches.run()


def _serve(args: argparse.Namespace, report: Report) -> int:
    listener = take_port(args.port, report)
    if listener is None:
        return 1
    endpoint = Endpoint(args.name, (args.folder / TOKEN).read_text(encoding="utf-8"))
    server = uvicorn.Server(
        uvicorn.Config(
            endpoint.app,
            lifespan="off",
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=_SHUTDOWN_S,
        )
    )
    threading.Thread(
        target=_load_and_answer, args=(args.model, args.threads, endpoint, report, server), daemon=True
    ).start()
    with listener:
        server.run(sockets=[listener])  # a SIGTERM ends the process in here
    return 1  # only a model that cannot be loaded leads here


def main(argv: Sequence[str] | None = None) -> int:
    """Serves until it is ended. Returns the exit status if it cannot."""
    return run(arguments("ftkit.providers.huggingface.serve", __doc__), argv, _serve)


if __name__ == "__main__":
    sys.exit(main())
