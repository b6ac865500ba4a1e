"""The guard of a local deployment: nothing passes without its token. For our own server, and for vLLM's.

vLLM's own check leaves out much, such as `/invocations`, which chats, and `/scale_elastic_ep`: any user of the machine
could ask. It takes an ASGI middleware by its name, and loads this file by itself: no import of ftkit in here.
"""

from __future__ import annotations

import hmac
import json
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    App = Callable[[Message, Receive, Send], Awaitable[None]]

TOKEN_VARIABLE = "VLLM_API_KEY"  # noqa: S105 - the name of the variable
_REFUSAL = {
    "message": "Incorrect API key provided.",
    "type": "authentication_error",
    "param": None,
    "code": "invalid_api_key",
}


class BearerOnly:
    """Lets nothing pass without the token but the question whether we are well.

    Args:
        app: What is guarded.
        token: Returns what requests have to bear; that is VLLM_API_KEY if None. A function, which shows nothing.
    """

    def __init__(self, app: App, token: Callable[[], str] | None = None) -> None:
        self._app = app
        self._token = token or _telling(os.environ[TOKEN_VARIABLE])

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serves one connection, or refuses it."""
        if scope["type"] in {"http", "websocket"} and scope["path"] != "/health" and not self._bears(scope):
            await _refuse(scope, send)
        else:
            await self._app(scope, receive, send)

    def _bears(self, scope: Message) -> bool:
        given = dict(scope["headers"]).get(b"authorization", b"")
        scheme, _, token = given.partition(b" ")
        return scheme.lower() == b"bearer" and hmac.compare_digest(token.strip(), self._token().encode())


def _telling(token: str) -> Callable[[], str]:
    return lambda: token


async def _refuse(scope: Message, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    body = json.dumps({"error": _REFUSAL}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"www-authenticate", b"Bearer"),
    ]
    await send({"type": "http.response.start", "status": 401, "headers": headers})
    await send({"type": "http.response.body", "body": body})
