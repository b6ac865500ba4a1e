"""Several processes train one job: the same numbers as one, and nothing that one of them dies of is the end of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from hf_tools import await_step, chat, client_of, messages, steps_of, write
from local_witness import those_below, until

from ftkit import LoRA, Supervised
from ftkit.errors import JobFailedError
from ftkit.models import JobStatus
from ftkit.providers._local_jobs import JobFolder
from ftkit.providers._processes import is_alive

if TYPE_CHECKING:
    from pathlib import Path

    from ftkit import Client
    from ftkit.models import FineTuningJob

pytestmark = [pytest.mark.slow]

METHOD = Supervised(n_epochs=5, batch_size=8, learning_rate=5e-3, lora=LoRA(r=4, alpha=8))
STEPS = 40


def ask(folder: Path, model: Path, **options: Any) -> tuple[Client, FineTuningJob]:
    """64 rows, all of one shape but not of one length: a batch is as large in one process as in two together."""
    client = client_of(folder)
    rows = [chat(f"{n}? " + "Tell me. " * (n % 9), f"It is {n % 7}. " * 4) for n in range(64)]
    given = {"max_length": 200, "save_steps": 10, **options}
    train = write(folder / "train.jsonl", rows)
    job = client.fine_tune(str(model), train, method=METHOD, seed=7, provider_options=given, wait=False, progress=False)
    return client, job


def ranks_of(place: Path) -> list[psutil.Process]:
    """The ranks of a job, the first first, and then torchrun."""
    leader = JobFolder(place).state().runner
    assert leader is not None
    [torchrun] = psutil.Process(leader.pid).children()
    return [*sorted(torchrun.children(), key=lambda rank: int(rank.environ()["RANK"])), torchrun]


def kill_a_rank(client: Client, job: FineTuningJob, place: Path, deaths: int) -> None:
    """Kills the second rank, and waits until all are started again."""
    rank = ranks_of(place)[1]
    rank.kill()
    gone = "rank 1 was killed by signal 9: all 2 processes are started again, from step 10"
    until(lambda: messages(client, job, "warning").count(gone) == deaths, "nobody notices")
    going = "Going on from step 10"
    until(lambda: messages(client, job).count(going) == deaths, "they are not started again")


def test_two_processes_are_as_good_as_one_whatever_becomes_of_them(model: Path, tmp_path: Path) -> None:
    alone, one = ask(tmp_path / "one", model)
    client, job = ask(tmp_path / "two", model, processes=2)
    place = tmp_path / "two" / "jobs" / job.id

    for deaths in (1, 2):  # the second time before there is a new checkpoint
        await_step(client, job, 12)
        kill_a_rank(client, job, place, deaths)
    assert client.get_job(job).status is JobStatus.RUNNING

    leader = JobFolder(place).state().runner
    assert leader is not None
    ranks = ranks_of(place)
    os.kill(leader.pid, 9)
    until(lambda: not is_alive(leader), "it does not end")
    assert client.get_job(job).interrupted
    until(lambda: not any(rank.is_running() for rank in ranks[:2]), "ranks outlive the one that leads them")
    _, again = ask(tmp_path / "two", model, processes=2)
    assert again.id == job.id

    ended, whole = client.wait(job, progress=False), alone.wait(one, progress=False)
    assert (ended.status, ended.step, ended.trained_tokens) == (JobStatus.SUCCEEDED, STEPS, whole.trained_tokens)
    assert steps_of(place) == list(range(1, STEPS + 1)), "each step is told once, by the first rank alone"
    mine, theirs = ([row.train_loss for row in c.results(j)] for c, j in ((client, job), (alone, one)))
    assert mine == pytest.approx(theirs, rel=1e-4)
    assert (theirs[-1] or 9) < 0.99 * (theirs[0] or 0), "there is something to compare"
    assert "Training started: 40 steps, LoRA, learning rate 0.005, 2 processes" in messages(client, job)


def test_they_stop_together_and_leave_nobody_behind(model: Path, tmp_path: Path) -> None:
    client, job = ask(tmp_path, model, processes=2, max_steps=2000, save_steps=1000)
    place = tmp_path / "jobs" / job.id
    await_step(client, job, 2)
    client.pause_job(job)
    until(lambda: client.get_job(job).provider_status == "paused", "it is not paused")
    paused = client.get_job(job)
    assert [c.step for c in client.list_checkpoints(job)] == [paused.step], "a checkpoint of the step it stopped at"
    until(lambda: those_below(place) == [], "somebody stays")

    client.resume_job(job)
    await_step(client, job, (paused.step or 0) + 2)
    ranks = ranks_of(place)
    assert client.cancel_job(job).status is JobStatus.CANCELLED
    assert not any(rank.is_running() and rank.status() != psutil.STATUS_ZOMBIE for rank in ranks)


def test_what_will_not_go_away_is_told_once(model: Path, tmp_path: Path) -> None:
    client, job = ask(tmp_path, model, processes=2, max_length=8)
    with pytest.raises(JobFailedError, match="the training file holds nothing to learn"):
        client.wait(job, progress=False)
    told = messages(client, job)
    assert not any("started again" in message for message in told)
    assert len([message for message in told if "nothing to learn" in message]) == 1


@pytest.mark.full
def test_after_three_deaths_at_one_place_it_is_given_up(model: Path, tmp_path: Path) -> None:
    client, job = ask(tmp_path, model, processes=2, max_steps=20000, save_steps=10000)
    place = tmp_path / "jobs" / job.id
    for again in range(3):
        until(lambda: len(those_below(place)) >= 4, "they are not started")
        until(lambda n=again: sum("Training started" in m for m in messages(client, job)) > n, "they do not train")
        ranks_of(place)[0].kill()
    with pytest.raises(JobFailedError, match="rank 0 was killed by signal 9, 3 times at the same place"):
        client.wait(job, progress=False)


def test_numbers_that_do_not_fit_are_refused_before_anything_is_made(model: Path, tmp_path: Path) -> None:
    client = client_of(tmp_path)
    train = write(tmp_path / "train.jsonl", [chat("a", "b")] * 10)

    def problems(batch: int | None = 8, **options: Any) -> list[str]:
        method = Supervised(batch_size=batch or "auto")
        report = client.check(train, method=method, model=str(model), provider_options=options)
        return [problem.message for problem in report.problems if problem.severity == "error"]

    assert problems(processes=2) == problems(batch=None, processes=3) == []
    assert problems(processes=3) == ["a batch of 8 examples cannot be computed in 3 equal parts."]
    assert problems(processes=4, gradient_accumulation_steps=4) == [
        "a batch of 8 examples cannot be computed in 16 equal parts (4 processes, 4 each)."
    ]
    assert problems(fsdp=True) == ["there is one process, which has nothing to share."]
    assert problems(processes=2, fsdp_config={"version": 2}) == ["fsdp_config says how, and fsdp does not say that."]
    assert problems(processes=2, fsdp=True, deepspeed={"zero": 3}) == [
        "fsdp and deepspeed do the same in two ways.",
        "the package deepspeed is not installed.",
    ]
    assert problems(processes=2, deepspeed={"zero": 3}) == ["the package deepspeed is not installed."]
    assert "an empty configuration says nothing to DeepSpeed." in problems(processes=2, deepspeed={})
    assert "greater than" in problems(processes=0)[0]
