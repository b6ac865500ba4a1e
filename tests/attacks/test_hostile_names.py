"""Ids and names that are paths, at every provider: they stay in their folder, and at the wire in their route."""

from __future__ import annotations

import functools
import json
import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from arm_vendor import ArmVendor
from listening import Answer, Asked, Listener, listening
from openai import AzureOpenAI, OpenAI
from surroundings import CANARY, Surroundings
from wire_vendor import KEY, AzureWireVendor, WireVendor

from ftkit import Client, ConfigurationError, FtkitError, NotFoundError, Supervised, TrainingFile, UnknownProviderError
from ftkit.ledger import Ledger
from ftkit.models import ChatMessage, ChatOptions, Deployment
from ftkit.providers.azure import AzureProvider
from ftkit.providers.openai import OpenAIProvider
from ftkit.testing._rules import STRANGE_IDS, by_id
from ftkit.testing.tally import Tally, points, record

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

MODEL = "gpt-4o-mini-2024-07-18"
PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]*(%2F[A-Za-z0-9._:@-]+)*")
"""What an id may look like at the wire: anything else is not asked for."""
ACCOUNT = "/subscriptions/sub/resourceGroups/group/providers/Microsoft.CognitiveServices/accounts/127"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Surroundings:
    world = Surroundings(tmp_path / "world")
    monkeypatch.setenv("FTKIT_HOME", str(world.ours / "home"))
    monkeypatch.setenv("FTKIT_CONFIG_FOLDER", str(world.ours / "config"))
    monkeypatch.chdir(world.ours)
    return world


def told_by(call: Callable[[], object]) -> str:
    """Calls, and returns what came of it as text; only our own errors may come."""
    try:
        return str(call())
    except FtkitError as error:
        return f"{type(error).__name__}: {error}"


# -- at the wire -----------------------------------------------------------------------------------------------------


class Control(ArmVendor):
    """The control plane, which keeps each path as it came."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def answer(self, method: str, path: str, body: bytes) -> Any:
        self.asked.append(f"{method} {path}")
        return super().answer(method, path, body)


@dataclass
class AtTheWire:
    """A provider, and what arrives of what it asks."""

    provider: OpenAIProvider | AzureProvider
    vendor: WireVendor
    listener: Listener
    control: Control | None = None
    prefix: str = "/v1"
    routes: set[str] = field(default_factory=set[str])

    def arrived(self) -> set[str]:
        """The routes of all that came since, with {} for an id."""
        asked = {f"{each.method} {self.route(each.target)}" for each in self.listener.asked}
        self.listener.asked.clear()
        if self.control is not None:
            asked |= {f"{method} {path}" for method, _, path in (each.partition(" ") for each in self.control.asked)}
            self.control.asked.clear()
        return asked

    def route(self, target: str) -> str:
        path = target.partition("?")[0].removeprefix(self.prefix)
        known = ("", "models", "files", "content", "fine_tuning", "jobs", "chat", "completions", "deployments")
        verbs = ("cancel", "pause", "resume", "events", "checkpoints")
        return "/".join(
            part if part in known or part in verbs else "{}" if PLAIN.fullmatch(part) else f"!{part}!"
            for part in path.split("/")
        )


def behind(vendor: WireVendor) -> Callable[[Asked], Answer]:
    def answer(asked: Asked) -> Answer:
        url = f"http://{vendor.host}{asked.target}"
        told = vendor.handle(httpx2.Request(asked.method, url, headers=dict(asked.headers), content=asked.body))
        kept = ("content-type", "openai-organization")
        return told.status_code, {name: told.headers[name] for name in kept if name in told.headers}, told.read()

    return answer


@contextmanager
def at_the_wire(name: str) -> Generator[AtTheWire]:
    vendor = WireVendor() if name == "openai" else AzureWireVendor()
    with listening(behind(vendor)) as listener:
        if name == "openai":
            client = OpenAI(api_key=KEY, base_url=f"{listener.url}/v1", max_retries=0)
            yield AtTheWire(OpenAIProvider(client), vendor, listener)
            return
        client = OpenAI(api_key=KEY, base_url=f"{listener.url}/openai/v1/")
        if name == "azure, dated":
            client = AzureOpenAI(api_key=KEY, azure_endpoint=listener.url, api_version="2024-10-21")
        control = Control()
        given: dict[str, Any] = {"resource_group": "group", "poll_s": 0.02, "servable_s": 0.1}
        provider = AzureProvider(client, management=control.client(), **given)
        prefix = "/openai" if name == "azure, dated" else "/openai/v1"
        yield AtTheWire(provider, vendor, listener, control, prefix)
        control.stop()


def verbs_of(wire: AtTheWire, folder: Path) -> dict[str, tuple[Callable[[str], object], set[str]]]:
    """Every verb that takes an id or a name, and the routes that it may reach."""
    provider, jobs, deployment = wire.provider, "/fine_tuning/jobs", f"{ACCOUNT}/deployments"

    def chat(model: str) -> object:
        noun = Deployment.model_validate({"name": "n", "provider": provider.name, "status": "running", "model": model})
        return provider.chat(noun, [ChatMessage(role="user", content="?")], ChatOptions())

    one = {name: f"POST {jobs}/{{}}/{name}" for name in ("cancel", "pause", "resume")}
    verbs: dict[str, tuple[Callable[[str], object], set[str]]] = {
        "get_job": (provider.get_job, {f"GET {jobs}/{{}}"}),
        "results": (provider.results, {f"GET {jobs}/{{}}"}),
        **{
            f"{name}_job": (getattr(provider, f"{name}_job"), {route, f"GET {jobs}/{{}}"})
            for name, route in one.items()
        },
        "list_events": (lambda word: provider.list_events(word, None, 5), {f"GET {jobs}/{{}}/events"}),
        "list_events, after": (lambda word: provider.list_events("ftjob-1", word, 5), {f"GET {jobs}/{{}}/events"}),
        "list_jobs": (lambda word: provider.list_jobs(word, 5), {f"GET {jobs}"}),
        "list_checkpoints": (provider.list_checkpoints, {f"GET {jobs}/{{}}/checkpoints"}),
        "get_file": (provider.get_file, {"GET /files/{}"}),
        "list_files": (lambda word: provider.list_files(word, 5), {"GET /files"}),
        "download_file": (lambda word: provider.download_file(word, folder / "got"), {"GET /files/{}/content"}),
        "delete_file": (provider.delete_file, {"DELETE /files/{}"}),
        "delete_model": (provider.delete_model, {"DELETE /models/{}"}),
        "chat": (chat, {"POST /chat/completions", "POST /deployments/{}/chat/completions"}),
        "get_deployment": (provider.get_deployment, set()),
        "deploy": (lambda word: provider.deploy(MODEL, word, {}), {"GET /models/{}"}),
        "delete_deployment": (provider.delete_deployment, set()),
    }
    if wire.control is None:
        verbs["deploy, model"] = (lambda word: provider.deploy(word, "mine", {}), {"GET /models/{}"})
        return verbs
    for name, methods in {"get": ["GET"], "deploy": ["GET", "PUT"], "delete": ["DELETE"]}.items():
        verb = f"{name}_deployment" if name != "deploy" else name
        verbs[verb] = (verbs[verb][0], {f"{method} {deployment}/<plain>" for method in methods})
    verbs["chat"] = (chat, {*verbs["chat"][1], f"GET {deployment}/<plain>"})
    return verbs


@pytest.mark.parametrize("name", ["openai", "azure", "azure, dated"])
def test_a_hostile_id_reaches_no_route_but_its_own(name: str, world: Surroundings) -> None:
    tries = 0
    with at_the_wire(name) as wire, world.untouched(name):
        wire.provider.identity()
        wire.arrived()
        verbs = verbs_of(wire, world.ours)
        assert by_id(wire.provider).keys() <= verbs.keys()
        for verb, (call, routes) in verbs.items():
            for word in STRANGE_IDS:
                told = told_by(lambda call=call, word=word: call(word))
                assert CANARY not in told
                assert "Traceback" not in told
                arrived = {
                    re.sub(r"(/deployments)/[A-Za-z0-9][\w.-]*$", r"\1/<plain>", each) for each in wire.arrived()
                }
                assert arrived <= routes, f"{verb}({word[:40]!r}): {told}"
                tries += 1
    assert not (world.ours / "got").exists()
    record(Tally("hostile ids and names", name, tries))


def test_names_of_azure_resources_lead_nowhere_else(world: Surroundings) -> None:
    with at_the_wire("azure") as wire, world.untouched("azure"):
        assert wire.control is not None
        for option in ("resource_group", "account"):
            for word in ("..", ".", "a/b", "../x", "%2e%2e", "a?b", "a#b", "x\0"):
                given: dict[str, Any] = {"resource_group": "group", option: word}
                provider = AzureProvider(wire.provider._line.client, management=wire.control.client(), **given)
                with pytest.raises(ConfigurationError, match="no name at Azure"):
                    provider.delete_deployment("mine")
        assert wire.control.asked == []


def hostile(asked: Asked) -> Answer:
    """A service whose own ids are paths."""
    path, _, query = asked.target.partition("?")
    file = {"id": "../../models/x", "object": "file", "bytes": 9, "created_at": 1, "filename": "../x", "purpose": "p"}
    job = {"id": "../files/x", "object": "fine_tuning.job", "model": MODEL, "created_at": 1, "status": "succeeded"}
    told: dict[str, Any] = {"data": [job], "has_more": "after" not in query}
    if path.endswith("/models"):
        told = {"data": []}
    elif path.endswith("/files"):
        told = {**file, "status": "uploaded"} if asked.method == "POST" else {"data": [file], "has_more": True}
    elif "/files/" in path:
        told = {**file, "status": "processed"}
    elif re.search(r"/jobs/.", path):
        told = {**job, "result_files": ["../../models/gpt", "..%2f..%2fmodels"]}
    return 200, {"content-type": "application/json", "openai-organization": "acme"}, json.dumps(told).encode()


def test_a_service_whose_ids_are_paths_leads_nowhere_else(world: Surroundings) -> None:
    data = world.ours / "train.jsonl"
    data.write_text('{"messages": []}\n')
    with listening(hostile) as listener, world.untouched("openai"):
        provider = OpenAIProvider(OpenAI(api_key=KEY, base_url=f"{listener.url}/v1", max_retries=0))
        told_by(lambda: provider.upload(data, "key"))
        for call in (provider.results, provider.get_job):
            told_by(lambda call=call: call("ftjob-1"))
        page = provider.list_jobs(None, 1)
        told_by(lambda: provider.list_jobs(page.next, 1))
        told_by(lambda: provider.list_files(provider.list_files(None, 1).next, 1))
        told_by(lambda: provider.download_file("../../models/x", world.ours / "got"))
        paths = {each.target.partition("?")[0] for each in listener.asked}
    whole = {"/v1/files", "/v1/models", "/v1/fine_tuning/jobs", "/v1/fine_tuning/jobs/ftjob-1"}
    assert paths - whole == {"/v1/files/..%2F..%2Fmodels%2Fx"}, "the name of one file, by the service's own word"


# -- in folders ------------------------------------------------------------------------------------------------------


def rows(path: Path, about: object = "") -> Path:
    """Writes a small training file, whose content is about something."""
    said = [[{"role": role, "content": f"{about} {n}"} for role in ("user", "assistant")] for n in range(12)]
    path.write_text("".join(json.dumps({"messages": messages}) + "\n" for messages in said))
    return path


def test_words_of_requests_stay_words(world: Surroundings) -> None:
    """Keys, labels, suffixes and the names of models: they become hashes, fields of JSON, or are refused."""
    client = Client(OpenAIProvider(WireVendor().client()), ledger=Ledger(world.ours / "ledger"))
    data = rows(world.ours / "train.jsonl")
    tries = 0
    with world.untouched("a request"):
        file = client.upload(data, model=MODEL)

        def ask(**asked: Any) -> object:
            return client.create_job(**{"model": MODEL, "training_file": file, "method": Supervised(), **asked})

        for word in (STRANGE_IDS[number - 1] for number in points(len(STRANGE_IDS))):
            for call in (
                functools.partial(ask, key=word, metadata={word: word}),
                functools.partial(ask, key="mine", suffix=word),
                functools.partial(ask, model=word),
                functools.partial(ask, training_file=word),
                functools.partial(client.deploy, MODEL, name=word),
                functools.partial(client.deploy, word),
                functools.partial(client.delete_deployment, word),
                functools.partial(client.check, data, model=word),
            ):
                assert CANARY not in told_by(call)
                tries += 1
    record(Tally("hostile ids and names", "words of a request", tries))


def test_names_of_profiles_are_no_files(world: Surroundings, monkeypatch: pytest.MonkeyPatch) -> None:
    (world.parent / "x.toml").write_text(f'default = "{CANARY}"\n')
    tries = 0
    with world.untouched("a profile"):
        for word in ("../../x.toml", str(world.parent / "x.toml"), *STRANGE_IDS):
            with pytest.raises((UnknownProviderError, ConfigurationError)) as caught:
                Client(word)
            assert CANARY not in str(caught.value)
            if "\0" not in word and "\ud800" not in word:
                monkeypatch.setenv("FTKIT_PROFILE", word)
                assert CANARY not in told_by(Client)
                monkeypatch.delenv("FTKIT_PROFILE")
            tries += 1
    record(Tally("hostile ids and names", "profiles", tries))


NAMES = (
    *("a\nb.jsonl", 'a"; filename="x.jsonl', "a\r\nX-Ftkit: y.jsonl", "..jsonl", "%2e%2e%2fx.jsonl", "-rf.jsonl"),
    *(" .jsonl", "CON.jsonl", "\u202elnosj.jsonl", "\uff0e\uff0e\uff0fx.jsonl", "x" * 240 + ".jsonl", "*.jsonl"),
    "\udcff.jsonl",  # what Python makes of a name that is no UTF-8
)


@pytest.mark.parametrize("name", ["openai", "azure, dated"])
def test_the_name_of_a_file_stays_one_part_of_what_is_sent(name: str, world: Surroundings) -> None:
    with at_the_wire(name) as wire, world.untouched(name):
        client = Client(wire.provider, ledger=Ledger(world.ours / "ledger"))
        for number, word in enumerate(NAMES):
            rows = [
                {"messages": [{"role": r, "content": f"{number} {n}"} for r in ("user", "assistant")]}
                for n in range(12)
            ]
            path = world.ours / word
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
            wire.listener.asked.clear()
            file = client.upload(path, model=MODEL)
            assert TrainingFile.model_validate_json(file.model_dump_json()) == file
            [sent] = [asked for asked in wire.listener.asked if asked.method == "POST"]
            assert sent.target.partition("?")[0] == f"{wire.prefix}/files"
            assert "X-Ftkit" not in sent.headers
            heads = re.findall(rb"\r\n(Content-Disposition: [^\r\n]*)", b"\r\n" + sent.body, re.IGNORECASE)
            assert len(heads) == 2, "the purpose, and one file"
            assert sent.body.count(b'filename="') == 1
    record(Tally("hostile ids and names", f"{name}, files", len(NAMES)))


def test_a_download_goes_to_the_path_that_was_given_and_not_where_a_link_leads(world: Surroundings) -> None:
    with at_the_wire("openai") as wire:
        client = Client(wire.provider, ledger=Ledger(world.ours / "ledger"))
        data = rows(world.ours / "train.jsonl")
        file = client.upload(data, model=MODEL)
        link = world.ours / "link"
        link.symlink_to(world.outside / "x")
        with world.untouched("a download"):
            client.download_file(file, link)
        assert not link.is_symlink()
        assert link.read_bytes() == wire.vendor.contents[file.id]
        for word in ("x\0y", "x" * 5000, f"{data}/x", ""):
            with pytest.raises(ConfigurationError):
                client.download_file(file, word)
        with pytest.raises(NotFoundError):
            client.download_file("../../x", world.ours / "never")
        assert not (world.ours / "never").exists()
        assert not [path for path in world.ours.iterdir() if path.name.startswith(".ftkit-")]
