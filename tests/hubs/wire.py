"""What the stand-ins of the Hub share: a server on loopback, a fault at any route, and a record of what was asked."""

from __future__ import annotations

import json
import os
import re
import socket
import struct
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from huggingface_hub import HfApi

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from datetime import datetime
    from pathlib import Path

    import pytest

USER = "me"
TOKEN = "hf_standin_never_to_be_seen"
RESET = "reset"
"""A fault: the line is cut, in place of an answer."""
HANG = "hang"
"""A fault: nothing comes for a while, and then the line is cut."""
HANG_S = 4.0

Answer = tuple[int, Any, dict[str, str]]
"""A status, what is told (JSON, bytes, or an iterator of bytes, which is streamed), and headers."""
Fault = Answer | str
W = TypeVar("W", bound="Wire")


class RefusedError(Exception):
    """A route raises it to answer with an error."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer)
        self.answer = answer


class BrokenOffError(Exception):
    """What is streamed raises it to have the line cut in the middle."""


class Wire:
    """A server on loopback that knows no route yet: a subclass adds its own in `_routes`.

    A route is known by its method and its function: "POST create" is answered by `_create`.

    Attributes:
        url: Where it listens.
        requests: Every request, in order.
        calls: The name of every route that was asked, in order.
        refusing: Answers to give in place of doing what is asked, by the name of the route.
        losing: Answers to give after it was done.
        once: Answers to give once in place of doing what is asked, to whichever of some routes is asked first.
        watching: Called before a request is answered; named likewise.
        strange: What nobody should have sent.
        hang_s: How long HANG is silent, in seconds.
    """

    fields: ClassVar[dict[str, set[str]]] = {}
    """What may be sent, by the word that `_fields` is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[str] = []
        self.calls: list[str] = []
        self.refusing: defaultdict[str, list[Fault]] = defaultdict(list)
        self.losing: defaultdict[str, list[Fault]] = defaultdict(list)
        self.once: list[tuple[set[str], Fault]] = []
        self.strange: list[str] = []
        self.watching: dict[str, Callable[[], object]] = {}
        self.hang_s = HANG_S
        self._query: dict[str, list[str]] = {}  # of the request that is being answered, as is the body
        self._body = b""
        self._lock = threading.RLock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("HandlerOfOne", (Handler,), {"hub": self}))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def api(self, token: str = TOKEN) -> HfApi:
        return HfApi(endpoint=self.url, token=token)

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Fault:
        url = urlsplit(target)
        with self._lock:
            self.requests.append(f"{method} {self._generic(unquote(url.path))}")
            is_signed = url.path.startswith("/lfs/")  # the address itself is the permission
            if not is_signed and headers.get("authorization") != f"Bearer {TOKEN}":
                return error(401, "Invalid credentials in Authorization header")
            for pattern, route in self._routes().items():
                # Before it is unquoted: a slash in the name of a branch is no slash of the path.
                match = re.fullmatch(pattern, f"{method} {url.path}")
                if match is None:
                    continue
                what = self._what(f"{method} {route.__name__.strip('_')}", body)
                self.calls.append(what)
                self.watching.get(what, int)()
                if self.refusing[what]:
                    return self.refusing[what].pop(0)
                if self.once and what in self.once[0][0]:
                    return self.once.pop(0)[1]
                self._query, self._body = parse_qs(url.query), body
                told = asked(route, [group and unquote(group) for group in match.groups()])
                return self.losing[what].pop(0) if self.losing[what] and told[0] < 400 else told
            self.strange.append(f"{method} {url.path}")
            return error(404, f"no such route: {method} {url.path}")

    def hang(self) -> None:
        time.sleep(self.hang_s)

    def _routes(self) -> dict[str, Callable[..., Answer]]:
        return {}

    def _what(self, route: str, body: bytes) -> str:
        """Names a route for `refusing` and the like."""
        del body
        return route

    def _generic(self, path: str) -> str:
        """Returns a path as it stands in `requests`."""
        return path

    def _fields(self, what: str) -> dict[str, Any]:
        sent: dict[str, Any] = json.loads(self._body)
        if not sent.keys() <= self.fields[what]:
            self.strange.append(f"{what}: {sorted(sent.keys() - self.fields[what])}")
        return sent

    def _page(self, found: list[dict[str, Any]], path: str, size: int) -> Answer:
        """Answers with one page of what was found, and the address of the next in a header."""
        begin = int(self._query.pop("cursor", ["0"])[0])
        end = begin + size
        more = urlencode({**self._query, "cursor": end}, doseq=True)
        link = {"link": f'<{self.url}{path}?{more}>; rel="next"'} if end < len(found) else {}
        return 200, found[begin:end], link


def asked(route: Callable[..., Answer], arguments: list[str | None]) -> Answer:
    try:
        return route(*arguments)
    except RefusedError as refused:
        return refused.answer


class Handler(BaseHTTPRequestHandler):
    """One connection: a subclass names the stand-in that it is for."""

    hub: ClassVar[Wire]

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        told = self.hub.answer(self.command, self.path, headers, body)
        if told == HANG:
            self.hub.hang()
        if isinstance(told, str):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        elif isinstance(told[1], Iterator):
            self.stream(told)
        else:
            self.tell(told)

    def begin(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for header in {"x-request-id": f"Root=1-{uuid.uuid4().hex}", **headers}.items():
            self.send_header(*header)
        self.end_headers()

    def tell(self, told: Answer) -> None:
        status, answer, more = told
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.begin(status, {"content-type": "application/json", "content-length": str(len(content)), **more})
        if self.command != "HEAD":
            self.wfile.write(content)

    def stream(self, told: Answer) -> None:
        status, chunks, more = told
        self.protocol_version = "HTTP/1.1"  # in chunks, so that a line that is cut is no end
        self.begin(status, {"transfer-encoding": "chunked", "connection": "close", **more})
        try:
            for chunk in chunks:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            self.wfile.write(b"0\r\n\r\n")
        except (BrokenOffError, ConnectionError):
            self.close_connection = True  # the last chunk never comes; or nobody reads any more

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 - the names that the base class calls

    def finish(self) -> None:
        if self.connection.fileno() != -1:
            super().finish()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name for it
        del format, args


def ok(answer: Any) -> Answer:
    return 200, answer, {}


def error(status: int, message: str, code: str | None = None) -> Answer:
    return status, {"error": message}, {"x-error-message": message, **({"x-error-code": code} if code else {})}


def missing() -> Answer:
    return error(404, "Repository not found", "RepoNotFound")


def only(shown: dict[str, Any], query: dict[str, list[str]]) -> dict[str, Any]:
    wanted = query.get("expand")
    return {name: value for name, value in shown.items() if wanted is None or name in {"id", *wanted}}


def prefix(kind: str) -> str:
    return "" if kind == "model" else f"{kind}s/"


def stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def online(patch: pytest.MonkeyPatch, home: Path) -> None:
    """Lets huggingface_hub ask a stand-in, of this process and of those that it starts, with an empty cache."""
    patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    patch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    patch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(home / "hub"))
    patch.delenv("HF_HUB_OFFLINE", raising=False)
    patch.delenv("HF_TOKEN", raising=False)
    patch.setenv("HF_HUB_DISABLE_XET", "1")  # a stand-in takes large files the older way
    patch.setenv("HF_HOME", str(home))
    for name in [name for name in os.environ if name.lower() in {"http_proxy", "https_proxy", "all_proxy"}]:
        patch.delenv(name)


@contextmanager
def ending(hub: W) -> Generator[W]:
    """Yields a stand-in, ends it and all that it runs, and sees that nothing was sent that nobody should send."""
    try:
        yield hub
    finally:
        hub.stop()
    assert hub.strange == []
