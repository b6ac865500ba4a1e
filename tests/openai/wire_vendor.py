"""A stand-in for OpenAI at the wire: what the `openai` package sends arrives here, and nowhere else.

It keeps files and jobs, gives a new job for every request, and does what a test says. That its answers are such as
OpenAI's is checked by the package's own types, in test_wire_vendor.py.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections import Counter
from typing import TYPE_CHECKING, Any

import httpx2
from openai import AzureOpenAI, OpenAI

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = "sk-test-4711-very-secret"
ENDED = {"succeeded", "failed", "cancelled", "canceled"}

Answer = tuple[int, Any]


class WireVendor:
    """OpenAI, as far as fine-tuning goes.

    Attributes:
        requests: How often each was made, as "POST /fine_tuning/jobs".
        jobs: All jobs, oldest first.
        watch: Called with each request, before it is answered.
        refusals: Status, body and request id for requests about jobs, each of which is refused in place of an answer.
        breaks: Called with a request about jobs, one for each; what it returns, or raises, is what comes of it.
        faults: Called before the answer to a request to create a job; what it returns is sent in its place.
        not_servable: How many more questions find no deployment yet.
    """

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.bodies: list[dict[str, Any]] = []
        self.files: dict[str, dict[str, Any]] = {}
        self.contents: dict[str, bytes] = {}
        self.jobs: dict[str, dict[str, Any]] = {}
        self.events: dict[str, list[dict[str, Any]]] = {}
        self.refusals: list[tuple[int, dict[str, Any], str]] = []
        self.breaks: list[Callable[[httpx2.Request], httpx2.Response]] = []
        self.faults: list[Callable[[httpx2.Request], httpx2.Response]] = []
        self.file_states: list[str] = []
        self.uploads: dict[str, dict[str, Any]] = {}
        self.parts: dict[str, bytes] = {}
        self.broken_parts = 0
        self._suffixes: dict[str, str] = {}  # the service tells them only in the names of models
        self.not_servable = 0
        self.watch: Callable[[httpx2.Request], object] = lambda _: None
        self.host = "api.openai.com"

    def client(self, **options: Any) -> OpenAI:
        http = httpx2.Client(transport=httpx2.MockTransport(self.handle))
        return OpenAI(api_key=KEY, base_url=f"https://{self.host}/v1", http_client=http, **options)

    # -- levers --------------------------------------------------------------------------------------------------

    def set_status(self, job_id: str, word: str) -> None:
        job = self.jobs[job_id]
        job["status"] = word
        if word in ENDED:
            job["finished_at"] = int(time.time())
        if word == "succeeded":
            job["fine_tuned_model"] = f"ft:{job['model']}:acme:{self._suffixes.get(job_id, '')}:{job_id[-8:]}"
            job["trained_tokens"] = 4711
            job["result_files"] = [self._result()]
        if word == "failed":
            job["error"] = {"code": "invalid_training_file", "message": "the file is no good", "param": "training_file"}

    def refuse(self, status: int, message: str, request_id: str, **told: str) -> None:
        body = {"message": message, "type": "invalid_request_error", "param": None, "code": None, **told}
        self.refusals.append((status, body, request_id))

    def add_event(self, job_id: str, message: str, **more: Any) -> None:
        event = {
            "object": "fine_tuning.job.event",
            "id": f"ftevent-{uuid.uuid4().hex[:24]}",
            "created_at": int(time.time()),
            "level": "info",
            "message": message,
            "type": "message",
            "data": {},
        }
        self.events.setdefault(job_id, []).append({**event, **more})

    # -- the wire ------------------------------------------------------------------------------------------------

    def handle(self, request: httpx2.Request) -> httpx2.Response:
        path = re.sub(r"^/openai/deployments/[^/]+|^/openai/v1|^/openai|^/v1", "", request.url.path)
        generic = re.sub(r"/(file|ftjob|ft|gpt)[-:][^/]+", "/{id}", path)
        self.requests[f"{request.method} {generic}"] += 1
        self.watch(request)
        headers = {"x-request-id": f"req_{uuid.uuid4().hex}", "openai-organization": "acme"}
        if KEY not in {request.headers.get("api-key"), request.headers.get("authorization", "")[len("Bearer ") :]}:
            return _error(401, "Incorrect API key provided.", headers, "invalid_api_key")
        if path.startswith("/fine_tuning/jobs") and (self.breaks or self.refusals):
            return self._fail(request, headers)
        status, body = self._answer(request, path)
        if isinstance(body, bytes):
            return httpx2.Response(status, content=body, headers=headers)
        if (request.method, path) == ("POST", "/fine_tuning/jobs") and self.faults:
            return self.faults.pop(0)(request)
        if status >= 400:
            return _error(status, body, headers)
        return httpx2.Response(status, json=body, headers=headers)

    def _fail(self, request: httpx2.Request, headers: dict[str, str]) -> httpx2.Response:
        if self.breaks:
            return self.breaks.pop(0)(request)
        status, told, request_id = self.refusals.pop(0)
        if 300 <= status < 400:
            headers |= {"location": f"https://elsewhere.example/{told['message']}", "x-request-id": request_id}
            return httpx2.Response(status, headers=headers)
        return httpx2.Response(status, json={"error": told}, headers={**headers, "x-request-id": request_id})

    def _answer(self, request: httpx2.Request, path: str) -> Answer:
        parts = path.strip("/").split("/")
        if parts[0] == "files":
            return self._files(request, parts[1:])
        if parts[0] == "uploads":
            return self._uploads(request, parts[1:])
        if parts[0] == "models":
            return self._models(request, parts[1:])
        if parts[:2] == ["fine_tuning", "jobs"]:
            return self._jobs(request, parts[2:])
        if path == "/chat/completions":
            return self._chat(json.loads(request.content))
        return 404, "Unknown request URL"

    def _files(self, request: httpx2.Request, rest: list[str]) -> Answer:
        if request.method == "POST":
            return 200, self._new_file(request.read())
        if not rest:
            return 200, _page(list(self.files.values())[::-1], request, 10_000)
        file = self.files.get(rest[0])
        if file is None:
            return 404, f"No such File object: {rest[0]}"
        if request.method == "DELETE":
            del self.files[file["id"]]
            return 200, {"id": file["id"], "object": "file", "deleted": True}
        if rest[1:] == ["content"]:
            return 200, self.contents[file["id"]]
        if self.file_states:
            file["status"] = self.file_states.pop(0)
            file["status_details"] = "line 3 is no JSON" if file["status"] == "error" else None
        return 200, file

    def _new_file(self, form: bytes) -> dict[str, Any]:
        name = re.search(rb'name="file"; filename="([^"]*)"', form)
        assert name is not None
        state = self.file_states.pop(0) if self.file_states else "processed"
        return self._keep(name[1].decode(), "fine-tune", _sent(form, b"file"), state)

    def _keep(self, name: str, purpose: str, content: bytes, status: str) -> dict[str, Any]:
        file_id = f"file-{uuid.uuid4().hex[:24]}"
        self.contents[file_id] = content
        self.files[file_id] = {
            "id": file_id,
            "object": "file",
            "bytes": len(content),
            "created_at": int(time.time()),
            "filename": name,
            "purpose": purpose,
            "status": status,
            "status_details": None,
        }
        return dict(self.files[file_id])

    def _result(self) -> str:
        table = (
            b"step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy\n1,2.5,0.5,,\n2,1.25,0.75,1.5,0.7\n"
        )
        return str(self._keep("step_metrics.csv", "fine-tune-results", table, "processed")["id"])

    def _uploads(self, request: httpx2.Request, rest: list[str]) -> Answer:
        if not rest:
            asked = json.loads(request.content)
            self.uploads["upload_1"] = {
                **asked,
                "id": "upload_1",
                "object": "upload",
                "expires_at": int(time.time()) + 3600,
            }
            return 200, self.uploads["upload_1"]
        if rest[1] == "parts":
            if self.broken_parts:
                self.broken_parts -= 1
                raise httpx2.ReadError("connection reset", request=request)
            part = {"id": f"part_{len(self.parts)}", "object": "upload.part", "created_at": 1, "upload_id": rest[0]}
            self.parts[part["id"]] = _sent(request.read(), b"data")
            return 200, part
        content = b"".join(self.parts[part] for part in json.loads(request.content)["part_ids"])
        assert len(content) == self.uploads[rest[0]]["bytes"]
        file = self._keep(self.uploads[rest[0]]["filename"], "fine-tune", content, "processed")
        return 200, {**self.uploads[rest[0]], "file": file}

    def _models(self, request: httpx2.Request, rest: list[str]) -> Answer:
        if not rest:
            return 200, {"object": "list", "data": []}
        tuned = {job["fine_tuned_model"] for job in self.jobs.values()}
        if rest[0] not in tuned and not rest[0].startswith("gpt-"):
            return 404, f"The model '{rest[0]}' does not exist"
        if request.method == "DELETE":
            return 200, {"id": rest[0], "object": "model", "deleted": True}
        model = {"id": rest[0], "object": "model", "created": 1, "owned_by": "system"}
        return 200, {**model, **({"shutdown_date": "2027-01-14"} if rest[0].startswith("gpt-4o") else {})}

    def _jobs(self, request: httpx2.Request, rest: list[str]) -> Answer:
        if request.method == "POST" and not rest:
            return self._new_job(json.loads(request.content))
        if not rest:
            label = {k: v for k, v in request.url.params.multi_items() if k.startswith("metadata[")}
            fits = [j for j in self.jobs.values() if all(j["metadata"].get(k[9:-1]) == v for k, v in label.items())]
            return 200, _page(fits[::-1], request, 20)
        job = self.jobs.get(rest[0])
        if job is None:
            return 404, f"Could not find fine tune: {rest[0]}"
        return self._one_job(request, job, rest[1:])

    def _one_job(self, request: httpx2.Request, job: dict[str, Any], rest: list[str]) -> Answer:
        if not rest:
            return 200, job
        if rest == ["events"]:
            return 200, _page(self.events.get(job["id"], [])[::-1], request, 20)
        if rest == ["checkpoints"]:
            return 200, _page(_checkpoints(job), request, 10)
        words = {"cancel": "cancelled", "pause": "paused", "resume": "queued"}
        allowed = {"cancel": job["status"] not in ENDED, "pause": job["status"] == "running"}
        if not allowed.get(rest[0], job["status"] == "paused"):
            return 400, f"Job has status {job['status']}, which cannot {rest[0]}."
        self.set_status(job["id"], words[rest[0]])
        return 200, job

    def _new_job(self, asked: dict[str, Any]) -> Answer:
        self.bodies.append(asked)
        if asked["training_file"] not in self.files:
            return 400, f"invalid training_file: {asked['training_file']}"
        job_id = f"ftjob-{uuid.uuid4().hex[:24]}"
        method = asked.get("method") or {
            "type": "supervised",
            "supervised": {"hyperparameters": asked["hyperparameters"]},
        }
        self._suffixes[job_id] = asked.get("suffix") or ""
        self.jobs[job_id] = {
            "object": "fine_tuning.job",
            "id": job_id,
            "model": asked["model"],
            "created_at": int(time.time()),
            "finished_at": None,
            "fine_tuned_model": None,
            "organization_id": "org-acme",
            "result_files": [],
            "status": "validating_files",
            "validation_file": asked.get("validation_file"),
            "training_file": asked["training_file"],
            "hyperparameters": method[method["type"]].get("hyperparameters", {}),
            "trained_tokens": None,
            "error": {},
            "seed": asked.get("seed", 42),
            "method": method,
            "metadata": asked.get("metadata", {}),
        }
        self.add_event(job_id, f"Created fine-tuning job: {job_id}")
        return 200, dict(self.jobs[job_id])

    def _chat(self, asked: dict[str, Any]) -> Answer:
        if self.not_servable:
            self.not_servable -= 1
            return 404, "DeploymentNotFound: it does not exist, or was made less than 5 minutes ago"
        text = f"echo: {asked['messages'][-1]['content']}"
        head = {"id": "chatcmpl-1", "created": 1, "model": asked["model"]}
        if not asked.get("stream"):
            choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
            return 200, {**head, "object": "chat.completion", "choices": [choice], "usage": usage}
        pieces = [({"content": word + " "}, None) for word in text.split()] + [({}, "stop")]
        events = [
            {**head, "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": d, "finish_reason": r}]}
            for d, r in pieces
        ]
        return 200, "".join(f"data: {json.dumps(event)}\n\n" for event in events).encode() + b"data: [DONE]\n\n"


class AzureWireVendor(WireVendor):
    """Azure OpenAI: the same at other addresses. It keeps no metadata where a request brings none.

    Attributes:
        deployed: Says whether there is a deployment of a name, which is what is asked there in place of a model.
    """

    def __init__(self) -> None:
        super().__init__()
        self.deployed: Callable[[str], bool] = lambda _: True
        self.host = "my-resource.openai.azure.com"

    def client(self, **options: Any) -> OpenAI:
        http = httpx2.Client(transport=httpx2.MockTransport(self.handle))
        return OpenAI(api_key=KEY, base_url=f"https://{self.host}/openai/v1/", http_client=http, **options)

    def _chat(self, asked: dict[str, Any]) -> Answer:
        if not self.deployed(asked["model"]):
            return 404, "DeploymentNotFound: The API deployment for this resource does not exist."
        return super()._chat(asked)

    def dated_client(self) -> AzureOpenAI:
        http = httpx2.Client(transport=httpx2.MockTransport(self.handle))
        return AzureOpenAI(
            api_key=KEY, azure_endpoint=f"https://{self.host}", api_version="2024-10-21", http_client=http
        )


def _sent(form: bytes, field: bytes) -> bytes:
    """Returns the file of a multipart form."""
    content = re.search(rb'name="' + field + rb'".*?\r\n\r\n(.*)\r\n--', form, re.DOTALL)
    assert content is not None
    return re.split(rb"\r\n--[0-9a-f]{20}", content[1])[0]


def _checkpoints(job: dict[str, Any]) -> list[dict[str, Any]]:
    steps = (20, 10) if job["fine_tuned_model"] else ()
    return [
        {
            "object": "fine_tuning.job.checkpoint",
            "id": f"ftckpt_{step}",
            "created_at": job["created_at"] + step,
            "fine_tuned_model_checkpoint": f"{job['fine_tuned_model']}:ckpt-step-{step}",
            "fine_tuning_job_id": job["id"],
            "metrics": {"step": step, "train_loss": 1 / step},
            "step_number": step,
        }
        for step in steps
    ]


def _page(items: list[dict[str, Any]], request: httpx2.Request, most: int) -> dict[str, Any]:
    """Newest first, after the item that is named; copies, as the wire makes them."""
    after, limit = request.url.params.get("after"), int(request.url.params.get("limit", most))
    ids = [item["id"] for item in items]
    start = ids.index(after) + 1 if after in ids else 0
    return {"object": "list", "data": items[start : start + limit], "has_more": start + limit < len(items)}


def _error(status: int, message: str, headers: dict[str, str], code: str | None = None) -> httpx2.Response:
    body = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    return httpx2.Response(status, json={"error": body}, headers=headers)
