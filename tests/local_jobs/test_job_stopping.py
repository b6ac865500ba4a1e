"""Paused, resumed, cancelled: whatever the trainer makes of it, and in whatever order they come."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest
from job_tools import (
    ask_only,
    await_word,
    elsewhere,
    messages,
    release,
    runner,
    start,
    start_and_hold,
    steps,
    until,
    word,
)
from local_witness import those_below

from ftkit.errors import ConflictError
from ftkit.models import JobStatus
from ftkit.providers._local_jobs import jobs as jobs_module
from ftkit.providers._processes import is_alive, process_of

if TYPE_CHECKING:
    from ftkit.models import FineTuningJob
    from ftkit.providers._local_jobs import LocalJobs


def gone(jobs: LocalJobs, job: FineTuningJob) -> bool:
    """Whether nothing of a job runs any more: not its process, and no helper of it."""
    return not those_below(jobs.place(job.id).path)


def test_a_paused_job_keeps_its_steps_and_goes_on(jobs: LocalJobs) -> None:
    job = start_and_hold(jobs, hold_at=4, steps=5)
    asked = jobs.pause(job.id)
    assert asked.status in {JobStatus.RUNNING, JobStatus.PAUSED}
    paused = await_word(jobs, job, "paused")
    assert (paused.status, paused.interrupted, paused.error) == (JobStatus.PAUSED, False, None)
    with pytest.raises(ConflictError, match="nothing to pause"):
        jobs.pause(job.id)
    release(jobs, job)
    jobs.resume(job.id)
    await_word(jobs, job, "succeeded")  # the wish to pause was for the first run only
    assert steps(jobs, job) == [1, 2, 3, 4, 5]
    assert "Going on from step 3" in messages(jobs, job)


def test_pausing_is_told_to_the_trainer_and_not_to_its_helpers(jobs: LocalJobs) -> None:
    job = start_and_hold(jobs, helper=True)
    jobs.pause(job.id)
    until(lambda: jobs.get(job.id).status is not JobStatus.RUNNING)
    assert (word(jobs, job), jobs.get(job.id).error) == ("paused", None)


def test_a_trainer_that_does_not_heed_is_still_pausing(jobs: LocalJobs) -> None:
    job = start_and_hold(jobs, deaf=True)
    pausing = jobs.pause(job.id)
    assert (pausing.status, pausing.provider_status) == (JobStatus.RUNNING, "pausing")
    with pytest.raises(ConflictError, match="is pausing, and its process is there"):
        jobs.resume(job.id)
    release(jobs, job)
    await_word(jobs, job, "succeeded")


def test_a_job_that_cannot_go_on_is_not_paused(jobs: LocalJobs) -> None:
    job = start_and_hold(jobs, can_resume=False)
    with pytest.raises(ConflictError, match="could not go on later"):
        jobs.pause(job.id)
    assert word(jobs, job) == "running"


def test_asked_to_end_by_the_system_it_is_interrupted(jobs: LocalJobs) -> None:
    job = start_and_hold(jobs)
    os.kill(runner(jobs, job).pid, signal.SIGTERM)
    assert await_word(jobs, job, "interrupted").interrupted


def test_of_two_that_resume_a_job_one_is_told_that_it_is_running(jobs: LocalJobs) -> None:
    job = start_and_hold(jobs)
    jobs.pause(job.id)
    await_word(jobs, job, "paused")
    release(jobs, job)
    code = (
        "from ftkit.errors import ConflictError\n"
        "try: jobs.resume(sys.argv[3])\n"
        "except ConflictError: print('conflict')\n"
        "else: print('resumed')"
    )
    others = [elsewhere(code, str(jobs.folder), job.id) for _ in range(2)]
    said = [other.communicate(timeout=30) for other in others]
    assert [errors for _, errors in said] == ["", ""]
    assert sorted(out.strip() for out, _ in said) == ["conflict", "resumed"]
    await_word(jobs, job, "succeeded")
    assert jobs.place(job.id).state().run == 2
    assert messages(jobs, job).count("Run 2 began") == 1


@pytest.mark.parametrize("deaf", [False, True])
def test_cancel_ends_the_trainer_and_its_helpers(
    jobs: LocalJobs, monkeypatch: pytest.MonkeyPatch, *, deaf: bool
) -> None:
    monkeypatch.setattr(jobs_module, "_CANCEL_GRACE_S", 0.3 if deaf else 10.0)
    job = start_and_hold(jobs, helper=True, deaf=deaf)
    helper = process_of(int((jobs.place(job.id).path / "helper").read_text()))
    assert helper is not None
    cancelled = jobs.cancel(job.id)
    assert (cancelled.status, cancelled.provider_status) == (JobStatus.CANCELLED, "cancelled")
    assert cancelled.finished_at is not None
    assert not is_alive(helper)
    assert gone(jobs, job)
    assert jobs.cancel(job.id) == cancelled  # twice is once
    assert start(jobs) == cancelled
    for verb in (jobs.pause, jobs.resume):
        with pytest.raises(ConflictError):
            verb(job.id)
    assert jobs.get(job.id) == cancelled


def test_two_that_cancel_at_once_both_see_it_cancelled(jobs: LocalJobs) -> None:
    job = start_and_hold(jobs)
    code = "print(jobs.cancel(sys.argv[3]).provider_status)"
    others = [elsewhere(code, str(jobs.folder), job.id) for _ in range(2)]
    assert [other.communicate(timeout=30) for other in others] == [("cancelled\n", "")] * 2
    assert gone(jobs, job)


def test_what_has_ended_is_not_cancelled(jobs: LocalJobs) -> None:
    done = await_word(jobs, start(jobs, "done", steps=1), "succeeded")
    failed = await_word(jobs, jobs.create(jobs.place(done.id).record().request, "failed", ["/no"]), "failed")
    for job in (done, failed):
        assert jobs.cancel(job.id) == job
        jobs.place(job.id).ask("cancelled", 1)  # asked for by somebody who saw it running a moment ago
        assert jobs.get(job.id) == job


def test_a_paused_job_can_be_cancelled(jobs: LocalJobs) -> None:
    job = start_and_hold(jobs)
    jobs.pause(job.id)
    await_word(jobs, job, "paused")
    cancelled = jobs.cancel(job.id)
    assert cancelled.status is JobStatus.CANCELLED
    with pytest.raises(ConflictError):
        jobs.resume(job.id)
    assert jobs.get(job.id) == cancelled


def test_a_job_whose_process_died_can_be_cancelled(jobs: LocalJobs) -> None:
    job = start_and_hold(jobs)
    os.kill(runner(jobs, job).pid, signal.SIGKILL)
    await_word(jobs, job, "interrupted")
    assert jobs.cancel(job.id).status is JobStatus.CANCELLED


def test_what_a_dead_trainer_left_running_is_ended_with_the_job_and_gives_the_slot_back(jobs: LocalJobs) -> None:
    job = start_and_hold(jobs, helper="inherits")  # as workers do that are forked: locks are handed on to them
    os.kill(runner(jobs, job).pid, signal.SIGKILL)
    await_word(jobs, job, "interrupted")
    other = start(jobs, "other", steps=1)
    assert not gone(jobs, job)
    assert jobs.get(other.id).status is JobStatus.QUEUED
    cancelled = jobs.cancel(job.id)
    assert cancelled.status is JobStatus.CANCELLED
    assert gone(jobs, job)
    await_word(jobs, other, "succeeded")
    assert jobs.get(job.id) == cancelled


def test_a_wish_to_pause_does_not_take_the_place_of_one_to_cancel(jobs: LocalJobs) -> None:
    job = start_and_hold(jobs, deaf=True)
    place = jobs.place(job.id)
    place.ask("cancelled", 1)
    assert jobs.get(job.id).status is JobStatus.CANCELLING
    with pytest.raises(ConflictError, match="is cancelling: there is nothing to pause"):
        jobs.pause(job.id)
    place.ask("paused", 1)  # from somebody who read it a moment before
    assert place.want(1) == "cancelled"
    os.kill(runner(jobs, job).pid, signal.SIGKILL)
    until(lambda: jobs.get(job.id).status is JobStatus.CANCELLED)


@pytest.mark.parametrize("want", ["paused", "cancelled"])
def test_what_was_wished_before_there_was_a_process_is_heeded(jobs: LocalJobs, want: str) -> None:
    place = ask_only(jobs)
    place.ask("paused" if want == "paused" else "cancelled", 1)
    assert jobs.get(place.id).provider_status == {"paused": "pausing", "cancelled": "cancelling"}[want]
    jobs._start(place, run=1)
    job = await_word(jobs, jobs.get(place.id), want)
    assert job.started_at is None
    assert messages(jobs, job) == []
