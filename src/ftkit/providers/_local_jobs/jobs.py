"""The local jobs of one account: made, found, listed, paused, resumed, cancelled."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import sys
import time
import uuid
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ftkit.errors import ConflictError, NotFoundError, ProviderError
from ftkit.models import FineTuningJob, JobEvent, JobRequest, JobStatus, Page
from ftkit.plugin.disk import (
    disk_errors,
    refuse_links,
    refuse_links_in,
    require_posix,
    sync,
    take,
    try_lock,
    write_atomically,
)
from ftkit.providers._local_jobs.events import events_page, number_of
from ftkit.providers._local_jobs.folder import JOB_ID, LOCK, LOG, QUEUE, REQUEST, WORDS, JobFolder, JobRecord, JobState
from ftkit.providers._processes import ProcessId, end_group, is_alive, start_detached, this_process

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence
    from pathlib import Path

_RUNNER = (sys.executable, "-P", "-m", "ftkit.providers._local_jobs.runner")  # -P: no module of the user's folder
_BUILDING = ".tmp-"
_STALE_S = 60.0
_START_S = 60.0
_CANCEL_GRACE_S = 10.0
_ENDING_S = 15.0
_POLL_S = 0.05


class LocalJobs:
    """The local jobs of one account.

    Args:
        folder: Holds a folder for each.
        provider: Name of the provider.
        identity: The account.
        slots: How many jobs train at once.

    Raises:
        UnsupportedError: This is Windows.
    """

    def __init__(self, folder: Path, provider: str, identity: str, slots: int = 1) -> None:
        require_posix()
        self.folder = folder
        self._provider = provider
        self._identity = identity
        self._slots = slots

    def create(
        self,
        request: JobRequest,
        key: str,
        command: Sequence[str],
        *,
        extra: Mapping[str, Any] | None = None,
        inputs: Mapping[str, Path] | None = None,
        can_resume: bool = False,
    ) -> FineTuningJob:
        """Makes a job and starts it. The job that a key has already is returned as it is.

        Args:
            request: What is asked for.
            key: Names the job.
            command: The trainer, without the folder.
            extra: What else the trainer needs to know; no secrets.
            inputs: Files that the job needs, by the names that they get in its folder, where they cannot be lost.
            can_resume: Whether it can go on from where it stood.

        Raises:
            QuotaError: The disk is full. Nothing is left behind.
            ProviderError: The folder cannot be written. Nothing is left behind.
        """
        record = JobRecord(
            key=key,
            provider=self._provider,
            identity=self._identity,
            created_at=datetime.now(UTC),
            request=request,
            command=tuple(command),
            extra=extra or {},
            can_resume=can_resume,
        )
        place = self.folder / job_id(key)
        self._see_queue()
        if not place.exists():
            with disk_errors(self._provider, "the job could not be written", self.folder):
                mine = self._build(place, record, inputs or {})
            if mine:
                self._start(JobFolder(place), run=1)
        return self.get(place.name)

    def find(self, key: str) -> FineTuningJob | None:
        """Returns the job of a key, or None if there is none."""
        try:
            return self.get(job_id(key))
        except NotFoundError:
            return None

    def get(self, job: str) -> FineTuningJob:
        """Reads a job.

        Raises:
            NotFoundError: There is none of that id.
            ProviderError: Its folder is damaged.
        """
        place = self.place(job)
        try:
            return place.job()
        except FileNotFoundError as error:
            message = f"the folder of job '{job}' is damaged: {error.filename} is missing"
            hint = f"Move {place.path} away, and the same request makes it anew."
            raise self._error(ProviderError, message, hint) from error

    def place(self, job: str) -> JobFolder:
        """Returns the folder of a job. An id never leads out of the folder of all jobs.

        Raises:
            NotFoundError: There is none of that id.
            ProviderError: It, or something in it, is a link.
        """
        place = self.folder / job
        if not JOB_ID.fullmatch(job) or not (place.is_dir() or place.is_symlink()):
            message = f"no job {job[:80]!r} in {self.folder}"
            raise self._error(NotFoundError, message, "client.list_jobs() names those there are.")
        refuse_links_in(self._provider, place)
        return JobFolder(place)

    def list_jobs(self, after: str | None, limit: int) -> Page[FineTuningJob]:
        """Lists jobs, newest first. What is no job, or only half of one, is not listed.

        Args:
            after: The last job of the page before.
            limit: Most jobs on the page.
        """
        found: list[tuple[datetime, str]] = []
        for path in self.folder.iterdir() if self.folder.is_dir() else ():
            if JOB_ID.fullmatch(path.name):
                with suppress(ProviderError, FileNotFoundError, NotADirectoryError):
                    found.append((self.place(path.name).record().created_at, path.name))
        ids = [name for _, name in sorted(found, reverse=True)]
        if after is not None:
            self.place(after)
            if after not in ids:
                message = f"job '{after}' is damaged: what follows it in the list cannot be told"
                raise self._error(NotFoundError, message, "List from the beginning.")
            ids = ids[ids.index(after) + 1 :]
        jobs: list[FineTuningJob] = []
        for name in ids:
            if len(jobs) > limit:  # one more than asked for tells that there are more
                break
            with suppress(ProviderError):
                jobs.append(self.get(name))
        return Page(items=tuple(jobs[:limit]), next=jobs[limit - 1].id if len(jobs) > limit else None)

    def events(self, job: str, after: str | None, limit: int) -> Page[JobEvent]:
        """Lists events, oldest first.

        Args:
            job: The job.
            after: Id of the last event that is known.
            limit: Most events on the page.

        Raises:
            NotFoundError: There is no such job, or `after` is no id of an event.
        """
        place = self.place(job)
        return events_page(place.events_after(number_of(after, job, self._provider)), limit)

    def cancel(self, job: str) -> FineTuningJob:
        """Ends a job for good; one that has ended is returned as it is."""
        place, now = self.place(job), self.get(job)
        if now.status.is_terminal:
            return now
        place.ask("cancelled", place.state().run)
        runner = self._await_runner(place)
        if runner is not None:
            try:
                end_group(runner, _CANCEL_GRACE_S, place.path / LOCK)
            except TimeoutError as error:
                raise self._error(ProviderError, str(error), None) from error
        self._close_cancelled(place)
        return self.get(job)

    def pause(self, job: str) -> FineTuningJob:
        """Asks a job to stop at the next point from which it can go on.

        Raises:
            ConflictError: It neither runs nor waits, or its trainer cannot go on later.
        """
        place, now = self.place(job), self.get(job)
        if now.status not in {JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.VALIDATING}:
            raise self._error(ConflictError, f"job '{job}' is {now.provider_status}: there is nothing to pause", None)
        if not place.record().can_resume:
            raise self._error(ConflictError, f"job '{job}' could not go on later", "Cancel it, or let it end.")
        place.ask("paused", place.state().run)
        runner = self._await_runner(place)
        if runner is not None and is_alive(runner):
            with suppress(ProcessLookupError):  # it ended meanwhile
                os.kill(runner.pid, signal.SIGTERM)  # not its group: it may need its helpers to come to that point
        return self.get(job)

    def resume(self, job: str) -> FineTuningJob:
        """Lets a job go on that was paused or interrupted.

        Raises:
            ConflictError: It is neither.
        """
        place = self.place(job)
        self._see_queue()
        with self._holding(place):
            now = self.get(job)
            if now.status is not JobStatus.PAUSED:
                raise self._not_paused(now)
            state = place.state()
            again = {"word": "queued", "run": state.run + 1, "asker": this_process(), "runner": None, "error": None}
            with disk_errors(self._provider, "the job could not be resumed", place.path):
                place.write_state(state.model_copy(update=again), durable=True)
        self._start(place, run=state.run + 1)
        return self.get(job)

    def _build(self, place: Path, record: JobRecord, inputs: Mapping[str, Path]) -> bool:
        """Writes a job's folder under another name and renames it; False if somebody else was faster."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._sweep()
        building = self.folder / f"{_BUILDING}{uuid.uuid4().hex}"
        building.mkdir(mode=0o700)
        handle: int | None = None
        try:
            handle = try_lock(building / LOCK)
            for name, source in inputs.items():
                take(source, building / name)
            write_atomically(building / REQUEST, record.model_dump_json(indent=2, exclude_none=True), durable=True)
            JobFolder(building).write_state(JobState(word="queued", asker=this_process()), durable=True)
            try:
                building.rename(place)
            except OSError:
                if place.exists():
                    return False
                raise
            sync(self.folder)
            return True
        finally:
            if handle is not None:
                os.close(handle)
            if building.exists():
                shutil.rmtree(building)

    def _see_queue(self) -> None:
        """Sees, before a process of ours writes there, that the queue is no link."""
        refuse_links(self._provider, *(self.folder / name for name in QUEUE))

    def _sweep(self) -> None:
        """Removes what a process left half-built when it was killed: it is old, and nobody holds its lock."""
        for path in self.folder.glob(f"{_BUILDING}*"):
            # Its owner, or another sweep, was faster; or it is no folder, and none of ours.
            with suppress(FileNotFoundError, NotADirectoryError):
                if path.is_symlink() or time.time() - path.stat().st_mtime < _STALE_S:
                    continue
                handle = try_lock(path / LOCK)
                if handle is not None:
                    os.close(handle)
                    shutil.rmtree(path)

    def _start(self, place: JobFolder, run: int) -> None:
        """Starts a run and waits until its process has the job's lock. A process that never comes is a failed job."""
        command = [*_RUNNER, str(place.path), str(run), str(self._slots)]
        try:
            process = start_detached(command, log=place.path / LOG)
            why = ""
        except OSError as error:
            process, why = None, str(error)
        except BaseException:  # Ctrl-C: we may live on, and as long as we do, the job would be taken for queued
            self._close_unstarted(place, run, "interrupted" if place.record().can_resume else "failed", "interrupted")
            raise
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline and _is_awaited(place.state(), run):
            if process is None or not is_alive(process):
                break
            time.sleep(_POLL_S)
        self._close_unstarted(place, run, "failed", why)

    def _close_unstarted(self, place: JobFolder, run: int, word: str, why: str) -> None:
        handle = try_lock(place.path / LOCK)
        if handle is None:
            return  # it has begun after all
        try:
            state = place.state()
            if _is_awaited(state, run):
                error = f"its process did not start{': ' if why else ''}{why}{place.tail()}"
                self._close(place, state, word, error)
        finally:
            os.close(handle)

    def _close_cancelled(self, place: JobFolder) -> None:
        """Writes down what can be derived as well: that it is cancelled, and since when."""
        handle = try_lock(place.path / LOCK)
        if handle is None:
            return
        try:
            state = place.state()
            if place.job().status is JobStatus.CANCELLED and state.word != "cancelled":
                self._close(place, state, "cancelled", None)
        finally:
            os.close(handle)

    def _close(self, place: JobFolder, state: JobState, word: str, error: str | None) -> None:
        ended: dict[str, Any] = {"word": word, "error": error}
        if WORDS[word].is_terminal:
            ended["finished_at"] = datetime.now(UTC)
        with disk_errors(self._provider, "the status could not be written", place.path):
            place.write_state(state.model_copy(update=ended), durable=True)

    @contextmanager
    def _holding(self, place: JobFolder) -> Generator[None]:
        """Holds the lock of a job whose process has ended, or is about to."""
        deadline = time.monotonic() + _ENDING_S
        handle = try_lock(place.path / LOCK)
        while handle is None:
            now = self.get(place.id)
            if now.status.is_terminal:  # whoever holds the lock is about to let go of it
                raise self._not_paused(now)
            if now.status is not JobStatus.PAUSED or time.monotonic() >= deadline:
                message = f"job '{place.id}' is {now.provider_status}, and its process is there"
                raise self._error(ConflictError, message, "Try again in a minute.")
            time.sleep(_POLL_S)
            handle = try_lock(place.path / LOCK)
        try:
            yield
        finally:
            os.close(handle)

    @staticmethod
    def _await_runner(place: JobFolder) -> ProcessId | None:
        """Returns the process of a job, if need be when it is there; None if there is none to come."""
        deadline = time.monotonic() + _CANCEL_GRACE_S
        while True:
            state = place.state()
            if state.runner is not None or time.monotonic() >= deadline or not place.is_alive():
                return state.runner
            time.sleep(_POLL_S)

    def _not_paused(self, job: FineTuningJob) -> ProviderError:
        message = f"job '{job.id}' is {job.provider_status}: only a paused one can be resumed"
        return self._error(ConflictError, message, None)

    def _error(self, kind: type[ProviderError], message: str, hint: str | None) -> ProviderError:
        return kind(message, provider=self._provider, hint=hint)


def job_id(key: str) -> str:
    """Returns the id of the job of a key."""
    return f"ftjob-{hashlib.sha256(key.encode()).hexdigest()[:24]}"


def _is_awaited(state: JobState, run: int) -> bool:
    """Whether nobody has begun with a run yet."""
    return state.run == run and state.runner is None and state.word == "queued"
