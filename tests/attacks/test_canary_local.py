"""A canary in the environment of those who train and serve on this machine, and as the token of a deployment."""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import httpx2
import pytest
from canary_tools import a_key, impatient, interrupt, storm, tell, tour, training_file
from hf_tools import HERE, client_of, lora_request, run_python
from local_conformance import IDLE
from local_witness import FolderWitness, end_all_below, until
from parrot import HANG, Parrot, streamed

from ftkit import Client, ConfigurationError, FineTuningJob
from ftkit.plugin import chat_wire
from ftkit.providers._processes import this_process
from ftkit.providers.autotrain import AutoTrainProvider
from ftkit.providers.huggingface.guard.ftkit_bearer import TOKEN_VARIABLE, BearerOnly
from ftkit.providers.huggingface.local import LocalHuggingFace
from ftkit.providers.huggingface.ray_provider import RayHuggingFace
from ftkit.providers.huggingface.serve import Endpoint
from ftkit.testing import Canary

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from ftkit.providers._local_jobs.provider import LocalProvider

if sys.platform != "linux":
    pytest.skip("what a process was started with is read from /proc", allow_module_level=True)

MODEL = "small"
NAMES = ("HF_TOKEN", "OPENAI_API_KEY", "WANDB_API_KEY", "AWS_SECRET_ACCESS_KEY")
CRASH = (
    "import os, sys; folder = sys.argv[1]; print('env:', *os.environ.items(), flush=True);"
    "raise SystemExit('what it dies of: ' + os.environ['WANDB_API_KEY'])"
)
TELLTALE = """
import os, sys
from pathlib import Path
from ftkit.providers._local_jobs import Reporter
reporter = Reporter(Path(sys.argv[1]))
reporter.event("WANDB said no to " + os.environ["WANDB_API_KEY"])
reporter.status("failed", error="401 for " + os.environ["HF_TOKEN"])
"""


class QuickHuggingFace(LocalHuggingFace):
    _trainer: ClassVar[tuple[str, ...]] = IDLE


class QuickRay(RayHuggingFace):
    _trainer: ClassVar[tuple[str, ...]] = IDLE


class QuickAutoTrain(AutoTrainProvider):
    _trainer: ClassVar[tuple[str, ...]] = IDLE


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Generator[list[str]]:
    """The keys in the environment, which every process inherits."""
    impatient(monkeypatch)
    made = {name: a_key(name.lower().replace("_", "-")) for name in NAMES}
    for name, value in made.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    yield list(made.values())
    end_all_below(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "jobs"


def command_lines(canary: Canary, folder: Path) -> None:
    """Looks at what every process was started with that works below a folder: anybody can read that."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes()
        except (FileNotFoundError, ProcessLookupError):  # it has ended
            continue
        if str(folder).encode() in line:
            canary.looks_at(line, "the command line of a process")


@pytest.mark.parametrize("kind", [QuickHuggingFace, QuickRay, QuickAutoTrain])
def test_training(
    keys: list[str],
    folder: Path,
    tmp_path: Path,
    home: Path,
    kind: type[LocalProvider],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = {"python": sys.executable} if kind is QuickAutoTrain else {}
    for name in [name for name in os.environ if name.startswith("RAY_")]:
        monkeypatch.delenv(name)
    provider = kind(jobs_folder=folder, slots=1, **given)
    witness = FolderWitness(folder, model_in(tmp_path), {})
    train = training_file(tmp_path / "data")

    def finish(job: FineTuningJob) -> None:
        until((folder / job.id / "log.txt").exists, "it does not begin")
        waits = client.create_job(model=MODEL, training_file=str(job.training_file), key="waits")
        until(lambda: client.list_events(waits).items, "it does not wait")
        command_lines(canary, folder)
        client.cancel_job(waits)
        witness.add_event(job.id, "nothing to tell")
        witness.set_status(job.id, "succeeded")

    with Canary(keys) as canary:
        client = Client(provider)
        tour(canary, client, train, MODEL, finish=finish, deploys=False)
        for name, code in (("crash", CRASH), ("telltale", TELLTALE)):
            monkeypatch.setattr(kind, "_trainer", (sys.executable, "-P", "-c", code))
            file = client.upload(train, model=MODEL)
            job = client.create_job(model=MODEL, training_file=file, key=name)
            canary.drives(f"wait for a {name}", client.wait, job, poll_s=0.02, timeout_s=30.0)
            canary.drives(f"get a {name}", client.get_job, job)
            canary.drives(f"events of a {name}", client.list_events, job)
            if name == "crash":
                log = folder / job.id / "log.txt"
                assert keys[0] in log.read_text(), "which is what the trainer itself has printed"
        canary.below(home)
        canary.below(folder, besides=[log])
    tell(canary, f"{provider.name} (on this machine: {kind.__name__.removeprefix('Quick')})")


def model_in(tmp_path: Path) -> Path:
    """A folder that looks like a model, from without."""
    folder = tmp_path / "model"
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "architectures": ["LlamaForCausalLM"]}))
    (folder / "model.safetensors").touch()
    return folder


@pytest.fixture
def parrot() -> Generator[Parrot]:
    parrot = Parrot(answering)
    yield parrot
    parrot.stop()


def answering(request: httpx2.Request) -> httpx2.Response:
    """What stands behind the parrot: a model that says hello."""
    head = {"id": "c", "created": 1, "model": "m"}
    if json.loads(request.content).get("stream"):
        event = {**head, "choices": [{"index": 0, "delta": {"content": "Hello"}, "finish_reason": "stop"}]}
        return httpx2.Response(200, content=f"data: {json.dumps(event)}\n\ndata: [DONE]\n\n".encode())
    message = {"role": "assistant", "content": "Hello"}
    return httpx2.Response(200, json={**head, "choices": [{"message": message, "finish_reason": "stop"}]})


def stand(folder: Path, port: int, token: str) -> None:
    """Makes the folder of a deployment as it is while its server answers, and lets the parrot be that."""
    folder.mkdir(parents=True)
    (folder / "token").write_text(token)
    state = {"process": this_process().model_dump(), "port": port, "ready": True}
    (folder / "server.json").write_text(json.dumps(state))
    asked = {"name": folder.name, "model": "m", "source": "m", "created_at": datetime.now(UTC).isoformat()}
    (folder / "endpoint.json").write_text(json.dumps(asked))


def test_asking_a_deployment(
    keys: list[str], folder: Path, parrot: Parrot, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = a_key("bearer")
    stand(folder / "deployments" / "mine", parrot.port, token)
    with Canary([*keys, token]) as canary:
        client = Client(QuickHuggingFace(jobs_folder=folder))
        calls: dict[str, Callable[[], object]] = {
            "chat": lambda: client.chat("mine", "Hello?"),
            "stream": lambda: list(client.stream_chat("mine", "Hello?")),
        }
        for name, call in calls.items():
            canary.drives(name, call)
        canary.drives("deployment", client.get_deployment, "mine")
        canary.drives("deployments", client.list_deployments)
        storm(canary, parrot, calls)
        storm(canary, parrot, {"stream": calls["stream"]}, {"an error in the stream": streamed})
        interrupt(canary, parrot, calls)
        monkeypatch.setattr(chat_wire, "_ANSWER_S", 0.1)
        storm(canary, parrot, calls, {HANG: HANG})
        canary.below(home)
        canary.below(folder, besides=[folder / "deployments" / "mine" / "token"])
    assert f"Bearer {token}" in parrot.heard
    tell(canary, "huggingface (deployment)")


def test_a_deployment_whose_server_dies(keys: list[str], folder: Path) -> None:
    with Canary(keys) as canary:
        provider = QuickHuggingFace(jobs_folder=folder)
        for code in ("print(*os.environ.items()); sys.exit('so ends ' + os.environ['HF_TOKEN'])", "time.sleep(60)"):
            command = (sys.executable, "-c", f"import os, sys, time; {code}")
            deploy = provider._endpoints.deploy
            canary.drives("deploy", deploy, "mine", "m", "m", {"start_timeout_s": 0.5}, command)
    tell(canary, "huggingface (deployment that dies)")


def test_a_server_of_a_deployment_shows_its_token_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    token = a_key("bearer")
    monkeypatch.setenv(TOKEN_VARIABLE, token)
    with Canary([token]) as canary:
        endpoint = Endpoint("mine", token)
        canary.looks_at(endpoint)
        canary.looks_at(endpoint.app.user_middleware)
        canary.looks_at(BearerOnly(endpoint.app))
        canary.looks_at(BearerOnly(endpoint.app, lambda: token))
        canary.paths.append("server")
    tell(canary, "huggingface (server of a deployment)")


def test_a_password_of_rays_storage_is_not_written_down(keys: list[str], folder: Path) -> None:
    with Canary(keys) as canary:
        for storage in (f"s3://me:{keys[3][:20]}@bucket/x", f"s3://bucket?secret_key={keys[3]}"):
            made = canary.drives("make", QuickRay, jobs_folder=folder, storage_path=storage)
            assert isinstance(made, ConfigurationError), made
    tell(canary, "huggingface (ray, its storage)")


@pytest.mark.full
def test_training_and_serving_for_real(keys: list[str], tmp_path: Path, home: Path) -> None:
    pytest.importorskip("trl")
    model, place = tmp_path / "tiny", tmp_path / "work"
    run_python(HERE / "tiny_model.py", model)
    client = client_of(place)
    with Canary(keys) as canary:
        job = canary.drives("fine-tune", client.fine_tune, **lora_request(place, model))
        canary.drives("events", client.list_events, job, limit=1000)
        deployment = canary.drives("deploy", client.deploy, job, name="mine", threads=1)
    token = place / "jobs" / "deployments" / "mine" / "token"
    with Canary([*keys, token.read_text()]) as serving:
        serving.drives("chat", client.chat, deployment, "Hello?")
        serving.drives("chat in vain", client.chat, deployment, "Hello?", extra={"nonsense": 1})
        serving.drives("client", lambda: client)
        command_lines(serving, place)
        serving.below(place, besides=[token])
        serving.below(home)
        client.delete_deployment("mine")
    canary.paths += serving.paths
    canary.sightings += serving.sightings
    tell(canary, "huggingface (trained and served for real)")
