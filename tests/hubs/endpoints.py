"""A stand-in for Inference Endpoints, on loopback: the service's API, and a small vLLM behind each endpoint's address.

It never takes two creates for one: each is counted. What holds a field that the service does not have, or lacks one
that it wants, it refuses with a 400, as the service does.
"""

from __future__ import annotations

import itertools
import json
import re
import threading
import time
from collections import Counter, defaultdict
from copy import deepcopy
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from huggingface_hub import HfApi

from hubs.wire import TOKEN, USER

if TYPE_CHECKING:
    from collections.abc import Iterable

MADE = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
HANG = "hang"
"""A fault: nothing comes for a while."""
RESET = "reset"
"""A fault: the line is cut, in place of an answer."""
BREAK = "break"
"""A fault of a streamed chat: it breaks off in the middle."""
HANG_S = 1.5
L4 = ("aws", "us-east-1", "gpu", "nvidia-l4", "x1")

Answer = tuple[int, Any, dict[str, str]]
Fault = Answer | str
STATES = ("pending", "initializing", "updating", "updateFailed", "running", "paused", "failed", "scaledToZero")
COMING = ("pending", "initializing", "running")
FIELDS = {
    "": {"compute", "model", "name", "provider", "type", "tags"},
    "compute": {"accelerator", "instanceSize", "instanceType", "scaling"},
    "scaling": {"maxReplica", "minReplica", "scaleToZeroTimeout"},
    "model": {"framework", "repository", "revision", "image", "task", "args", "env"},
    "vLLM": {"url", "port", "healthRoute"},
    "provider": {"region", "vendor"},
}


def refusal(status: int, message: str, **headers: str) -> Answer:
    return status, {"error": message}, {name.replace("_", "-"): value for name, value in headers.items()}


class EndpointsStandIn:
    """The endpoints of one user.

    Attributes:
        endpoints: Those there are, as the service tells of them, by name.
        coming: The states that an endpoint goes through, one with each look, once it is made or resumed.
        prices: What hardware costs an hour.
        requests: How often each was made, by "METHOD what".
        refusing: Answers to give in place of doing what is asked, by "METHOD what".
        losing: Answers to give after it was done.
        once: Answers to give once in place of doing what is asked, to whichever of some requests comes first.
        unwell: How often a health route still answers 503.
        asked: The bodies of all chats that were answered.
        tokens: All tokens that came.
    """

    def __init__(self) -> None:
        self.endpoints: dict[str, dict[str, Any]] = {}
        self.coming: Iterable[str] = ("running",)
        self.prices: dict[tuple[str, ...], float] = {L4: 0.8, (*L4[:3], "nvidia-a10g", "x1"): 1.0}
        self.requests: Counter[str] = Counter()
        self.refusing: defaultdict[str, list[Fault]] = defaultdict(list)
        self.losing: defaultdict[str, list[Fault]] = defaultdict(list)
        self.once: list[tuple[set[str], Fault]] = []
        self.unwell = 0
        self.asked: list[dict[str, Any]] = []
        self.tokens: set[str] = set()
        self._ahead: dict[str, list[str]] = {}
        self._lock = threading.RLock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def api(self) -> HfApi:
        return HfApi(endpoint=self.url, token=TOKEN)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    # -- levers --------------------------------------------------------------------------------------------------

    def set(self, name: str, state: str, *ahead: str, **status: object) -> None:
        """Puts an endpoint into a state, from which it goes on to others, one with each look."""
        told = self.endpoints[name]["status"]
        ready = 1 if state in {"running", "updating", "updateFailed"} else 0
        told.update({"state": state, "readyReplica": ready, "targetReplica": ready, **status})
        if "url" not in status:
            told["url"] = f"{self.url}/e/{name}"
        self._ahead[name] = list(ahead)

    @property
    def creates(self) -> int:
        return self.requests["POST endpoint"]

    # -- the service ---------------------------------------------------------------------------------------------

    def answer(self, method: str, path: str, token: str, body: bytes) -> Fault:
        what = what_of(path)
        with self._lock:
            self.tokens.add(token)
            self.requests[f"{method} {what}"] += 1
            if self.refusing[f"{method} {what}"]:
                return self.refusing[f"{method} {what}"].pop(0)
            if self.once and f"{method} {what}" in self.once[0][0]:
                return self.once.pop(0)[1]
            if token != f"Bearer {TOKEN}":
                return refusal(401, "Invalid credentials")
            done = self._do(method, what, [part for part in path.split("/") if part], json.loads(body or b"{}"))
            return self.losing[f"{method} {what}"].pop(0) if self.losing[f"{method} {what}"] else done

    def _do(self, method: str, what: str, parts: list[str], body: dict[str, Any]) -> Fault:
        if parts[0] == "e":
            return self._health() if what == "health" else self._chat(parts[1], body)
        if parts[2] != USER:
            return refusal(404, f"there is no {parts[2]}")
        if what == "provider":
            return 200, self._offers(), {}
        name = parts[3] if len(parts) > 3 else ""
        if not name:
            shown = [self._shown(each) for each in self.endpoints] if method == "GET" else []
            return self._create(body) if method == "POST" else (200, {"items": shown}, {})
        if name not in self.endpoints:
            return refusal(404, f"Endpoint {name} not found")
        return self._done(method, name, parts[4] if len(parts) > 4 else "")

    def _done(self, method: str, name: str, verb: str) -> Answer:
        if method == "DELETE":
            del self.endpoints[name]
            return 202, {}, {}
        scaling = self.endpoints[name]["compute"]["scaling"]
        state = self.endpoints[name]["status"]["state"]
        if verb == "pause":
            scaling.update({"minReplica": 0, "maxReplica": 0})
            self.set(name, "paused")
        elif verb == "resume":
            if state != "paused":
                return refusal(400, f"Endpoint {name} is already running")
            scaling.update({"minReplica": 1, "maxReplica": 1})
            self.set(name, *self.coming)
        elif verb == "scale-to-zero":
            self.set(name, "scaledToZero")
        return 200, self._shown(name), {}

    def _create(self, asked: dict[str, Any]) -> Answer:
        name = asked.get("name", "")
        image = asked.get("model", {}).get("image", {}).get("vLLM", {})
        scaling = asked.get("compute", {}).get("scaling", {})
        parts = {
            "": asked,
            "vLLM": image,
            "scaling": scaling,
            **{k: asked.get(k, {}) for k in ("compute", "model", "provider")},
        }
        strange = [f"{where}.{field}" for where, part in parts.items() for field in part if field not in FIELDS[where]]
        if strange or not re.fullmatch(r"[a-z0-9-]{4,32}", name):
            return refusal(400, f"Invalid payload: {strange or name}")
        if asked["type"] not in {"public", "authenticated", "private"}:
            return refusal(400, f"Invalid type: {asked['type']}")
        if scaling["scaleToZeroTimeout"] and scaling["minReplica"]:
            return refusal(400, "scaleToZeroTimeout needs minReplica 0")
        if not image.get("url") or hardware_of(asked) not in self.prices:
            return refusal(400, f"Instance compute {hardware_of(asked)} not found")
        if name in self.endpoints:
            return refusal(409, f"Endpoint {name} already exists")
        self.endpoints[name] = {**deepcopy(asked), "healthRoute": image.get("healthRoute"), "status": status_of()}
        if self.endpoints[name]["model"]["revision"] is None:
            self.endpoints[name]["model"]["revision"] = "0123abcd"
        self.set(name, *self.coming)
        return 202, self._shown(name), {}

    def _shown(self, name: str) -> dict[str, Any]:
        shown = deepcopy(self.endpoints[name])
        if self._ahead.get(name):
            self.set(name, *self._ahead[name])
        return shown

    def _offers(self) -> dict[str, Any]:
        def compute(accelerator: str, kind: str, size: str, price: float) -> dict[str, Any]:
            quota = {"maxAccelerators": 8, "usedAccelerators": 0}
            told = {"id": f"{kind}-{size}", "accelerator": accelerator, "instanceType": kind, "instanceSize": size}
            rest = {"architecture": kind, "numAccelerators": 1, "numCpus": 4, "memoryGb": 16, "gpuMemoryGb": 24}
            return {**told, **rest, "pricePerHour": price, "status": "available", "quota": quota}

        computes = [compute(*hardware[2:], price) for hardware, price in self.prices.items()]
        return {"vendors": [{"name": "aws", "regions": [{"name": "us-east-1", "computes": computes}]}]}

    # -- what is behind an endpoint's address --------------------------------------------------------------------

    def _health(self) -> Answer:
        self.unwell -= 1
        return (200, {}, {}) if self.unwell < 0 else refusal(503, "loading")

    def _chat(self, name: str, body: dict[str, Any]) -> Fault:
        if name not in self.endpoints:  # nor is there its host any more
            return RESET
        state = self.endpoints[name]["status"]["state"]
        if state == "scaledToZero":
            self.set(name, *COMING[1:])
        if state not in {"running", "updating"}:
            return refusal(503, "Service Unavailable")
        if body["model"] not in served_names(self.endpoints[name]["model"]["args"]):
            return 404, {"error": {"message": f"The model `{body['model']}` does not exist."}}, {}
        self.asked.append(body)
        text = f"echo: {body['messages'][-1]['content']}"
        if body.get("stream"):
            return 200, events_of(body["model"], text.split(" ")), {"content-type": "text/event-stream"}
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        return 200, {"model": body["model"], "choices": [choice], "usage": USAGE}, {}


USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}


def status_of() -> dict[str, Any]:
    stamp = MADE.isoformat().replace("+00:00", "Z")
    by = {"id": "1", "name": USER}
    return {"createdAt": stamp, "createdBy": by, "updatedAt": stamp, "updatedBy": by, "message": "", "private": None}


def hardware_of(asked: dict[str, Any]) -> tuple[str, ...]:
    compute, provider = asked["compute"], asked["provider"]
    kind = (compute["accelerator"], compute["instanceType"], compute["instanceSize"])
    return (provider["vendor"], provider["region"], *kind)


def served_names(arguments: list[str]) -> list[str]:
    """Reads vLLM's command line, as argparse does: names go on until the next option."""
    after = arguments[arguments.index("--served-model-name") + 1 :]
    return list(itertools.takewhile(lambda word: not word.startswith("--"), after))


def events_of(model: str, words: list[str]) -> bytes:
    chunks: list[dict[str, Any]] = [
        {"model": model, "choices": [{"index": 0, "delta": {"content": f"{word} "}, "finish_reason": None}]}
        for word in words
    ]
    chunks.append({"model": model, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    chunks.append({"model": model, "choices": [], "usage": USAGE})
    return b"".join(f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks) + b"data: [DONE]\n\n"


def what_of(path: str) -> str:
    """Names a request: "endpoint", "endpoint/one", "endpoint/one/pause", "provider", "health" or "chat"."""
    parts = [part for part in path.split("/") if part]
    if parts[0] == "e":
        return "chat" if parts[-1] == "completions" else "health"
    kind, rest = parts[1], parts[3:]
    return "/".join([kind, *(["one"] if rest else []), *rest[1:]])


def handler_of(standin: EndpointsStandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            token = self.headers.get("authorization") or ""
            answer = standin.answer(self.command, urlsplit(self.path).path, token, body)
            if answer == BREAK:
                begun = b"\n\n".join(events_of("m", ["echo:", "Hel"]).split(b"\n\n")[:2]) + b"\n\n"
                answer = (200, begun, {"content-type": "text/event-stream"})
            if isinstance(answer, str):
                time.sleep(HANG_S if answer == HANG else 0)
                self.close_connection = True
                return
            status, told, headers = answer
            content = told if isinstance(told, bytes) else json.dumps(told).encode()
            self.send_response(status)
            sent = {"content-type": "application/json", "content-length": str(len(content)), "x-request-id": "r-17"}
            for header in {**sent, **headers}.items():
                self.send_header(*header)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 - the names that the base class calls

        def log_message(self, *_: Any) -> None:
            pass

    return Handler
