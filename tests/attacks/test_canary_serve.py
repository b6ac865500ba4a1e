"""A canary as the key of `ftkit serve`, as keys that open nothing, and as the key of the provider behind it."""

from __future__ import annotations

import http.client
import importlib.util
import json
from contextlib import closing
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import pytest

if any(importlib.util.find_spec(name) is None for name in ("fastapi", "uvicorn", "python_multipart")):
    pytest.skip("the extra `server` is not installed", allow_module_level=True)

from canary_tools import a_key, impatient, tell, tour, training_file
from live import MODEL, Live, live
from served import Served

from ftkit import Client
from ftkit.providers.azure import AzureProvider
from ftkit.providers.openai import OpenAIProvider
from ftkit.testing import Canary, MemoryProvider, MemoryVendor

if TYPE_CHECKING:
    from pathlib import Path

    import httpx2


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    impatient(monkeypatch)


@pytest.mark.parametrize("dialect", ["openai", "azure"])
def test_a_server_and_its_key(dialect: str, tmp_path: Path, home: Path) -> None:
    wrong, behind = a_key("wrong"), a_key("behind")
    vendor = MemoryVendor(api_key=behind)
    server = live(tmp_path / "server", vendor=vendor, provider=MemoryProvider(vendor, api_key=behind))
    train = training_file(home.parent)

    def finish(_: object) -> None:
        server.vendor.advance(server.vendor_job().id, "succeeded")

    with Canary([server.key, wrong, behind]) as canary:
        canary.drives("server", lambda: server.office)
        client = Client(OpenAIProvider(server.openai()) if dialect == "openai" else AzureProvider(server.azure_v1()))
        client.provider.settle_s = 0.05  # type: ignore[attr-defined]
        tour(canary, client, train, MODEL, finish=finish)
        strange(canary, server, wrong)
        canary.drives("server, used", lambda: server.office)
        server.stop()
        canary.below(tmp_path / "server")
        canary.below(home)
    tell(canary, f"ftkit serve ({dialect})")


def strange(canary: Canary, server: Live, wrong: str) -> None:
    """Asks in ways that are refused, each with a key in it that opens nothing."""
    job = {"model": MODEL, "training_file": "file-1"}
    asked: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", "/v1/models", {"headers": {"Authorization": f"Bearer {wrong}"}}),
        ("GET", "/v1/models", {"headers": {"Authorization": wrong}}),
        ("GET", "/openai/models?api-version=2024-10-21", {"headers": {"api-key": wrong}}),
        ("GET", "/nowhere", {"headers": {"cookie": f"session={wrong}"}}),
        ("POST", "/v1/fine_tuning/jobs", {"json": {**job, "api_key": wrong}}),
        ("POST", "/v1/fine_tuning/jobs", {"json": {**job, "seed": wrong}}),
        ("POST", "/v1/fine_tuning/jobs", {"json": {**job, "hyperparameters": {"n_epochs": wrong}}}),
        ("POST", "/v1/fine_tuning/jobs", {"content": f"{{{wrong}", "headers": {"content-type": "application/json"}}),
        ("POST", "/v1/files", {"data": {"purpose": "fine-tune", "api_key": wrong}}),
        ("POST", "/v1/chat/completions", {"json": {"model": "m", "messages": wrong}}),
    ]
    for method, path, more in asked:
        with server.http() as line:
            canary.looks_at(told(line.request(method, path, **more)), f"{method} {path} with {sorted(more)}")

    for headers in ({}, {"Authorization": f"Bearer {server.key}"}):
        canary.drives("a key in the query", barely, server.url, f"/v1/models?api_key={quote(wrong)}", headers)


def barely(url: str, target: str, headers: dict[str, str]) -> str:
    """Asks as no client of ours would, which logs nothing itself."""
    with closing(http.client.HTTPConnection(urlsplit(url).netloc)) as line:
        line.request("GET", target, headers=headers)
        answer = line.getresponse()
        return f"{answer.status} {answer.headers} {answer.read()!r}"


def told(answer: httpx2.Response) -> dict[str, Any]:
    """All that an answer tells."""
    return {"status": answer.status_code, "headers": dict(answer.headers), "text": answer.text}


def test_a_key_that_is_refused_behind_a_server(tmp_path: Path, home: Path) -> None:
    vendor, behind = MemoryVendor(api_key=a_key("right")), a_key("behind")
    server = live(tmp_path / "server", vendor=vendor, provider=MemoryProvider(vendor, api_key=behind), patience_s=0.2)
    train = training_file(home.parent)
    with Canary([server.key, behind]) as canary, server.openai() as sdk:
        client = Client(OpenAIProvider(sdk))
        client.provider.settle_s = 0.05  # type: ignore[attr-defined]
        file = client.upload(train, model=MODEL)
        job = client.create_job(model=MODEL, training_file=file)
        canary.drives("wait", client.wait, job, timeout_s=20.0, poll_s=0.05)
        canary.drives("events", client.list_events, job)
        canary.drives("raw job", lambda: sdk.fine_tuning.jobs.retrieve(job.id).model_dump())
        server.stop()
        canary.below(tmp_path / "server")
    tell(canary, "ftkit serve (a refused key behind it)")


def test_a_server_shows_its_key_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inherited = a_key("inherited")
    monkeypatch.setenv("OPENAI_API_KEY", inherited)
    served = Served(tmp_path / "home", "--provider", "memory", "--model", f"{MODEL}=memory-small")
    try:
        said = served.start()
        assert said.count(served.key) == 1
        assert "shown this once" in said
        with Canary([served.key, inherited]) as canary, served.client() as sdk:
            canary.drives("models", lambda: [each.id for each in sdk.models.list()])
            canary.drives("a wrong key", barely, served.url, "/v1/models", {"Authorization": f"Bearer {inherited}"})
            served.interrupt()
            canary.drives("the rest of its log", lambda: served.log.replace(said, ""))
            canary.drives("its address", lambda: json.loads((served.home / "server.json").read_text()))
            again = served.start()
            canary.drives("what it says when it is started again", lambda: again)
            canary.below(served.home)
        tell(canary, "ftkit serve (its process)")
    finally:
        served.end()
