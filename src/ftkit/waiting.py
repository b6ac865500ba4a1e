"""Waiting for jobs: one policy, which decides, and two drivers, which look and sleep (`Client`, `AsyncClient`).

All times are of a clock that only goes forward, so that a wall clock that is set while we wait changes nothing.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Protocol, Self

from pydantic import ValidationError

from ftkit.errors import (
    ConfigurationError,
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
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from types import TracebackType

    from ftkit.models import JobEvent, Page
    from ftkit.progress import Progress
    from ftkit.provider import Provider

_SHORTEST_S = 0.5
_LONGEST_S = 30.0
_SHARE = 0.02
_PATIENCE_S = 900.0
_PAGE = 100
_MOST_S = 1e9
"""Thirty years; clocks and sleeps overflow not far beyond."""


def check_seconds(name: str, value: object) -> None:
    """Refuses what is no number of seconds (None is none at all).

    Raises:
        ConfigurationError: It is not.
    """
    if value is not None and not (isinstance(value, (int, float)) and 0 <= value <= _MOST_S):
        message = f"{name} is a number of seconds, 0 to a thousand million (got {value!r})"
        raise ConfigurationError(message)


@dataclass(frozen=True, slots=True)
class Pace:
    """How often to look at a job.

    Attributes:
        poll_s: Seconds between looks; None for a share of the time waited so far, so that the end of a job is seen
            at most 2 % late, within half a second and half a minute.
        timeout_s: Seconds after which to stop waiting; None for never.
        stall_s: Seconds without a step after which a running job is reported as standing still.

    Raises:
        ConfigurationError: One of them is no number of seconds.
    """

    poll_s: float | None = None
    timeout_s: float | None = None
    stall_s: float = 600.0

    def __post_init__(self) -> None:
        for field in fields(self):
            check_seconds(field.name, getattr(self, field.name))

    def delay(self, waited_s: float, least_s: float = 0.0) -> float:
        """Returns the seconds until the next look: `least_s` or more, but never past the end of the waiting."""
        delay = self.poll_s if self.poll_s is not None else min(max(_SHARE * waited_s, _SHORTEST_S), _LONGEST_S)
        delay = max(delay, least_s)
        return delay if self.timeout_s is None else max(0.0, min(delay, self.timeout_s - waited_s))


class _Patience:
    """Tells an outage, which is waited out for a while, from an error that waiting does not mend.

    The machine may have been asleep between two looks, and the network be back a moment later than we: no gap between
    two looks uses up more than half of the patience.
    """

    def __init__(self) -> None:
        self._missed_at: float | None = None
        self._lost_s = 0.0

    def met(self) -> None:
        """An answer came."""
        self._missed_at, self._lost_s = None, 0.0

    def missed(self, error: ProviderError, now: float) -> bool:
        """No answer came, although it was asked for several times. Returns whether that is news."""
        began = self._missed_at is None
        self._lost_s += 0.0 if self._missed_at is None else min(now - self._missed_at, _PATIENCE_S / 2)
        self._missed_at = now
        if self._lost_s >= _PATIENCE_S or not isinstance(error, (ProviderUnavailableError, RateLimitError)):
            raise error
        return began


def _asked_to_wait(error: ProviderError) -> float:
    """Seconds that a provider asked us to stay away; no more than we would be patient with it."""
    asked = error.retry_after_s if isinstance(error, RateLimitError) else None
    return min(asked or 0.0, _PATIENCE_S)


class Watch:
    """Follows one job, look by look. Knows nothing of how to look or how to sleep.

    Args:
        job: The job.
        pace: How often to look.
        progress: Where to show it.
        clock: A clock in seconds that only goes forward.
        client: The line of Python that makes such a client again; `Client("name of the provider")` if None.
    """

    def __init__(
        self,
        job: FineTuningJob,
        pace: Pace,
        progress: Progress,
        clock: Callable[[], float] = time.monotonic,
        client: str | None = None,
    ) -> None:
        self.job = job
        self.last_event: str | None = None
        self._client = client if client is not None else f"Client({job.provider!r})"
        self._pace = pace
        self._progress = progress
        self._clock = clock
        self._began = self._moved = clock()
        self._patience = _Patience()
        self._told_stall = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._progress.close()
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            self.tell_stop()

    def tell_stop(self) -> None:
        """Says how to take the job up again, now that somebody stops waiting for it."""
        self._progress.say(f"Stopped waiting; the job goes on. Take it up again with:\n  {self._line('wait')}")

    def see(self, job: FineTuningJob, events: Sequence[JobEvent] | None) -> float | None:
        """Takes in what one look has shown.

        Args:
            job: The job as it is now.
            events: What is new of it; None if nobody asked, so that nothing is known of a job that counts no steps.

        Returns:
            Seconds until the next look, or None if the waiting is over.

        Raises:
            JobTimeoutError: The time is up, and the job still runs.
        """
        now = self._clock()
        self._patience.met()
        job = job.model_copy(update={"key": job.key or self.job.key})  # not every vendor keeps it
        if events:
            self.last_event = events[-1].id
        if self._has_moved(job, events):
            self._moved, self._told_stall = now, False
        self.job = job
        self._progress.update(job, events or ())
        if job.status.is_terminal or job.status is JobStatus.PAUSED:
            return None
        if events is not None or job.step is not None:
            self._tell_stall(now)
        return self._next(now)

    def miss(self, error: ProviderError) -> float:
        """Takes in that a look failed, although it was tried several times: outages are waited out for a while.

        Raises:
            ProviderError: It has been failing for a quarter of an hour.
            JobTimeoutError: The time is up.
        """
        now = self._clock()
        if self._patience.missed(error, now):
            self._progress.say(f"{self.job.id}: cannot be read just now, still waiting: {error.message}")
        return self._next(now, _asked_to_wait(error))

    def again(self, least_s: float = 0.0) -> float:
        """Returns the seconds until the next look, `least_s` or more.

        Raises:
            JobTimeoutError: The time is up.
        """
        return self._next(self._clock(), least_s)

    def outcome(self) -> FineTuningJob:
        """Returns the job if it has succeeded.

        Raises:
            JobFailedError: It has failed.
            JobCancelledError: It was cancelled.
            JobPausedError: It stands still, and can be resumed.
        """
        return outcome(self.job, self._line("resume_job"))

    def _line(self, verb: str) -> str:
        """The line of Python that does something with the job from anywhere."""
        return f"{self._client}.{verb}({self.job.id!r})"

    def _has_moved(self, job: FineTuningJob, events: Sequence[JobEvent] | None) -> bool:
        """A step is a move; where no steps are counted, anything that happens is one."""
        happened = any(event.metrics is not None or job.step is None for event in events or ())
        return happened or (job.step, job.status) != (self.job.step, self.job.status)

    def _next(self, now: float, least_s: float = 0.0) -> float:
        waited = now - self._began
        if self._pace.timeout_s is not None and waited >= self._pace.timeout_s:
            message = f"stopped waiting for {self.job.id} after {waited:.0f} s; it is {self.job.status.value}"
            raise JobTimeoutError(message, self.job, hint=f"The job goes on. To wait on: {self._line('wait')}")
        return self._pace.delay(waited, least_s)

    def _tell_stall(self, now: float) -> None:
        if self.job.status is JobStatus.RUNNING and now - self._moved >= self._pace.stall_s and not self._told_stall:
            self._told_stall = True
            minutes = (now - self._moved) / 60
            at = f" (at {self.job.step}/{self.job.total_steps or '?'})" if self.job.step is not None else ""
            self._progress.say(f"{self.job.id}: running, but no step for {minutes:.0f} min{at}")


class WatchAll:
    """Follows many jobs at once.

    Args:
        jobs: The jobs.
        pace: How often to look.
        progress: Where to show them.
        clock: A clock in seconds that only goes forward.
        client: The line of Python that makes such a client again.
    """

    def __init__(
        self,
        jobs: Iterable[FineTuningJob],
        pace: Pace,
        progress: Progress,
        clock: Callable[[], float] = time.monotonic,
        client: str | None = None,
    ) -> None:
        self._order = list(jobs)
        self._progress = progress
        self._clock = clock
        self._client = client
        self._patience = _Patience()
        self.watches = {job.id: Watch(job, pace, progress, clock, client) for job in self._order}
        self.waiting = set(self.watches)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._progress.close()
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            self.tell_stop()

    def tell_stop(self) -> None:
        """Says how to take up again the jobs that have not ended, now that somebody stops waiting for them."""
        left = [job for job in self._order if job.id in self.waiting]
        if left:
            client = self._client if self._client is not None else f"Client({left[0].provider!r})"
            line = f"{client}.wait_all({[job.id for job in left]!r})"
            self._progress.say(f"Stopped waiting; the jobs go on. Take them up again with:\n  {line}")

    def see(self, seen: Mapping[str, FineTuningJob]) -> float | None:
        """Takes in what one look has shown of all jobs that are waited for.

        Returns:
            Seconds until the next look, or None if the waiting is over.

        Raises:
            JobTimeoutError: The time is up, and a job still runs.
        """
        self._patience.met()
        over = {job_id for job_id in sorted(self.waiting) if self.watches[job_id].see(seen[job_id], None) is None}
        self.waiting -= over
        return max((self.watches[job_id].again() for job_id in self.waiting), default=None)

    def miss(self, error: ProviderError) -> float:
        """Takes in that a look failed: outages are waited out as for one job.

        Raises:
            ProviderError: It has been failing for a quarter of an hour.
            JobTimeoutError: The time is up.
        """
        if self._patience.missed(error, self._clock()):
            count = len(self.waiting)
            self._progress.say(f"{count} jobs: cannot be read just now, still waiting: {error.message}")
        return max(self.watches[job_id].again(_asked_to_wait(error)) for job_id in self.waiting)

    def jobs(self) -> list[FineTuningJob]:
        """Returns the jobs as they were last seen, in the order given."""
        return [self.watches[job.id].job for job in self._order]


class Reads(Protocol):
    """What looking needs of a client."""

    @property
    def provider(self) -> Provider:
        """The provider."""
        ...

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


def to_watch(client: Reads, job: FineTuningJob | str) -> FineTuningJob:
    """Returns a job to begin waiting with. Nothing is read yet, so that an outage now is waited out as one later is.

    Raises:
        ConfigurationError: It is neither a job nor an id.
    """
    if isinstance(job, FineTuningJob):
        return job
    try:
        return FineTuningJob(id=job, provider=client.provider.name, status=JobStatus.UNKNOWN, model="unknown")
    except ValidationError as error:
        message = f"{job!r} is neither a job nor the id of one"
        raise ConfigurationError(message) from error


def look(client: Reads, watch: Watch) -> tuple[list[JobEvent], float | None]:
    """Looks at a job once: first at the job, then at its events, so that those of an ended job are complete.

    Returns:
        The events that are new, and the seconds until the next look, or None if the waiting is over.
    """
    try:
        job = client.get_job(watch.job)
        events = new_events(client, watch)
    except ProviderError as error:
        return [], watch.miss(error)
    return events, watch.see(job, events)


def look_all(client: Reads, all_: WatchAll) -> float | None:
    """Looks at many jobs once, by listing; those that the list does not show (it may lag) are read one by one.

    Returns:
        Seconds until the next look, or None if the waiting is over.
    """
    if not all_.waiting:
        return None
    try:
        seen = _list_until(client, all_.waiting)
        for job_id in sorted(all_.waiting - seen.keys()):
            seen[job_id] = client.get_job(all_.watches[job_id].job)
    except ProviderError as error:
        return all_.miss(error)
    return all_.see(seen)


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
    """Reads the list of jobs from its new end until all that are wanted were seen.

    It stops earlier when one more page would cost more than reading one by one what is still missing: in a long
    list, a job that is not in it must not cost the whole list at every look.
    """
    seen: dict[str, FineTuningJob] = {}
    after: str | None = None
    pages = 0
    while pages <= len(wanted) - len(seen):
        page = client.list_jobs(after=after, limit=_PAGE)
        pages += 1
        seen.update({job.id: job for job in page.items if job.id in wanted})
        after = page.next
        if after is None or len(seen) == len(wanted):
            break
    return seen


def outcome(job: FineTuningJob, resume: str) -> FineTuningJob:
    """Returns a job that has succeeded, and raises the error of one that has not.

    Args:
        job: The job.
        resume: The line of Python that resumes it.
    """
    if job.status is JobStatus.FAILED:
        raise JobFailedError(f"{job.id} failed: {job.error or 'the provider gives no reason'}", job)
    if job.status is JobStatus.CANCELLED:
        raise JobCancelledError(f"{job.id} was cancelled", job)
    if job.status is JobStatus.PAUSED:
        raise JobPausedError(f"{job.id} is paused{': ' if job.error else ''}{job.error or ''}", job, hint=resume)
    return job
