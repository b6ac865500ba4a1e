"""Redirects to another host: nothing that tells who we are goes there, in no header, no address and no body."""

from __future__ import annotations

import functools
import importlib
import json
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import httpx2
import pytest
import requests
from azure.core.credentials import AccessToken
from hub_tools import METHOD, MODEL, TOKEN, USER, a_hub
from hubs.standin import HubStandIn
from listening import Answer, Asked, Listener, listening
from openai import AzureOpenAI, DefaultHttpxClient, OpenAI
from wire_vendor import KEY

import ftkit.providers.autotrain
from ftkit import FtkitError, ProviderError, ProviderUnavailableError, Supervised
from ftkit.models import ChatMessage, ChatOptions, Deployment, JobRequest, TrainingFile
from ftkit.plugin.chat_wire import ChatEndpoint
from ftkit.providers._azure_deployments import _is_of
from ftkit.providers.azure import AzureProvider
from ftkit.providers.huggingface.remote.provider import JobsHuggingFace
from ftkit.providers.openai import OpenAIProvider
from ftkit.testing.tally import Tally, record

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

INSIDE = Path(ftkit.providers.autotrain.__file__).with_name("inside")
STATUSES = (301, 302, 303, 307, 308)
COOKIE = "cookie-of-a-session-4711"
BEARER = "ad-token-4711-very-secret"
SECRETS = (KEY, TOKEN, COOKIE, BEARER)
ASK = [ChatMessage(role="user", content="?")]
HEAD = {"provider": "p", "status": "running"}


@dataclass
class Hosts:
    """Two hosts: what is asked at `home` is sent on to `elsewhere`, with a status that a test chooses."""

    home: Listener
    elsewhere: Listener
    status: int = 307

    def leaks(self) -> int:
        """How often a secret arrived elsewhere."""
        return sum(asked.shows(secret) for asked in self.elsewhere.asked for secret in SECRETS)


@pytest.fixture
def hosts() -> Generator[Hosts]:
    def welcome(asked: Asked) -> Answer:
        del asked
        return 200, {"content-type": "application/json"}, json.dumps({"data": [], "id": "x"}).encode()

    def send_on(asked: Asked) -> Answer:
        # Another name for the same machine: neither name nor port is that of the one that was asked.
        where = f"http://localhost:{found.elsewhere.port}{asked.target}"
        return found.status, {"location": where, "set-cookie": f"session={COOKIE}; Path=/"}, b""

    with listening(send_on) as home, listening(welcome) as elsewhere:
        found = Hosts(home, elsewhere)
        yield found


class Credential:
    """Of Entra ID, as far as it is asked."""

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        del scopes
        return AccessToken(BEARER, int(time.time()) + 3600)


def wires(url: str) -> dict[str, Callable[[], OpenAIProvider | AzureProvider]]:
    """Every way to make a provider that speaks OpenAI's or Azure's dialects, ready-made clients among them."""
    azure = functools.partial(AzureProvider, endpoint=url, resource_group="g", poll_s=0.02)
    dated = "2024-10-21"
    following = {"follow_redirects": True}
    return {
        "openai": lambda: OpenAIProvider(api_key=KEY, base_url=f"{url}/v1"),
        "openai, ready-made": lambda: OpenAIProvider(
            OpenAI(api_key=KEY, base_url=f"{url}/v1", http_client=DefaultHttpxClient(**following))
        ),
        "azure": lambda: azure(api_key=KEY),
        "azure, dated": lambda: azure(api_key=KEY, api_version=dated),
        "azure, by token": lambda: azure(credential=Credential()),
        "azure, dated, by token": lambda: azure(credential=Credential(), api_version=dated),
        "azure, ready-made": lambda: AzureProvider(
            AzureOpenAI(api_key=KEY, azure_endpoint=url, api_version=dated, http_client=httpx2.Client(**following))
        ),
    }


def questions(provider: OpenAIProvider | AzureProvider, folder: Path) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yields what is read, and what is written."""
    data = folder / "train.jsonl"
    data.write_text("{}\n")
    file = TrainingFile(id="file-1", provider=provider.name)
    order = JobRequest(model="gpt-4o-mini", training_file=file, method=Supervised())
    model = Deployment.model_validate({"name": "n", "model": "ft:x", **HEAD, "provider": provider.name})
    yield "GET", provider._headers
    yield "GET", lambda: provider.get_job("ftjob-1")
    yield "GET", lambda: provider.list_jobs(None, 5)
    yield "GET", lambda: provider.download_file("file-1", folder / "got")
    yield "POST", lambda: provider.create_job(order, "key")
    yield "POST", lambda: provider._sender()._whole(data, "train.jsonl", _NoBar())  # type: ignore[arg-type]
    yield "POST", lambda: provider._sender()._send_part("upload_1", b"data")
    yield "POST", lambda: provider.pause_job("ftjob-1")
    yield "POST", lambda: provider.chat(model, ASK, ChatOptions())
    yield "POST", lambda: [*provider.stream_chat(model, ASK, ChatOptions())]
    yield "DELETE", lambda: provider.delete_file("file-1")
    yield "DELETE", lambda: provider.delete_model("ft:x")


class _NoBar:
    def update(self, size: int) -> None:
        """Moves nothing."""


@pytest.mark.parametrize("name", wires("http://127.0.0.1"))
def test_no_redirect_of_a_service_is_followed(
    name: str, hosts: Hosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_VERSION", raising=False)
    provider, tries = wires(hosts.home.url)[name](), 0
    for hosts.status in STATUSES:
        for method, call in questions(provider, tmp_path):
            hosts.home.asked.clear()
            with pytest.raises(
                ProviderError, match=f"sends us on to http://localhost:{hosts.elsewhere.port}/"
            ) as caught:
                call()
            assert {asked.method for asked in hosts.home.asked} == {method}
            assert any(asked.shows(secret) for asked in hosts.home.asked for secret in (KEY, BEARER)), "it was asked"
            assert caught.value.status_code == hosts.status
            # After a write, these may mean that it was done: nothing may take them for a clear no.
            is_unclear = hosts.status in {301, 302, 303} and method != "GET"
            assert isinstance(caught.value, ProviderUnavailableError) == is_unclear
            assert not any(secret in f"{caught.value} {caught.value.__cause__!r}" for secret in SECRETS)
            tries += 1
    assert hosts.elsewhere.asked == []
    assert not (tmp_path / "got").exists()
    record(Tally("redirects to another host", name, tries, secrets=hosts.leaks()))


def test_without_us_the_package_would_follow(hosts: Hosts) -> None:
    """What the tests above would not see if the stand-ins were none: a client of OpenAI's own goes there."""
    OpenAI(api_key=KEY, base_url=f"{hosts.home.url}/v1", max_retries=0).files.list()
    assert [asked.target for asked in hosts.elsewhere.asked] == ["/v1/files"]


@pytest.mark.parametrize("name", ["openai", "azure, dated"])
def test_no_step_down_from_https_is_followed(name: str) -> None:
    asked: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return httpx2.Response(307, headers={"location": str(request.url).replace("https://", "http://")})

    http = httpx2.Client(transport=httpx2.MockTransport(answer), follow_redirects=True)
    provider: OpenAIProvider | AzureProvider
    if name == "openai":
        provider = OpenAIProvider(OpenAI(api_key=KEY, base_url="https://api.example/v1", http_client=http))
    else:
        client = AzureOpenAI(
            api_key=KEY, azure_endpoint="https://res.example", api_version="2024-10-21", http_client=http
        )
        provider = AzureProvider(client)
    with pytest.raises(ProviderError, match="sends us on to http://"):
        provider._headers()
    assert [request.url.scheme for request in asked] == ["https"]


def test_a_chat_follows_no_redirect(hosts: Hosts) -> None:
    line, tries = ChatEndpoint("huggingface", f"{hosts.home.url}/v1", TOKEN), 0
    for hosts.status in STATUSES:
        for call in (line.chat, lambda *asked: [*line.stream(*asked)]):
            with pytest.raises(ProviderError, match="sends us on to http://localhost"):
                call("m", ASK, ChatOptions())
            tries += 1
    assert all(asked.shows(TOKEN) for asked in hosts.home.asked)
    assert hosts.elsewhere.asked == []
    record(Tally("redirects to another host", "a deployment", tries, secrets=hosts.leaks()))


# -- Azure's control plane -------------------------------------------------------------------------------------------


def deployments(url: str) -> AzureProvider:
    return AzureProvider(endpoint=url, api_key=KEY, resource_group="g", account="a", poll_s=0.02)


def test_the_control_plane_is_followed_nowhere(hosts: Hosts) -> None:
    tries = 0
    provider = deployments(hosts.home.url)
    provider._identity = "azure:here"
    for hosts.status in STATUSES:
        for call in (
            provider.list_deployments,
            lambda: provider.get_deployment("mine"),
            lambda: provider.deploy("gpt-4o-mini.ft-1", "mine", {}),
            lambda: provider.delete_deployment("mine"),
        ):
            with pytest.raises(ProviderError, match="sends us on to http://localhost"):
                call()
            tries += 1
    assert all(asked.shows(KEY) for asked in hosts.home.asked)
    assert hosts.elsewhere.asked == []
    record(Tally("redirects to another host", "azure, deployments", tries, secrets=hosts.leaks()))


@pytest.mark.parametrize("header", ["azure-asyncoperation", "location"])
def test_an_operation_is_asked_for_at_the_control_plane_alone(header: str, hosts: Hosts) -> None:
    def accept(asked: Asked) -> Answer:
        where = {header: f"http://localhost:{hosts.elsewhere.port}/operations/1?api-version=1"}
        if asked.method == "GET":
            return 404, {"content-type": "application/json"}, b'{"error": {"code": "NotFound", "message": "none"}}'
        return 202 if asked.method == "DELETE" else 201, where, b"{}"

    hosts.home.answer = accept
    provider = deployments(hosts.home.url)
    provider._identity = "azure:here"
    begun = (
        lambda: provider.delete_deployment("mine"),
        lambda: provider.deploy("gpt-4o-mini.ft-1", "mine", {"wait_s": 5}),
    )
    for call in begun:
        with pytest.raises(ProviderUnavailableError, match=r"localhost.*another host"):
            call()
    assert hosts.elsewhere.asked == []
    record(Tally("redirects to another host", f"azure, {header}", len(begun), secrets=hosts.leaks()))


def test_a_region_of_the_control_plane_is_the_control_plane() -> None:
    home = "https://management.azure.com/subscriptions/s"
    for link in (home, "https://management.azure.com:443/x", "https://eastus.management.azure.com/x"):
        assert _is_of(link, home)
    for link in ("http://management.azure.com/x", "https://evilmanagement.azure.com/x", "https://azure.com/x", "x", ""):
        assert not _is_of(link, home)


# -- the Hub ---------------------------------------------------------------------------------------------------------


class Hub(HubStandIn):
    """A Hub whose large files are sent to another host, if there is one."""

    large: str | None = None

    def _batch(self, kind: str | None, name: str) -> Any:
        status, told, headers = super()._batch(kind, name)
        if self.large is not None:
            told = json.loads(json.dumps(told).replace(self.url, self.large))
        return status, told, headers


@contextmanager
def hub_of(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Generator[Hub]:
    monkeypatch.setattr("hubs.standin.HubStandIn", Hub)
    with a_hub(monkeypatch, folder) as hub:
        assert isinstance(hub, Hub)
        hub.hold = True
        yield hub


def told_by(call: Callable[[], object]) -> str:
    """Calls, and returns what came of it as text; only our own errors may come, and none may hold a secret."""
    try:
        told = str(call())
    except FtkitError as error:
        told = f"{error} {error.__cause__!r}"
    assert not any(secret in told for secret in SECRETS)
    return told


def errands(provider: JobsHuggingFace, folder: Path) -> Iterator[Callable[[], object]]:
    """Yields what is asked of the Hub, each once."""
    data = folder / "train.jsonl"
    data.write_bytes(b"{}\n" + b"\0" * 20)  # which makes it a large one, to the Hub
    account, found = provider._account, {}

    def upload() -> None:
        found["file"] = provider.upload(data, "key")

    def create() -> None:
        order = JobRequest(model=MODEL, training_file=found["file"], method=METHOD)
        found["job"] = provider.create_job(order, "key").id

    yield upload
    yield lambda: provider.get_file(found["file"].id)
    yield lambda: provider.download_file(found["file"].id, folder / "got")
    yield lambda: provider.list_files(None, 5)
    yield create
    yield lambda: provider.get_job(found["job"])
    yield lambda: provider.list_events(found["job"], None, 5)
    yield lambda: account.push(folder, f"{USER}/pushed", "message")
    yield lambda: provider.cancel_job(found["job"])
    yield lambda: provider.delete_file(found["file"].id)


@pytest.mark.parametrize("status", [302, 307])
def test_the_hub_sends_no_token_along(
    status: Literal[302, 307], hosts: Hosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ftkit.retrying.ATTEMPTS", 1)
    followed = refused = tries = leaked = 0
    with hub_of(monkeypatch, tmp_path) as hub:
        provider = JobsHuggingFace(hub=hub.api(), flavor="cpu-basic", namespace=USER)
        for errand in errands(provider, tmp_path):
            hub.calls.clear()
            errand()
            for route in dict.fromkeys(hub.calls):
                if route == "PUT blob":
                    continue  # it goes where it is told, with no token: see below
                hosts.elsewhere.asked.clear()
                where = f"http://localhost:{hosts.elsewhere.port}/x"
                hub.refusing[route] = [(status, b"", {"location": where, "set-cookie": f"session={COOKIE}; Path=/"})]
                told = told_by(errand)
                refused += "no redirect is followed" in told
                hub.refusing.clear()
                leaked += hosts.leaks()
                assert leaked == 0, route
                if not route.startswith(("GET", "HEAD")):
                    assert hosts.elsewhere.asked == [], f"{route}: its body"
                followed += bool(hosts.elsewhere.asked)
                tries += 1
    assert followed, "what is read may be elsewhere"
    assert refused, "what is written may not"
    record(Tally("redirects to another host", f"huggingface, {status}", tries, secrets=leaked))


def test_large_files_are_sent_elsewhere_without_the_token(
    hosts: Hosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "large").mkdir()
    (tmp_path / "large" / "model.bin").write_bytes(b"\0" * 100)
    with hub_of(monkeypatch, tmp_path) as hub:
        hub.large = f"http://localhost:{hosts.elsewhere.port}"
        provider = JobsHuggingFace(hub=hub.api(), flavor="cpu-basic", namespace=USER)
        told_by(lambda: provider._account.push(tmp_path / "large", f"{USER}/large", "message"))
        assert hub.strange == ["commit: lfsFile model.bin"], "the Hub itself never got it"
        hub.strange.clear()
    assert [asked.method for asked in hosts.elsewhere.asked] == ["PUT"]
    assert hosts.elsewhere.asked[0].body == b"\0" * 100
    assert hosts.leaks() == 0
    record(
        Tally(
            "redirects to another host", "huggingface, large files", len(hosts.elsewhere.asked), secrets=hosts.leaks()
        )
    )


def test_autotrain_in_its_environment_sends_no_token_along(hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    """It asks the Hub with the package requests, which is told by what runs inside. The same package is here."""
    monkeypatch.syspath_prepend(INSIDE)
    monkeypatch.setattr(requests.Session, "get_redirect_target", requests.Session.get_redirect_target)
    importlib.import_module("remote").stay_home()
    tries = 0
    for hosts.status in STATUSES:
        for method in ("POST", "PUT", "DELETE", "GET"):
            hosts.elsewhere.asked.clear()
            ask = functools.partial(requests.request, method, f"{hosts.home.url}/api", timeout=9, json={"value": TOKEN})
            header = {"Authorization": f"Bearer {TOKEN}"}
            if method == "GET":
                assert requests.get(f"{hosts.home.url}/api", headers=header, timeout=9).ok
                assert hosts.leaks() == 0
            else:
                with pytest.raises(requests.exceptions.InvalidURL, match="no redirect to another host is followed"):
                    ask(headers=header)
                assert hosts.elsewhere.asked == []
            tries += 1
    record(Tally("redirects to another host", "autotrain, Spaces", tries, secrets=hosts.leaks()))
