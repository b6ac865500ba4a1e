"""A server on loopback that repeats to everybody what they have shown it: keys above all.

Behind it stands a vendor, which answers when the parrot is told nothing else.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections import deque
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, ClassVar

import httpx2

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

RESET, HANG = "reset", "hang"
HANG_S = 0.6
STATUSES = (400, 401, 403, 404, 408, 409, 422, 429, 500, 503)
SHOWN = ("authorization", "api-key", "cookie", "proxy-authorization")

Words = tuple[int, bytes, dict[str, str]]


def repeating(status: int) -> Callable[[Mapping[str, str]], Words]:
    """An error in OpenAI's form that repeats what opens the door: in its message, its type and its code."""

    def words(headers: Mapping[str, str]) -> Words:
        shown = shown_in(headers)
        error = {"message": f"no good: {shown}", "type": shown, "param": shown, "code": shown}
        return status, json.dumps({"error": error}).encode(), {"x-request-id": "req-4711", "retry-after": "0"}

    return words


def nonsense(headers: Mapping[str, str]) -> Words:
    return 200, f"<html><body>{shown_in(headers)}</body></html>".encode(), {"content-type": "text/html"}


def half(headers: Mapping[str, str]) -> Words:
    return 200, f'{{"id": "{shown_in(headers)}", "object": '.encode(), {}


def another(headers: Mapping[str, str]) -> Words:
    return 200, json.dumps({"found": shown_in(headers), "data": [{"id": 7, "x": shown_in(headers)}]}).encode(), {}


def elsewhere(headers: Mapping[str, str]) -> Words:
    return 404, f"nothing here for {shown_in(headers)}".encode(), {"content-type": "text/plain"}


def streamed(headers: Mapping[str, str]) -> Words:
    event = json.dumps({"error": {"message": f"broke: {shown_in(headers)}", "code": shown_in(headers)}})
    return 200, f"data: {event}\n\n".encode(), {"content-type": "text/event-stream"}


def shown_in(headers: Mapping[str, str]) -> str:
    """What opens the door, as it was shown, and without the word before it."""
    found = [headers[name] for name in SHOWN if name in headers]
    return " and ".join(f"{value} ({value.rpartition(' ')[2]})" for value in found)


class Parrot:
    """The server.

    Attributes:
        faults: What to answer the next requests with, in place of the vendor's answer.
        only: The faults are for requests whose "METHOD path" begins with this.
        heard: All that was shown to open the door.
    """

    def __init__(self, handle: Callable[[httpx2.Request], httpx2.Response]) -> None:
        self.faults: deque[str | Callable[[Mapping[str, str]], Words]] = deque()
        self.only = ""
        self.heard: set[str] = set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("One", (_Handler,), {"parrot": self}))
        self._server.daemon_threads = True
        self._handle = handle
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: httpx2.Request) -> Words | str:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.heard.update(headers[name] for name in SHOWN if name in headers)
        if self.faults and f"{request.method} {request.url.path}".startswith(self.only):
            fault = self.faults.popleft()
            return fault if isinstance(fault, str) else fault(headers)
        response = self._handle(request)
        kept = {name: value for name, value in response.headers.items() if name != "content-length"}
        return response.status_code, response.read(), kept


class _Handler(BaseHTTPRequestHandler):
    parrot: ClassVar[Parrot]
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or each answer waits 40 ms for an acknowledgement

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        url = self.path if "://" in self.path else f"http://parrot{self.path}"
        told = self.parrot.answer(httpx2.Request(self.command, url, headers=dict(self.headers.items()), content=body))
        if isinstance(told, str):
            time.sleep(HANG_S if told == HANG else 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()
            return
        status, content, headers = told
        self.send_response_only(status)
        for header in {"content-type": "application/json", **headers, "content-length": str(len(content))}.items():
            self.send_header(*header)
        with suppress(ConnectionError):  # nobody waits for it any more
            self.end_headers()
            self.wfile.write(content)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_CONNECT = answer  # noqa: N815 - the names that are called

    def finish(self) -> None:
        if self.connection.fileno() != -1:
            super().finish()


class Mimic:
    """A parrot in the place of another stand-in's answers.

    Attributes:
        faults: What to answer the next requests with, in place of the stand-in's answer.
        only: The faults are for requests whose "METHOD path" begins with this.
        heard: All that was shown to open the door.
    """

    def __init__(self, standin: Any) -> None:
        self.faults: deque[str | Callable[[Mapping[str, str]], Words]] = deque()
        self.only = ""
        self.heard: set[str] = set()
        self._answer = standin.answer
        standin.answer = self.answer

    def answer(self, method: str, target: str, shown: Mapping[str, str] | str, body: bytes) -> Any:
        headers = {"authorization": shown} if isinstance(shown, str) else shown
        self.heard.update(headers[name] for name in SHOWN if name in headers)
        if not (self.faults and f"{method} {target}".startswith(self.only)):
            return self._answer(method, target, shown, body)
        fault = self.faults.popleft()
        return fault if isinstance(fault, str) else fault(headers)


def plainly(status: int) -> Callable[[Mapping[str, str]], Words]:
    """An error in the Hub's form that repeats what opens the door."""

    def words(headers: Mapping[str, str]) -> Words:
        return status, json.dumps({"error": f"no good: {shown_in(headers)}"}).encode(), {"retry-after": "0"}

    return words
