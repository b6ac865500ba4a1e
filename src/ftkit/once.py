"""One request, one job: the protocol between the ledger and a provider.

For each attempt at a request, while its key is locked against all other threads and processes:

1. If the ledger knows its job, that is the job.
2. If not, the provider is asked (`find_job`), however sure we are that there is none: another machine, or a lost
   ledger, may have made it. If the last try ended unclearly, or the ledger that would tell was lost, its list is given
   time to settle.
3. Only if it is clearly absent is the intent written to disk, and the job asked for: once.
4. If the answer is no clear yes or no (a timeout, a reset, a 5xx, nonsense), the list is given time to settle and
   asked again. What is there is the job. What is surely not there is an error that may be tried again by hand.
   What cannot be known is an `UnclearOutcomeError`.

A job that failed or was cancelled is followed by a new attempt, with a key of its own, only when asked for. A job
that was interrupted goes on again, while the key is still locked: two processes do not both resume it.
"""

from __future__ import annotations

import shlex
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ftkit.errors import (
    ConflictError,
    FtkitError,
    JobCancelledError,
    JobFailedError,
    LedgerError,
    NotFoundError,
    ProviderError,
    ProviderUnavailableError,
    UnclearOutcomeError,
)
from ftkit.keys import attempt_key, base_of, job_key
from ftkit.ledger import State
from ftkit.models import FineTuningJob, JobRequest, JobStatus
from ftkit.provider import Pauses, Provider, settle_s_of
from ftkit.retrying import read

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from ftkit.ledger import JobEntry, Ledger

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
"""Where a search begins. Neither at the intent's own time nor at that of an earlier attempt: a clock that was wrong
then, or was set since, be it a vendor's (a server of one's own, say), must not hide a job that was paid. The jobs of
other attempts are told apart by the ledger."""

_RETRIED = frozenset({JobStatus.FAILED, JobStatus.CANCELLED})
"""Where a job may be followed by a new attempt."""

_SERVER_ERROR = 500
_REQUEST_TIMEOUT = 408


class Once:
    """Makes jobs, each once.

    Args:
        provider: The provider.
        identity: The account, as `Provider.identity` tells it.
        ledger: The ledger.
    """

    def __init__(self, provider: Provider, identity: str, ledger: Ledger) -> None:
        self._provider = provider
        self._identity = identity
        self._ledger = ledger
        self._settle_s = settle_s_of(provider)

    def create(
        self,
        base_key: str,
        request: JobRequest,
        *,
        retry_failed: bool,
        refuse: Callable[[JobRequest], object],
        warn: Callable[[JobRequest], object],
    ) -> FineTuningJob:
        """Returns the job of a request, made now if there is none.

        Args:
            base_key: The key of the request.
            request: What is asked for.
            retry_failed: Make a new attempt if the last one failed or was cancelled.
            refuse: Raises what the provider cannot do of a request. Not asked where the job is there already: what
                was made stays ours, though its model may be trained no more.
            warn: Tells what should be known, or raises what forbids it, just before a job is asked for.

        Raises:
            JobFailedError: The job of this request failed before, and `retry_failed` is not set.
            JobCancelledError: Likewise, cancelled.
            UnclearOutcomeError: It cannot be known whether there is a job.
            ProviderError: The provider refused; nothing was made.
            LedgerError: The ledger cannot be written; nothing was sent.
        """
        with self._locked(base_key, request):
            forgotten = self._ledger.may_have_forgotten(self._identity)
            made = self._last_made(base_key)
            attempt = made.attempt if made is not None else 1
            if made is None and self._ledger.job_entry(base_key) is None:
                refuse(request)
            previous: FineTuningJob | None = None
            while True:
                job = self._known(base_key, attempt, request, forgotten=forgotten)
                if job is None:
                    if previous is not None and not retry_failed:
                        raise _ended(previous)
                    refuse(request)
                    warn(request)
                    return self._post(base_key, attempt, request)
                if job.status not in _RETRIED:
                    return self._going(job)
                previous, attempt = job, attempt + 1

    def known(self, base_key: str) -> FineTuningJob | None:
        """Returns the job of a request if the ledger knows one that is alive or has succeeded."""
        with self._ledger.lock(base_key):
            made = self._last_made(base_key)
            if made is None or made.job_id is None:
                return None
            job = self._read(made.job_id, made.key)
            return None if job.status in _RETRIED else self._going(job)

    def would_make(self, base_key: str, request: JobRequest, *, retry_failed: bool) -> bool:
        """Whether `create` would ask for a job whose files are not sent yet, and which `known` does not know.

        Reads only. Where it cannot be told, the answer is no: `create` looks closer before it asks.
        """
        made = self._last_made(base_key)
        if made is not None and not retry_failed:
            return False  # it failed or was cancelled, and `create` says so
        try:
            return self._find(attempt_key(base_key, made.attempt + 1 if made else 1), request) is None
        except UnclearOutcomeError:
            return False

    def record(self, base_key: str, request: JobRequest, job: FineTuningJob) -> FineTuningJob:
        """Takes a job that is there already as the job of a request, in place of its last attempt."""
        with self._ledger.lock(base_key):
            attempt = max((entry.attempt for entry in self._ledger.attempts(base_key)), default=1)
            return self._keep(base_key, attempt, attempt_key(base_key, attempt), request, job)

    def settle(self, entry: JobEntry, job_id: str | None) -> FineTuningJob | None:
        """Ends an unclear outcome by hand.

        Args:
            entry: The attempt.
            job_id: The job that it became, or None if there surely is none.

        Raises:
            NotFoundError: There is no such job.
        """
        with self._ledger.lock(base_of(entry.key)):
            if job_id is None:
                self._ledger.record_absent(entry.key, State.DISMISSED)
                return None
            job = self._own(read(self._provider.get_job, job_id), entry.key)
            self._ledger.record_job(entry.key, job)
            return job

    @contextmanager
    def _locked(self, base_key: str, request: JobRequest) -> Generator[None]:
        """Holds a request's key, and what all requests that say the same share.

        A vendor that keeps no key knows a job by what it was asked for. Two keys that ask for the same at once must
        not take each other's job, which is there already, and in nobody's ledger yet, for their own.
        """
        with self._ledger.lock(f"alike:{job_key(self._identity, request)}"), self._ledger.lock(base_key):
            yield

    def _last_made(self, base_key: str) -> JobEntry | None:
        """Returns the last attempt that became a job. A later one may have been refused, and counts for nothing."""
        made = [entry for entry in self._ledger.attempts(base_key) if entry.job_id is not None]
        return made[-1] if made else None

    def _going(self, job: FineTuningJob) -> FineTuningJob:
        """Lets a job go on whose process or machine died; one that was paused on purpose stays so."""
        interrupted = job.interrupted and job.status is JobStatus.PAUSED
        if not interrupted or not isinstance(self._provider, Pauses):
            return job
        try:
            again = self._provider.resume_job(job.id)
        except ConflictError:  # it goes on already: its process was about to begin, or somebody else was faster
            again = read(self._provider.get_job, job.id)
            if again.interrupted and again.status is JobStatus.PAUSED:
                raise
        return again.model_copy(update={"identity": job.identity, "key": job.key})

    def _read(self, job_id: str, key: str) -> FineTuningJob:
        try:
            return self._own(read(self._provider.get_job, job_id), key)
        except NotFoundError as error:
            message = f"the job of this request, {job_id}, is no longer there"
            hint = (
                f"key='...' makes a second job. If it is surely gone: client.resolve({key!r}, job_id=None), or "
                f"`{_command(key, self._provider.name)} --none`."
            )
            raise NotFoundError(message, provider=self._provider.name, hint=hint) from error

    def _known(self, base_key: str, attempt: int, request: JobRequest, *, forgotten: bool) -> FineTuningJob | None:
        """Returns the job of an attempt if there is one; None only if there clearly is none."""
        key = attempt_key(base_key, attempt)
        entry = self._ledger.job_entry(key)
        if entry is not None and entry.job_id is not None:
            return self._read(entry.job_id, key)
        try:
            job = self._find(key, request)
        except UnclearOutcomeError:
            if entry is None or entry.state is not State.DISMISSED:
                raise
            job = None  # a person has looked at all that look alike, and says that none of them is it
        if job is None and (forgotten if entry is None else entry.state is State.INTENDED):
            # All of it, however old the intent: the job may have been made long after it, and clocks are set.
            time.sleep(self._settle_s)
            job = self._find(key, request)
            if job is None and entry is not None:
                self._ledger.record_absent(key)
        return job if job is None else self._keep(base_key, attempt, key, request, job)

    def _find(self, key: str, request: JobRequest) -> FineTuningJob | None:
        """Asks the provider for the job of a key, by what is asked for now and by what was sent before.

        The two may differ in the ids of files: the same content, sent again, may have got another one since, and a
        vendor that keeps no key knows a job by its files.
        """
        sent = self._ledger.request(key)
        asked = [request] if sent is None or sent == request else [sent, request]
        found = (self._find_as(key, each) for each in asked)
        return next((job for job in found if job is not None), None)

    def _find_as(self, key: str, request: JobRequest) -> FineTuningJob | None:
        """Asks the provider for the job of a key; a job that is another key's in this ledger is not it."""
        try:
            job = read(self._provider.find_job, key, request, _BEGINNING)
        except UnclearOutcomeError as error:
            mine = self._unowned(error.candidates, key)
            if len(mine) > 1 or not error.candidates:
                raise _unclear(str(error.message), key, self._provider.name, mine) from error
            job = read(self._provider.get_job, mine[0]) if mine else None
        return self._own(job, key) if job is not None and self._unowned([job.id], key) else None

    def _unowned(self, job_ids: Sequence[str], key: str) -> list[str]:
        owners = {job_id: self._ledger.keys_of(self._identity, job_id) for job_id in job_ids}
        return [job_id for job_id, keys in owners.items() if not keys or key in keys]

    def _post(self, base_key: str, attempt: int, request: JobRequest) -> FineTuningJob:
        """Asks for a job, once. The intent is on disk before, and stays there if we die on the way."""
        key = attempt_key(base_key, attempt)
        self._ledger.intend_job(base_key, attempt, key, request, (self._provider.name, self._identity))
        try:
            job = self._provider.create_job(request, key)
            if not _is_job(job):
                message = f"the answer is no job: {job!r:.200}"
                raise ProviderUnavailableError(message, provider=self._provider.name)  # noqa: TRY301 - one path
        except Exception as error:
            if _is_refusal(error):
                self._note_absent(key, error)
                raise
            return self._after_unclear(key, request, error)
        return self._write(key, job)

    def _after_unclear(self, key: str, request: JobRequest, cause: Exception) -> FineTuningJob:
        time.sleep(self._settle_s)
        try:
            job = self._find(key, request)
        except UnclearOutcomeError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever went wrong, it is told below
            message = f"a job may have been made: {cause}; and looking for it failed: {error}"
            raise _unclear(message, key, self._provider.name) from cause
        if job is None:
            message = f"the request did not arrive: {cause}"
            hint = "No job was made, and nothing is paid. Run it again."
            nothing = ProviderUnavailableError(message, provider=self._provider.name, hint=hint)
            self._note_absent(key, nothing)
            raise nothing from cause
        return self._write(key, job)

    def _note_absent(self, key: str, error: Exception) -> None:
        """Writes down that nothing was made, for the reason that an error tells. That is what is to be raised.

        If it cannot be written down, the intent stands, and the next run asks the provider once more.
        """
        try:
            self._ledger.record_absent(key)
        except LedgerError as why:
            error.add_note(f"That no job was made could not be written down: {why.message}")

    def _write(self, key: str, job: FineTuningJob) -> FineTuningJob:
        """Writes down a job that was made. If that fails, the intent stands, and the next run finds the job by it."""
        job = self._own(job, key)
        try:
            self._ledger.record_job(key, job)
        except LedgerError as error:
            message = f"the job {job.id} was made, but could not be written down: {error.message}"
            hint = (
                "The job goes on. Run the same request again, as soon as the ledger can be written (a new one is, in "
                "place of one that was set aside): it finds the job, and pays nothing."
            )
            raise LedgerError(message, hint=hint) from error
        return job

    def _keep(self, base_key: str, attempt: int, key: str, request: JobRequest, job: FineTuningJob) -> FineTuningJob:
        self._ledger.intend_job(base_key, attempt, key, request, (self._provider.name, self._identity))
        self._ledger.record_job(key, self._own(job, key))
        return self._own(job, key)

    def _own(self, job: FineTuningJob, key: str) -> FineTuningJob:
        """Fills in what only the client knows where the vendor keeps no such thing."""
        return job.model_copy(update={"identity": job.identity or self._identity, "key": job.key or key})


def _is_job(answer: object) -> bool:
    """A plug-in may hand on whatever came over the wire; only a job with an id is a job."""
    return isinstance(answer, FineTuningJob) and bool(answer.id)


def _is_refusal(error: Exception) -> bool:
    """Whether an error from a create proves that nothing was made."""
    if isinstance(error, (ProviderUnavailableError, UnclearOutcomeError)):
        return False
    if isinstance(error, ProviderError):
        status = error.status_code or 0
        return status < _SERVER_ERROR and status != _REQUEST_TIMEOUT
    return isinstance(error, FtkitError)


def _unclear(message: str, key: str, provider: str, candidates: Sequence[str] = ()) -> UnclearOutcomeError:
    hint = (
        f"Look at the provider's own list of jobs, then client.resolve({key!r}, job_id='...'), or job_id=None if there "
        f"is none; or `{_command(key, provider)} --job ID`, or --none. "
        "Running the same request again asks the provider once more, and pays for nothing before it is clear."
    )
    return UnclearOutcomeError(message, provider=provider, key=key, candidates=candidates, hint=hint)


def _command(key: str, provider: str) -> str:
    """The command that settles what came of a request."""
    return f"ftkit jobs resolve {shlex.quote(key)} -p {provider}"


def _ended(job: FineTuningJob) -> JobFailedError | JobCancelledError:
    hint = "retry_failed=True (`ftkit run ... --retry-failed`) makes a new attempt (and pays for it)."
    if job.status is JobStatus.CANCELLED:
        return JobCancelledError(f"the job of this request, {job.id}, was cancelled", job, hint=hint)
    return JobFailedError(f"the job of this request, {job.id}, failed: {job.error}", job, hint=hint)
