"""Waiting for jobs: one policy, which decides, and two drivers, which look and sleep (`Client`, `AsyncClient`).

All times are of a clock that only goes forward, so that a wall clock that is set while we wait changes nothing.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

from ftkit.errors import (
    JobCancelledError,
    JobFailedError,
    JobPausedError,
    JobTimeoutError,
    ProviderError,
    ProviderUnavailableError,
    RateLimitError,
)
from ftkit.models import FineTuningJob, JobStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import TracebackType

    from ftkit.models import JobEvent, Page
    from ftkit.progress import Progress

_SHORTEST_S = 0.5
_LONGEST_S = 30.0
_SHARE = 0.02
_PATIENCE_S = 900.0
_PAGE = 100


@dataclass(frozen=True, slots=True)
class Pace:
    """How often to look at a job.

    Attributes:
        poll_s: Seconds between looks; None for a share of the time waited so far, so that the end of a job is seen
            at most 2 % late, within half a second and half a minute.
        timeout_s: Seconds after which to stop waiting; None for never.
        stall_s: Seconds without a step after which a running job is reported as standing still.
    """

    poll_s: float | None = None
    timeout_s: float | None = None
    stall_s: float = 600.0

    def delay(self, waited_s: float) -> float:
        """Returns the seconds until the next look, never past the end of the waiting."""
        delay = self.poll_s if self.poll_s is not None else min(max(_SHARE * waited_s, _SHORTEST_S), _LONGEST_S)
        return delay if self.timeout_s is None else max(0.0, min(delay, self.timeout_s - waited_s))


class Watch:
    """Follows one job, look by look. Knows nothing of how to look or how to sleep.

    Args:
        job: The job.
        pace: How often to look.
        progress: Where to show it.
        clock: A clock in seconds that only goes forward.
    """

    def __init__(
        self, job: FineTuningJob, pace: Pace, progress: Progress, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.job = job
        self.last_event: str | None = None
        self._pace = pace
        self._progress = progress
        self._clock = clock
        self._began = self._moved = clock()
        self._lost_at: float | None = None
        self._told_stall = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._progress.close()
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            self._progress.say(f"Stopped waiting; the job goes on. Take it up again with:\n  {wait_line(self.job)}")

    def see(self, job: FineTuningJob, events: Sequence[JobEvent]) -> float | None:
        """Takes in what one look has shown.

        Returns:
            Seconds until the next look, or None if the waiting is over.

        Raises:
            JobTimeoutError: The time is up, and the job still runs.
        """
        now = self._clock()
        self._lost_at = None
        if events:
            self.last_event = events[-1].id
        stepped = any(event.metrics is not None for event in events)
        if stepped or (job.step, job.status) != (self.job.step, self.job.status):
            self._moved, self._told_stall = now, False
        self.job = job
        self._progress.update(job, events)
        if job.status.is_terminal or job.status is JobStatus.PAUSED:
            return None
        self._tell_stall(now)
        return self._next(now)

    def miss(self, error: ProviderError) -> float:
        """Takes in that a look failed, although it was tried several times: outages are waited out for a while.

        Raises:
            ProviderError: It has been failing for a quarter of an hour.
        """
        now = self._clock()
        if self._lost_at is None:
            self._lost_at = now
            self._progress.say(f"{self.job.id}: cannot be read just now, still waiting: {error.message}")
        if now - self._lost_at >= _PATIENCE_S or not isinstance(error, (ProviderUnavailableError, RateLimitError)):
            raise error
        return self._next(now)

    def outcome(self) -> FineTuningJob:
        """Returns the job if it has succeeded.

        Raises:
            JobFailedError: It has failed.
            JobCancelledError: It was cancelled.
            JobPausedError: It stands still, and can be resumed.
        """
        return outcome(self.job)

    def _next(self, now: float) -> float:
        waited = now - self._began
        if self._pace.timeout_s is not None and waited >= self._pace.timeout_s:
            message = f"stopped waiting for {self.job.id} after {waited:.0f} s; it is {self.job.status.value}"
            raise JobTimeoutError(message, self.job, hint=f"The job goes on. To wait on: {wait_line(self.job)}")
        return self._pace.delay(waited)

    def _tell_stall(self, now: float) -> None:
        if self.job.status is JobStatus.RUNNING and now - self._moved >= self._pace.stall_s and not self._told_stall:
            self._told_stall = True
            minutes = (now - self._moved) / 60
            self._progress.say(
                f"{self.job.id}: running, but no step for {minutes:.0f} min (at {self.job.step}/{self.job.total_steps})"
            )


class WatchAll:
    """Follows many jobs at once.

    Args:
        jobs: The jobs.
        pace: How often to look.
        progress: Where to show them.
    """

    def __init__(self, jobs: Iterable[FineTuningJob], pace: Pace, progress: Progress) -> None:
        self._order = list(jobs)
        self._progress = progress
        self.watches = {job.id: Watch(job, pace, progress) for job in self._order}
        self.waiting = set(self.watches)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.close()

    def jobs(self) -> list[FineTuningJob]:
        """Returns the jobs as they were last seen, in the order given."""
        return [self.watches[job.id].job for job in self._order]


class Reads(Protocol):
    """What looking needs of a client."""

    @property
    def abilities(self) -> frozenset[str]:
        """Names of the provider's abilities."""
        ...

    def get_job(self, job: FineTuningJob | str) -> FineTuningJob:
        """Reads a job."""
        ...

    def list_jobs(self, *, after: str | None = None, limit: int = 20) -> Page[FineTuningJob]:
        """Lists jobs."""
        ...

    def list_events(self, job: FineTuningJob | str, *, after: str | None = None, limit: int = 100) -> Page[JobEvent]:
        """Lists events."""
        ...


def look(client: Reads, watch: Watch) -> float | None:
    """Looks at a job once: first at the job, then at its events, so that those of an ended job are complete.

    Returns:
        Seconds until the next look, or None if the waiting is over.
    """
    try:
        job = client.get_job(watch.job.id)
        return watch.see(job, new_events(client, watch))
    except ProviderError as error:
        return watch.miss(error)


def look_all(client: Reads, all_: WatchAll) -> float | None:
    """Looks at many jobs once, by listing; those that the list does not show (it may lag) are read one by one."""
    seen = _list_until(client, all_.waiting)
    delays: list[float] = []
    for job_id in sorted(all_.waiting):
        delay = all_.watches[job_id].see(seen.get(job_id) or client.get_job(job_id), ())
        if delay is None:
            all_.waiting.discard(job_id)
        else:
            delays.append(delay)
    return max(delays, default=None)


def new_events(client: Reads, watch: Watch) -> list[JobEvent]:
    """Reads all events after the last one that a watch has seen, page by page."""
    if "ListsEvents" not in client.abilities:
        return []
    events: list[JobEvent] = []
    after = watch.last_event
    while True:
        page = client.list_events(watch.job.id, after=after, limit=_PAGE)
        events.extend(page.items)
        if page.next is None:
            return events
        after = page.next


def _list_until(client: Reads, wanted: set[str]) -> dict[str, FineTuningJob]:
    """Reads the list of jobs from its new end until all that are wanted were seen."""
    seen: dict[str, FineTuningJob] = {}
    after: str | None = None
    while True:
        page = client.list_jobs(after=after, limit=_PAGE)
        seen.update({job.id: job for job in page.items if job.id in wanted})
        after = page.next
        if after is None or len(seen) == len(wanted):
            return seen


def outcome(job: FineTuningJob) -> FineTuningJob:
    """Returns a job that has succeeded, and raises the error of one that has not."""
    if job.status is JobStatus.FAILED:
        raise JobFailedError(f"{job.id} failed: {job.error or 'the provider gives no reason'}", job)
    if job.status is JobStatus.CANCELLED:
        raise JobCancelledError(f"{job.id} was cancelled", job)
    if job.status is JobStatus.PAUSED:
        hint = f"Client({job.provider!r}).resume_job({job.id!r})"
        raise JobPausedError(f"{job.id} is paused: {job.error or 'nobody says why'}", job, hint=hint)
    return job


def wait_line(job: FineTuningJob) -> str:
    """Returns the line of Python that waits for a job from anywhere."""
    return f"Client({job.provider!r}).wait({job.id!r})"
