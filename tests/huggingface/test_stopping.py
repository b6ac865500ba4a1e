"""Pause, resume, cancel, and a SIGTERM from outside: one job through all of it."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING

import pytest
from hf_tools import METHOD, await_step, chat, chats, client_of, end_trainer, messages, steps_of, write
from local_witness import those_below, until

from ftkit.errors import ConflictError, JobCancelledError, JobPausedError
from ftkit.models import JobStatus

if TYPE_CHECKING:
    from pathlib import Path

    from ftkit import Client
    from ftkit.models import FineTuningJob

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("hf-stopping")]


def last_step(client: Client, job: FineTuningJob) -> int:
    step = client.get_job(job).step
    assert step is not None
    return step


def test_a_job_is_stopped_in_every_way_and_goes_on(model: Path, tmp_path: Path) -> None:
    client = client_of(tmp_path)
    train = write(tmp_path / "train.jsonl", chats())
    method = METHOD.model_copy(update={"n_epochs": 100})

    def ask() -> FineTuningJob:
        return client.fine_tune(
            str(model), train, method=method, provider_options={"save_steps": 1000}, wait=False, progress=False
        )

    job = ask()
    place = tmp_path / "jobs" / job.id
    await_step(client, job, 2)

    # Killed before there was any checkpoint, and between telling a step and writing it down.
    end_trainer(place)
    status = json.loads((place / "status.json").read_text())
    del status["step"]
    (place / "status.json").write_text(json.dumps(status))
    assert client.get_job(job).interrupted
    assert ask().id == job.id
    until(lambda: "Starting again: there is no checkpoint yet" in messages(client, job), "it does not start again")
    await_step(client, job, 3)
    assert steps_of(place) == list(range(1, len(steps_of(place)) + 1))

    # Somebody ends its process politely: it keeps what it has.
    end_trainer(place, signal.SIGTERM)
    stopped = client.get_job(job)
    assert (stopped.status, stopped.interrupted) == (JobStatus.PAUSED, True)
    assert stopped.error == "interrupted: the process was asked to end (SIGTERM)"
    kept = client.list_checkpoints(job)[0].step
    assert (kept, kept) == (last_step(client, job), steps_of(place)[-1]), "not a step is lost"
    assert ask().id == job.id
    until(lambda: f"Going on from step {kept}" in messages(client, job), "it does not go on")
    await_step(client, job, kept + 2)

    # Paused on purpose: it stays so, whoever asks for the job.
    client.pause_job(job)
    with pytest.raises(JobPausedError) as caught:
        client.wait(job, progress=False)
    assert f"resume_job('{job.id}')" in (caught.value.hint or "")
    paused = client.get_job(job)
    assert (paused.provider_status, paused.interrupted, paused.error) == ("paused", False, None)
    assert messages(client, job)[-1] == f"Paused after step {paused.step}"
    assert client.list_checkpoints(job)[0].step == paused.step
    assert ask().status is JobStatus.PAUSED
    with pytest.raises(ConflictError, match="nothing to pause"):
        client.pause_job(job)
    with pytest.raises(ConflictError, match="there is no model to deploy"):
        client.deploy(paused)

    client.resume_job(job)
    await_step(client, job, (paused.step or 0) + 2)
    assert steps_of(place) == list(range(1, len(steps_of(place)) + 1)), "no step is counted twice"
    with pytest.raises(ConflictError, match="still at work"):
        client.delete_model(client.list_checkpoints(job)[0].model)

    # Cancelled while it trains: that is for good.
    cancelled = client.cancel_job(job)
    assert (cancelled.status, cancelled.fine_tuned_model) == (JobStatus.CANCELLED, None)
    assert those_below(place) == []
    assert not (place / "model").exists()
    with pytest.raises(ConflictError, match="only a paused one"):
        client.resume_job(job)
    with pytest.raises(JobCancelledError, match="was cancelled"):
        ask()
    assert client.cancel_job(job) == cancelled


def test_cancelled_while_the_base_is_built_it_leaves_no_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("FTKIT_CACHE", str(cache))
    client = client_of(tmp_path)
    train = write(tmp_path / "train.jsonl", [chat("a", "b")] * 10)
    job = client.fine_tune("small", train, wait=False, progress=False)
    building = "Building the base model, once on this machine: step"
    until(lambda: any(m.startswith(building) for m in messages(client, job)), "it is not built")
    assert client.cancel_job(job).status is JobStatus.CANCELLED
    assert those_below(tmp_path / "jobs" / job.id) == []
    names = [name for name in os.listdir(cache / "models") if not name.startswith(".")]
    assert [name for name in names if not name.endswith("-tokenizer")] == [], "half a model is no model"
