"""Fine-tuning on this machine: the provider `huggingface(compute="local")`."""

from __future__ import annotations

import importlib.util
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, ClassVar

from ftkit.errors import ConfigurationError, ConflictError, NotFoundError
from ftkit.models import FineTuningJob, JobStatus, Problem, Severity
from ftkit.plugin.disk import remove_tree
from ftkit.providers._local_jobs.names import ADAPTER, MODEL, TRAINING, VALIDATION, model_name
from ftkit.providers._local_jobs.provider import LocalProvider
from ftkit.providers.huggingface import checkpoints
from ftkit.providers.huggingface.kinds import NAME, TunesOpenWeights
from ftkit.providers.huggingface.problems import problems_of
from ftkit.providers.huggingface.resolve import absolute
from ftkit.providers.huggingface.vllm import gpu

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from huggingface_hub import HfApi

    from ftkit.models import Checkpoint, JobRequest

_TRAINER = (sys.executable, "-P", "-m", "ftkit.providers.huggingface.train")  # -P: no module of the user's folder


class LocalHuggingFace(TunesOpenWeights, LocalProvider):
    """Trains models of the Hub, or one's own, on this machine, and serves them there.

    Args:
        jobs_folder: Folder of jobs, files and deployments; `huggingface` in ftkit's state folder by default.
        slots: How many jobs train at once; FTKIT_LOCAL_SLOTS, or 1.

    Raises:
        ConfigurationError: `slots` is no positive number.
        UnsupportedError: This is Windows.
    """

    _trainer: ClassVar[tuple[str, ...]] = _TRAINER

    def __init__(self, *, jobs_folder: str | os.PathLike[str] | None = None, slots: int | None = None) -> None:
        super().__init__(NAME, jobs_folder, slots)

    # -- what every provider has ---------------------------------------------------------------------------------

    def problems(self, request: JobRequest) -> list[Problem]:
        """Says what cannot be trained here, without asking anybody."""
        found = problems_of(request, self.methods)
        if "deepspeed" in request.provider_options and importlib.util.find_spec("deepspeed") is None:
            field, fix = "provider_options.deepspeed", "pip install deepspeed"
            message = "the package deepspeed is not installed."
            found.append(Problem(code="missing-package", field=field, message=message, fix=fix))
        return found

    def examine(self) -> list[Problem]:
        """Tells what trains here, and whether there is room for it."""
        try:
            message = f"{gpu()} trains, with torch {version('torch')}."
        except ConfigurationError as error:
            message = f"the CPU trains, with torch {version('torch')}: {error.message}."
        told = Problem(severity=Severity.NOTE, code="trains-on", field="hardware", message=message)
        return [*super().examine(), told]

    def create_job(self, request: JobRequest, key: str) -> FineTuningJob:
        """Makes a job and starts it. The job that a key has already is returned as it is."""
        inputs = {TRAINING: self._files.path(request.training_file.id)}
        if request.validation_file:
            inputs[VALIDATION] = self._files.path(request.validation_file.id)
        extra = self._extra(request)
        return self._jobs.create(request, key, self._trainer, extra=extra, inputs=inputs, can_resume=True)

    # -- around a job --------------------------------------------------------------------------------------------

    def pause_job(self, job_id: str) -> FineTuningJob:
        """Asks a job to stop after the step it is in; it keeps a checkpoint."""
        return self._jobs.pause(job_id)

    def resume_job(self, job_id: str) -> FineTuningJob:
        """Lets a paused or interrupted job go on from its newest checkpoint that is whole."""
        return self._jobs.resume(job_id)

    def list_checkpoints(self, job_id: str) -> list[Checkpoint]:
        """Lists the checkpoints that are whole, newest first."""
        job, place = self._jobs.get(job_id), self._jobs.place(job_id)
        request, marks = place.record().request, [mark for _, mark in checkpoints.whole(place.path)]
        return checkpoints.told(job.id, marks, self.results(job_id), lambda step: model_name(request, job.id, step))

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
            raise ConflictError(f"job '{job_id}' is still at work", provider=NAME, hint="Cancel it first.")
        if not any(folder.exists() for folder in gone):  # some may be gone already, if we were killed here
            raise NotFoundError(f"no model '{model}'", provider=NAME)
        for folder in gone:
            remove_tree(folder)

    def push_model(
        self,
        job: FineTuningJob | str,
        repo: str,
        *,
        private: bool = True,
        token: str | None = None,
        hub: HfApi | None = None,
    ) -> str:
        """Puts the model of a job on the Hub, with a card that says how it was made, and returns its address.

        Args:
            job: The job, or its id.
            repo: The repository, "owner/name", which is made if need be.
            private: Whether only the owner sees it, where it is made now.
            token: A token of the Hub that may write; HF_TOKEN, or that of `hf auth login`, by default.
            hub: A ready-made client of huggingface_hub, in place of `token`.

        Raises:
            ConfigurationError: The name can be none of a repository; nothing was sent.
            ConflictError: The job has no model yet.
            NotFoundError: There is no such job, or its model was deleted.
            CredentialsError: There is no token, or the Hub refuses it.
            ProviderError: The Hub refuses it.
        """
        from ftkit.providers.huggingface.push import push

        job_id = job if isinstance(job, str) else job.id
        model = self._model_folder(job_id, None)
        return push(self._jobs.place(job_id).path, model, repo, private=private, token=token, hub=hub)

    # -- inside --------------------------------------------------------------------------------------------------

    def _extra(self, request: JobRequest) -> dict[str, Any]:
        """Returns what the trainer needs to know besides the request."""
        return {"model": absolute(request.model)}

    def _model_folder(self, job_id: str, step: int | None) -> Path:
        if step is not None:
            for folder, mark in checkpoints.whole(self._jobs.place(job_id).path):
                if mark.step == step:
                    return folder
        return super()._model_folder(job_id, step)
