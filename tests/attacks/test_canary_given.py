"""A canary in the hands of users: given in the wrong place, in a profile, in an address, or together with a mistake."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from canary_tools import a_key, impatient, tell, training_file
from huggingface_hub import HfApi, close_session
from parrot import Parrot
from wire_vendor import WireVendor

from ftkit import AsyncClient, Client, ConfigurationError, Reinforcement, UnsupportedError
from ftkit.profiles import resolve_profile
from ftkit.providers.azure import AzureProvider
from ftkit.providers.openai import OpenAIProvider
from ftkit.testing import Canary, MemoryProvider, MemoryVendor

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

MODEL = "gpt-4o-mini-2024-07-18"
AZURE = {"endpoint": "https://r.openai.azure.com"}
SPACES = {"backend": "spaces-t4-small", "username": "me"}


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    impatient(monkeypatch)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return a_key("sk-given")


def test_a_client_that_cannot_be_made(key: str) -> None:
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("openai", {"apikey": key}),
        ("openai", {"api_key": f"{key} "}),
        ("openai", {"api_key": f"{key}\n"}),
        ("openai", {"api_key": key, "timeout_s": -1.0}),
        ("openai", {"api_key": key, "webhook_secrets": key}),
        ("openai", {"api_key": key, "base_url": "ftp://host"}),
        ("openai", {"api_key": key, "base_url": f"https://user:{key}@host/v1"}),
        ("openai", {"api_key": key, "base_url": f"ftp://user:{quote(key, safe='')}@host/v1"}),
        ("openai", {"client": key}),
        ("azure", {"api_key": key}),
        ("azure", {**AZURE, "api_key": key, "api_version": key}),
        ("azure", {"api_key": key, "endpoint": f"user:{key}@r.openai.azure.com"}),
        ("azure", {**AZURE, "api_key": f"\N{SNOWMAN}{key}"}),
        ("azure", {**AZURE, "credential": key, "api_version": "2024-10-21"}),
        ("azure", {**AZURE, "management": key, "api_key": "k", "timeout_s": -1.0}),
        ("huggingface", {"compute": "jobs", "token": f"{key} "}),
        ("huggingface", {"compute": "jobs", "token": key, "namespace": "no name"}),
        ("huggingface", {"compute": "jobs", "token": key, "timeout": "soon"}),
        ("huggingface", {"compute": "local", "token": key}),
        ("huggingface", {"compute": key}),
        ("autotrain", {**SPACES, "token": f"{key}\t"}),
        ("autotrain", {**SPACES, "tokens": key}),
        ("autotrain", {"token": key}),
        (key, {}),
    ]
    with Canary([key]) as canary:
        for name, options in wrong:
            for make in (Client, AsyncClient):
                error = canary.drives(f"{make.__name__} of {name} with {sorted(options)}", make, name, **options)
                assert isinstance(error, Exception), (name, options)
        for make in (OpenAIProvider, partial(AzureProvider, **AZURE)):
            for more in ({"timeout_s": -1.0}, {"processing_s": -1.0}, {"nonsense": key}):
                assert isinstance(canary.drives("by hand", make, api_key=key, **more), Exception)
        canary.drives("by hand", MemoryProvider, MemoryVendor(), api_key=key, list_lag_s=1.0)
    tell(canary, "any, when it is made")


PROFILES = (
    '[profiles.p]\nprovider = "openai"\noptions = {{ api_key = "{key}" }}',
    '[profiles.p]\nprovider = "openai"\napi_key = "{key}"',
    '[profiles.p]\nprovider = "openai"\noptions = {{ base_url = "https://me:{key}@host" }}',
    '[profiles.p]\nprovider = ["{key}"]',
    '[profiles.p]\nprovider = "openai"\nmodels = {{ small = ["{key}"] }}',
    '[profiles.p]\nprovider = "openai"\nbudget = "{key}"',
    '[profiles.p]\nprovider = "openai"\ndeploy = {{ a = {{ token = "{key}" }} }}',
    'default = ["{key}"]\n[profiles.p]\nprovider = "openai"',
    'profiles = "{key}"',
    'api_key = "{key}',
    'p = {{ "{key}" = 1 }} x',
)


def test_a_profile_with_a_key_in_it(key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ftkit.toml"
    monkeypatch.setenv("FTKIT_CONFIG", str(path))
    with Canary([key]) as canary:
        for text in PROFILES:
            path.write_text(text.format(key=key))
            assert isinstance(canary.drives("client", Client, "p"), ConfigurationError), text
            assert isinstance(canary.drives("profile", resolve_profile, "p", {}), ConfigurationError), text
    tell(canary, "any, with a key in its profile")


def test_options_of_the_environment(key: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTKIT_OPENAI_API_KEY", key)
    with Canary([key]) as canary:
        canary.drives("client", Client, "openai")
        monkeypatch.setenv("FTKIT_OPENAI_TIMEOUT_S", "-1")
        assert isinstance(canary.drives("wrong client", Client, "openai"), ConfigurationError)
        canary.below(home)
    tell(canary, "openai, by FTKIT_ variables")


@pytest.mark.parametrize("make", [MemoryProvider, lambda: OpenAIProvider(WireVendor().client())])
def test_a_key_among_the_options_of_a_request(key: str, make: Any, home: Path, tmp_path: Path) -> None:
    client, train = Client(make()), training_file(tmp_path)
    file = client.upload(train, model=MODEL)
    wandb = {"integrations": [{"type": "wandb", "wandb": {"project": "p", "api_key": key}}]}
    wrong: list[dict[str, Any]] = [{"api_key": key}, {"priority": key}, {"integrations": key}, {key: 1}, wandb]
    with Canary([key]) as canary:
        for options in wrong:
            given = {"model": MODEL, "provider_options": options}
            canary.drives("check", client.check, train, **given)
            for verb in (client.upload, client.fine_tune):
                first = {"train": train} if verb == client.fine_tune else {"source": train}
                error = canary.drives(verb.__name__, verb, **first, **given)
                assert isinstance(error, ConfigurationError | UnsupportedError), error
            error = canary.drives("create", client.create_job, training_file=file, **given)
            assert isinstance(error, ConfigurationError | UnsupportedError), error
        canary.drives("deploy", client.deploy, MODEL, name="mine", api_key=key)
        canary.drives("deploy well", client.deploy, MODEL, name="mine")
        canary.drives("chat", client.chat, "mine", "Hi", api_key=key)
        canary.drives("stream", lambda: list(client.stream_chat("mine", "Hi", api_key=key)))
        canary.drives("seed", client.create_job, model=MODEL, training_file=file, seed=key)
        canary.drives("suffix", client.create_job, model=MODEL, training_file=file, suffix=[key])
        canary.drives("labels", client.create_job, model=MODEL, training_file=file, metadata={"a": [key]})
        canary.drives("method", Reinforcement, grader=key)
        canary.below(home)
    tell(canary, f"{client.provider.name}, among the options of a request")


@pytest.fixture
def server() -> Generator[Parrot]:
    parrot = Parrot(WireVendor().handle)
    yield parrot
    parrot.stop()


def test_a_password_in_the_address(key: str, server: Parrot, home: Path, tmp_path: Path) -> None:
    address, train = f"http://me:{quote(key, safe='')}@127.0.0.1:{server.port}", training_file(tmp_path)
    with Canary([key]) as canary:
        for name, given in {
            "openai": {"api_key": "k" * 20, "base_url": f"{address}/v1"},
            "azure": {"api_key": "k" * 20, "endpoint": address},
        }.items():
            client = canary.drives(name, Client, name, timeout_s=0.5, **given)
            canary.drives("identity", client.identity)
            canary.drives("upload", client.upload, train, model=MODEL)
            canary.drives("get", client.get_job, "ftjob-1")
            canary.drives("deployments", client.list_deployments)
            canary.looks_at(client, "the client, used")
        hub = HfApi(endpoint=address, token="hf_" + "k" * 20)
        for name, given in {"huggingface": {"compute": "jobs"}, "autotrain": SPACES}.items():
            error = canary.drives(name, Client, name, hub=hub, **given)
            assert isinstance(error, ConfigurationError), error
        canary.below(home)
    assert {heard.partition(" ")[0] for heard in server.heard if heard} >= {"Basic"}
    tell(canary, "openai and azure, with a password in the address")


@pytest.fixture
def other_proxies() -> Generator[None]:
    """huggingface_hub keeps one session for the whole process, with the proxies of the time when it was made."""
    close_session()
    yield
    close_session()


@pytest.mark.usefixtures("other_proxies")
@pytest.mark.parametrize("ends", ["refused", "forbidden", "no address"])
def test_a_password_in_the_address_of_a_proxy(
    key: str, server: Parrot, monkeypatch: pytest.MonkeyPatch, ends: str, home: Path
) -> None:
    quoted = key if ends == "no address" else quote(key, safe="")
    port = {"refused": 1, "forbidden": server.port, "no address": "x"}[ends]
    for name in ("HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, f"http://me:{quoted}@127.0.0.1:{port}")
    server.faults.extend([lambda _: (407, f"no, {key} is no good".encode(), {})] * 50)
    with Canary([key]) as canary:
        made = {
            "openai": {"api_key": "k" * 20, "timeout_s": 0.5},
            "azure": {**AZURE, "api_key": "k" * 20, "timeout_s": 0.5},
            "huggingface": {"compute": "jobs", "token": "hf_" + "k" * 20, "namespace": "me"},
            "autotrain": {**SPACES, "token": "hf_" + "k" * 20},
        }
        for name, given in made.items():
            client = canary.drives(name, Client, name, **given)
            if isinstance(client, Client):
                canary.drives(f"{name}: identity", client.identity)
                canary.drives(f"{name}: get", client.get_job, "ftkit-" + "0" * 24)
        canary.below(home)
    tell(canary, f"any, behind a proxy ({ends})")
