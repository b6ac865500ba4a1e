"""A canary as the Hub's token: jobs and endpoints of `huggingface`, Spaces of `autotrain`, and what they are told."""

from __future__ import annotations

import secrets
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from canary_tools import a_key, impatient, interrupt, storm, tell, tour, training_file
from hub_tools import a_hub, event_line, leave, repository
from hubs.endpoints import EndpointsStandIn
from hubs.wire import HANG, RESET, TOKEN, USER, online
from parrot import STATUSES, Mimic, another, half, nonsense, plainly
from spaces_tools import MODEL as SPACES_MODEL
from spaces_tools import quick_python, spaces_of, standing

from ftkit import Client, FineTuningJob
from ftkit.providers import _hub
from ftkit.providers.huggingface.remote import logs
from ftkit.testing import Canary

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from hub_tools import HubStandIn

MODEL = "small"
WORDS = {**{str(status): plainly(status) for status in (402, *STATUSES)}, RESET: RESET}
WORDS |= {each.__name__: each for each in (nonsense, half, another)}
PATIENCE_S = 0.1


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    impatient(monkeypatch)
    hasty = SimpleNamespace(**{**vars(time), "sleep": lambda _: None})
    monkeypatch.setattr("huggingface_hub.utils._http.time", hasty)


@pytest.fixture
def train(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return training_file(tmp_path / "data")


@pytest.fixture
def others(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Secrets that a job gets besides; one of them has no name that gives it away."""
    found = {"WANDB_API_KEY": a_key("wandb"), "MY_THING": a_key("thing")}
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    return list(found.values())


@pytest.fixture
def endpoints(monkeypatch: pytest.MonkeyPatch) -> Generator[EndpointsStandIn]:
    standin = EndpointsStandIn()
    monkeypatch.setattr("huggingface_hub.constants.INFERENCE_ENDPOINTS_ENDPOINT", f"{standin.url}/v2")
    yield standin
    standin.stop()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Generator[HubStandIn]:
    with a_hub(monkeypatch, tmp_path) as standing:
        standing.hold = True
        standing.keep_alive_s = 0.1
        yield standing


def run_of(hub: HubStandIn, job: FineTuningJob) -> Any:
    return next(run for run in hub.jobs.values() if run.labels["ftkit-job"] == job.id)


def test_huggingface_jobs_and_endpoints(
    hub: HubStandIn,
    endpoints: EndpointsStandIn,
    others: list[str],
    train: Path,
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mimic, echo = Mimic(hub), Mimic(endpoints)

    def finish(job: FineTuningJob) -> None:
        run = run_of(hub, job)
        hub.set_stage(run.id, "RUNNING")
        for number, secret in enumerate([TOKEN, *others], start=1):
            run.write(f"a line of the log with {secret}")
            run.write(event_line(number, f"what the trainer says of {secret}"))
        leave(hub, repository(hub, job.id), word="succeeded", step=4, total_steps=4)
        hub.set_stage(run.id, "COMPLETED")

    with Canary([TOKEN, *others]) as canary:
        given: dict[str, Any] = {"compute": "jobs", "flavor": "cpu-basic", "namespace": USER}
        client = Client("huggingface", hub=hub.api(), secrets=["WANDB_API_KEY", "MY_THING"], **given)
        provider: Any = client.provider
        provider.settle_s = 0.05
        provider._endpoints._poll_s = 0.02
        provider._endpoints._lines._poll_s = 0.02
        job = tour(canary, client, train, MODEL, finish=finish)
        posted = run_of(hub, job).posted
        assert posted["secrets"] == {"HF_TOKEN": TOKEN, "WANDB_API_KEY": others[0], "MY_THING": others[1]}
        canary.drives("what everybody may see of the job", lambda: {**posted, "secrets": None})
        drive_failures(canary, client, hub, train, others)
        calls = calls_of(client, train, MODEL)
        storm(canary, mimic, calls, WORDS)
        storm(canary, mimic, {"create": calls["create"]}, WORDS, only="POST /api/jobs")
        interrupt(canary, mimic, calls)
        answer_s = _hub._ANSWER_S
        monkeypatch.setattr(_hub, "_ANSWER_S", PATIENCE_S)
        hub.hang_s = 2 * PATIENCE_S
        storm(canary, mimic, {"get": calls["get"]}, {HANG: HANG})
        monkeypatch.setattr(logs, "_QUIET_S", PATIENCE_S)
        silent = client.create_job(model=MODEL, training_file=client.upload(train, model=MODEL), key="silent")
        hub.set_stage(run_of(hub, silent).id, "RUNNING")
        storm(canary, mimic, {"log": lambda: client.list_events(silent)}, {HANG: HANG}, only=f"GET /api/jobs/{USER}/")
        monkeypatch.setattr(_hub, "_ANSWER_S", answer_s)
        storm(canary, echo, deployments(client), WORDS)
        interrupt(canary, echo, deployments(client))
        canary.below(home)
        canary.below(tmp_path / "hf-home")
    assert f"Bearer {TOKEN}" in mimic.heard & echo.heard
    tell(canary, "huggingface (jobs, endpoints)")


def drive_failures(canary: Canary, client: Client, hub: HubStandIn, train: Path, others: list[str]) -> None:
    """Jobs that fail, and say why, and name their secrets as they do."""
    file = client.upload(train, model=MODEL)
    for secret in [TOKEN, *others]:
        for state in ({"word": "failed", "error": f"Traceback: {secret} is no good"}, {"word": "running"}):
            job = client.create_job(model=MODEL, training_file=file, key=secrets.token_hex(4))
            run = run_of(hub, job)
            hub.set_stage(run.id, "RUNNING")
            run.write(f"wandb: {secret} was refused")
            leave(hub, job, **state)
            hub.set_stage(run.id, "ERROR", f"the machine says {secret}")
            canary.drives("get what failed", client.get_job, job)
            canary.drives("wait for what failed", client.wait, job, poll_s=0.01)
            canary.drives("its events", client.list_events, job)


def calls_of(client: Client, train: Path, model: str) -> dict[str, Callable[[], object]]:
    file = client.upload(train, model=model)
    job = client.create_job(model=model, training_file=file, key="calls")
    return {
        "get": lambda: client.get_job(job),
        "list": client.list_jobs,
        "events": lambda: client.list_events(job),
        "cancel": lambda: client.cancel_job(job),
        "create": lambda: client.create_job(model=model, training_file=file, key=secrets.token_hex(4)),
        "check": lambda: client.check(train, model=model),
    }


def deployments(client: Client) -> dict[str, Callable[[], object]]:
    there = client.deploy(f"{USER}/a-model", name="starling")
    return {
        "deploy": lambda: client.deploy(f"{USER}/a-model", name="blackbird"),
        "deployment": lambda: client.get_deployment("starling"),
        "deployments": client.list_deployments,
        "chat": lambda: client.chat(there, "Hello?"),
        "stream": lambda: list(client.stream_chat(there, "Hello?")),
        "delete deployment": lambda: client.delete_deployment("blackbird"),
    }


def test_autotrain_spaces(train: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    online(monkeypatch, tmp_path / "hf")
    wandb = a_key("wandb")
    monkeypatch.setenv("WANDB_API_KEY", wandb)
    with standing() as hub, Canary([TOKEN, wandb]) as canary:
        mimic = Mimic(hub)

        def finish(job: FineTuningJob) -> None:
            hub.space(job.id).logs["run"] += [f"INFO: the token is {TOKEN}", f"wandb: {wandb}"]
            hub.end(job.id, succeeded=True)

        client = Client(spaces_of(hub, quick_python(tmp_path / "bin")))
        client.provider.settle_s = 0.05  # type: ignore[attr-defined]
        tour(canary, client, train, SPACES_MODEL, finish=finish)
        failed = client.create_job(model=SPACES_MODEL, training_file=client.upload(train, model=SPACES_MODEL), key="x")
        hub.space(failed.id).logs["run"] += [f"ERROR | 2026-11-27 10:00:00 | a:b:1 - {TOKEN} and {wandb}"]
        hub.end(failed.id, succeeded=False)
        canary.drives("get what failed", client.get_job, failed)
        canary.drives("wait for what failed", client.wait, failed)
        calls = calls_of(client, train, SPACES_MODEL)
        storm(canary, mimic, calls, WORDS)
        few = {name: WORDS[name] for name in ("401", "500", RESET, "nonsense")}  # each is a process of AutoTrain's
        for step in ("POST /api/repos", "POST /api/spaces"):
            storm(canary, mimic, {"create": calls["create"]}, few, only=step)
        interrupt(canary, mimic, {name: calls[name] for name in ("get", "list", "events", "cancel")})
        canary.below(home)
        canary.below(tmp_path / "hf")
        assert f"Bearer {TOKEN}" in mimic.heard
    tell(canary, "autotrain (Spaces)")
