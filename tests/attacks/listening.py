"""A server on loopback that keeps what it was asked, as it stood on the wire, and answers as a test says."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

Answer = tuple[int, dict[str, str], bytes]


class Asked(NamedTuple):
    """One request, as it came."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    def shows(self, secret: str) -> bool:
        """Whether a secret is in any of it."""
        told = [self.target, *self.headers, *self.headers.values()]
        return secret in "\n".join(told) or secret.encode() in self.body


class Listener:
    """The server.

    Attributes:
        asked: All that came.
        answer: Gives the answer to a request.
        url: Where it listens.
    """

    def __init__(self, answer: Callable[[Asked], Answer]) -> None:
        self.asked: list[Asked] = []
        self.answer = answer
        self.lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("HandlerOfOne", (_Handler,), {"listener": self}))
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    listener: Listener
    protocol_version = "HTTP/1.1"

    def take(self) -> None:
        body = self._body()
        # The path before http.server makes anything of it.
        target = self.requestline.split(" ")[1]
        asked = Asked(self.command, target, dict(self.headers.items()), body)
        with self.listener.lock:
            self.listener.asked.append(asked)
            status, headers, content = self.listener.answer(asked)
        self.send_response_only(status)
        for header in {**headers, "content-length": str(len(content)), "connection": "close"}.items():
            self.send_header(*header)
        self.end_headers()
        self.close_connection = True
        if self.command != "HEAD":
            self.wfile.write(content)

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("transfer-encoding", ""):
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        parts: list[bytes] = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = take  # noqa: N815 - the names that are called

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name for it
        del format, args


@contextmanager
def listening(answer: Callable[[Asked], Answer]) -> Generator[Listener]:
    listener = Listener(answer)
    try:
        yield listener
    finally:
        listener.stop()
