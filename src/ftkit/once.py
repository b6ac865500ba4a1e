"""One request, one job: the protocol between the ledger and a provider.

For each attempt at a request, while its key is locked against all other threads and processes:

1. If the ledger knows its job, that is the job.
2. If not, the provider is asked (`find_job`), however sure we are that there is none: another machine, or a lost
   ledger, may have made it. If the last try ended unclearly, and not long ago, its list is given time to settle.
3. Only if it is clearly absent is the intent written to disk, and the job asked for: once.
4. If the answer is no clear yes or no (a timeout, a reset, a 5xx, nonsense), the list is given time to settle and
   asked again. What is there is the job. What is surely not there is an error that may be tried again by hand.
   What cannot be known is an `UnclearOutcomeError`.

A job that failed or was cancelled is followed by a new attempt, with a key of its own, only when asked for.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ftkit.errors import (
    FtkitError,
    JobCancelledError,
    JobFailedError,
    ProviderError,
    ProviderUnavailableError,
    UnclearOutcomeError,
)
from ftkit.keys import attempt_key
from ftkit.ledger import State
from ftkit.models import FineTuningJob, JobRequest, JobStatus
from ftkit.provider import DEFAULT_SETTLE_S, Provider, Settles
from ftkit.retrying import read

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ftkit.ledger import JobEntry, Ledger

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
"""Where a search begins. Not the intent's own time: a clock that was wrong then must not hide a job that was paid."""

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
        self._settle_s = provider.settle_s if isinstance(provider, Settles) else DEFAULT_SETTLE_S

    def create(self, base_key: str, request: JobRequest, *, retry_failed: bool) -> FineTuningJob:
        """Returns the job of a request, made now if there is none.

        Args:
            base_key: The key of the request.
            request: What is asked for.
            retry_failed: Make a new attempt if the last one failed or was cancelled.

        Raises:
            JobFailedError: The job of this request failed before, and `retry_failed` is not set.
            JobCancelledError: Likewise, cancelled.
            UnclearOutcomeError: It cannot be known whether there is a job.
            ProviderError: The provider refused; nothing was made.
            LedgerError: The ledger cannot be written; nothing was sent.
        """
        with self._ledger.lock(base_key):
            entries = self._ledger.attempts(base_key)
            attempt = entries[-1].attempt if entries else 1
            previous: FineTuningJob | None = None
            while True:
                since = (previous.created_at if previous else None) or _BEGINNING
                job = self._known(base_key, attempt, request, since)
                if job is None:
                    if previous is not None and not retry_failed:
                        raise _ended(previous)
                    return self._post(base_key, attempt, request, since)
                if job.status not in {JobStatus.FAILED, JobStatus.CANCELLED}:
                    return job
                previous, attempt = job, attempt + 1

    def record(self, base_key: str, request: JobRequest, job: FineTuningJob) -> FineTuningJob:
        """Takes a job that is there already as the job of a request."""
        with self._ledger.lock(base_key):
            return self._keep(base_key, 1, base_key, request, job)

    def settle(self, entry: JobEntry, job_id: str | None) -> FineTuningJob | None:
        """Ends an unclear outcome by hand.

        Args:
            entry: The attempt.
            job_id: The job that it became, or None if there surely is none.

        Raises:
            NotFoundError: There is no such job.
        """
        if job_id is None:
            self._ledger.record_absent(entry.key)
            return None
        job = self._own(read(self._provider.get_job, job_id), entry.key)
        self._ledger.record_job(entry.key, job)
        return job

    def _known(self, base_key: str, attempt: int, request: JobRequest, since: datetime) -> FineTuningJob | None:
        """Returns the job of an attempt if there is one; None only if there clearly is none."""
        key = attempt_key(base_key, attempt)
        entry = self._ledger.job_entry(key)
        if entry is not None and entry.job_id is not None:
            return self._own(read(self._provider.get_job, entry.job_id), key)
        job = self._find(key, request, since)
        if job is None and entry is not None and entry.state is State.INTENDED:
            self._let_settle(entry.intended_at)
            job = self._find(key, request, since)
            if job is None:
                self._ledger.record_absent(key)
        return job if job is None else self._keep(base_key, attempt, key, request, job)

    def _let_settle(self, intended_at: datetime) -> None:
        """Waits until the provider's list shows what was made at that moment; all of it if the clock went back."""
        age = (datetime.now(UTC) - intended_at).total_seconds()
        time.sleep(self._settle_s if age < 0 else max(0.0, self._settle_s - age))

    def _find(self, key: str, request: JobRequest, since: datetime) -> FineTuningJob | None:
        """Asks the provider for the job of a key; a job that is another key's in this ledger is not it."""
        try:
            job = read(self._provider.find_job, key, request, since)
        except UnclearOutcomeError as error:
            mine = self._unowned(error.candidates, key)
            if len(mine) > 1 or not error.candidates:
                raise _unclear(str(error.message), key, self._provider.name, mine) from error
            job = read(self._provider.get_job, mine[0]) if mine else None
        return self._own(job, key) if job is not None and self._unowned([job.id], key) else None

    def _unowned(self, job_ids: Sequence[str], key: str) -> list[str]:
        return [i for i in job_ids if self._ledger.key_of(self._identity, i) in {None, key}]

    def _post(self, base_key: str, attempt: int, request: JobRequest, since: datetime) -> FineTuningJob:
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
                self._ledger.record_absent(key)
                raise
            return self._after_unclear(key, request, since, error)
        job = self._own(job, key)
        self._ledger.record_job(key, job)
        return job

    def _after_unclear(self, key: str, request: JobRequest, since: datetime, cause: Exception) -> FineTuningJob:
        time.sleep(self._settle_s)
        try:
            job = self._find(key, request, since)
        except UnclearOutcomeError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever went wrong, it is told below
            message = f"a job may have been made: {cause}; and looking for it failed: {error}"
            raise _unclear(message, key, self._provider.name) from cause
        if job is None:
            self._ledger.record_absent(key)
            message = f"the request did not arrive: {cause}"
            hint = "No job was made, and nothing is paid. Run it again."
            raise ProviderUnavailableError(message, provider=self._provider.name, hint=hint) from cause
        self._ledger.record_job(key, job)
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
        "is none. Running the same request again asks the provider once more, and pays for nothing before it is clear."
    )
    return UnclearOutcomeError(message, provider=provider, key=key, candidates=candidates, hint=hint)


def _ended(job: FineTuningJob) -> JobFailedError | JobCancelledError:
    hint = "retry_failed=True makes a new attempt (and pays for it)."
    if job.status is JobStatus.CANCELLED:
        return JobCancelledError(f"the job of this request, {job.id}, was cancelled", job, hint=hint)
    return JobFailedError(f"the job of this request, {job.id}, failed: {job.error}", job, hint=hint)
