"""The jobs as users see them: accepted, listed, asked to stop. What must be done about them is the foreman's."""

from __future__ import annotations

import hashlib
import random
from contextlib import suppress
from typing import TYPE_CHECKING

from pydantic import ValidationError

from ftkit.errors import FtkitError, NotFoundError
from ftkit.methods import Method, parse_method
from ftkit.models import JobRequest, Severity, TrainingFile
from ftkit.provider import Cancels, Pauses, require
from ftkit.server import names
from ftkit.server.errors import CONFLICT, ApiError, api_error, missing
from ftkit.server.files import TRAINING
from ftkit.server.records import (
    JOB_PREFIX,
    EventRecord,
    JobRecord,
    JobWord,
    RepeatRecord,
    Wish,
    new_id,
    now,
    told,
)
from ftkit.server.store import Filter

if TYPE_CHECKING:
    from ftkit.client import Client
    from ftkit.models import Checkpoint
    from ftkit.server.catalogue import Catalogue
    from ftkit.server.files import Files
    from ftkit.server.store import Slice, Store
    from ftkit.server.wire import CreateJob

_MOST_SEED = 2**31 - 1


class Jobs:
    """The jobs of a server.

    Args:
        client: The provider's client.
        store: Where they are kept.
        files: The files that they are made with.
        catalogue: The models.
    """

    def __init__(self, client: Client, store: Store, files: Files, catalogue: Catalogue) -> None:
        self._client = client
        self._store = store
        self._files = files
        self._catalogue = catalogue

    def create(self, asked: CreateJob, repeat_key: str | None) -> JobRecord:
        """Accepts a job: it is on disk, and will be made, whatever happens now.

        Args:
            asked: What is asked for.
            repeat_key: The Idempotency-Key; the same request under the same key is the same job.

        Raises:
            ApiError: It cannot be made, or the key was used for another request.
        """
        repeat = _repeat(asked, repeat_key, new_id(JOB_PREFIX)) if repeat_key is not None else None
        known = self._repeated(repeat)
        if known is not None:
            return known
        record = self._record(asked, repeat.job_id if repeat else new_id(JOB_PREFIX))
        self._refuse(record)
        with self._store.transaction():
            known = self._repeated(repeat)  # it may have come twice at once
            if known is None:
                self._store.add(record, told(record.id, f"Created fine-tuning job: {record.id}"))
                self._store.add_new([repeat] if repeat else [])
        return known or record

    def get(self, job_id: str) -> JobRecord:
        """Returns a job.

        Raises:
            ApiError: There is none of that id.
        """
        record = self._store.find(JobRecord, job_id)
        if record is None or record.hidden:
            raise missing("fine-tuning job", job_id, "fine_tuning_job_id", "fine_tune_not_found")
        return record

    def page(self, part: Slice, which: Filter) -> tuple[list[JobRecord], bool]:
        """Returns part of the list, and whether more follows."""
        return self._store.page(JobRecord, part, which._replace(shown=True))

    def events(self, job_id: str, part: Slice) -> tuple[list[EventRecord], bool]:
        """Returns part of the events of a job, newest first, and whether more follows."""
        return self._store.page(EventRecord, part, Filter(under=self.get(job_id).id))

    def checkpoints(self, job: JobRecord) -> list[Checkpoint]:
        """Returns the checkpoints of a job, newest first; none before the provider has the job."""
        if job.job is None or job.model_deleted or "ListsCheckpoints" not in self._client.abilities:
            return []
        return self._client.list_checkpoints(job.job)

    def cancel(self, job_id: str) -> JobRecord:
        """Asks for the end of a job.

        Raises:
            ApiError: It has ended.
            UnsupportedError: The provider has it already, and cannot cancel.
        """
        if self.get(job_id).handed:
            require(self._client.provider, Cancels)
        return self._wish(job_id, Wish.CANCEL, frozenset(word for word in JobWord if not word.is_terminal))

    def pause(self, job_id: str) -> JobRecord:
        """Asks a running job to stand still.

        Raises:
            ApiError: It is not running.
            UnsupportedError: The provider cannot do that.
        """
        require(self._client.provider, Pauses)
        return self._wish(job_id, Wish.PAUSE, frozenset({JobWord.RUNNING}))

    def resume(self, job_id: str) -> JobRecord:
        """Lets a paused job go on.

        Raises:
            ApiError: It is not paused.
            UnsupportedError: The provider cannot do that.
        """
        require(self._client.provider, Pauses)
        return self._wish(job_id, Wish.RESUME, frozenset({JobWord.PAUSED}))

    def delete(self, job_id: str) -> None:
        """Forgets a job that has ended, with its events. Its model stays.

        Raises:
            ApiError: It has not ended.
        """
        record = self.get(job_id)
        if not record.word.is_terminal:
            message = f"The job {job_id} is {record.word.value}; cancel it first."
            raise ApiError(message, status=CONFLICT, code="conflict")
        self._store.change(JobRecord, job_id, lambda job: job.model_copy(update={"hidden": True}))

    def forget_file(self, file_id: str) -> None:
        """Deletes the provider's copies of a file, if it can delete and no job waits to begin with them."""
        if "DeletesFiles" not in self._client.abilities:
            return
        jobs = self._store.everything(JobRecord)
        needed = {copy for job in jobs if not job.handed and not job.word.is_terminal for _, copy in job.copies()}
        for copy in {copy for job in jobs for ours, copy in job.copies() if ours == file_id} - needed:
            with suppress(NotFoundError):
                self._client.delete_file(copy)

    def forget_model(self, job: JobRecord) -> None:
        """Takes note that the model of a job was deleted."""
        self._store.change(JobRecord, job.id, lambda record: record.model_copy(update={"model_deleted": True}))

    def _wish(self, job_id: str, wish: Wish, fitting: frozenset[JobWord]) -> JobRecord:
        """Writes down what is asked of a job; a job that nobody has begun with is cancelled at once."""

        def changed(job: JobRecord) -> JobRecord:
            if job.word not in fitting:
                message = f"The job {job_id} is {job.word.value}; it cannot be asked to {wish.value}."
                raise ApiError(message, code="invalid_state", param="fine_tuning_job_id")
            if wish is Wish.CANCEL and not job.handed:
                return job.model_copy(update={"word": JobWord.CANCELLED, "finished_at": now(), "wish": None})
            words = {Wish.PAUSE: JobWord.PAUSING, Wish.RESUME: JobWord.RESUMING}
            return job.model_copy(update={"wish": wish, "word": words.get(wish, job.word)})

        self.get(job_id)
        return self._store.change(JobRecord, job_id, changed)

    def _repeated(self, repeat: RepeatRecord | None) -> JobRecord | None:
        before = self._store.find(RepeatRecord, repeat.id) if repeat else None
        if before is None or repeat is None:
            return None
        if before.digest != repeat.digest:
            message = "That Idempotency-Key was used for another request. Use a new one for each job."
            raise ApiError(message, status=CONFLICT, code="idempotency_key_reused")
        job = self._store.find(JobRecord, before.job_id)  # also one that was deleted since: it was made
        if job is None:
            raise missing("fine-tuning job", before.job_id)
        return job

    def _record(self, asked: CreateJob, job_id: str) -> JobRecord:
        base = self._catalogue.base_to_tune(asked.model)
        for param in ("training_file", "validation_file"):
            self._demand_file(getattr(asked, param), param)
        if asked.integrations:
            message = "No integrations can be had here; leave them out."
            raise ApiError(message, param="integrations", code="unsupported")
        return JobRecord(
            id=job_id,
            created_at=now(),
            model=asked.model,
            base=base,
            method=_method(asked),
            training_file=asked.training_file,
            validation_file=asked.validation_file,
            suffix=names.plain_suffix(asked.suffix),
            seed=random.randrange(_MOST_SEED) if asked.seed is None else asked.seed,  # noqa: S311 - no secret
            metadata=asked.metadata,
            training_type=asked.training_type,
        )

    def _demand_file(self, file_id: str | None, param: str) -> None:
        if file_id is None:
            return
        try:
            file = self._files.get(file_id)
        except ApiError as error:
            message = f"invalid {param}: there is no file {file_id[:200]}"
            raise ApiError(message, param=param, code="invalid_file") from error
        if file.purpose != TRAINING:
            message = f"invalid {param}: {file_id} has the purpose '{file.purpose}', not '{TRAINING}'"
            raise ApiError(message, param=param, code="invalid_file")

    def _refuse(self, record: JobRecord) -> None:
        """Raises what the provider is certain to refuse, before anybody waits for it."""
        provider = self._client.provider
        if type(record.method) not in provider.methods:
            known = ", ".join(sorted(str(m.model_fields["type"].default) for m in provider.methods))
            message = f"The method '{record.method.type}' is not available here. There are: {known}."
            raise ApiError(message, param="method.type", code="unsupported")
        file = TrainingFile(id=record.training_file, provider=provider.name)
        request = JobRequest(model=record.base, training_file=file, method=record.method, suffix=record.suffix)
        problems = [p for p in provider.problems(request) if p.severity is Severity.ERROR]
        if problems:
            raise ApiError("\n".join(map(str, problems)), param=problems[0].field, code="unsupported")


def _repeat(asked: CreateJob, key: str, job_id: str) -> RepeatRecord:
    digest = hashlib.sha256(asked.model_dump_json(exclude_unset=True).encode()).hexdigest()
    return RepeatRecord(id=hashlib.sha256(key.encode()).hexdigest(), digest=digest, job_id=job_id)


def _method(asked: CreateJob) -> Method:
    """Reads the method. "auto" means the provider's default, as leaving it out does."""
    kind, given = asked.method_and_hyperparameters()
    try:
        return parse_method({"type": kind, **{name: value for name, value in given.items() if value != "auto"}})
    except FtkitError as error:
        raise api_error(error) from error
    except ValidationError as error:
        raise ApiError(f"method: {error.errors()[0]['msg']}", param="method", code="invalid_value") from error
