"""What the tests beside it share: a trainer to start, and ways to look at it, wait for it and kill it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ftkit.models import JobRequest, TrainingFile
from ftkit.providers._local_jobs import JobFolder, LocalJobs
from ftkit.providers._processes import is_alive

if TYPE_CHECKING:
    from collections.abc import Callable

    from ftkit.models import FineTuningJob
    from ftkit.providers._processes import ProcessId

HERE = Path(__file__).parent
COMMAND = (sys.executable, str(HERE / "trainer.py"))
REQUEST = JobRequest(model="m", training_file=TrainingFile(id="file-1", provider="tests"))
PATIENCE_S = 30.0


def until(condition: Callable[[], object], what: str = "what was awaited did not come") -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def start(jobs: LocalJobs, key: str = "k", *, can_resume: bool = True, **plan: Any) -> FineTuningJob:
    return jobs.create(REQUEST, key, COMMAND, extra=plan, can_resume=can_resume)


def start_and_hold(jobs: LocalJobs, key: str = "k", **plan: Any) -> FineTuningJob:
    """Starts a job that trains until `hold_at` (2), and stands there until it is released."""
    plan = {"hold_at": 2, **plan}
    job = start(jobs, key, **plan)
    until(lambda: (jobs.get(job.id).step or 0) >= plan["hold_at"] - 1, "it never came to where it is held")
    return jobs.get(job.id)


def release(jobs: LocalJobs, job: FineTuningJob) -> None:
    (jobs.place(job.id).path / "release").touch()


def ask_only(jobs: LocalJobs, key: str = "k", *, can_resume: bool = True, **plan: Any) -> JobFolder:
    """Makes a job as far as the moment before its process is started."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LocalJobs, "_start", lambda *_, **__: None)
        job = start(jobs, key, can_resume=can_resume, **plan)
    return jobs.place(job.id)


def word(jobs: LocalJobs, job: FineTuningJob) -> str | None:
    return jobs.get(job.id).provider_status


def await_word(jobs: LocalJobs, job: FineTuningJob, wanted: str) -> FineTuningJob:
    until(lambda: word(jobs, job) == wanted, f"it is not {wanted}")
    return jobs.get(job.id)


def runner(jobs: LocalJobs, job: FineTuningJob) -> ProcessId:
    process = jobs.place(job.id).state().runner
    assert process is not None
    return process


def kill(jobs: LocalJobs, job: FineTuningJob) -> None:
    process = runner(jobs, job)
    os.kill(process.pid, signal.SIGKILL)
    until(lambda: not is_alive(process))


def messages(jobs: LocalJobs, job: FineTuningJob) -> list[str]:
    return [event.message for event in jobs.events(job.id, None, 1000).items]


def steps(jobs: LocalJobs, job: FineTuningJob) -> list[int]:
    return [event.metrics.step for event in jobs.events(job.id, None, 1000).items if event.metrics]


def snapshot(folder: Path) -> dict[Path, tuple[int, bytes]]:
    """Everything below a folder: when it was last written, and what it holds."""
    found = [folder, *folder.rglob("*")]
    return {path: (path.stat().st_mtime_ns, b"" if path.is_dir() else path.read_bytes()) for path in found}


def elsewhere(code: str, *arguments: str) -> subprocess.Popen[str]:
    """Starts another process that has `jobs`, of the folder that is the first argument."""
    before = (
        "import os, signal, sys, time\n"
        "from pathlib import Path\n"
        "sys.path.insert(0, sys.argv[2])\n"
        "from job_tools import *\n"
        "jobs = LocalJobs(Path(sys.argv[1]), 'tests', 'local:tests')\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", before + code, *arguments[:1], str(HERE), *arguments[1:]],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
