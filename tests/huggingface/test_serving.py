"""What was trained answers: the job, a checkpoint, the base; and is let go again."""

from __future__ import annotations

import json
import shutil
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import psutil
import pytest
from hf_tools import HF_TOKEN, client_of
from local_witness import those_below, until

from ftkit import Client
from ftkit.errors import ConflictError, NotFoundError
from ftkit.ledger import Ledger
from ftkit.models import Deployment, DeploymentStatus, JobStatus
from ftkit.providers.huggingface import huggingface

if TYPE_CHECKING:
    from pathlib import Path

    from hf_tools import Trained

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("hf-lora")]
NAMES = ("job", "checkpoint", "base")


@pytest.fixture
def copy(lora: Trained, tmp_path: Path) -> Trained:
    """The trained job in a folder of the test's own, with a client that knows only the folder."""
    shutil.copytree(lora.folder / "jobs", tmp_path / "jobs")
    return replace(lora, client=client_of(tmp_path), folder=tmp_path)


def greedy(client: Client, deployment: Deployment | str) -> str:
    return client.chat(deployment, "0? Tell me.", temperature=0, max_tokens=4).text


def test_job_checkpoint_and_base_answer_and_another_client_finds_them(copy: Trained, model: Path) -> None:
    client, name = copy.client, copy.job.fine_tuned_model or ""
    newest = client.list_checkpoints(copy.job.id)[0]
    with ThreadPoolExecutor(3) as pool:
        served = list(pool.map(lambda n, to: client.deploy(to, name=n, threads=1), NAMES, (name, newest, str(model))))
    assert all(deployment.status is DeploymentStatus.RUNNING for deployment in served)
    tuned, checkpoint, base = (greedy(client, deployment) for deployment in served)
    assert tuned == checkpoint != base
    pieces = list(client.stream_chat(served[0], "0? Tell me.", temperature=0, max_tokens=4))
    assert ("".join(map(str, pieces)), pieces[-1].finish_reason) == (tuned, "length")

    other = Client("huggingface", ledger=Ledger(copy.folder / "other"), jobs_folder=copy.folder / "jobs")
    assert sorted(deployment.name for deployment in other.list_deployments()) == sorted(NAMES)
    assert other.get_deployment("job").source == name
    assert greedy(other, "job") == tuned
    assert [job.id for job in other.list_jobs().items] == [copy.job.id]

    no_secret_is_told(copy, served)
    a_port_in_use_is_a_conflict_and_leaves_nothing(copy)


def no_secret_is_told(copy: Trained, served: list[Deployment]) -> None:
    folder = copy.folder / "jobs" / "deployments"
    secrets = [HF_TOKEN, *((folder / deployment.name / "token").read_text() for deployment in served)]
    told = "".join(" ".join(process.cmdline()) for process in those_below(copy.folder))
    told += "".join(f"{deployment!r}{deployment.model_dump_json()}" for deployment in served)
    told += f"{copy.client!r}{copy.client.provider!r}"
    for path in folder.rglob("*"):
        told += path.read_text(errors="replace") if path.is_file() and path.name != "token" else ""
    assert "huggingface.serve" in told
    assert not any(secret in told for secret in secrets)


def a_port_in_use_is_a_conflict_and_leaves_nothing(copy: Trained) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConflictError, match=f"port {port} is in use"):
            copy.client.deploy(copy.job.fine_tuned_model or "", name="taken", port=port)
    assert not (copy.folder / "jobs" / "deployments" / "taken").exists()
    assert sorted(deployment.name for deployment in copy.client.list_deployments()) == sorted(NAMES)


def test_what_cannot_be_served_is_refused_at_once(copy: Trained) -> None:
    for target, told in (
        ("no/such/folder/here", "neither a folder nor a name"),
        ("/no/such/folder", "there is no folder"),
        (f"ftkit:x:{'0' * 24}", "no job"),
        (f"ftjob-{'0' * 24}", "no job"),  # an id is no name to ask the Hub for
        (f"{copy.job.fine_tuned_model}:step-7", "no checkpoint of step 7"),
    ):
        with pytest.raises(NotFoundError, match=told):
            copy.client.deploy(target, name="nothing")


def test_a_deployment_and_a_model_are_deleted(copy: Trained, lora: Trained) -> None:
    provider, name = huggingface(jobs_folder=copy.folder / "jobs"), lora.job.fine_tuned_model or ""
    provider.deploy(name, "gone", {"threads": 1})
    [server] = [process for process in those_below(copy.folder) if "gone" in " ".join(process.cmdline())]
    for _ in range(2):
        provider.delete_deployment("gone")
    provider.delete_deployment("no name at all")
    assert not psutil.pid_exists(server.pid) or server.status() == psutil.STATUS_ZOMBIE
    assert provider.list_deployments() == []
    with pytest.raises(NotFoundError):
        provider.get_deployment("gone")

    provider.delete_model(f"{name}:step-21")
    assert [checkpoint.step for checkpoint in provider.list_checkpoints(lora.job.id)] == [24, 18]
    with pytest.raises(NotFoundError, match="no model"):
        provider.delete_model(f"{name}:step-21")
    provider.delete_model(name)
    kept = sorted(path.name for path in (copy.folder / "jobs" / lora.job.id).iterdir())
    kept_on = {"made.json", "request.json", "status.json", "train.jsonl", "validation.jsonl"}
    wanted = sorted({"events.jsonl", "lock", "log.txt"} | kept_on)
    assert kept == wanted
    assert provider.get_job(lora.job.id).status is JobStatus.SUCCEEDED
    assert len(provider.results(lora.job.id)) == 24
    with pytest.raises(NotFoundError, match="was deleted"):
        provider.deploy(name, "gone", {})
    for unknown in (name, "gpt2", "ftkit:x"):
        with pytest.raises(NotFoundError):
            provider.delete_model(unknown)


def test_a_deletion_that_was_killed_half_way_can_be_ended(copy: Trained, lora: Trained, tmp_path: Path) -> None:
    place = copy.place
    (place / "model").rename(place / ".gone-model")  # as far as it had come
    huggingface(jobs_folder=tmp_path / "jobs").delete_model(lora.job.fine_tuned_model or "")
    left = {path.name for path in place.iterdir()}
    assert not left & {"model", ".gone-model", "adapter", "checkpoints"}


def test_a_job_that_was_killed_while_it_wrote_its_model_writes_it_again(
    copy: Trained, lora: Trained, tmp_path: Path
) -> None:
    # All steps are done and kept, half of the model is there, and no last word was said.
    place = copy.place
    whole = (place / "model" / "model.safetensors").read_bytes()
    (place / "model").rename(place / ".model")
    (place / ".model" / "model.safetensors").write_bytes(whole[:1000])
    status = json.loads((place / "status.json").read_text())
    for name in ("fine_tuned_model", "finished_at"):
        del status[name]
    (place / "status.json").write_text(json.dumps({**status, "word": "running"}))
    provider = huggingface(jobs_folder=tmp_path / "jobs")
    # The process that trained it may be there for another moment.
    until(lambda: provider.get_job(lora.job.id).interrupted, "it is not taken for dead")
    provider.resume_job(lora.job.id)
    until(lambda: provider.get_job(lora.job.id).status.is_terminal, "it does not end")
    done = provider.get_job(lora.job.id)
    assert (done.status, done.step, done.trained_tokens) == (JobStatus.SUCCEEDED, 24, lora.job.trained_tokens)
    assert (place / "model" / "model.safetensors").read_bytes() == whole
    assert provider.results(lora.job.id) == lora.client.results(lora.job)
    assert not (place / ".model").exists()
