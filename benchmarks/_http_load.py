"""Clients that cost little beside the servers that they ask: raw sockets for reads, a stream for uploads."""

from __future__ import annotations

import http.client
import json
import selectors
import socket
import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE_S = 60.0
_END_OF_HEAD = b"\r\n\r\n"
_LENGTH = b"content-length:"
_PIECE = 2**18
_BOUNDARY = "ftkit-benchmark-5a7c"
_ROW = json.dumps({"messages": [{"role": "user", "content": "q" * 480}, {"role": "assistant", "content": "a" * 440}]})
_BLOCK = f"{_ROW}\n".encode() * 64  # some 64 kB, which is what HTTP libraries send at once


class Server(NamedTuple):
    """A server to ask.

    Attributes:
        url: Scheme, host and port.
        pid: Its process.
        key: Sent with every request; a server without keys pays for the header as well.
    """

    url: str
    pid: int
    key: str

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        parts = urlsplit(self.url)
        return str(parts.hostname), int(parts.port or 0)


class Load(NamedTuple):
    """What came of asking for a while.

    Attributes:
        latencies: Seconds from a request to the last byte of its answer.
        wall: Seconds in all.
        client: Seconds of the processor that the client took.
    """

    latencies: list[float]
    wall: float
    client: float


class _Connection:
    """One connection that is kept, with one request after the other on it."""

    def __init__(self, server: Server, request: bytes) -> None:
        self.socket = socket.create_connection(server.address, timeout=PATIENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._request = request
        self._answer = b""
        self._began = 0.0

    def ask(self) -> None:
        """Sends the request."""
        self._answer = b""
        self._began = time.perf_counter()
        self.socket.sendall(self._request)

    def take(self, expected: bytes) -> float | None:
        """Takes what has come; returns the seconds of the request once its answer is whole, else None."""
        piece = self.socket.recv(_PIECE)
        self._answer += piece
        head, found, body = self._answer.partition(_END_OF_HEAD)
        if piece and (not found or len(body) < _length(head)):
            return None
        seconds = time.perf_counter() - self._began
        if not head.startswith(b"HTTP/1.1 200 ") or body != expected:
            sys.exit(f"wrong answer to {self._request[:80]!r}: {self._answer[:400]!r}")
        return seconds


def _length(head: bytes) -> int:
    return int(head[head.lower().index(_LENGTH) + len(_LENGTH) :].split(b"\r\n", 1)[0])


def ask_often(server: Server, path: str, expected: bytes, *, connections: int, seconds: float) -> Load:
    """Asks for a path for some seconds, over several connections at once, each with one request under way."""
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {server.key}\r\n\r\n".encode()
    latencies: list[float] = []
    opened = [_Connection(server, request) for _ in range(connections)]
    with selectors.DefaultSelector() as selector:
        for connection in opened:
            selector.register(connection.socket, selectors.EVENT_READ, connection)
        began, used = time.perf_counter(), time.process_time()
        for connection in opened:
            connection.ask()
        while (now := time.perf_counter()) < began + seconds:
            ready = selector.select(PATIENCE_S)
            if not ready:
                sys.exit(f"no answer to {path} within {PATIENCE_S:.0f} s")
            for key, _ in ready:
                took = key.data.take(expected)
                if took is not None:
                    latencies.append(took)
                    key.data.ask()
        load = Load(latencies, now - began, time.process_time() - used)
    for connection in opened:
        connection.socket.close()
    return load


def fetch(server: Server, path: str, method: str = "GET") -> bytes:
    """Returns the answer to one request."""
    connection = http.client.HTTPConnection(*server.address, timeout=PATIENCE_S)
    try:
        connection.request(method, path, headers={"Authorization": f"Bearer {server.key}"})
        return _body(connection.getresponse(), path)
    finally:
        connection.close()


def rows(size: int) -> Iterator[bytes]:
    """Yields a training file, block by block; the last row is cut off where the file is to end."""
    for _ in range(size // len(_BLOCK)):
        yield _BLOCK
    yield _BLOCK[: size % len(_BLOCK)]


def upload(server: Server, size: int, *, chunked: bool) -> dict[str, Any]:
    """Sends a training file as a multipart form, made while it is sent.

    Args:
        server: Where to.
        size: Bytes of the file.
        chunked: Its length is not told beforehand.

    Returns:
        The server's answer.
    """
    head, tail = _frame()
    length = {"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": str(len(head) + size + len(tail))}
    headers = {
        "Authorization": f"Bearer {server.key}",
        "Content-Type": f"multipart/form-data; boundary={_BOUNDARY}",
        **length,
    }

    def body() -> Iterator[bytes]:
        yield head
        yield from rows(size)
        yield tail

    connection = http.client.HTTPConnection(*server.address, timeout=PATIENCE_S)
    try:
        connection.request("POST", "/v1/files", body(), headers, encode_chunked=chunked)
        answer: dict[str, Any] = json.loads(_body(connection.getresponse(), "/v1/files"))
    finally:
        connection.close()
    if answer["bytes"] != size:
        sys.exit(f"wrong answer to an upload of {size} bytes: {answer}")
    return answer


def _frame() -> tuple[bytes, bytes]:
    """Returns what stands before and after the file in a form."""
    part = f"--{_BOUNDARY}\r\nContent-Disposition: form-data; name="
    kind = "Content-Type: application/octet-stream"
    head = f'{part}"purpose"\r\n\r\nfine-tune\r\n{part}"file"; filename="train.jsonl"\r\n{kind}\r\n\r\n'
    return head.encode(), f"\r\n--{_BOUNDARY}--\r\n".encode()


def _body(response: http.client.HTTPResponse, path: str) -> bytes:
    body = response.read()
    if response.status != http.HTTPStatus.OK:
        sys.exit(f"wrong answer to {path}: {response.status} {body[:400]!r}")
    return body
