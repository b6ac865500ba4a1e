"""The same job on a Ray of two workers: the same numbers, whoever dies on the way; and nothing of it stays."""

from __future__ import annotations

import importlib.util
import os
import re
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from hf_tools import await_step, chat, end_trainer, messages, run_python, steps_of, write
from local_witness import until

from ftkit import Client, LoRA, Supervised
from ftkit.errors import ConfigurationError, JobFailedError, ProviderUnavailableError
from ftkit.ledger import Ledger
from ftkit.models import JobStatus
from ftkit.providers._local_jobs import JobFolder

if TYPE_CHECKING:
    from collections.abc import Generator

    from ftkit.models import FineTuningJob

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray")]
if importlib.util.find_spec("ray") is None:
    pytest.skip("the extra `ray` is not installed", allow_module_level=True)

METHOD = Supervised(n_epochs=10, batch_size=8, learning_rate=5e-3, lora=LoRA(r=4, alpha=8))
STEPS = 80


@pytest.fixture(autouse=True)
def no_cluster_and_no_ray_here(monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    for name in [*os.environ]:
        if name.startswith("RAY_"):
            monkeypatch.delenv(name)
    yield
    assert "ray" not in sys.modules, "the user's process loads no Ray"


def client_of(folder: Path, compute: str, **options: Any) -> Client:
    return Client("huggingface", compute=compute, jobs_folder=folder / compute, ledger=Ledger(folder / "l"), **options)


def ask(folder: Path, model: Path, compute: str, **options: Any) -> tuple[Client, FineTuningJob, Path]:
    """The script: all that differs from one run to the other is `compute`."""
    client = client_of(folder, compute)
    rows = [chat(f"{n}? " + "Tell me. " * (n % 9), f"It is {n % 7}. " * 4) for n in range(64)]
    given = {"max_length": 200, "save_steps": 10, "processes": 2, **options}
    train = write(folder / "train.jsonl", rows)
    job = client.fine_tune(str(model), train, method=METHOD, seed=7, provider_options=given, wait=False, progress=False)
    return client, job, folder / compute / job.id


def files_below(place: Path) -> list[str]:
    """All that is in a job's folder, but for the card that transformers writes beside checkpoints."""
    found = {path.relative_to(place).as_posix() for path in place.rglob("*")}
    return sorted(found - {"checkpoints/README.md"})


class Family:
    """The driver of a job, all that came from it, and where its Ray keeps its files."""

    def __init__(self, place: Path) -> None:
        driver = JobFolder(place).state().runner
        assert driver is not None
        self.all = [psutil.Process(driver.pid), *psutil.Process(driver.pid).children(recursive=True)]
        self.workers: list[psutil.Process] = []
        for each in self.all:
            with suppress(psutil.NoSuchProcess):  # it has ended as we looked
                arguments = each.cmdline()
                if "ftkit.providers.huggingface.on_ray.keeper" in arguments:
                    self.session = Path(arguments[-2])
                if "".join(arguments).startswith("ray::RayTrainWorker"):
                    self.workers.append(each)

    def listening(self) -> set[str]:
        """To whom Ray listens. torch's own meeting point, in the first worker, is open to all, as it is everywhere."""
        of_ray = set(self.left()) - set(self.workers)
        found: list[str] = []
        for process in of_ray:
            with suppress(psutil.NoSuchProcess):  # a worker was killed, and those that served it end as we look
                connections = process.net_connections("tcp")
                found += [each.laddr.ip for each in connections if each.status == psutil.CONN_LISTEN]
        return {ip.removeprefix("::ffff:") for ip in found}

    def left(self) -> list[psutil.Process]:
        return [each for each in self.all if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]


def test_a_job_on_two_workers_is_the_one_on_this_machine_whoever_dies(model: Path, tmp_path: Path) -> None:
    client, job, place = ask(tmp_path, model, "ray")
    local, one, other = ask(tmp_path, model, "local")  # meanwhile
    await_step(client, job, 12)
    family = Family(place)
    family.workers[1].kill()
    assert family.listening() <= {"127.0.0.1"}
    until(lambda: messages(client, job, "warning"), "nobody notices")
    [warning] = messages(client, job, "warning")
    died = re.fullmatch(r"worker [01] died: all 2 workers are started again, from step ([1-7]0)", warning)
    assert died, warning

    whole, ended = local.wait(one, progress=False), client.wait(job, progress=False)
    asked = [JobFolder(each).record().request.model_dump(exclude={"training_file"}) for each in (place, other)]
    assert asked[0] == asked[1]
    assert one.id != job.id
    assert (ended.status, ended.step, ended.trained_tokens) == (JobStatus.SUCCEEDED, STEPS, whole.trained_tokens)
    assert steps_of(place) == list(range(1, STEPS + 1)), "each step is told once"
    mine, theirs = ([row.train_loss for row in c.results(j)] for c, j in ((client, job), (local, one)))
    assert mine == pytest.approx(theirs, rel=1e-4)
    assert (theirs[-1] or 9) < 0.99 * (theirs[0] or 0), "there is something to compare"
    assert messages(client, job).count(f"Going on from step {died[1]}") == 1
    assert messages(client, job, "warning") == [warning]
    ids = [event.id for event in client.list_events(job, limit=1000).items]
    assert ids == sorted(set(ids))

    assert [c.step for c in client.list_checkpoints(job)] == [c.step for c in local.list_checkpoints(one)]
    assert files_below(place) == files_below(other), "it came home whole, and nothing else is left"
    until(lambda: not family.left() and not family.session.exists(), "somebody stays")


@pytest.mark.full
def test_it_stops_with_a_checkpoint_and_leaves_nobody_behind(model: Path, tmp_path: Path) -> None:
    client, job, place = ask(tmp_path, model, "ray", max_steps=20000, save_steps=10000)
    await_step(client, job, 2)
    family = Family(place)
    client.pause_job(job)
    until(lambda: client.get_job(job).provider_status == "paused", "it is not paused")
    paused = client.get_job(job)
    assert [c.step for c in client.list_checkpoints(job)] == [paused.step], "a checkpoint of the step it stopped at"
    until(lambda: not family.left() and not family.session.exists(), "somebody stays")

    client.resume_job(job)
    until(lambda: len(Family(place).workers) == 2, "there are no workers")
    family = Family(place)
    assert client.cancel_job(job).status is JobStatus.CANCELLED
    assert family.left() == []
    assert not family.session.exists()
    assert not (place / "ray").exists()


@pytest.mark.full
def test_a_driver_that_is_killed_leaves_nothing_but_the_job_which_goes_on(model: Path, tmp_path: Path) -> None:
    client, job, place = ask(tmp_path, model, "ray")
    await_step(client, job, 12)
    family = Family(place)
    end_trainer(place)
    assert client.get_job(job).interrupted
    until(lambda: not family.left() and not family.session.exists(), "something stays")
    _, again, _ = ask(tmp_path, model, "ray")
    assert again.id == job.id
    assert client.wait(job, progress=False).step == STEPS
    assert steps_of(place) == list(range(1, STEPS + 1))
    with client.deployed(job) as deployment:
        assert client.chat(deployment, "1? Tell me.", max_tokens=4).text


@pytest.mark.full
def test_what_will_not_go_away_is_told_once(model: Path, tmp_path: Path) -> None:
    client, job, _ = ask(tmp_path, model, "ray", max_length=8)
    with pytest.raises(JobFailedError, match="the training file holds nothing to learn"):
        client.wait(job, progress=False)
    told = messages(client, job)
    assert not any("started again" in message for message in told)
    assert len([message for message in told if "nothing to learn" in message]) == 1


def test_a_cluster_that_does_not_answer_is_told_before_anything_is_made(model: Path, tmp_path: Path) -> None:
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        client = client_of(tmp_path, "ray", address=f"127.0.0.1:{taken.getsockname()[1]}")
        train = write(tmp_path / "train.jsonl", [chat("a", "b")] * 10)
        before = time.monotonic()
        with pytest.raises(ProviderUnavailableError, match=r"no Ray cluster answers at 127\.0\.0\.1:\d+: "):
            client.fine_tune(str(model), train, progress=False)
        assert time.monotonic() - before < 20
    assert client.list_jobs().items == ()


def test_a_cluster_that_cannot_be_meant_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="needs a storage_path"):
        client_of(tmp_path, "ray", address="head.example:6379")
    monkeypatch.setenv("RAY_ADDRESS", "head.example:6379")
    with pytest.raises(ConfigurationError, match="needs a storage_path"):
        client_of(tmp_path, "ray")
    client_of(tmp_path, "ray", storage_path="s3://bucket/there")
    for wrong in ("ray://head.example:10001", "head.example"):
        with pytest.raises(ConfigurationError, match="address="):
            client_of(tmp_path, "ray", address=wrong)
    with pytest.raises(ConfigurationError, match="num_gpus_per_worker=-1"):
        client_of(tmp_path, "ray", num_gpus_per_worker=-1)


def test_what_cannot_be_reached_or_written_is_told_before_a_job_is_made(model: Path, tmp_path: Path) -> None:
    train = write(tmp_path / "train.jsonl", [chat("a", "b")] * 10)

    def request(**options: Any) -> None:
        client = client_of(tmp_path, compute="ray", **options)
        client.fine_tune(str(model), train, wait=False, progress=False)

    if not any(process.info["name"] == "raylet" for process in psutil.process_iter(["name"])):
        with pytest.raises(ProviderUnavailableError, match="no Ray runs on this machine"):
            request(address="auto")
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ConfigurationError, match=r"storage_path='.*file' cannot be written"):
        request(storage_path=tmp_path / "file")
    with pytest.raises(ConfigurationError, match="num_gpus_per_worker='one': it is a number"):
        request(num_gpus_per_worker="one")
    assert not list(tmp_path.rglob("ftjob-*"))


BARE = """
import sys
from importlib.machinery import PathFinder
class WithoutRay:
    find_distributions = PathFinder.find_distributions
    @staticmethod
    def find_spec(name, path=None, target=None):
        return None if name == "ray" else PathFinder.find_spec(name, path, target)
sys.meta_path[sys.meta_path.index(PathFinder)] = WithoutRay
from ftkit import Client
from ftkit.errors import MissingExtraError
try:
    Client("huggingface", compute="ray")
except MissingExtraError as error:
    print(error)
"""


def test_without_ray_the_line_that_installs_it_is_told(tmp_path: Path) -> None:
    script = tmp_path / "bare.py"
    script.write_text(BARE)
    told = run_python(script)
    assert told == "Training on Ray needs packages that are not installed.\n  -> pip install 'ftkit[ray]'\n"
    assert not (tmp_path / "ftkit-home" / "huggingface-ray").exists()
