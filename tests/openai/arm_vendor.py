"""A stand-in for Azure's control plane, on loopback: deployments, with its long-running operations."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.mgmt.cognitiveservices import CognitiveServicesManagementClient

if TYPE_CHECKING:
    from collections.abc import Callable

    from azure.core.credentials import AccessToken

Answer = tuple[int, Any, dict[str, str]]
POLL_S = 0.05


class NoCredential:
    """Plain HTTP carries no token: the policy below takes its place."""

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        raise AssertionError(scopes)


def management_at(url: str) -> CognitiveServicesManagementClient:
    """A client of the stand-in at an address."""
    return CognitiveServicesManagementClient(
        NoCredential(), "sub", base_url=url, authentication_policy=SansIOHTTPPolicy(), retry_total=0
    )


class ArmVendor:
    """Knows deployments by name.

    Attributes:
        deployments: What was put, by name.
        requests: How often each was made, by method.
        faults: Each is asked before a write is answered; what it returns is the answer.
        refusals: Likewise, before a request is answered that lists deployments or makes one.
        states: What the state of a deployment is told to be, by its name, in place of the one that it has.
        creating_s: How long a deployment takes.
    """

    def __init__(self) -> None:
        self.deployments: dict[str, dict[str, Any]] = {}
        self.requests: Counter[str] = Counter()
        self.refusals: list[Callable[[], Answer]] = []
        self.faults: list[Callable[[], Answer]] = []
        self.states: dict[str, str] = {}
        self.creating_s = 0.0
        self._ready_at: dict[str, float] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(POLL_S,), daemon=True).start()

    def client(self) -> CognitiveServicesManagementClient:
        return management_at(self.url)

    def refuse(self, status: int, code: str, message: str, request_id: str) -> None:
        if 300 <= status < 400:
            location = {"location": f"https://elsewhere.example/{message}", "x-ms-request-id": request_id}
            self.refusals.append(lambda: (status, None, location))
            return
        told = {"error": {"code": code, "message": message}}
        self.refusals.append(lambda: (status, told, {"x-ms-request-id": request_id}))

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method: str, path: str, body: bytes) -> Answer:
        self.requests[method] += 1
        name = path.partition("/deployments")[2].strip("/")
        faults = self.faults if method in {"PUT", "DELETE"} else []
        faults = self.refusals if self.refusals and (method == "PUT" or (method == "GET" and not name)) else faults
        if faults:
            return faults.pop(0)()
        if method == "PUT":
            return self._put(name, path, json.loads(body))
        if method == "DELETE":
            return (202 if self.deployments.pop(name, None) else 204), None, {}
        if not name:
            return 200, {"value": [self._shown(each) for each in self.deployments]}, {}
        if name not in self.deployments:
            return 404, {"error": {"code": "NotFound", "message": f"Specified resource '{path}' cannot be found."}}, {}
        return 200, self._shown(name), {}

    def _put(self, name: str, path: str, asked: dict[str, Any]) -> Answer:
        kept = {"id": path, "name": name, "type": "Microsoft.CognitiveServices/accounts/deployments", **asked}
        is_new = name not in self.deployments
        self.deployments[name] = kept
        self._ready_at[name] = time.monotonic() + self.creating_s
        return 201 if is_new else 200, self._shown(name), {}

    def _shown(self, name: str) -> dict[str, Any]:
        kept = self.deployments[name]
        state = self.states.get(name) or ("Succeeded" if time.monotonic() >= self._ready_at[name] else "Creating")
        return {**kept, "properties": {**kept["properties"], "provisioningState": state}}

    def _handler(vendor) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - the handler has a self of its own
        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                status, answer, headers = vendor.answer(self.command, urlsplit(self.path).path, body)
                content = b"" if answer is None else json.dumps(answer).encode()
                self.send_response(status)
                for header in {
                    "content-length": str(len(content)),
                    "content-type": "application/json",
                    **headers,
                }.items():
                    self.send_header(*header)
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_PUT = do_DELETE = answer  # noqa: N815 - the names that the base class calls

            def log_message(self, *_: Any) -> None:
                pass

        return Handler
