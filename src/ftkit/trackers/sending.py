"""`send`: follows a job, and tells each tracker of it what that tracker does not have."""

from __future__ import annotations

import logging
from collections import Counter
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from ftkit.errors import (
    ConfigurationError,
    ConflictError,
    FtkitError,
    JobCancelledError,
    JobFailedError,
    JobPausedError,
    NotFoundError,
    UnsupportedError,
)
from ftkit.home import state_folder
from ftkit.models import FineTuningJob, JobStatus
from ftkit.plugin.secrets import masked, surrounding
from ftkit.trackers.naming import named, run_id, without
from ftkit.trackers.table import make_tracker

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
    from typing import TypeAlias, TypeVar

    from ftkit.client import Client
    from ftkit.models import JobEvent, Metrics
    from ftkit.trackers.contract import Tracker

    OnEvent: TypeAlias = Callable[[JobEvent], object]
    T = TypeVar("T")

logger = logging.getLogger("ftkit")


class TrackingError(FtkitError):
    """Not everything has reached every tracker. The job has nothing to do with it.

    Attributes:
        job: The job, as it was last seen.
        failures: What went wrong, by the name of the tracker.
    """

    def __init__(self, message: str, job: FineTuningJob, failures: Mapping[str, str], *, hint: str) -> None:
        super().__init__(message, hint=hint)
        self.job = job
        self.failures = dict(failures)


class _Line:
    """The line to one tracker. Once it has failed, it is silent, and remembers why."""

    def __init__(self, name: str, tracker: Tracker) -> None:
        self.name = name
        self.failure: str | None = None
        self._tracker = tracker
        self._held: set[tuple[str, int]] = set()
        self._open = False

    def begin(self, job: FineTuningJob) -> None:
        held = self._try(lambda: set(self._tracker.begin(job)))
        if held is not None:
            self._held, self._open = held, True

    def log(self, metrics: Metrics) -> None:
        new = without(metrics, self._held)
        points = {(name, new.step) for name in named(new)}
        if points and self.failure is None:
            self._try(lambda: self._tracker.log(new))
            self._held |= points

    def end(self, job: FineTuningJob) -> None:
        if self._open and self.failure is None:
            self._try(lambda: self._tracker.end(job))

    def _try(self, call: Callable[[], T]) -> T | None:
        try:
            return call()
        except Exception as error:  # noqa: BLE001 - whatever a tracker raises, the job and the others go on
            told = masked(f"{type(error).__name__}: {error}", surrounding())
            self.failure = FtkitError(told).message  # which has no key in it
            logger.warning("nothing more is sent to '%s': %s", self.name, self.failure)
            return None


def name_of(tracker: Tracker) -> str:
    """Returns what a tracker is called in errors: its class, in small letters."""
    return type(tracker).__name__.lower()


def _lines(trackers: Iterable[Tracker]) -> list[_Line]:
    """Returns a line to each tracker; a second one of its sort is numbered."""
    seen: Counter[str] = Counter()
    lines: list[_Line] = []
    for tracker in trackers:
        name = name_of(tracker)
        seen[name] += 1
        lines.append(_Line(name if seen[name] == 1 else f"{name} {seen[name]}", tracker))
    return lines


def send(
    client: Client,
    job: FineTuningJob | str,
    *trackers: str | Tracker,
    on_event: OnEvent | None = None,
    poll_s: float | None = None,
) -> FineTuningJob:
    """Follows a job until it ends, and sends what is measured to each tracker.

    Sent again, it goes on where it was: a job is one run in each tracker, with each point once. Rows come live from
    the events of the job; what those do not hold is read from its results at the end.

    Args:
        client: The client of the job's account.
        job: The job, or its id.
        trackers: Names ("tensorboard", "wandb", "mlflow", "trackio"), or trackers.
        on_event: Called with each event of the job as it happens: `print`, say.
        poll_s: Seconds between looks at the job; None lets them grow with the time waited.

    Returns:
        The job as it ended, however it did; or paused.

    Raises:
        ConfigurationError: There is no such tracker, or another process is sending this job to it.
        MissingExtraError: A package that a tracker needs is not installed.
        UnsupportedError: The provider tells neither events nor results of a job. Nothing was opened.
        TrackingError: A tracker failed. The others have all; if none is left, nobody waits for the job.
        ProviderError: The job cannot be read any more.
    """
    made = [make_tracker(each) for each in trackers]
    if not made:
        raise ConfigurationError("to which tracker?", hint='Such as: trackers.send(client, job, "tensorboard")')
    if not client.abilities & {"ListsEvents", "FetchesResults"}:
        message = (
            f"the provider '{client.provider.name}' tells no metrics of its jobs: it has neither events nor results"
        )
        raise UnsupportedError(message)
    job = _known(client, job)
    lines = _lines(made)
    with ExitStack() as stack:
        for name in dict.fromkeys(map(name_of, made)):
            stack.enter_context(_alone(job, name))
        try:
            for line in lines:
                line.begin(job)
            job = _followed(client, job, lines, on_event, poll_s)
        finally:  # after Ctrl-C as well: what was sent so far is whole
            for line in lines:
                line.end(job)
    _raise_failures(job, lines)
    return job


def _known(client: Client, job: FineTuningJob | str) -> FineTuningJob:
    known = client.get_job(job)
    return known.model_copy(update={"identity": known.identity or client.identity()})


@contextmanager
def _alone(job: FineTuningJob, name: str) -> Generator[None]:
    """Holds a job's run in a tracker, on this machine. Where the process dies, the system lets go of it.

    Raises:
        ConfigurationError: Another process has it.
    """
    folder = state_folder() / "trackers"
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f"{run_id(job)}-{name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        message = f"the job {job.id} is being sent to '{name}' by another process"
        raise ConfigurationError(message, hint="Leave it to that one, or end it first.") from None
    try:
        yield
    finally:
        lock.release()


def _followed(
    client: Client, job: FineTuningJob, lines: Sequence[_Line], on_event: OnEvent | None, poll_s: float | None
) -> FineTuningJob:
    """Tells all lines of a job until it ends, or until all of them have failed. Returns the job as it is then."""
    if _any_left(lines) and "ListsEvents" in client.abilities:
        for event in client.follow(job, poll_s=poll_s):
            if on_event is not None:
                on_event(event)
            if event.metrics is not None:
                _tell(lines, event.metrics)
            if not _any_left(lines):
                break
    elif _any_left(lines):
        _wait(client, job, poll_s)
    ended = _known(client, job)
    for row in _results(client, ended) if _any_left(lines) else ():
        _tell(lines, row)
    return ended


def _any_left(lines: Iterable[_Line]) -> bool:
    return any(line.failure is None for line in lines)


def _wait(client: Client, job: FineTuningJob, poll_s: float | None) -> None:
    try:
        client.wait(job, poll_s=poll_s, progress=False)
    except (JobFailedError, JobCancelledError, JobPausedError):
        return  # that is an end as well, and the caller reads the job


def _results(client: Client, job: FineTuningJob) -> list[Metrics]:
    if "FetchesResults" not in client.abilities:
        return []
    try:
        return client.results(job)
    except (NotFoundError, ConflictError):
        if job.status is JobStatus.SUCCEEDED:
            raise
        return []  # of a job that came to nothing, many a provider keeps none


def _tell(lines: Iterable[_Line], metrics: Metrics) -> None:
    for line in lines:
        line.log(metrics)


def _raise_failures(job: FineTuningJob, lines: Iterable[_Line]) -> None:
    failures = {line.name: line.failure for line in lines if line.failure is not None}
    if failures:
        told = "; ".join(f"{name}: {why}" for name, why in failures.items())
        message = f"the job {job.id} ({job.status.value}) was not wholly sent: {told}"
        raise TrackingError(message, job, failures, hint="Send it again when that is mended: only what is missing is.")
