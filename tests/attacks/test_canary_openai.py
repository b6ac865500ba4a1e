"""A canary as the key of `openai` and `azure`: through every verb, and before a server that repeats it."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
import wire_vendor
from arm_vendor import ArmVendor
from azure.core.credentials import AccessToken
from azure.mgmt.cognitiveservices import CognitiveServicesManagementClient
from canary_tools import (
    a_key,
    impatient,
    interrupt,
    storm,
    tell,
    tour,
    training_file,
)
from parrot import HANG, Parrot, streamed
from wire_vendor import AzureWireVendor, WireVendor

from ftkit import AsyncClient, Client
from ftkit.providers import _azure_deployments
from ftkit.providers.openai import OpenAIProvider
from ftkit.testing import Canary

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

MODEL = "gpt-4o-mini-2024-07-18"
TIMEOUT_S = 0.4


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    """The one key that opens the vendor."""
    impatient(monkeypatch)
    made = a_key("canary")
    monkeypatch.setattr(wire_vendor, "KEY", made)
    return made


@pytest.fixture
def vendor() -> WireVendor:
    return WireVendor()


@pytest.fixture
def parrot(vendor: WireVendor) -> Generator[Parrot]:
    parrot = Parrot(vendor.handle)
    yield parrot
    parrot.stop()


@pytest.fixture
def train(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return training_file(tmp_path / "data")


def calls_of(client: Client, train: Path) -> dict[str, Callable[[], object]]:
    """Verbs of each kind, on things that are there."""
    file = client.upload(train, model=MODEL)
    job = client.create_job(model=MODEL, training_file=file)
    return {
        "get": lambda: client.get_job(job),
        "list": client.list_jobs,
        "events": lambda: client.list_events(job),
        "cancel": lambda: client.cancel_job(job),
        "results": lambda: client.results(job),
        "download": lambda: client.download_file(file, train.with_name("out")),
        "create": lambda: client.create_job(model=MODEL, training_file=file, key=secrets.token_hex(4)),
    }


def asking(client: Client, model: str = MODEL, **deploy: Any) -> dict[str, Callable[[], object]]:
    deployment = client.deploy(model, name="mine", **deploy)
    return {
        "chat": lambda: client.chat(deployment, "Hello?"),
        "stream": lambda: list(client.stream_chat(deployment, "Hello?")),
    }


def drive_failures(canary: Canary, client: Client, vendor: WireVendor, train: Path, key: str) -> None:
    """Jobs and files that fail, and name the key as they do."""
    job = client.create_job(model=MODEL, training_file=client.upload(train, model=MODEL), key="fails")
    vendor.set_status(job.id, "failed")
    vendor.jobs[job.id]["error"]["message"] = f"wandb refused {key}"
    vendor.add_event(job.id, f"asked wandb, with {key}")
    canary.drives("get what failed", client.get_job, job)
    canary.drives("wait for what failed", client.wait, job)
    canary.drives("its events", client.list_events, job)
    canary.drives("list", client.list_jobs)
    train.write_text(train.read_text() + train.read_text().splitlines()[0] + "\n")
    vendor.file_states = ["error"]
    for file in vendor.files.values():
        file["status_details"] = f"no good: {key}"
    canary.drives("a file that fails", client.upload, train, model=MODEL)
    canary.drives("files", client.list_files)


async def awaited(provider: OpenAIProvider, train: Path, key: str) -> list[object]:
    """What the other client makes of mistakes and refusals."""
    async with AsyncClient(provider) as client:
        calls = [
            client.get_job("ftjob-not-there"),
            client.check(train, model=MODEL, provider_options={"pace": key}),
            client.upload(train, model=MODEL, provider_options={"api_key": key}),
            client.create_job(model=MODEL, training_file="file-1", provider_options={"integrations": key}),
            client.deploy(MODEL, api_key=key),
            client.chat("mine", "Hello?", api_key=key),
        ]
        return await asyncio.gather(*calls, return_exceptions=True)


def test_openai(
    key: str, vendor: WireVendor, parrot: Parrot, train: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook = a_key("webhook")
    monkeypatch.setenv("OPENAI_API_KEY", key)
    monkeypatch.setenv("OPENAI_WEBHOOK_SECRET", webhook)
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{parrot.port}/v1")
    with Canary([key, webhook]) as canary:
        client = Client("openai", timeout_s=TIMEOUT_S)
        client.provider.settle_s = 0.0  # type: ignore[attr-defined]
        tour(canary, client, train, MODEL, finish=lambda job: vendor.set_status(job.id, "succeeded"))
        provider = client.provider
        assert isinstance(provider, OpenAIProvider)
        canary.drives("webhook", provider.verify_webhook, b"{}", {"webhook-signature": "v1,x"})
        drive_failures(canary, client, vendor, train, key)
        calls = calls_of(client, train) | asking(client)
        storm(canary, parrot, calls)
        storm(canary, parrot, {"create": calls["create"]}, only="POST")
        storm(canary, parrot, {"get": calls["get"], "create": calls["create"]}, {HANG: HANG})
        storm(canary, parrot, {"stream": calls["stream"]}, {"an error in the stream": streamed})
        job = client.list_jobs().items[0]
        canary.drives("awaited", lambda: asyncio.run(awaited(provider, train, key)))
        interrupt(canary, parrot, {"wait": lambda: client.wait(job), **calls})
        canary.below(home)
    assert f"Bearer {key}" in parrot.heard
    tell(canary, "openai")


@pytest.mark.parametrize("dialect", ["v1", "dated"])
@pytest.mark.parametrize("opens", ["key", "Entra ID"])
def test_azure(key: str, train: Path, home: Path, monkeypatch: pytest.MonkeyPatch, dialect: str, opens: str) -> None:
    monkeypatch.setattr(_azure_deployments, "_BUSY_PAUSE_S", 0.01)
    vendor, arm = AzureWireVendor(), ArmVendor()
    parrot, control = Parrot(vendor.handle), Parrot(passed_on_to(arm))
    if opens == "key":
        monkeypatch.setenv("AZURE_OPENAI_API_KEY", key)
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", f"http://127.0.0.1:{parrot.port}")
    token = a_key("control")
    with Canary([key, token]) as canary:
        client = Client(
            "azure",
            api_version="2024-10-21" if dialect == "dated" else None,
            credential=Entra(key) if opens == "Entra ID" else None,
            management=management(control, token),
            resource_group="group",
            timeout_s=TIMEOUT_S,
            poll_s=0.01,
            servable_s=0.2,
        )
        client.provider.settle_s = 0.0  # type: ignore[attr-defined]
        tour(canary, client, train, MODEL, finish=lambda job: vendor.set_status(job.id, "succeeded"))
        drive_failures(canary, client, vendor, train, key)
        calls = calls_of(client, train) | asking(client)
        storm(canary, parrot, calls)
        storm(canary, parrot, {"create": calls["create"]}, only="POST")
        storm(canary, control, control_calls(client))
        storm(canary, control, {"deploy": control_calls(client)["deploy"]}, only="PUT")
        interrupt(canary, control, control_calls(client))
        canary.below(home)
    for server in (parrot, control, arm):
        server.stop()
    assert any(key in heard for heard in parrot.heard)
    assert f"Bearer {token}" in control.heard
    tell(canary, f"azure ({dialect}, {opens})")


class Entra:
    """A credential that gives a token which is nowhere else."""

    def __init__(self, token: str) -> None:
        self._token = token

    def get_token(self, *_: str, **__: Any) -> AccessToken:
        return AccessToken(self._token, int(time.time()) + 3600)


def management(parrot: Parrot, token: str) -> CognitiveServicesManagementClient:
    """The real package, with the token that it would send to Azure's own host."""
    from azure.core.credentials import AzureKeyCredential
    from azure.core.pipeline.policies import AzureKeyCredentialPolicy

    policy: Any = AzureKeyCredentialPolicy(AzureKeyCredential(token), "Authorization", prefix="Bearer")
    credential: Any = Entra(token)
    url = f"http://127.0.0.1:{parrot.port}"
    return CognitiveServicesManagementClient(
        credential, "sub", base_url=url, authentication_policy=policy, retry_total=0
    )


def passed_on_to(arm: ArmVendor) -> Callable[[httpx2.Request], httpx2.Response]:
    def handle(request: httpx2.Request) -> httpx2.Response:
        status, answer, headers = arm.answer(request.method, request.url.path, request.content)
        return httpx2.Response(status, json=answer, headers=headers)

    return handle


def control_calls(client: Client) -> dict[str, Callable[[], object]]:
    return {
        "deploy": lambda: client.deploy(MODEL, name="other", wait_s=0.3),
        "deployment": lambda: client.get_deployment("other"),
        "deployments": client.list_deployments,
        "delete deployment": lambda: client.delete_deployment("other"),
    }
