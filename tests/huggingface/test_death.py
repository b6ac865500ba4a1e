"""One job, killed in several ways, that ends as if nothing had happened."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hf_tools import HERE, STEPS, await_step, client_of, end_trainer, left_in, lora_request, messages, steps_of
from local_witness import end_all_below, until

from ftkit.models import FineTuningJob, JobStatus

if TYPE_CHECKING:
    from pathlib import Path

    from hf_tools import Trained

    from ftkit import Client

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("hf-lora")]


def start_user(folder: Path, model: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(HERE / "user.py"), str(folder), str(model)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def kill(user: subprocess.Popen[str]) -> None:
    user.kill()
    user.communicate()


def interrupted(client: Client, job: str) -> FineTuningJob:
    found = client.get_job(job)
    assert (found.status, found.provider_status, found.interrupted) == (JobStatus.PAUSED, "interrupted", True)
    assert (found.error or "").startswith("interrupted: its process ended")
    return found


def test_a_job_survives_the_death_of_all_who_work_on_it(lora: Trained, model: Path, tmp_path: Path) -> None:
    client, jobs = client_of(tmp_path), tmp_path / "jobs"

    user = start_user(tmp_path, model)
    until(lambda: client.list_jobs().items or user.poll() is not None, "the script makes no job")
    [made] = client.list_jobs().items
    place = jobs / made.id
    await_step(client, made, 2)
    kill(user)
    assert client.get_job(made).status is JobStatus.RUNNING, "the user's death is nothing to the job"

    await_step(client, made, 8)
    end_trainer(place)
    interrupted(client, made.id)
    newest, older = client.list_checkpoints(made)[:2]
    torn = place / "checkpoints" / f"checkpoint-{newest.step}" / "adapter_model.safetensors"
    os.truncate(torn, torn.stat().st_size // 2)
    assert client.list_checkpoints(made)[0].step == older.step, "a torn one is not offered"

    user = start_user(tmp_path, model)  # the same script again goes on with the same job
    await_event = f"Going on from step {older.step}"
    until(lambda: await_event in messages(client, made), "it does not go on")
    warning = f"checkpoint-{newest.step} is not whole, and is left out: the process ended while it was written"
    assert warning in messages(client, made, "warning")
    await_step(client, made, newest.step + 4)
    kill(user)
    end_trainer(place)
    interrupted(client, made.id)

    request = lora_request(tmp_path, model)
    again = client.fine_tune(**request, wait=False)
    assert (again.id, again.status.is_terminal) == (made.id, False)
    end_trainer(place)  # now before it has begun to train
    interrupted(client, made.id)

    user = start_user(tmp_path, model)
    out, errors = user.communicate()
    assert user.returncode == 0, errors
    done = FineTuningJob.model_validate_json(out.splitlines()[-1])
    assert (done.id, done.status) == (made.id, JobStatus.SUCCEEDED)

    assert [name for name in left_in(jobs) if "/" not in name] == [made.id], "one request, one folder"
    assert steps_of(place) == list(range(1, STEPS + 1)), "no step is counted twice"
    told = [event.id for event in client.list_events(made, limit=1000).items]
    assert told == sorted(set(told))
    assert client.results(made) == lora.client.results(lora.job), "it ends as one that nobody touched"
    assert done.trained_tokens == lora.job.trained_tokens
    for name in ("model/model.safetensors", "adapter/adapter_model.safetensors"):
        assert (place / name).read_bytes() == (lora.place / name).read_bytes()
    assert len([m for m in messages(client, made, "warning") if m.startswith("precision ")]) == 1
    end_all_below(tmp_path)
