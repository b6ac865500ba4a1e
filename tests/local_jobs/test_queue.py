"""Jobs wait for slots, first come, first served."""

from __future__ import annotations

import os
from itertools import pairwise
from typing import TYPE_CHECKING

from job_tools import await_word, kill, messages, release, runner, start, start_and_hold, until, word

from ftkit.models import JobStatus
from ftkit.providers._local_jobs import LocalJobs
from ftkit.providers._local_jobs.runner import _Queue
from ftkit.providers._processes import is_alive

if TYPE_CHECKING:
    from pathlib import Path


def test_one_at_a_time_in_the_order_they_came(jobs: LocalJobs) -> None:
    first = start_and_hold(jobs, "first")
    others = [start(jobs, key, steps=1) for key in ("z", "a", "m")]
    for job in others:
        assert jobs.get(job.id).status is JobStatus.QUEUED
        assert jobs.get(job.id).started_at is None
        assert is_alive(runner(jobs, job))
    until(lambda: all(messages(jobs, job) == ["Waiting for another job to end"] for job in others))
    release(jobs, first)
    done = [await_word(jobs, job, "succeeded") for job in (first, *others)]
    for one, next_one in pairwise(done):
        assert one.finished_at is not None
        assert next_one.started_at is not None
        assert one.finished_at <= next_one.started_at
    assert list((jobs.folder / "queue").iterdir()) == []


def test_whoever_asks_first_the_earlier_ticket_gets_the_slot(tmp_path: Path) -> None:
    queue = _Queue(tmp_path, 1)
    first, second = queue.join("ftjob-z"), queue.join("ftjob-a")
    assert queue.slot(second) is None
    held = queue.slot(first)
    assert held is not None
    assert queue.slot(second) is None  # its turn, but no slot is free
    os.close(held)
    held = queue.slot(second)
    assert held is not None
    os.close(held)


def test_two_slots_are_two_jobs_at_once(tmp_path: Path) -> None:
    jobs = LocalJobs(tmp_path / "jobs", "tests", "local:tests", slots=2)
    first, second = start_and_hold(jobs, "first"), start_and_hold(jobs, "second")
    third = start(jobs, "third", hold_at=1)
    until(lambda: messages(jobs, third))
    assert [word(jobs, job) for job in (first, second, third)] == ["running", "running", "queued"]
    release(jobs, second)
    await_word(jobs, third, "running")
    assert word(jobs, first) == "running"


def test_a_job_that_is_killed_gives_its_slot_back(jobs: LocalJobs) -> None:
    first = start_and_hold(jobs, "first")
    second = start(jobs, "second")
    kill(jobs, first)
    await_word(jobs, second, "succeeded")
    assert word(jobs, first) == "interrupted"


def test_a_waiting_job_that_is_killed_holds_nobody_up(jobs: LocalJobs) -> None:
    first = start_and_hold(jobs, "first")
    second, third = start(jobs, "second"), start(jobs, "third")
    kill(jobs, second)
    assert word(jobs, second) == "interrupted"
    release(jobs, first)
    await_word(jobs, third, "succeeded")
    assert list((jobs.folder / "queue").iterdir()) == []


def test_a_waiting_job_that_is_cancelled_never_begins(jobs: LocalJobs) -> None:
    first = start_and_hold(jobs, "first")
    second, third = start(jobs, "second"), start(jobs, "third")
    waiting = runner(jobs, second)
    cancelled = jobs.cancel(second.id)
    assert (cancelled.status, cancelled.started_at, cancelled.error) == (JobStatus.CANCELLED, None, None)
    assert cancelled.finished_at is not None
    assert not is_alive(waiting)
    release(jobs, first)
    await_word(jobs, third, "succeeded")
    assert jobs.get(second.id) == cancelled


def test_a_waiting_job_can_be_paused_and_goes_to_the_end_of_the_queue(jobs: LocalJobs) -> None:
    first = start_and_hold(jobs, "first")
    second, third = start(jobs, "second"), start(jobs, "third")
    waiting = runner(jobs, second)
    jobs.pause(second.id)
    until(lambda: not is_alive(waiting))
    paused = jobs.get(second.id)
    assert (paused.status, paused.provider_status, paused.interrupted) == (JobStatus.PAUSED, "paused", False)
    resumed = jobs.resume(second.id)
    assert resumed.status is JobStatus.QUEUED
    release(jobs, first)
    last, before = await_word(jobs, second, "succeeded"), await_word(jobs, third, "succeeded")
    assert last.started_at is not None
    assert before.finished_at is not None
    assert before.finished_at <= last.started_at
