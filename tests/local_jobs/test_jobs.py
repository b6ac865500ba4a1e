"""From create to the end: one job a key, and what becomes of it when a process dies."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest
from job_tools import (
    COMMAND,
    REQUEST,
    ask_only,
    await_word,
    elsewhere,
    kill,
    messages,
    release,
    runner,
    start,
    start_and_hold,
    steps,
    until,
    word,
)

from ftkit.errors import ConflictError
from ftkit.models import JobStatus
from ftkit.providers._local_jobs import jobs as jobs_module
from ftkit.providers._processes import is_alive, process_of, start_detached, this_process

if TYPE_CHECKING:
    from pathlib import Path

    from ftkit.providers._local_jobs import LocalJobs


def test_a_job_is_queued_then_running_then_succeeded(jobs: LocalJobs) -> None:
    place = ask_only(jobs, hold_at=2)
    job = jobs.get(place.id)
    assert (job.status, job.started_at, job.step) == (JobStatus.QUEUED, None, None)
    jobs._start(place, run=1)
    until(lambda: jobs.get(job.id).step == 1)
    running = jobs.get(job.id)
    assert (running.status, running.provider_status, running.total_steps) == (JobStatus.RUNNING, "running", 3)
    assert running.finished_at is None
    release(jobs, job)
    done = await_word(jobs, job, "succeeded")
    assert (done.status, done.step, done.error) == (JobStatus.SUCCEEDED, 3, None)
    assert done.fine_tuned_model == f"tuned:{job.id}"
    assert done.created_at is not None
    assert done.started_at is not None
    assert done.finished_at is not None
    assert done.created_at <= done.started_at <= done.finished_at
    assert steps(jobs, job) == [1, 2, 3]


def test_its_process_is_one_from_the_queue_to_the_end_and_no_child_of_ours(jobs: LocalJobs) -> None:
    first = start_and_hold(jobs, "first")
    second = start(jobs, "second", hold_at=1)
    waiting = runner(jobs, second)
    release(jobs, first)
    until(lambda: "Run 1 began" in messages(jobs, second))
    assert runner(jobs, second) == waiting
    assert is_alive(waiting)
    assert os.getsid(waiting.pid) == os.getpgid(waiting.pid) == waiting.pid
    with pytest.raises(ChildProcessError):
        os.waitpid(waiting.pid, os.WNOHANG)


def test_the_same_key_is_the_same_job_and_one_folder(jobs: LocalJobs) -> None:
    job = start_and_hold(jobs)
    again = start(jobs, hold_at=1, steps=99)
    assert (again.id, again.created_at, again.total_steps) == (job.id, job.created_at, 3)
    found = jobs.find("k")
    assert found is not None
    assert found.id == job.id
    assert jobs.find("another") is None
    assert [path.name for path in jobs.folder.glob("ftjob-*")] == [job.id]
    release(jobs, job)
    await_word(jobs, job, "succeeded")
    assert start(jobs).status is JobStatus.SUCCEEDED  # it is not trained anew either
    assert messages(jobs, job).count("Run 1 began") == 1


def test_processes_that_create_the_same_key_at_once_make_one_job(jobs: LocalJobs, tmp_path: Path) -> None:
    code = (
        "ready, go = Path(sys.argv[3]), Path(sys.argv[4])\n"
        "ready.touch()\n"
        "until(go.exists)\n"
        "print(start(jobs, steps=1).id)\n"
    )
    marks = [tmp_path / f"ready-{number}" for number in range(4)]
    makers = [elsewhere(code, str(jobs.folder), str(mark), str(tmp_path / "go")) for mark in marks]
    until(lambda: all(mark.exists() for mark in marks))
    (tmp_path / "go").touch()
    said = [maker.communicate(timeout=30) for maker in makers]
    assert [errors for _, errors in said] == [""] * 4
    job = jobs.list_jobs(None, 10).items[0]
    assert {out.strip() for out, _ in said} == {job.id}
    await_word(jobs, job, "succeeded")
    assert messages(jobs, job).count("Run 1 began") == 1
    assert not [path for path in jobs.folder.iterdir() if path.name.startswith(".tmp-")]


def test_a_job_survives_the_process_that_made_it(jobs: LocalJobs) -> None:
    maker = elsewhere("print(start(jobs, hold_at=1).id, flush=True)\nos.kill(os.getpid(), 9)", str(jobs.folder))
    out, _ = maker.communicate(timeout=30)
    job = jobs.get(out.strip())
    until(lambda: "Run 1 began" in messages(jobs, job))
    release(jobs, job)
    await_word(jobs, job, "succeeded")


def test_a_trainer_that_is_killed_is_interrupted_and_goes_on_in_a_second_run(jobs: LocalJobs) -> None:
    job = start_and_hold(jobs, hold_at=4, steps=5)
    kill(jobs, job)
    dead = jobs.get(job.id)
    assert (dead.status, dead.provider_status, dead.interrupted) == (JobStatus.PAUSED, "interrupted", True)
    assert dead.error is not None
    assert "its process ended" in dead.error
    assert dead.finished_at is None
    ids = [event.id for event in jobs.events(job.id, None, 100).items]
    release(jobs, job)
    resumed = jobs.resume(job.id)
    assert resumed.status in {JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.SUCCEEDED}
    done = await_word(jobs, job, "succeeded")
    assert jobs.place(job.id).state().run == 2
    assert (done.id, done.error, done.interrupted, done.started_at) == (job.id, None, False, job.started_at)
    assert {"Run 1 began", "Run 2 began", "Going on from step 2"} <= set(messages(jobs, job))
    assert steps(jobs, job) == [1, 2, 3, 4, 5]  # the third was done twice, and counts once
    after = [event.id for event in jobs.events(job.id, ids[-1], 100).items]
    assert after
    assert not set(after) & set(ids)


def test_without_a_way_to_go_on_it_has_failed_with_the_end_of_its_log(jobs: LocalJobs) -> None:
    job = start(jobs, can_resume=False, exit_at=2)
    until(lambda: not is_alive(runner(jobs, job)))
    failed = jobs.get(job.id)
    assert (failed.status, failed.interrupted) == (JobStatus.FAILED, False)
    assert failed.error is not None
    assert "ended without a word" in failed.error
    assert "the last thing that it said" in failed.error
    with pytest.raises(ConflictError, match="only a paused one"):
        jobs.resume(job.id)
    assert jobs.cancel(job.id) == failed


def test_a_command_that_is_not_there_is_a_failed_job_that_says_so(jobs: LocalJobs) -> None:
    job = jobs.create(REQUEST, "k", ["/no/such/program"], can_resume=True)
    failed = await_word(jobs, job, "failed")
    assert failed.error == "could not start /no/such/program: No such file or directory"


def test_a_process_that_never_comes_is_a_failed_job(jobs: LocalJobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs_module, "_RUNNER", (COMMAND[0], "-c", "print('no room for me')"))
    job = start(jobs)
    assert job.status is JobStatus.FAILED
    assert job.error is not None
    assert job.error.startswith("its process did not start")
    assert "no room for me" in job.error
    monkeypatch.setattr(jobs_module, "_RUNNER", ("/no/such/program",))
    other = start(jobs, "other")
    assert other.error is not None
    assert "could not start /no/such/program" in other.error


def test_the_maker_killed_before_the_start_leaves_a_job_that_can_be_resumed(jobs: LocalJobs) -> None:
    code = "LocalJobs._start = lambda *_, **__: os.kill(os.getpid(), 9)\nstart(jobs)"
    maker = elsewhere(code, str(jobs.folder))
    maker.communicate(timeout=30)
    assert maker.returncode == -signal.SIGKILL
    job = jobs.find("k")
    assert job is not None
    assert (job.status, job.interrupted) == (JobStatus.PAUSED, True)
    assert job.error == "interrupted: it was not started"
    assert jobs.place(job.id).state().word == "queued"
    jobs.resume(job.id)
    await_word(jobs, job, "succeeded")
    assert jobs.place(job.id).state().run == 2


def test_ctrl_c_before_the_start_does_not_leave_a_job_that_is_queued_for_ever(
    jobs: LocalJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(jobs_module, "start_detached", interrupted)
        for key, can_resume in (("a", True), ("b", False)):
            with pytest.raises(KeyboardInterrupt):
                start(jobs, key, can_resume=can_resume)
    job, lost = jobs.find("a"), jobs.find("b")
    assert job is not None
    assert lost is not None
    assert (job.provider_status, job.finished_at, lost.provider_status) == ("interrupted", None, "failed")
    jobs.resume(job.id)
    await_word(jobs, job, "succeeded")


def test_somebody_who_has_the_lock_for_a_moment_does_not_keep_a_job_from_starting(jobs: LocalJobs) -> None:
    place = ask_only(jobs)
    lock = jobs_module.try_lock(place.path / "lock")
    assert lock is not None
    process = start_detached([*jobs_module._RUNNER, str(place.path), "1", "1"], log=place.path / "log.txt")
    assert process is not None
    enough = time.monotonic() + 1  # to find the lock taken, and to give up if it gives up at all
    until(lambda: not is_alive(process) or time.monotonic() > enough)
    os.close(lock)
    await_word(jobs, jobs.get(place.id), "succeeded")


def test_a_job_that_reads_as_failed_does_not_begin_after_all(jobs: LocalJobs) -> None:
    place = ask_only(jobs, can_resume=False)
    asker = place.state().asker
    place.write_state(place.state().model_copy(update={"asker": asker.model_copy(update={"started": 1.0})}))
    failed = jobs.get(place.id)
    assert (failed.status, failed.error) == (JobStatus.FAILED, "it was not started without a word")
    process = start_detached([*jobs_module._RUNNER, str(place.path), "1", "1"], log=place.path / "log.txt")
    assert process is not None
    until(lambda: not is_alive(process))
    assert jobs.get(place.id) == failed


def test_a_live_pid_that_started_at_another_time_is_another_process(jobs: LocalJobs) -> None:
    job = start_and_hold(jobs)
    kill(jobs, job)
    place = jobs.place(job.id)
    us = this_process()
    assert process_of(us.pid) == us
    place.write_state(place.state().model_copy(update={"runner": us}))
    assert word(jobs, job) == "running"
    place.write_state(place.state().model_copy(update={"runner": us.model_copy(update={"started": us.started - 100})}))
    assert word(jobs, job) == "interrupted"


def test_after_a_reboot_nothing_runs(jobs: LocalJobs) -> None:
    job = start_and_hold(jobs)
    place = jobs.place(job.id)
    state = place.state()
    before = runner(jobs, job).model_copy(update={"boot": "another"})
    place.write_state(state.model_copy(update={"runner": before}))
    assert word(jobs, job) == "interrupted"
    place.write_state(state)
    assert word(jobs, job) == "running"


def test_a_second_runner_of_a_run_has_nothing_to_do(jobs: LocalJobs) -> None:
    job = start(jobs, steps=1)
    await_word(jobs, job, "succeeded")
    until(lambda: not is_alive(runner(jobs, job)))
    path = jobs.place(job.id).path
    before = (path / "status.json").read_bytes()
    process = start_detached([*jobs_module._RUNNER, str(path), "1", "1"], log=path / "log.txt")
    assert process is not None
    until(lambda: not is_alive(process))
    assert (path / "status.json").read_bytes() == before
    assert messages(jobs, job).count("Run 1 began") == 1
