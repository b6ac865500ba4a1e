"""AutoTrain's five trainers train for real, and whatever goes wrong is a failed job with the true reason."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from autotrain_tools import CASES, CHANCE, HF_TOKEN, chats, client_of, preferences, texts, write
from local_witness import until

from ftkit import DPO, JobCancelledError, JobFailedError, JobStatus, LoRA, Reward, Supervised, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ftkit import Client, FineTuningJob

pytestmark = pytest.mark.slow


@pytest.fixture
def client(tmp_path: Path, autotrain_python: str) -> Client:
    return client_of(tmp_path, autotrain_python)


def messages(client: Client, job: FineTuningJob, level: str | None = None) -> list[str]:
    events = client.list_events(job, limit=1000).items
    return [event.message for event in events if level is None or event.level == level]


@pytest.mark.parametrize("task", CASES)
def test_each_trainer_trains(client: Client, tmp_path: Path, model: Path, task: str) -> None:
    rows, method, options = CASES[task]
    train = write(tmp_path / "train.jsonl", rows)
    job = client.fine_tune(str(model), train, method=method, seed=7, provider_options=options, progress=False)
    assert job.status is JobStatus.SUCCEEDED
    assert job.step == job.total_steps
    assert job.step

    results = client.results(job)
    assert [row.step for row in results] == list(range(1, job.step + 1))
    if task in {"sft", "generic"}:  # the mean loss of a model that knows nothing, however many batches a step has
        assert results[0].train_loss == pytest.approx(CHANCE, abs=0.5)

    place = tmp_path / "jobs" / job.id
    kept = {path.name for path in (place / "model").iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= kept
    assert not {name for name in kept if name.endswith((".bin", ".pt")) or name.startswith("adapter")}
    assert (place / "runs").is_dir() is (options.get("log") == "tensorboard")
    assert not (place / "work").exists()
    assert [path for path in place.rglob("*") if path.is_file() and HF_TOKEN.encode() in path.read_bytes()] == []

    told = messages(client, job, "warning")
    for name in ("optimizer", "mixed_precision"):
        assert any(name in message for message in told) is (name in options)
    assert any("quantization: int4" in message for message in told) is bool(getattr(method, "lora", None))

    if task == "reward":
        with pytest.raises(UnsupportedError, match="answers with a number"):
            client.deploy(job)
    elif task in {"sft", "orpo"}:
        with client.deployed(job, threads=1) as deployment:
            assert client.chat(deployment, "What is 1 and one?", max_tokens=8).usage is not None


def test_dpo_is_held_to_another_model(client: Client, tmp_path: Path, model: Path) -> None:
    train, options = write(tmp_path / "train.jsonl", preferences(4)), {"model_ref": os.path.relpath(model)}
    job = client.fine_tune(str(model), train, method=DPO(), provider_options=options, progress=False)
    assert "model_ref dtype" in (tmp_path / "jobs" / job.id / "log.txt").read_text()


@pytest.fixture
def failed(client: Client, tmp_path: Path, model: Path) -> Callable[..., tuple[str, str]]:
    """Asks for a job that fails; returns its error, and its log."""

    def fail(rows: list[dict[str, Any]], **changes: Any) -> tuple[str, str]:
        asked: dict[str, Any] = {"model": str(model), "progress": False, **changes}
        with pytest.raises(JobFailedError) as caught:
            client.fine_tune(train=write(tmp_path / "train.jsonl", rows), **asked)
        job = client.get_job(caught.value.job)
        assert job.fine_tuned_model is None
        place = tmp_path / "jobs" / job.id
        assert not (place / "model").exists()
        assert not (place / "work").exists()
        assert messages(client, job, "error") == [f"The job failed: {job.error}"]
        return str(job.error), (place / "log.txt").read_text()

    return fail


def test_too_little_data_for_one_block_is_told_before_a_model_is_loaded(failed: Callable[..., tuple[str, str]]) -> None:
    error, log = failed(chats(2), provider_options={"block_size": 512})
    assert "do not fill one block of 512: choose a smaller block_size, " in error
    assert "loading model" not in log


def test_a_model_that_is_none_fails_with_the_reason_and_a_traceback(
    failed: Callable[..., tuple[str, str]], tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_text("{}")
    (broken / "model.safetensors").touch()
    error, log = failed(texts(4), model=str(broken))
    assert "Unrecognized model" in error
    assert len(error) < 600
    assert "Traceback (most recent call last)" in log


def test_preferences_that_are_all_too_long_say_so(failed: Callable[..., tuple[str, str]]) -> None:
    error, _ = failed(preferences(4), method=Reward(), provider_options={"block_size": 8})
    assert "block_size=8" in error


def started(client: Client, model: Path, folder: Path) -> tuple[FineTuningJob, list[psutil.Process]]:
    """Starts a job that takes a while, and returns it with its processes: the one that tells, and AutoTrain's."""
    train = write(folder / "train.jsonl", texts(400))
    file = client.upload(train, model=str(model))
    method = Supervised(n_epochs=50)
    job = client.create_job(model=str(model), training_file=file, method=method)
    until(lambda: any("Loading AutoTrain" in message for message in messages(client, job)), "AutoTrain does not begin")
    pid = json.loads((folder / "jobs" / job.id / "status.json").read_text())["runner"]["pid"]
    outer = psutil.Process(pid)
    return job, [outer, *outer.children(recursive=True)]


def lives(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def end(process: psutil.Process) -> None:
    os.kill(process.pid, signal.SIGKILL)


def test_a_training_that_is_killed_is_a_failed_job(client: Client, model: Path, tmp_path: Path) -> None:
    job, (_, inner, *_) = started(client, model, tmp_path)
    end(inner)
    with pytest.raises(JobFailedError, match="ended with status -9"):
        client.wait(job, progress=False)


def test_a_job_that_is_killed_has_failed_and_takes_its_training_along(
    client: Client, model: Path, tmp_path: Path
) -> None:
    job, (outer, *inner) = started(client, model, tmp_path)
    end(outer)
    with pytest.raises(JobFailedError, match="its process ended without a word"):
        client.wait(job, progress=False)
    until(lambda: not any(map(lives, inner)), "AutoTrain goes on by itself")


def test_a_cancelled_job_ends_with_all_its_processes(client: Client, model: Path, tmp_path: Path) -> None:
    job, processes = started(client, model, tmp_path)
    client.cancel_job(job)
    with pytest.raises(JobCancelledError):
        client.wait(job, progress=False)
    assert not any(map(lives, processes))
    assert not (tmp_path / "jobs" / job.id / "work").exists()


@pytest.mark.full
def test_a_seed_counts(client: Client, tmp_path: Path, model: Path) -> None:
    train = write(tmp_path / "train.jsonl", chats(24))
    method = Supervised(lora=LoRA(dropout=0.5), learning_rate=1e-2)
    losses = [
        [
            row.train_loss
            for row in client.results(
                client.fine_tune(str(model), train, method=method, seed=seed, key=key, progress=False)
            )
        ]
        for seed, key in ((1, "one"), (1, "again"), (2, "other"))
    ]
    assert losses[0] == losses[1]
    assert losses[0] != losses[2]
