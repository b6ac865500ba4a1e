"""A line between a provider and its vendor's side that loses, spoils, delays and refuses, as a test says.

It listens on loopback, hands every request on to the server behind it, and keeps count. It knows nothing of the vendor
but which requests create a job: so it serves for any provider whose address can be set.
"""

from __future__ import annotations

import http.client
import json
import random
import re
import socket
import struct
import threading
import time
from collections import Counter
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, cast
from urllib.parse import parse_qsl, urlencode, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from email.message import Message


class Spoil(StrEnum):
    """What may become of the reply to a create that was accepted."""

    RESET = "reset after the full request"
    SILENCE = "no reply"
    TRUNCATED = "truncated body"
    SERVER_ERROR = "500 after acceptance"
    HTML = "200 with HTML"
    EMPTY = "200 with {}"
    WRONG = "200 with a wrong schema"


class Reply(NamedTuple):
    """What the server behind the line has answered."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes


RETRY_AFTER: tuple[str | None, ...] = (
    None,
    "0",
    "1",
    "0.5",
    "-5",
    "soon",
    "",
    "Wed, 21 Oct 2015 07:28:00 GMT",
    "Fri, 31 Dec 2999 23:59:59 GMT",
    "99999999999",
    "1e3",
    "inf",
    "nan",
)
"""Forms of Retry-After: seconds and dates (RFC 9110, section 10.2.3), and what servers send besides."""

_SPOILT: dict[Spoil, tuple[int, str, bytes]] = {
    Spoil.SERVER_ERROR: (500, "application/json", b'{"error": {"message": "something went wrong"}}'),
    Spoil.HTML: (200, "text/html", b"<html><body>Please sign in</body></html>"),
    Spoil.EMPTY: (200, "application/json", b"{}"),
    Spoil.WRONG: (200, "application/json", b'{"id": null, "object": 42, "data": "none"}'),
}
_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host", "accept-encoding"}
_IDS = ("id", "name", "number", "uuid", "job_id", "job_name", "jobid", "jobname", "jobarn", "arn")
"""The fields by which a job in a list is known, in small letters."""
_ID = re.compile(rf'"(?:{"|".join(_IDS)})"\s*:\s*(?:"([^"]+)"|(\d+))'.encode(), re.IGNORECASE)
_SIZES = {"limit", "size", "per_page", "page_size", "pagesize", "maxresults", "max_results", "maxitems"}
"""What of a query says how many items a page may have."""
_PAGING = {
    *_SIZES,
    *("after", "before", "starting_after", "cursor", "offset", "page", "p"),
    *("page_token", "pagetoken", "next_token", "nexttoken", "next", "marker", "api-version"),
}
"""What of a query is no filter."""


class Wire:
    """A line to a server on loopback. Safe to use from many processes at once.

    Args:
        upstream: Address of the server.
        creates: Whether a request, by its method, path and body, asks for a job.
        silence_s: How long SILENCE says nothing before it cuts the line, in seconds.

    Attributes:
        url: Where it listens.
        requests: How many requests have come.
        posts: How many of them asked for a job.
        hidden: From how many lists a young job was left out.
        asked: What came, by method and path.
        spoils: What becomes of the replies to the next creates, one each.
        deaf: Whether nothing is answered any more after a reply to a create was spoilt.
        share: Which share of all requests is refused with 429 or 503, 0 to 1.
        lag_s: Seconds in which a new job is missing from lists, from the first list on that should have shown it: so
            it is missing when it is looked for, however long the other process took to start.
        unfiltered: Whether lists are asked for without any filter.
        page: Most items that are asked for of a list at once; None for what the provider asks.
    """

    def __init__(self, upstream: str, creates: Callable[[str, str, bytes], bool], *, silence_s: float = 3.0) -> None:
        self.requests = 0
        self.posts = 0
        self.hidden = 0
        self.asked: Counter[str] = Counter()
        self.spoils: list[Spoil] = []
        self.deaf = False
        self.share = 0.0
        self.lag_s = 0.0
        self.unfiltered = False
        self.page: int | None = None
        self._upstream = urlsplit(upstream)
        self._creates = creates
        self._silence_s = silence_s
        self._random = random.Random(4711)  # noqa: S311 - the same storm each time
        self._lock = threading.Lock()
        self._dead = False
        self._young: dict[str, float | None] = {}
        self._stopping = threading.Event()
        handler = type("HandlerOfOne", (_Handler,), {"wire": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}{self._upstream.path.rstrip('/')}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def lose(self, spoil: Spoil, *, deaf: bool) -> None:
        """Lets the reply to the next create be spoilt; if `deaf`, nothing is answered after it until `mend`."""
        self.spoils, self.deaf = [spoil], deaf

    def mend(self) -> None:
        """Puts the line in order again, but for lists that lag."""
        self.spoils, self.deaf, self.share, self._dead = [], False, 0.0, False

    def stop(self) -> None:
        """Stops listening."""
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()

    # -- what the handler asks -----------------------------------------------------------------------------------

    def refusal(self, method: str, path: str, body: bytes) -> Reply | None:
        """Counts a request, and returns the refusal that it gets in a storm."""
        with self._lock:
            self.requests += 1
            self.asked[f"{method} {urlsplit(path).path}"] += 1
            self.posts += self._creates(method, urlsplit(path).path, body)
            if self._dead:
                return Reply(503, [], b"")
            if self._random.random() >= self.share:
                return None
            status = self._random.choice((429, 503))
            wait = self._random.choice(RETRY_AFTER)
        headers = [("content-type", "application/json")]
        headers += [("retry-after", wait)] if wait is not None else []
        return Reply(status, headers, b'{"error": {"message": "too many requests", "code": "rate_limit_exceeded"}}')

    def hand_on(self, method: str, path: str, headers: Message, body: bytes) -> tuple[Reply, Spoil | None]:
        """Sends a request on, and returns the reply and what is to become of it."""
        creates = self._creates(method, urlsplit(path).path, body)
        reply = self._ask(method, path if creates else self._asked(method, path), headers, body)
        if creates and reply.status < http.client.BAD_REQUEST:
            with self._lock:
                self._note(reply)
                spoil = self.spoils.pop(0) if self.spoils else None
                self._dead = spoil is not None and self.deaf
                return reply, spoil
        return (self._lagging(reply) if method == "GET" and self.lag_s else reply), None

    def be_silent(self) -> None:
        """Waits as long as a server that says nothing."""
        self._stopping.wait(self._silence_s)

    # -- inside --------------------------------------------------------------------------------------------------

    def _ask(self, method: str, path: str, headers: Message, body: bytes) -> Reply:
        connection = http.client.HTTPConnection(self._upstream.hostname or "", self._upstream.port, timeout=60)
        try:
            sent = {name: value for name, value in headers.items() if name.lower() not in _HOP}
            connection.request(method, path, body or None, sent)
            response = connection.getresponse()
            told = [(name, value) for name, value in response.getheaders() if name.lower() not in _HOP]
            return Reply(response.status, told, response.read())
        finally:
            connection.close()

    def _asked(self, method: str, path: str) -> str:
        """Rewrites what a list is asked for: without filters, in small pages."""
        url = urlsplit(path)
        if method != "GET" or not (self.unfiltered or self.page):
            return path
        query = parse_qsl(url.query, keep_blank_values=True)
        query = [(name, value) for name, value in query if not self.unfiltered or name.lower() in _PAGING]
        if self.page:
            query = [(name, str(self.page) if name.lower() in _SIZES else value) for name, value in query]
        return url._replace(query=urlencode(query)).geturl()

    def _note(self, reply: Reply) -> None:
        """Remembers that a job was made, by the ids in the answer."""
        for text, number in _ID.findall(reply.body):
            self._young.setdefault((text or number).decode(), None)

    def _lagging(self, reply: Reply) -> Reply:
        try:
            told = json.loads(reply.body)
        except ValueError:
            return reply
        now = time.monotonic()
        young = {name for name, seen in self._young.items() if seen is None or now - seen < self.lag_s}
        left = _without(told, young)
        for name in young if left != told else ():
            self._young[name] = self._young[name] or now
        self.hidden += left != told
        return reply if left == told else reply._replace(body=json.dumps(left).encode())


def _without(told: object, young: set[str]) -> object:
    """Returns an answer without the items of lists that are too young; an item that was asked for itself stays."""
    if isinstance(told, list):
        return [_without(item, young) for item in cast("list[object]", told) if not _is_young(item, young)]
    if isinstance(told, dict):
        return {name: _without(value, young) for name, value in cast("dict[str, object]", told).items()}
    return told


def _is_young(item: object, young: set[str]) -> bool:
    if not isinstance(item, dict):
        return False
    fields = cast("dict[str, Any]", item)
    return any(str(value) in young for name, value in fields.items() if name.lower() in _IDS)


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    wire: ClassVar[Wire]
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        refused = self.wire.refusal(self.command, self.path, body)
        if refused is not None:
            self.tell(refused)
            return
        reply, spoil = self.wire.hand_on(self.command, self.path, self.headers, body)
        if spoil is None:
            self.tell(reply)
        elif spoil in _SPOILT:
            status, kind, spoilt = _SPOILT[spoil]
            self.tell(Reply(status, [("content-type", kind)], spoilt))
        else:
            if spoil is Spoil.TRUNCATED:
                self.begin(reply)
                self.wfile.write(reply.body[: len(reply.body) // 2])
            if spoil is Spoil.SILENCE:
                self.wire.be_silent()
            self.cut(reset=spoil is not Spoil.TRUNCATED)

    def begin(self, reply: Reply) -> None:
        self.send_response_only(reply.status)
        for name, value in reply.headers:
            self.send_header(name, value)
        self.send_header("content-length", str(len(reply.body)))
        self.end_headers()

    def tell(self, reply: Reply) -> None:
        self.begin(reply)
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    def cut(self, *, reset: bool) -> None:
        self.wfile.flush()
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Says nothing."""

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = answer  # noqa: N815 - the names that are called
