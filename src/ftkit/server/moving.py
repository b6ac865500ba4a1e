"""One step of one job: from accepted to validated, to handed over, to ended.

All that is decided is on disk before it is done, and all that is done can be done again: a server that was killed
goes on where it was. That the provider makes each job once is the client's promise; the job's id is the key that it
is asked for with.
"""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING, Any

from ftkit.errors import (
    ConfigurationError,
    ConflictError,
    CredentialsError,
    DatasetError,
    FtkitError,
    JobCancelledError,
    JobFailedError,
    NotFoundError,
    ProviderError,
    ProviderUnavailableError,
    QuotaError,
    RateLimitError,
    UnclearOutcomeError,
    UnsupportedError,
)
from ftkit.models import EventLevel, FineTuningJob, JobStatus
from ftkit.server.logs import FIELDS
from ftkit.server.records import EventRecord, JobError, JobRecord, JobWord, Wish, now, told

if TYPE_CHECKING:
    from collections.abc import Callable

    from ftkit.client import Client
    from ftkit.models import JobEvent, TrainingFile
    from ftkit.server.files import Files
    from ftkit.server.store import Store

logger = logging.getLogger("ftkit.server")

_PAGE = 100
_MOST_PROBLEMS = 20

_WORDS = {
    JobStatus.VALIDATING: JobWord.QUEUED,  # by the provider: we have validated already
    JobStatus.QUEUED: JobWord.QUEUED,
    JobStatus.RUNNING: JobWord.RUNNING,
    JobStatus.PAUSED: JobWord.PAUSED,
    JobStatus.SUCCEEDED: JobWord.SUCCEEDED,
    JobStatus.FAILED: JobWord.FAILED,
    JobStatus.CANCELLED: JobWord.CANCELLED,
}
"""What the client's words are on the wire. The others, cancelling and unknown, change nothing."""
_NEVER = (UnsupportedError, ConfigurationError, ConflictError, NotFoundError)
"""What a provider answers to what it will never do."""
_LATER = (CredentialsError, RateLimitError, QuotaError, ProviderUnavailableError, UnclearOutcomeError)
"""What waiting, or a person, may mend."""
_REFUSALS = range(400, 500)


class Mover:
    """Moves jobs on. Two threads must not move the same job.

    Args:
        client: The provider's client.
        store: Where the jobs are.
        files: Where their files are.
    """

    def __init__(self, client: Client, store: Store, files: Files) -> None:
        self._client = client
        self._store = store
        self._files = files

    def move(self, job_id: str) -> None:
        """Takes the next step of a job.

        Raises:
            FtkitError: It cannot be taken now; try again later.
        """
        job = self._store.find(JobRecord, job_id)
        if job is None or job.word.is_terminal:
            return
        if job.word is JobWord.VALIDATING:
            self._validate(job)
        elif not job.handed:
            if self._change(job, JobWord.QUEUED, {"handed": True}):
                self._ask(job)
        elif job.job is None:  # we died while it was made, or it could not be known whether it was
            self._ask(job)
        else:
            try:
                self._look(job, self._grant(job, job.job))
            except NotFoundError as error:
                self._lose(job, error)

    def tell_trouble(self, job_id: str, error: Exception) -> None:
        """Tells, in the job's events and in the log, why it does not get on."""
        ours = isinstance(error, FtkitError)
        logger.warning("job %s cannot go on now: %r", job_id, error, exc_info=None if ours else error)
        why = str(error) if ours else f"{type(error).__name__}; the server's log says more"
        self._tell(job_id, f"The job cannot go on now, and is tried again: {why}", EventLevel.WARNING)

    def give_up(self, job_id: str, error: Exception) -> None:
        """Ends a job that nothing was made of yet, and that could not go on for too long."""
        job = self._store.find(JobRecord, job_id)
        if job is not None and not job.handed:
            self._fail(job, "provider_unavailable", f"it could not be begun: {error}")

    def _validate(self, job: JobRecord) -> None:
        """Checks the files, and gives them to the provider."""
        given: dict[str, TrainingFile] = {}
        for param, name in (("training_file", "training"), ("validation_file", "validation")):
            file_id: str | None = getattr(job, param)
            if file_id is None:
                continue
            try:
                given[name] = self._client.upload(self._files.path(file_id), model=job.base, method=job.method)
            except DatasetError as error:
                self._fail(job, f"invalid_{param}", self._told(error, file_id), param)
                return
            except FtkitError as error:
                if not _is_final(error):
                    raise
                self._fail(job, "unsupported", str(error))
                return
        if self._change(job, JobWord.VALIDATING, {"word": JobWord.QUEUED, **given}):
            self._tell(job.id, "The files are valid; the job is queued.")

    def _told(self, error: DatasetError, file_id: str) -> str:
        """What is wrong with a file, by the name that its user gave it."""
        name = self._files.name(file_id)
        lines = [str(p.model_copy(update={"source": name})) for p in error.problems[:_MOST_PROBLEMS]]
        more = len(error.problems) - len(lines)
        return "\n".join([*(lines or [f"{name} cannot be read"]), *([f"... and {more} more"] if more else [])])

    def _ask(self, job: JobRecord) -> None:
        """Asks the provider for the job. That it is being asked for is on disk."""
        if job.training is None:
            message = f"the job {job.id} was handed over before it was validated"
            raise AssertionError(message)
        try:
            made = self._client.create_job(
                model=job.base,
                training_file=job.training,
                validation_file=job.validation,
                method=job.method,
                suffix=job.suffix,
                seed=job.seed,
                key=job.id,
            )
        except (JobFailedError, JobCancelledError) as error:  # it ended while we were away
            made = error.job
        except FtkitError as error:
            if _is_final(error):
                self._fail(job, "refused", str(error))
                return
            if isinstance(error, _LATER) and not isinstance(error, UnclearOutcomeError):
                self._change(job, None, {"handed": False})  # the client is certain that nothing was made
            raise
        self._tell(job.id, "The fine-tuning job has begun.")
        self._see(job, made)

    def _grant(self, job: JobRecord, made: FineTuningJob) -> FineTuningJob:
        """Does what the user asked of a job, and returns how it is then."""
        verbs = {
            Wish.CANCEL: self._client.cancel_job,
            Wish.PAUSE: self._client.pause_job,
            Wish.RESUME: self._client.resume_job,
        }
        if job.wish is not None:
            try:
                seen = verbs[job.wish](made)
            except (ConflictError, UnsupportedError) as error:  # it may have ended, or be where it should be
                self._tell(job.id, f"The provider would not {job.wish.value} the job: {error}", EventLevel.WARNING)
                seen = self._client.get_job(made)
            self._store.change(JobRecord, job.id, lambda now: now.without(job.wish))
            return seen
        seen = self._client.get_job(made)
        if seen.interrupted and job.word is not JobWord.PAUSED:  # its process or machine died; nobody asked for that
            self._tell(
                job.id,
                "The job was interrupted, and goes on from its last checkpoint; from the start, if it has none.",
                EventLevel.WARNING,
            )
            seen = self._client.resume_job(made)
        return seen

    def _look(self, job: JobRecord, seen: FineTuningJob) -> None:
        """Writes down what has come of a job since it was last seen."""
        self._take_events(job, seen)
        if seen.status is JobStatus.SUCCEEDED:
            self._succeed(job, seen)
        elif seen.status is JobStatus.FAILED:
            self._fail(job, "training_failed", seen.error or "the provider gives no reason", None, seen)
        else:
            self._see(job, seen)

    def _see(self, job: JobRecord, seen: FineTuningJob) -> None:
        """Writes down how a job is. What is being waited for (pausing, resuming) is said until it has come."""

        def changed(record: JobRecord) -> JobRecord:
            word = _WORDS.get(seen.status, record.word)
            if record.word is JobWord.PAUSING and word in {JobWord.QUEUED, JobWord.RUNNING}:
                word = JobWord.PAUSING
            if record.wish is Wish.RESUME and word is JobWord.PAUSED:
                word = JobWord.RESUMING
            ended = {"finished_at": now()} if word.is_terminal else {}
            return record.model_copy(update={"job": seen, "word": word, **ended})

        self._write(job, changed)
        if seen.status is JobStatus.CANCELLED:
            self._tell(job.id, "The job was cancelled.")

    def _succeed(self, job: JobRecord, seen: FineTuningJob) -> None:
        results = None
        if "FetchesResults" in self._client.abilities:
            results = self._files.add_results(self._client.results(seen)).id
        update = {"job": seen, "word": JobWord.SUCCEEDED, "finished_at": _seconds(seen), "result_file": results}
        self._change(job, None, update)
        self._tell(job.id, "The job has completed; its model can be used.")

    def _fail(
        self, job: JobRecord, code: str, message: str, param: str | None = None, seen: FineTuningJob | None = None
    ) -> None:
        error = JobError(code=code, message=message, param=param)
        update: dict[str, Any] = {"word": JobWord.FAILED, "error": error, "finished_at": now(), "wish": None}
        self._change(job, None, update if seen is None else {**update, "job": seen})
        self._tell(job.id, f"The job failed: {message}", EventLevel.ERROR)

    def _lose(self, job: JobRecord, error: NotFoundError) -> None:
        """Ends a job that the provider no longer has: it is cancelled only if somebody here has asked for that."""
        if job.wish is Wish.CANCEL:
            self._change(job, None, {"word": JobWord.CANCELLED, "finished_at": now(), "wish": None})
        else:
            self._fail(job, "lost", f"the provider no longer has the job: {error}")

    def _take_events(self, job: JobRecord, seen: FineTuningJob) -> None:
        """Copies the provider's events that are new. Their ids come from the provider's: twice is once."""
        if "ListsEvents" not in self._client.abilities:
            return
        after = job.seen_event
        while True:
            page = self._client.list_events(seen, after=after, limit=_PAGE)
            if page.items:
                after = page.items[-1].id
                with self._store.transaction():
                    self._store.add_new(_event(job, event) for event in page.items)
                    self._change(job, None, {"seen_event": after})
            if page.next is None:
                return

    def _change(self, job: JobRecord, only: JobWord | None, update: dict[str, Any]) -> bool:
        """Changes a job on disk, if need be only where it still stands as it should; returns whether it did."""
        done = False

        def changed(record: JobRecord) -> JobRecord:
            nonlocal done
            done = record.word is only if only is not None else not record.word.is_terminal
            return record.model_copy(update=update) if done else record

        self._write(job, changed)
        return done

    def _write(self, job: JobRecord, change: Callable[[JobRecord], JobRecord]) -> None:
        """Changes a job on disk, and logs where it stands if that is new."""
        word = self._store.change(JobRecord, job.id, change).word
        if word is not job.word:
            logger.info("job %s is %s", job.id, word.value, extra={FIELDS: {"job": job.id, "is": word.value}})

    def _tell(self, job_id: str, message: str, level: EventLevel = EventLevel.INFO) -> None:
        self._store.add(told(job_id, message, level))


def _is_final(error: FtkitError) -> bool:
    """Whether the same request will be refused for ever."""
    if isinstance(error, _LATER):
        return False
    status = error.status_code if isinstance(error, ProviderError) else None
    return isinstance(error, _NEVER) or status in _REFUSALS


def _event(job: JobRecord, event: JobEvent) -> EventRecord:
    digest = hashlib.sha256(f"{job.id} {event.id}".encode()).hexdigest()
    return EventRecord(
        id=f"ftevent-{digest[:24]}",
        job_id=job.id,
        created_at=int(event.created_at.timestamp()),
        level=event.level,
        message=event.message,
        metrics=event.metrics,
    )


def _seconds(job: FineTuningJob) -> int:
    return int(job.finished_at.timestamp()) if job.finished_at else now()
