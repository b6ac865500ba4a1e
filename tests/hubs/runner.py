"""Runs the jobs of the stand-in, each in a process that has nothing but what was posted with it."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from hubs.image import Image
from hubs.job import COMPLETED, ERROR, KILLED, PATIENCE_S, RUNNING, SCHEDULING, TERMINAL, Job, start, sweep
from hubs.wire import Wire

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

WAIT_S = 120.0
NO_PROGRAM = 127


class Runner(Wire):
    """Keeps jobs, and runs them.

    Attributes:
        jobs: All jobs, by their id, the oldest first.
        hold: Whether jobs stay in SCHEDULING until it is False again.
        real_uv: Whether jobs find this machine's uv, in place of one that installs nothing.
        grace_s: How long a job that was told to end has for it, in seconds.
    """

    def __init__(self) -> None:
        super().__init__()
        self.jobs: dict[str, Job] = {}
        self.hold = False
        self.real_uv = False
        self.grace_s = 5.0
        self._has_stopped = False
        self._changed = threading.Condition(self._lock)
        self._threads: list[threading.Thread] = []
        self._place = Path(tempfile.mkdtemp(prefix="hub-"))

    def stop(self) -> None:
        """Kills what still runs, and waits until it has ended."""
        with self._changed:
            self._has_stopped = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(PATIENCE_S)
        super().stop()
        if any(thread.is_alive() for thread in self._threads):
            raise TimeoutError("a job of the stand-in cannot be ended")
        shutil.rmtree(self._place)

    # -- levers --------------------------------------------------------------------------------------------------

    def kill(self, job_id: str) -> None:
        """Loses the machine of a job: all its processes, in whatever session they are, get a SIGKILL."""
        self._wait_for(job_id, lambda job: job.process is not None, PATIENCE_S)
        with self._changed:
            job = self.jobs[job_id]
            if job.process is not None and not job.is_over:
                job.move(ERROR, KILLED)
                sweep(job.process, self._place / job.id)
        self.wait(job_id)

    def set_stage(self, job_id: str, stage: str, message: str | None = None) -> None:
        """Has the Hub show a stage, whatever it is, until another is set, or the job is cancelled or killed.

        A job whose stage is terminal is ended; any other goes on as it was, unseen, and none begins.
        """
        with self._changed:
            job = self.jobs[job_id]
            job.pinned = True
            job.move(stage, message)
            self._changed.notify_all()

    def drop_logs(self, job_id: str) -> None:
        """Has the Hub forget the log of a job: it is empty from now on."""
        with self._changed:
            job = self.jobs[job_id]
            job.has_logs, job.lines = False, []
            self._changed.notify_all()

    def wait(self, job_id: str, limit_s: float = WAIT_S) -> Job:
        """Waits until the process of a job, and all that it started, has ended."""
        return self._wait_for(job_id, lambda job: job.is_over, limit_s)

    def wait_for_line(self, job_id: str, text: str, limit_s: float = WAIT_S) -> Job:
        """Waits until a job has written a line that holds a text."""
        return self._wait_for(job_id, lambda job: any(text in line for _, line in job.lines), limit_s)

    def _wait_for(self, job_id: str, condition: Callable[[Job], bool], limit_s: float) -> Job:
        with self._changed:
            job = self.jobs[job_id]
            self._changed.wait_for(lambda: condition(job) or job.is_over, limit_s)
            if not condition(job):
                raise TimeoutError(f"what is waited for does not come: the job is {job.stage}, its log {job.lines}")
        return job

    # -- running -------------------------------------------------------------------------------------------------

    @cached_property
    def _image(self) -> Image:
        return Image(self._place / "image")

    def _begin(self, job: Job) -> None:
        self.jobs[job.id] = job
        environment = {
            **self._image.environment(real_uv=self.real_uv),
            "HF_ENDPOINT": self.url,
            "HF_HUB_DISABLE_XET": "1",
        }
        thread = threading.Thread(target=self._run, args=(job, environment), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _run(self, job: Job, environment: dict[str, str]) -> None:
        folder = self._place / job.id
        with self._changed:
            while (self.hold or job.pinned) and job.stage not in TERMINAL and not self._has_stopped:
                self._changed.wait(0.05)
            process = self._start(job, folder, environment)
        if process is not None:
            reader = threading.Thread(target=self._read, args=(job, process), daemon=True)
            reader.start()
            self._see_to(job, process, folder)
            sweep(process, folder)
            reader.join()
            shutil.rmtree(folder)
        with self._changed:
            code = NO_PROGRAM if process is None else process.wait()
            if job.stage == RUNNING and not job.pinned:
                job.move(*outcome(code))
            job.is_over = True
            self._changed.notify_all()

    def _start(self, job: Job, folder: Path, environment: dict[str, str]) -> subprocess.Popen[bytes] | None:
        if job.stage != SCHEDULING or self._has_stopped:
            return None
        job.move(RUNNING)
        job.write(f"===== Job started at {datetime.now(UTC):%Y-%m-%d %H:%M:%S} =====")
        job.process = start(job, folder, environment)
        self._changed.notify_all()
        return job.process

    def _read(self, job: Job, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        with process.stdout as written:
            for line in written:
                with self._changed:
                    job.write(line.decode(errors="replace").rstrip("\r\n"))
                    self._changed.notify_all()

    def _see_to(self, job: Job, process: subprocess.Popen[bytes], folder: Path) -> None:
        """Waits until a process has ended, and ends it when its job is to end."""
        deadline, last = time.monotonic() + job.timeout_s, float("inf")
        while process.poll() is None:
            with self._changed:
                if job.stage not in TERMINAL and time.monotonic() > deadline:
                    job.move(ERROR, "Job timeout")
                if job.stage in TERMINAL and last == float("inf"):
                    process.terminate()
                    last = time.monotonic() + (0 if job.pinned else self.grace_s)
                is_last = self._has_stopped or time.monotonic() > last
            if is_last:
                sweep(process, folder)
            time.sleep(0.02)


def outcome(code: int) -> tuple[str, str | None]:
    """Returns the stage and the message of a job whose process has ended; that of a signal is 128 and its number."""
    if code == 0:
        return COMPLETED, None
    return ERROR, f"Job failed with exit code: {code if code > 0 else 128 - code}"
