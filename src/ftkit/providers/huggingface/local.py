"""Fine-tuning on this machine: the provider `huggingface(compute="local")`."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ftkit.errors import ConfigurationError, ConflictError, NotFoundError
from ftkit.home import LOCAL_SLOTS, state_folder
from ftkit.methods import DPO, Supervised
from ftkit.models import (
    Checkpoint,
    DatasetRules,
    FineTuningJob,
    JobStatus,
    Metrics,
    RecordKind,
)
from ftkit.providers._local_jobs import LocalJobs
from ftkit.providers._local_jobs.folder import JOB_ID
from ftkit.providers.huggingface import checkpoints
from ftkit.providers.huggingface.files import LocalFiles
from ftkit.providers.huggingface.names import ADAPTER, MODEL, TRAINING, VALIDATION, model_name, parse_model_name
from ftkit.providers.huggingface.options import LocalOptions
from ftkit.providers.huggingface.plan import longest, positions
from ftkit.providers.huggingface.problems import problems_of
from ftkit.providers.huggingface.resolve import is_folder, model_problem, resolve_tokenizer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from pydantic import BaseModel

    from ftkit.methods import Method
    from ftkit.models import (
        ChatChunk,
        ChatMessage,
        ChatOptions,
        ChatReply,
        Deployment,
        JobEvent,
        JobRequest,
        Page,
        Problem,
        TrainingFile,
    )
    from ftkit.providers._local_endpoints import LocalEndpoints

_NAME = "huggingface"
_TRAINER = (sys.executable, "-P", "-m", "ftkit.providers.huggingface.train")  # -P: no module of the user's folder
_ACCEPTS: dict[type[Method], frozenset[RecordKind]] = {
    Supervised: frozenset({RecordKind.CHAT, RecordKind.PROMPT_COMPLETION, RecordKind.TEXT}),
    DPO: frozenset({RecordKind.PREFERENCE}),
}


class LocalHuggingFace:
    """Trains models of the Hub, or one's own, on this machine, and serves them there.

    Args:
        jobs_folder: Folder of jobs, files and deployments; `huggingface` in ftkit's state folder by default.
        slots: How many jobs train at once; FTKIT_LOCAL_SLOTS, or 1.

    Raises:
        ConfigurationError: `slots` is no positive number.
        UnsupportedError: This is Windows.
    """

    contract: ClassVar[int] = 1
    Options: type[BaseModel] = LocalOptions
    _trainer: ClassVar[tuple[str, ...]] = _TRAINER

    def __init__(self, *, jobs_folder: str | os.PathLike[str] | None = None, slots: int | None = None) -> None:
        self.name = _NAME
        self.methods: frozenset[type[Method]] = frozenset(_ACCEPTS)
        self.model_roles: Mapping[str, str] = {"small": "ftkit/small"}
        self.settle_s = 0.0
        folder = Path(jobs_folder).expanduser() if jobs_folder is not None else state_folder() / _NAME
        self._folder = folder.resolve()
        self._jobs = LocalJobs(self._folder, _NAME, self.identity(), _slots(slots))
        self._files = LocalFiles(self._folder / "files", _NAME, self.identity())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.identity()!r})"

    # -- what every provider has ---------------------------------------------------------------------------------

    def identity(self) -> str:
        """Returns the folder of the jobs: who opens the same one sees the same jobs."""
        return f"local:{self._folder}"

    def rules(self, method: Method, model: str) -> DatasetRules:
        """Takes conversations, prompt and completion, or text; for DPO, preferences. Nothing is too long to be cut.

        The longest example is that of the default `max_length`; these rules do not see `provider_options`.
        """
        return DatasetRules(
            layout="ftkit",
            accepts=_ACCEPTS.get(type(method), frozenset(RecordKind)),
            max_tokens=longest(LocalOptions(), positions(model)),
            too_long="truncated",
        )

    def problems(self, request: JobRequest) -> list[Problem]:
        """Says what cannot be trained here, without asking anybody."""
        return problems_of(request, self.methods)

    def upload(self, path: Path, key: str) -> TrainingFile:
        """Takes a copy of a file."""
        return self._files.add(path, key)

    def create_job(self, request: JobRequest, key: str) -> FineTuningJob:
        """Makes a job and starts it. The job that a key has already is returned as it is."""
        inputs = {TRAINING: self._files.path(request.training_file.id)}
        if request.validation_file:
            inputs[VALIDATION] = self._files.path(request.validation_file.id)
        model = request.model  # a folder may be named relative to where we are now, and others are not
        where = str(Path(model).expanduser().resolve()) if is_folder(model) else model
        return self._jobs.create(request, key, self._trainer, extra={"model": where}, inputs=inputs, can_resume=True)

    def find_job(self, key: str, request: JobRequest, since: datetime) -> FineTuningJob | None:
        """Returns the job of a key: its folder has a name that comes from it."""
        del request, since
        return self._jobs.find(key)

    def get_job(self, job_id: str) -> FineTuningJob:
        """Reads a job."""
        return self._jobs.get(job_id)

    def list_jobs(self, after: str | None, limit: int) -> Page[FineTuningJob]:
        """Lists jobs, newest first."""
        return self._jobs.list_jobs(after, limit)

    # -- around a job --------------------------------------------------------------------------------------------

    def cancel_job(self, job_id: str) -> FineTuningJob:
        """Ends a job for good; one that has ended is returned as it is."""
        return self._jobs.cancel(job_id)

    def pause_job(self, job_id: str) -> FineTuningJob:
        """Asks a job to stop after the step it is in; it keeps a checkpoint."""
        return self._jobs.pause(job_id)

    def resume_job(self, job_id: str) -> FineTuningJob:
        """Lets a paused or interrupted job go on from its newest checkpoint that is whole."""
        return self._jobs.resume(job_id)

    def list_events(self, job_id: str, after: str | None, limit: int) -> Page[JobEvent]:
        """Lists events, oldest first."""
        return self._jobs.events(job_id, after, limit)

    def results(self, job_id: str) -> list[Metrics]:
        """Returns one row a step, with what was measured on the training and the validation file."""
        rows: dict[int, Metrics] = {}
        for event in self._jobs.place(job_id).events():
            if event.metrics is not None:
                row = rows.get(event.metrics.step)
                rows[event.metrics.step] = event.metrics if row is None else _joined(row, event.metrics)
        return [rows[step] for step in sorted(rows)]

    def list_checkpoints(self, job_id: str) -> list[Checkpoint]:
        """Lists the checkpoints that are whole, newest first."""
        job, place = self._jobs.get(job_id), self._jobs.place(job_id)
        request, measured = place.record().request, {row.step: row for row in self.results(job_id)}
        return [
            Checkpoint(
                id=f"{job.id}:step-{mark.step}",
                job_id=job.id,
                step=mark.step,
                model=model_name(request, job.id, mark.step),
                metrics=measured.get(mark.step),
                created_at=mark.created_at,
            )
            for _, mark in checkpoints.whole(place.path)
        ]

    def count_tokens(
        self, model: str, method: Method, records: Iterator[Mapping[str, Any]]
    ) -> Iterator[tuple[int, int]]:
        """Yields (tokens, tokens learnt from) of each record, by the very code that training uses. Loads no torch."""
        from ftkit.providers.huggingface.encode import encode, encode_pair
        from ftkit.providers.huggingface.tokens import Tokens

        tokens = Tokens.load(resolve_tokenizer(model), model)
        for record in records:
            if isinstance(method, DPO):
                pair = encode_pair(record, tokens)
                yield pair.tokens, pair.learnt
            else:
                try:
                    example = encode(record, tokens)
                except ConfigurationError:  # no answers can be told; train_on="all", which we are not shown, needs none
                    example = encode(record, tokens, "all")
                yield len(example.input_ids), example.learnt

    # -- files and models ----------------------------------------------------------------------------------------

    def get_file(self, file_id: str) -> TrainingFile:
        """Reads what is known of a file."""
        return self._files.get(file_id)

    def list_files(self, after: str | None, limit: int) -> Page[TrainingFile]:
        """Lists files, newest first."""
        return self._files.list_files(after, limit)

    def download_file(self, file_id: str, path: Path) -> None:
        """Writes the content of a file to `path`."""
        self._files.download(file_id, path)

    def delete_file(self, file_id: str) -> None:
        """Deletes a file. Jobs that were made with it keep it."""
        self._files.delete(file_id)

    def delete_model(self, model: str) -> None:
        """Deletes the model of a job with its checkpoints, or one checkpoint. The job itself stays.

        Raises:
            NotFoundError: It is no tuned model of this account.
        """
        job_id, step = self._named(model)
        place = self._jobs.place(job_id).path
        gone = [place / checkpoints.FOLDER / f"checkpoint-{step}"] if step is not None else []
        gone = gone or [place / name for name in (MODEL, ADAPTER, checkpoints.FOLDER)]
        job = self._jobs.get(job_id)
        if not job.status.is_terminal and (job.status is not JobStatus.PAUSED or step is None):
            raise ConflictError(f"job '{job_id}' is still at work", provider=_NAME, hint="Cancel it first.")
        if not any(folder.exists() for folder in gone):  # some may be gone already, if we were killed here
            raise NotFoundError(f"no model '{model}'", provider=_NAME)
        for folder in gone:
            checkpoints.remove(folder)

    # -- serving -------------------------------------------------------------------------------------------------

    def deploy(self, target: FineTuningJob | Checkpoint | str, name: str, options: Mapping[str, Any]) -> Deployment:
        """Serves a job's model, a checkpoint, or a model by its name, on loopback."""
        if isinstance(target, FineTuningJob):
            return self._endpoints.deploy(name, str(self._model_folder(target.id, None)), target.id, options)
        if isinstance(target, Checkpoint):
            return self._endpoints.deploy(name, str(self._model_folder(target.job_id, target.step)), target.id, options)
        if JOB_ID.fullmatch(target):
            return self.deploy(self._jobs.get(target), name, options)
        ours = parse_model_name(target)
        if ours:
            return self._endpoints.deploy(name, str(self._model_folder(*ours)), target, options)
        problem = model_problem(target)
        if problem:
            raise NotFoundError(problem, provider=_NAME)
        where = str(Path(target).expanduser().resolve()) if is_folder(target) else target
        return self._endpoints.deploy(name, where, target, options)

    def get_deployment(self, name: str) -> Deployment:
        """Reads a deployment."""
        return self._endpoints.get_deployment(name)

    def list_deployments(self) -> list[Deployment]:
        """Lists all deployments."""
        return self._endpoints.list_deployments()

    def delete_deployment(self, name: str) -> None:
        """Ends a deployment; one that is gone already, or that can never have been, is no error."""
        with suppress(ConfigurationError):
            self._endpoints.delete_deployment(name)

    def chat(self, deployment: Deployment, messages: Sequence[ChatMessage], options: ChatOptions) -> ChatReply:
        """Asks a deployed model."""
        return self._endpoints.chat(deployment, messages, options)

    def stream_chat(
        self, deployment: Deployment, messages: Sequence[ChatMessage], options: ChatOptions
    ) -> Iterator[ChatChunk]:
        """Asks a deployed model, and yields the answer as it comes."""
        return self._endpoints.stream_chat(deployment, messages, options)

    # -- inside --------------------------------------------------------------------------------------------------

    @cached_property
    def _endpoints(self) -> LocalEndpoints:
        from ftkit.providers._local_endpoints import LocalEndpoints

        return LocalEndpoints(self._folder / "deployments", _NAME, self.identity())

    def _named(self, model: str) -> tuple[str, int | None]:
        ours = parse_model_name(model)
        if ours is None:
            raise NotFoundError(f"'{model[:200]}' is no model that was tuned here", provider=_NAME)
        return ours

    def _model_folder(self, job_id: str, step: int | None) -> Path:
        """Returns the folder of a job's model, or of a checkpoint.

        Raises:
            ConflictError: The job has no model yet, or never will.
            NotFoundError: The model was deleted, or the checkpoint is not there or torn.
        """
        job, place = self._jobs.get(job_id), self._jobs.place(job_id).path
        if step is not None:
            found = [folder for folder, mark in checkpoints.whole(place) if mark.step == step]
            if not found:
                raise NotFoundError(f"job '{job_id}' has no checkpoint of step {step}", provider=_NAME)
            return found[0]
        if job.status is not JobStatus.SUCCEEDED:
            hint = "Wait for it, or deploy one of its checkpoints."
            raise ConflictError(f"job '{job_id}' is {job.provider_status}: no model yet", provider=_NAME, hint=hint)
        if not (place / MODEL).is_dir():
            raise NotFoundError(f"the model of job '{job_id}' was deleted", provider=_NAME)
        return place / MODEL


def _slots(given: int | None) -> int:
    text = os.environ.get(LOCAL_SLOTS, "1") if given is None else str(given)
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        where = LOCAL_SLOTS if given is None else "slots"
        raise ConfigurationError(f"{where}={text!r}: the number of jobs that train at once is 1 or more")
    return int(text)


def _joined(one: Metrics, other: Metrics) -> Metrics:
    """What was measured at one step at two moments; of the same thing, the later."""
    return Metrics(**(one.model_dump(exclude_none=True) | other.model_dump(exclude_defaults=True)))
