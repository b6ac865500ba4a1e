"""The stand-in for OpenAI and Azure at an address on loopback, for scripts that run in processes of their own."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, ClassVar

import httpx2
from arm_vendor import management_at
from openai import AzureOpenAI, OpenAI
from wire_vendor import KEY

from ftkit.providers.azure import AzureProvider
from ftkit.providers.openai import OpenAIProvider

if TYPE_CHECKING:
    from wire_vendor import WireVendor

SETTLE_S = 0.3
"""How long the provider gives the list to settle here, where it does not lag."""


class ServedVendor:
    """A server before a vendor. Requests are answered one at a time.

    Args:
        vendor: What answers.
        port: Where it listens; one that is free if 0.

    Attributes:
        vendor: What answers.
        url: Where it listens.
    """

    def __init__(self, vendor: WireVendor, port: int = 0) -> None:
        self.vendor = vendor
        handler = type("HandlerOfOne", (_Handler,), {"vendor": vendor, "lock": threading.Lock()})
        self._server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    vendor: ClassVar[WireVendor]
    lock: ClassVar[threading.Lock]
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = dict(self.headers.items())
        request = httpx2.Request(self.command, f"http://{self.vendor.host}{self.path}", headers=headers, content=body)
        try:
            with self.lock:
                response = self.vendor.handle(request)
                content = response.read()
        except httpx2.TransportError:  # the vendor was told to lose its reply
            self.close_connection = True
            return
        self.send_response_only(response.status_code)
        for name in ("content-type", "x-request-id", "openai-organization"):
            if name in response.headers:
                self.send_header(name, response.headers[name])
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_DELETE = answer  # noqa: N815 - the names that are called


def openai_at(url: str, timeout_s: float = 2.0) -> OpenAIProvider:
    """Makes the provider `openai` for a vendor at an address; to be pickled by its name."""
    provider = OpenAIProvider(OpenAI(api_key=KEY, base_url=f"{url}/v1", timeout=timeout_s))
    provider.settle_s = SETTLE_S
    return provider


def azure_at(url: str, control_plane: str = "", timeout_s: float = 2.0) -> AzureProvider:
    """Makes the provider `azure` in the dialect that keeps labels."""
    return _azure(OpenAI(api_key=KEY, base_url=f"{url}/openai/v1/", timeout=timeout_s), control_plane)


def dated_azure_at(url: str, control_plane: str = "", timeout_s: float = 2.0) -> AzureProvider:
    """Makes the provider `azure` in the dated dialect, in which nothing can be written on a job."""
    client = AzureOpenAI(api_key=KEY, azure_endpoint=url, api_version="2024-10-21", timeout=timeout_s)
    return _azure(client, control_plane)


def _azure(client: OpenAI, control_plane: str) -> AzureProvider:
    management = management_at(control_plane) if control_plane else None
    provider = AzureProvider(client, management=management, resource_group="group", poll_s=0.05, servable_s=1.0)
    provider.settle_s = SETTLE_S
    return provider
