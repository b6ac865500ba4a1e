"""A stand-in for Together at an address on loopback: what the `together` package sends arrives here, and nowhere else.

It keeps files and jobs, gives a new job for every request, and does what a test says. What it answers must be what the
package's own types say, and so must what it is asked: the suite fails where it drifts away from them.
"""

from __future__ import annotations

import json
import re
import ssl
import threading
import uuid
from collections import Counter
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, NamedTuple, get_args
from urllib.parse import urlsplit

import together
from ftkit_together import TogetherProvider
from pydantic import BaseModel, TypeAdapter
from together.lib.types.fine_tuning import FinetuneJobStatus, FinetuneRequest
from together.types import (
    FileDeleteResponse,
    FileList,
    FileResponse,
    FinetuneResponse,
    FineTuningCancelResponse,
    FineTuningListCheckpointsResponse,
    FineTuningListEventsResponse,
    FineTuningListMetricsResponse,
    FineTuningListResponse,
    WhoamiResponse,
)
from together.types.chat import ChatCompletion, ChatCompletionChunk

KEY = "tgp_v1_test-4711-very-secret"
TYPED_WORDS = set(get_args(FinetuneResponse.model_fields["status"].annotation))
WORDS = TYPED_WORDS | {word.value for word in FinetuneJobStatus}
"""Every word for a status in the package: those that its generated types have, and those of its older ones."""
ENDED = {"cancelled", "error", "user_error", "completed"}
_TOLD_OF_ONE = set(FinetuneResponse.model_fields) - {"api_model_object_id", "x_model_output_name"}
_DEFAULTS = {"n_epochs": 1, "learning_rate": 1e-5, "warmup_ratio": 0.0, "max_grad_norm": 1.0, "weight_decay": 0.0}
"""What the API takes where a request is silent (docs.together.ai/reference/post-fine-tunes)."""


class Answer(NamedTuple):
    """What is sent back; None for the body cuts the line."""

    status: int
    body: bytes | None
    headers: dict[str, str]


class TogetherVendor:
    """Together, as far as fine-tuning goes, behind a server. Requests are answered one at a time.

    Attributes:
        requests: How often each was made, as "POST /v1/fine-tunes".
        orders: The bodies of all requests for a job.
        refusals: Status, message and request id for requests about jobs, each of which is refused.
        lost: How many more replies to requests for a job get lost.
        told: Raised in the server, to be raised again in the test: an answer or a request that is not as it should be.
    """

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.orders: list[dict[str, Any]] = []
        self.chats: list[dict[str, Any]] = []
        self.jobs: dict[str, dict[str, Any]] = {}
        self.files: dict[str, dict[str, Any]] = {}
        self.contents: dict[str, bytes] = {}
        self.events: dict[str, list[dict[str, Any]]] = {}
        self.refusals: list[tuple[int, str, str]] = []
        self.lost = 0
        self.breaks_off = False
        self.told: list[BaseException] = []
        self._checksums: dict[str, str] = {}
        handler = type("HandlerOfOne", (_Handler,), {"vendor": self, "lock": threading.Lock()})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Stops, and raises what was wrong in an answer or in a request."""
        self._server.shutdown()
        self._server.server_close()
        if self.told:
            raise self.told[0]

    # -- levers --------------------------------------------------------------------------------------------------

    def set_status(self, job_id: str, word: str) -> None:
        job = self.jobs[job_id]
        job.update(status=word, updated_at=_now())
        if word == "completed":
            name = f"acme/{job['model'].rpartition('/')[2]}:{job.get('suffix') or ''}:{job_id}"
            job.update(model_output_name=name, model_object_id=f"ml_{job_id}", token_count=4711)
            self.add_event(job_id, "Job finished", "job_complete")
        if word in {"error", "user_error"}:
            self.add_event(job_id, "the file is no good", "job_error", level="error")

    def add_event(self, job_id: str, message: str, kind: str = "training_start", level: str = "info") -> None:
        made = {"object": "fine-tune-event", "created_at": _now(), "level": level, "message": message, "type": kind}
        self.events.setdefault(job_id, []).append(made)

    # -- the wire ------------------------------------------------------------------------------------------------

    def handle(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        self.requests[f"{method} {re.sub('/(file|ft)-[^/]+', '/{id}', path)}"] += 1
        if method != "PUT" and headers.get("authorization") != f"Bearer {KEY}":  # a place that is handed out needs none
            return _refused(401, f"Invalid API key provided: {headers.get('authorization')}")
        parts = path.strip("/").split("/")
        if parts[1:2] == ["fine-tunes"] and self.refusals:
            return _refused(*self.refusals.pop(0))
        return self._answer(method, parts[1:], body)

    def _answer(self, method: str, parts: list[str], body: bytes) -> Answer:
        answer = _refused(404, f"{'/'.join(parts)} is not there")
        match method, parts:
            case "GET", ["whoami"]:
                whose = {"api_key": {"id": "key_1"}, "organization": {"id": "org_1", "name": "Acme"}}
                project = {"id": "proj_4711", "name": "default", "slug": "acme"}
                answer = _told(WhoamiResponse, {**whose, "project": project, "type": "project_api_key"})
            case _, ["files", *rest]:
                answer = self._files(method, rest, body)
            case "POST", ["fine-tunes"]:
                answer = self._new_job(json.loads(body))
            case "GET", ["fine-tunes"]:
                answer = _told(FineTuningListResponse, {"data": [self._short(job) for job in self.jobs.values()]})
            case _, ["fine-tunes", job_id, *rest] if job_id in self.jobs:
                answer = self._one_job(self.jobs[job_id], rest)
            case "POST", ["chat", "completions"]:
                answer = self._chat(json.loads(body))
        return answer

    # -- files: asked for, sent to where that leads to, and said to be complete ------------------------------------

    def _files(self, method: str, rest: list[str], body: bytes) -> Answer:
        if not rest:
            form = dict(re.findall(r'name="(\w+)"\r\n\r\n(.*?)\r\n--', body.decode(), re.DOTALL))
            return self._new_file(form) if form else _told(FileList, {"data": [*self.files.values()]})
        file = self.files.get(rest[0])
        if file is None:
            return _refused(404, f"No such file: {rest[0]}")
        match method, rest[1:]:
            case "PUT", ["sent"]:
                self.contents[rest[0]], file["bytes"] = body, len(body)
            case "POST", ["preprocess"]:
                file["processing_status"] = "COMPLETED"
            case "GET", ["content"]:
                return Answer(200, self.contents[rest[0]], {"content-type": "application/octet-stream"})
            case "DELETE", []:
                del self.files[rest[0]], self.contents[rest[0]]
                return _told(FileDeleteResponse, {"id": rest[0], "deleted": True})
        return _told(FileResponse, file)

    def _new_file(self, form: dict[str, str]) -> Answer:
        known = self._checksums.get(form["checksum"])
        if known in self.contents:
            return Answer(409, json.dumps({"file_id": known}).encode(), {"content-type": "application/json"})
        file_id = f"file-{uuid.uuid4()}"
        self._checksums[form["checksum"]] = file_id
        self.files[file_id] = {
            "id": file_id,
            "bytes": 0,
            "created_at": int(datetime.now(UTC).timestamp()),
            "filename": form["file_name"],
            "FileType": form["file_type"],
            "object": "file",
            "purpose": form["purpose"],
        }
        where = f"{self.url}/v1/files/{file_id}/sent"
        return Answer(302, b"", {"location": where, "x-together-file-id": file_id})

    # -- jobs ----------------------------------------------------------------------------------------------------

    def _new_job(self, order: dict[str, Any]) -> Answer:
        self.orders.append(order)
        asked = FinetuneRequest.model_validate({**_DEFAULTS, **order})
        _demand_known(asked)
        if order["training_file"] not in self.contents:
            return _refused(400, f"invalid training_file: {order['training_file']}")
        job_id, now = f"ft-{uuid.uuid4()}", _now()
        lora = {"type": "Lora", "lora_r": 8, "lora_alpha": 16}
        told = {"training_type": lora, "batch_size": 8, **_DEFAULTS, **order}
        born = {"id": job_id, "status": "pending", "user_id": "user_1", "created_at": now, "updated_at": now}
        self.jobs[job_id] = {**told, "batch_size": 8 if told["batch_size"] == "max" else told["batch_size"], **born}
        self.add_event(job_id, "Fine tune request created", "job_pending")
        if self.lost:
            self.lost -= 1
            return Answer(200, None, {})
        return _told(FineTuningCancelResponse, self._short(self.jobs[job_id]))

    def _short(self, job: dict[str, Any]) -> dict[str, Any]:
        """Returns what is told of a job in a list, and by POST: "a truncated version", say the types."""
        known = {*FineTuningCancelResponse.model_fields, "model_output_name"} - {"x_model_output_name"}
        return {name: value for name, value in job.items() if name in known}

    def _one_job(self, job: dict[str, Any], rest: list[str]) -> Answer:
        match rest:
            case ["events"]:
                return _told(FineTuningListEventsResponse, {"data": self.events[job["id"]]})
            case ["checkpoints"]:
                return _told(FineTuningListCheckpointsResponse, {"data": _checkpoints(job)})
            case ["metrics"]:
                return _told(
                    FineTuningListMetricsResponse, {"metrics": _METRICS if job["status"] == "completed" else None}
                )
            case ["cancel"]:
                if job["status"] in ENDED:
                    return _refused(400, f"the job is {job['status']}")
                job.update(status="cancel_requested", updated_at=_now())
                return _told(FineTuningCancelResponse, self._short(job))
        known = {*_TOLD_OF_ONE, "model_object_id", "model_output_name"}
        told = {name: value for name, value in job.items() if name in known}
        return _told(FinetuneResponse, {**told, "events": self.events[job["id"]]})

    def _chat(self, asked: dict[str, Any]) -> Answer:
        self.chats.append(asked)
        text = f"echo: {asked['messages'][-1]['content']}"
        head = {"id": "chat-1", "created": 1, "model": asked["model"]}
        usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
        if not asked.get("stream"):
            choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            whole = {**head, "object": "chat.completion", "prompt": [], "choices": [choice], "usage": usage}
            return _told(ChatCompletion, whole)
        pieces = [(f"{word} ", None) for word in text.split()] + [("", "stop")]
        lines = b""
        for piece, reason in pieces[: 1 if self.breaks_off else None]:
            delta = {"index": 0, "delta": {"role": "assistant", "content": piece}, "finish_reason": reason}
            chunk = {
                **head,
                "object": "chat.completion.chunk",
                "choices": [delta],
                **({"usage": usage} if reason else {}),
            }
            lines += b"data: " + (_told(ChatCompletionChunk, chunk).body or b"") + b"\n\n"
        return Answer(200, lines + b"data: [DONE]\n\n", {"content-type": "text/event-stream"})


class _Handler(BaseHTTPRequestHandler):
    vendor: ClassVar[TogetherVendor]
    lock: ClassVar[threading.Lock]
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one piece: in two, the second waits 40 ms for word of the first

    def answer(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length") or 0))
        try:
            with self.lock:
                status, content, told = self.vendor.handle(self.command, urlsplit(self.path).path, headers, body)
        except Exception as error:
            self.vendor.told.append(error)
            raise
        if content is None:
            self.close_connection = True
            return
        self.send_response_only(status)
        for name, value in {"x-request-id": f"req_{uuid.uuid4().hex}", **told, "content-length": len(content)}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 - the names that are called


_METRICS = [
    {"train/global_step": 1.0, "train/loss": 2.5, "train/learning_rate": 1e-5, "train/grad_norm": 0.5},
    {"train/global_step": 2.0, "train/loss": 1.25, "train/learning_rate": 5e-6},
    {"train/global_step": 2.0, "eval/loss": 1.5, "eval/global_step": 2.0},
]


def _checkpoints(job: dict[str, Any]) -> list[dict[str, Any]]:
    """Two steps, the last of them as an adapter and as a whole model."""
    made = [(10, "adapter"), (20, "model"), (20, "adapter")] if job["status"] == "completed" else []
    return [
        {
            "checkpoint_type": f"step {step} ({kind})",
            "created_at": job["created_at"],
            "path": f"s3://acme/{job['id']}/{step}/{kind}",
            "step": step,
            "checkpoint": kind,
            "object_id": f"ml_{step}_{kind}",
            "object_name": f"acme/{job['id']}-{step}-{kind}",
        }
        for step, kind in made
    ]


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def _told(kind: Any, body: dict[str, Any]) -> Answer:
    """Returns an answer, after a look whether the package's own type for it has all that is in it, and no less."""
    seen = json.loads(json.dumps(body))
    for job in (seen, *seen.get("data", ())) if "data" in seen else (seen,):
        if "status" in job and job["status"] not in TYPED_WORDS:  # what a test made up, or older types alone have
            job["status"] = "pending"
    _demand_known(TypeAdapter(kind).validate_python(seen, strict=False))
    return Answer(200, json.dumps(body).encode(), {"content-type": "application/json"})


def _demand_known(value: object) -> None:
    """Sees that there is no field that a model does not have, however deep: these let any in."""
    if isinstance(value, BaseModel):
        assert not value.model_extra, f"{type(value).__name__} has no {', '.join(value.model_extra or {})}"
        for name in value.model_fields_set:
            _demand_known(getattr(value, name))
    elif isinstance(value, list):
        for each in value:
            _demand_known(each)


def _refused(status: int, message: str, request_id: str | None = None) -> Answer:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    headers = {"content-type": "application/json", **({"x-request-id": request_id} if request_id else {})}
    return Answer(status, json.dumps({"error": error}).encode(), headers)


def together_at(url: str, timeout_s: float = 1.5) -> TogetherProvider:
    """Makes the provider `together` for a vendor at an address; to be pickled by its name.

    Its HTTP client is ours: to read the system's certificates takes the package's own 0.1 s.
    """
    http = together.DefaultHttpxClient(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), follow_redirects=False)
    client = together.Together(api_key=KEY, base_url=url, timeout=timeout_s, http_client=http)
    provider = TogetherProvider(client)
    provider.settle_s = 0.3
    return provider
