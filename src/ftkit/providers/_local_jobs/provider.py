"""What all providers share that train on this machine: jobs, files, models and deployments in one folder."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ftkit.errors import ConfigurationError, ConflictError, NotFoundError
from ftkit.home import LOCAL_SLOTS, state_folder
from ftkit.models import Checkpoint, Estimate, FineTuningJob, JobStatus, Metrics, Problem, Severity
from ftkit.plugin.disk import refuse_links_in
from ftkit.providers._local_jobs.files import KeepsFiles, LocalFiles
from ftkit.providers._local_jobs.folder import JOB_ID
from ftkit.providers._local_jobs.jobs import LocalJobs
from ftkit.providers._local_jobs.metrics import table_of
from ftkit.providers._local_jobs.names import MODEL, parse_model_name
from ftkit.providers.huggingface.resolve import absolute, model_problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from ftkit.models import (
        ChatChunk,
        ChatMessage,
        ChatOptions,
        ChatReply,
        Deployment,
        JobEvent,
        JobRequest,
        Page,
        TrainingFile,
    )
    from ftkit.providers._local_endpoints import LocalEndpoints

_ROOM = 2_000_000_000
"""Bytes below which a disk is told to be nearly full: a small model, its optimizer and a checkpoint."""


class LocalProvider(KeepsFiles):
    """The verbs of a provider that trains on this machine, but for those that say what it trains, and how.

    Args:
        name: Its name.
        jobs_folder: Folder of jobs, files and deployments; one of that name in ftkit's state folder by default.
        slots: How many jobs train at once; FTKIT_LOCAL_SLOTS, or 1.

    Raises:
        ConfigurationError: `slots` is no positive number.
        UnsupportedError: This is Windows.
    """

    contract: ClassVar[int] = 1
    name: str

    def __init__(self, name: str, jobs_folder: str | os.PathLike[str] | None, slots: int | None) -> None:
        self.name = name
        self.settle_s = 0.0
        folder = Path(jobs_folder).expanduser() if jobs_folder is not None else state_folder() / name
        self._folder = folder.resolve()
        self._jobs = LocalJobs(self._folder, name, self.identity(), _slots(slots))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.identity()!r})"

    # -- what every provider has ---------------------------------------------------------------------------------

    def identity(self) -> str:
        """Returns the folder of the jobs: who opens the same one sees the same jobs."""
        return f"local:{self._folder}"

    def upload(self, path: Path, key: str) -> TrainingFile:
        """Takes a copy of a file."""
        return self._files.add(path, key)

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

    def examine(self) -> list[Problem]:
        """Tells where jobs lie, and whether there is room for another."""
        there = next(place for place in (self._folder, *self._folder.parents) if place.is_dir())
        free = shutil.disk_usage(there).free
        if free < _ROOM:
            message, fix = f"{self._folder} has {free:,} bytes left.", "A model and its checkpoints need gigabytes."
            return [Problem(severity=Severity.WARNING, code="no-room", field="jobs_folder", message=message, fix=fix)]
        message = f"jobs lie in {self._folder}, which has room for {free / 1e9:,.0f} GB."
        return [Problem(severity=Severity.NOTE, code="jobs-folder", field="jobs_folder", message=message)]

    # -- around a job --------------------------------------------------------------------------------------------

    def cancel_job(self, job_id: str) -> FineTuningJob:
        """Ends a job for good; one that has ended is returned as it is."""
        return self._jobs.cancel(job_id)

    def list_events(self, job_id: str, after: str | None, limit: int) -> Page[JobEvent]:
        """Lists events, oldest first."""
        return self._jobs.events(job_id, after, limit)

    def results(self, job_id: str) -> list[Metrics]:
        """Returns one row a step, with what was measured on the training and the validation file."""
        return table_of(self._jobs.place(job_id).events())

    def estimate(self, request: JobRequest, tokens: int | None) -> Estimate:
        """Returns 0: nobody sends a bill for a job on one's own machine. What the machine costs is not counted."""
        del request
        free = Decimal(0)
        return Estimate(tokens=tokens, cost=free, at_most=free, source="on this machine, where no job is billed")

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
        where = str(self._model_folder(*ours)) if ours else self._base_model(target)
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
    def _files(self) -> LocalFiles:
        return LocalFiles(self._folder / "files", self.name, self.identity())

    @cached_property
    def _endpoints(self) -> LocalEndpoints:
        from ftkit.providers._local_endpoints import LocalEndpoints

        return LocalEndpoints(self._folder / "deployments", self.name, self.identity())

    def _base_model(self, model: str) -> str:
        """Returns what the endpoint knows a model by that was not tuned here.

        Raises:
            NotFoundError: It can be none.
        """
        problem = model_problem(model)
        if problem:
            raise NotFoundError(problem, provider=self.name)
        return absolute(model)

    def _named(self, model: str) -> tuple[str, int | None]:
        ours = parse_model_name(model)
        if ours is None:
            raise NotFoundError(f"'{model[:200]}' is no model that was tuned here", provider=self.name)
        return ours

    def _model_folder(self, job_id: str, step: int | None) -> Path:
        """Returns the folder of a job's model, or of a checkpoint.

        Raises:
            ConflictError: The job has no model yet, or never will.
            NotFoundError: The model was deleted, or there is no such checkpoint.
        """
        job, place = self._jobs.get(job_id), self._jobs.place(job_id).path
        if step is not None:
            raise NotFoundError(f"job '{job_id}' has no checkpoint of step {step}", provider=self.name)
        if job.status is not JobStatus.SUCCEEDED:
            going = "Wait for it, or deploy one of its checkpoints, if it has any."
            hint = "Make it anew with retry_failed=True." if job.status.is_terminal else going
            raise ConflictError(f"job '{job_id}' is {job.provider_status}: no model yet", provider=self.name, hint=hint)
        if not (place / MODEL).is_dir():
            hint = "The same request is still that job. key='again' makes a new one of it, and trains again."
            raise NotFoundError(f"the model of job '{job_id}' was deleted", provider=self.name, hint=hint)
        refuse_links_in(self.name, place / MODEL)
        return place / MODEL


def _slots(given: int | None) -> int:
    text = os.environ.get(LOCAL_SLOTS, "1") if given is None else str(given)
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        where = LOCAL_SLOTS if given is None else "slots"
        raise ConfigurationError(f"{where}={text!r}: the number of jobs that train at once is 1 or more")
    return int(text)
