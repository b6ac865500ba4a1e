"""What every request passes before anybody reads it: a key, a limit, a clock; and the line that it leaves in the log.

Pure ASGI, so that bodies of any size pass through it piece by piece. Nothing of a body, of a query or of a key is
ever logged: both may hold training data.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.requests import ClientDisconnect

from ftkit.server.dialects import dialect_of
from ftkit.server.errors import INTERNAL, UNAUTHORIZED, ApiError
from ftkit.server.files import too_large
from ftkit.server.logs import FIELDS
from ftkit.server.settings import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from ftkit.server.keys import Keys
    from ftkit.server.settings import Settings

access = logging.getLogger("ftkit.server.access")
logger = logging.getLogger("ftkit.server")

HEALTH = "/healthz"
INSTALLATION_HEADER = "x-ftkit-installation"
_TIMEOUT = 408
_MOST_SHOWN = 200
_FORBIDDEN = 403
_MULTIPART = b"multipart/form-data"
_FRAME = 64 * 1024
"""What the boundaries, headers and small fields around a file may take, in bytes."""
_LINGER_S = 10.0
"""How long a body is read that nobody wants: most clients look for an answer only when they have sent it all."""


class _Stopped(Exception):  # noqa: N818 - no error, and no kind that the application has an answer for
    """The body of a request was stopped, and whatever the application makes of that, is not what is answered."""

    def __init__(self, why: ApiError) -> None:
        super().__init__(why.message)
        self.why = why


class Guard:
    """Lets through what may pass.

    Args:
        app: What stands behind it.
        keys: Which keys there are.
        settings: Limits, and whether a key is asked for.
        installation: The id of this server, which goes with every answer.
    """

    def __init__(self, app: ASGIApp, keys: Keys, settings: Settings, installation: str) -> None:
        self._app = app
        self._keys = keys
        self._limits = settings.limits
        self._auth = settings.auth
        self._installation = installation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Brings a request to the application, or refuses it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        await _Passage(scope, receive, send, self._installation).run(self)

    def admit(self, scope: Scope) -> str:
        """Returns the name of the key that a request shows.

        Raises:
            ApiError: It shows none, or one that opens nothing; or it comes from a page of a stranger.
        """
        headers = _headers(scope)
        if not self._auth:
            _demand_local(headers)
            return "-"
        if scope["path"] == HEALTH:
            return "-"
        given = headers.get("api-key") or _bearer(headers.get("authorization", ""))
        name = self._keys.name_of(given) if given else None
        if name is None:
            message = "Incorrect API key provided." if given else "You didn't provide an API key."
            hint = " Send it as 'Authorization: Bearer ...', or as 'api-key' with Azure's clients."
            headers_back = {"WWW-Authenticate": "Bearer"}
            raise ApiError(message + hint, status=UNAUTHORIZED, code="invalid_api_key", headers=headers_back)
        return name

    def most_bytes(self, scope: Scope) -> int:
        """Returns the largest body that a request may have."""
        kind = _headers(scope).get("content-type", "").lower().encode()
        if not kind.startswith(_MULTIPART):
            return self._limits.body_bytes
        is_part = scope["path"].endswith("/parts")
        return (self._limits.part_bytes if is_part else self._limits.file_bytes) + _FRAME

    @property
    def silence_s(self) -> float:
        """How long a request may be silent while its body is awaited."""
        return self._limits.silence_s

    @property
    def app(self) -> ASGIApp:
        """What stands behind."""
        return self._app


class _Passage:
    """One request on its way through."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, installation: str) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._id = f"req_{secrets.token_hex(16)}"
        self._extra = {"x-request-id": self._id, "apim-request-id": self._id, INSTALLATION_HEADER: installation}
        self._status = 0
        self._key = "-"
        self._read = 0
        self._most = 0
        self._silence_s = 0.0
        self._stopped: _Stopped | None = None
        self._is_whole = not _has_body(scope)

    async def run(self, guard: Guard) -> None:
        """Brings the request to the application, or refuses it."""
        began = time.perf_counter()
        try:
            self._most, self._silence_s = guard.most_bytes(self._scope), guard.silence_s
            self._key = guard.admit(self._scope)
            self._demand_length()
            await guard.app(self._scope, self._take, self._give)
        except ApiError as error:
            await self._refuse(error)
        except _Stopped as stopped:
            await self._refuse(stopped.why)
        except ClientDisconnect:  # in the middle of its body: nobody is there to be answered
            pass
        except Exception:
            logger.exception("request %s failed", self._id)
            if self._status:
                raise  # half an answer is out: the connection is cut, so that nobody takes it for a whole one
            await self._refuse(ApiError(f"The server had an error; see its log for {self._id}.", status=INTERNAL))
        finally:
            self._log(time.perf_counter() - began)

    def _demand_length(self) -> None:
        length = _headers(self._scope).get("content-length", "0")
        if not length.isascii() or not length.isdigit():
            raise ApiError("Content-Length is no number.", code="invalid_header")
        if int(length) > self._most:
            raise too_large(self._most)

    async def _take(self) -> Message:
        """Hands on the next piece of the body; what is too much, or does not come, ends the request."""
        if self._status:
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), self._silence_s)
        except TimeoutError:
            raise self._stop(ApiError("The body did not come in time.", status=_TIMEOUT, code="timeout")) from None
        self._read += len(message.get("body", b""))
        self._is_whole = not message.get("more_body", False)
        if self._read > self._most:
            raise self._stop(too_large(self._most))
        return message

    def _stop(self, why: ApiError) -> _Stopped:
        self._stopped = _Stopped(why)
        return self._stopped

    async def _give(self, message: Message) -> None:
        if self._stopped is not None:
            raise self._stopped
        await self._send_on(message)

    async def _send_on(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            # What is left of a body is not the next request.
            extra = {**self._extra, **({} if self._is_whole else {"connection": "close"})}
            pairs = [(name.encode(), value.encode()) for name, value in extra.items()]
            message = {**message, "headers": [*message.get("headers", []), *pairs]}
        elif not self._is_whole and not message.get("more_body", False):
            await self._send({**message, "more_body": True})
            await self._linger()
            message = {"type": "http.response.body"}
        await self._send(message)

    async def _refuse(self, error: ApiError) -> None:
        if self._status:
            raise error
        body = json.dumps(dialect_of(self._scope["path"]).error(error)).encode()
        headers = {"content-type": "application/json", "content-length": str(len(body)), **error.headers}
        pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await self._send_on({"type": "http.response.start", "status": error.status, "headers": pairs})
        await self._send_on({"type": "http.response.body", "body": body})

    async def _linger(self) -> None:
        """Reads on, and drops it: a connection that is closed on what was sent takes the answer with it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(min(_LINGER_S, self._silence_s)):
                while not self._is_whole:
                    self._is_whole = not (await self._receive()).get("more_body", False)

    def _log(self, seconds: float) -> None:
        path: str = getattr(self._scope.get("route"), "path", "-")
        prefix = dialect_of(self._scope["path"]).prefix
        line = {
            "request": self._id,
            "key": self._key,
            "method": self._scope["method"],
            "route": path if path == "-" or path.startswith(prefix) else prefix + path,
            "path": self._scope["path"][:_MOST_SHOWN],
            "status": self._status,
            "bytes_in": self._read,
            "ms": round(seconds * 1000, 1),
        }
        access.info("%s %s", line["method"], line["route"], extra={FIELDS: line})


def _headers(scope: Scope) -> Mapping[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def _bearer(authorization: str) -> str:
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _has_body(scope: Scope) -> bool:
    headers = _headers(scope)
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


def _demand_local(headers: Mapping[str, str]) -> None:
    """Without keys, a page in the user's own browser could ask us: it is told apart by Host and Origin."""
    places = [f"//{headers.get('host', '')}", *([headers["origin"]] if "origin" in headers else [])]
    if not all(_host(place) in LOOPBACK for place in places):
        message = "Without keys, only programs on this machine are answered, at its loopback address."
        raise ApiError(message, status=_FORBIDDEN, code="forbidden")


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:  # "[" alone is no address
        return None
