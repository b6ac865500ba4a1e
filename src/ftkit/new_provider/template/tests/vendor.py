"""Acme in memory, at the wire: it answers as the real API would, trains nothing, and knows nothing of ftkit.

TODO: let it speak as the real API does. The tests are worth what this is worth: write it from the API's documents,
and not from the provider.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import unquote

import httpx2

Body = dict[str, Any]
ENDED = ("succeeded", "failed", "stopped")


class RefusalError(Exception):
    """What the vendor will not do."""

    def __init__(self, status: int, message: str, request_id: str = "req-1") -> None:
        super().__init__(message)
        self.answer = httpx2.Response(
            status, json={"error": {"message": message}}, headers={"x-request-id": request_id}
        )


class Asked(NamedTuple):
    """A request, taken apart."""

    query: dict[str, str]
    content: bytes

    @property
    def body(self) -> Body:
        """The JSON that was sent."""
        return dict(json.loads(self.content))


class AcmeVendor:
    """The vendor's side: files, jobs and deployments by id, oldest first, and levers for tests.

    Attributes:
        calls: How often each thing was asked for, such as "POST /jobs".
        breaks: In which ways the next answers come to nothing: "timeout" or "html", one each.
        lose_replies: So many of the next jobs are made, and the line is cut before the answer.
    """

    def __init__(self, api_key: str) -> None:
        self.files: dict[str, Body] = {}
        self.jobs: dict[str, Body] = {}
        self.orders: dict[str, Body] = {}
        self.events: dict[str, list[Body]] = {}
        self.deployments: dict[str, Body] = {}
        self.calls: Counter[str] = Counter()
        self.lose_replies = 0
        self.breaks: list[str] = []
        self._refusals: list[RefusalError] = []
        self._api_key = api_key
        self._contents: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def client(self) -> httpx2.Client:
        """Returns an HTTP client that asks this vendor, whatever the address."""
        return httpx2.Client(transport=httpx2.MockTransport(self.answer))

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        """Answers a request."""
        asked = Asked(dict(request.url.params), request.read())
        with self._lock:
            if self.breaks:
                return _broken(self.breaks.pop(0), request)
            try:
                answer = self._routed(request, asked)
            except RefusalError as refusal:
                return refusal.answer
            if request.method == "POST" and request.url.path.endswith("/jobs") and self.lose_replies:
                self.lose_replies -= 1
                raise httpx2.ReadTimeout("the line was cut", request=request)
            return httpx2.Response(200, content=answer if isinstance(answer, bytes) else json.dumps(answer))

    def move(self, job_id: str, status: str) -> None:
        """Puts a job into a state."""
        job = self.jobs[job_id]
        job["status"] = status
        job["finished_at"] = _now() if status in ENDED else None
        job["tuned_model"] = f"{job['model']}:{job_id}" if status == "succeeded" else None
        self.tell(job_id, f"the job is {status}")

    def tell(self, job_id: str, message: str) -> None:
        """Lets something happen in a job."""
        events = self.events[job_id]
        events.append({"id": f"event-{len(events)}", "created_at": _now(), "message": message})

    def refuse(self, status: int, message: str, request_id: str) -> None:
        """Lets the next request be refused."""
        self._refusals.append(RefusalError(status, message, request_id))

    def _routed(self, request: httpx2.Request, asked: Asked) -> Any:
        path = request.url.raw_path.decode().partition("?")[0]
        parts = [unquote(part) for part in path.removeprefix("/v1/").split("/")]
        route = f"{request.method} /{'/'.join('*' if n == 1 else part for n, part in enumerate(parts))}"
        self.calls[route] += 1
        if request.headers.get("authorization") != f"Bearer {self._api_key}":
            raise RefusalError(401, "the key is wrong")
        if self._refusals:
            raise self._refusals.pop(0)
        match [request.method, *parts]:
            case ["GET", "account"]:
                return {"id": "acct-1"}
            case ["GET", "files"]:
                name = asked.query.get("name")
                return _page([file for file in self.files.values() if name in {None, file["name"]}][::-1], asked.query)
            case ["POST", "files"]:
                return self._new_file(asked.query["name"], asked.content)
            case ["GET", "files", file_id]:
                return _known(self.files, file_id)
            case ["GET", "files", file_id, "content"]:
                return self._contents[_known(self.files, file_id)["id"]]
            case ["GET", "jobs"]:
                return _page([*self.jobs.values()][::-1], asked.query)
            case ["POST", "jobs"]:
                return self._new_job(asked.body)
            case ["GET", "jobs", job_id]:
                return _known(self.jobs, job_id)
            case ["POST", "jobs", job_id, "stop"]:
                return self._stopped(job_id)
            case ["GET", "jobs", job_id, "events"]:
                return _page(_known(self.events, job_id), asked.query)
            case ["GET", "deployments"]:
                return {"items": list(self.deployments.values())}
            case ["POST", "deployments"]:
                return self._new_deployment(asked.body)
            case ["GET", "deployments", name]:
                return _known(self.deployments, name)
            case ["DELETE", "deployments", name]:
                return self.deployments.pop(_known(self.deployments, name)["name"])
            case ["POST", "chat", "completions"]:
                return self._reply(asked.body)
            case _:
                raise RefusalError(404, f"there is no {route}")

    def _new(self, table: dict[str, Body], noun: str, **fields: Any) -> Body:
        thing = {"id": f"{noun}-{len(table) + 1}", "created_at": _now(), **fields}
        table[thing["id"]] = thing
        return thing

    def _new_file(self, name: str, content: bytes) -> Body:
        file = self._new(self.files, "file", name=name, size=len(content))
        self._contents[file["id"]] = content
        return file

    def _new_job(self, order: Body) -> Body:
        _known(self.files, order["training_file"])
        job = self._new(self.jobs, "job", **order, status="queued", finished_at=None, tuned_model=None, error=None)
        self.orders[job["id"]] = order
        self.events[job["id"]] = []
        self.tell(job["id"], "the job was made")
        return job

    def _stopped(self, job_id: str) -> Body:
        if _known(self.jobs, job_id)["status"] in ENDED:
            raise RefusalError(409, f"the job {job_id} has ended")
        self.move(job_id, "stopped")
        return self.jobs[job_id]

    def _new_deployment(self, order: Body) -> Body:
        if order["name"] in self.deployments:
            raise RefusalError(409, f"the name {order['name']} is taken")
        self.deployments[order["name"]] = {**order, "status": "running"}
        return self.deployments[order["name"]]

    def _reply(self, body: Body) -> Body:
        model = _known(self.deployments, body["model"])["model"]
        text = f"nothing was trained, and this is an echo: {body['messages'][-1]['content']}"
        return {"model": model, "choices": [{"message": {"content": text}, "finish_reason": "stop"}]}


def _broken(way: str, request: httpx2.Request) -> httpx2.Response:
    if way == "timeout":
        raise httpx2.ReadTimeout("no answer came", request=request)
    return httpx2.Response(200, html="<html>Please sign in</html>")


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _known(table: dict[str, Any], name: str) -> Any:
    if name not in table:
        raise RefusalError(404, f"there is no {name}")
    return table[name]


def _page(items: list[Body], query: dict[str, str]) -> Body:
    ids = [item["id"] for item in items]
    if "after" in query and query["after"] not in ids:
        raise RefusalError(404, f"there is nothing {query['after']} to list after")
    start = ids.index(query["after"]) + 1 if "after" in query else 0
    page = items[start : start + int(query.get("limit", "100"))]
    return {"items": page, "next": page[-1]["id"] if start + len(page) < len(items) else None}
