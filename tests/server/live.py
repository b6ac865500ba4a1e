"""A server on loopback in this process, in front of the in-memory vendor, which a test has in its hands."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx2
import uvicorn
from openai import AsyncOpenAI, AzureOpenAI, OpenAI

from ftkit import Client
from ftkit.ledger import Ledger
from ftkit.server.app import create_app
from ftkit.server.office import Office, open_office
from ftkit.server.settings import Settings
from ftkit.testing import MemoryProvider, MemoryVendor

if TYPE_CHECKING:
    from pathlib import Path

    from ftkit.provider import Provider
    from ftkit.testing.vendor import VendorJob

MODEL = "gpt-4o-mini-2024-07-18"
PATIENCE_S = 20.0
VERSION = "2024-10-21"


@dataclass
class Live:
    """A running server.

    Attributes:
        url: Scheme, host and port.
        key: A key that opens it.
        office: Its parts.
        vendor: What is behind it; says how jobs go.
    """

    url: str
    key: str
    office: Office
    vendor: MemoryVendor
    _server: uvicorn.Server
    _thread: threading.Thread

    def openai(self, **options: Any) -> OpenAI:
        """OpenAI's own client."""
        return OpenAI(base_url=f"{self.url}/v1", api_key=self.key, max_retries=0, **options)

    def openai_awaited(self) -> AsyncOpenAI:
        return AsyncOpenAI(base_url=f"{self.url}/v1", api_key=self.key, max_retries=0)

    def azure(self) -> AzureOpenAI:
        """The same package's client for Azure's dated form."""
        return AzureOpenAI(azure_endpoint=self.url, api_key=self.key, api_version=VERSION, max_retries=0)

    def azure_v1(self) -> OpenAI:
        return OpenAI(base_url=f"{self.url}/openai/v1", api_key=self.key, max_retries=0)

    def http(self) -> httpx2.Client:
        """A client that knows nothing of any API."""
        return httpx2.Client(base_url=self.url, headers={"Authorization": f"Bearer {self.key}"}, trust_env=False)

    def vendor_job(self) -> VendorJob:
        """The vendor's newest job, as soon as there is one."""
        until(lambda: bool(self.vendor.jobs))
        return list(self.vendor.jobs.values())[-1]

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()


def live(home: Path, *, vendor: MemoryVendor | None = None, provider: Provider | None = None, **settings: Any) -> Live:
    """Starts a server."""
    vendor = vendor or MemoryVendor()
    behind = provider or MemoryProvider(vendor)
    asked = {"models": {MODEL: "memory-small"}, "poll_s": 0.05, **settings}
    office = open_office(Client(behind, ledger=Ledger(home)), Settings(home=home, **asked))
    known = [key.id for key in office.keys.names()]
    key = office.keys.create(f"test-{len(known)}")
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as `ftkit serve` does, and for its reason
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    server = uvicorn.Server(uvicorn.Config(create_app(office), log_config=None, access_log=False))

    def run() -> None:
        with listener:
            server.run(sockets=[listener])

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    until(lambda: server.started)
    return Live(url, key, office, vendor, server, thread)


def until(holds: Any, wait_s: float = PATIENCE_S) -> None:
    """Waits until something holds."""
    deadline = time.monotonic() + wait_s
    while not holds():
        assert time.monotonic() < deadline, "it did not come in time"
        time.sleep(0.01)
