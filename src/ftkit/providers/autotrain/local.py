"""The provider `autotrain`: AutoTrain's own trainers, in AutoTrain's own environment, on this machine."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, ClassVar

from ftkit.errors import ConflictError, NotFoundError, UnsupportedError
from ftkit.methods import Reward
from ftkit.models import Problem, Severity
from ftkit.plugin.disk import remove_tree
from ftkit.providers._local_jobs.names import MODEL, TRAINING
from ftkit.providers._local_jobs.provider import LocalProvider
from ftkit.providers.autotrain import environment
from ftkit.providers.autotrain.backends import NAME
from ftkit.providers.autotrain.options import AutoTrainOptions
from ftkit.providers.autotrain.problems import problems_of
from ftkit.providers.autotrain.recipe import TASKS, rules_of
from ftkit.providers.huggingface.resolve import absolute

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
    from pathlib import Path

    from pydantic import BaseModel

    from ftkit.methods import Method
    from ftkit.models import DatasetRules, FineTuningJob, JobRequest, TrainingFile

_TRAINER = (sys.executable, "-P", "-m", "ftkit.providers.autotrain.train")  # -P: no module of the user's folder


class AutoTrainProvider(LocalProvider):
    """Trains with AutoTrain 0.8.36 on this machine, and serves what came of it there.

    It has no checkpoints, and so no pause and no way to go on: a job that is killed has failed.

    Args:
        jobs_folder: Folder of jobs, files and deployments; `autotrain` in ftkit's state folder by default.
        slots: How many jobs train at once; FTKIT_LOCAL_SLOTS, or 1.
        python: Interpreter of an environment that holds AutoTrain; FTKIT_AUTOTRAIN_PYTHON, or that of
            `ftkit autotrain setup`.

    Raises:
        ConfigurationError: `slots` is no positive number.
        UnsupportedError: This is Windows.
    """

    Options: type[BaseModel] = AutoTrainOptions
    _trainer: ClassVar[tuple[str, ...]] = _TRAINER

    def __init__(
        self,
        *,
        jobs_folder: str | os.PathLike[str] | None = None,
        slots: int | None = None,
        python: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__(NAME, jobs_folder, slots)
        self._python = python
        self.methods: frozenset[type[Method]] = frozenset(TASKS)
        self.model_roles: Mapping[str, str] = {"small": "ftkit/small"}

    def rules(self, method: Method, model: str) -> DatasetRules:
        """Takes conversations or text; for DPO, ORPO and reward models, preferences. Its templates know three roles."""
        return rules_of(method, model)

    def problems(self, request: JobRequest) -> list[Problem]:
        """Says what AutoTrain cannot train, and what it passes over, without asking anybody."""
        return list(problems_of(request))

    def examine(self) -> list[Problem]:
        """Tells what is in AutoTrain's environment; that it is not there, or would not do, is a ConfigurationError."""
        own = environment.own()
        found = own.required(self._python)
        versions = ", ".join(f"{name} {version}" for name, version in own.check(found).items())
        message, place = f"{found.python}: {versions}.", "environment"
        return [*super().examine(), Problem(severity=Severity.NOTE, code="packages", field=place, message=message)]

    def upload(self, path: Path, key: str) -> TrainingFile:
        """Takes a copy of a file.

        Raises:
            ConfigurationError: AutoTrain's environment is not there, which a job would need.
        """
        environment.required(self._python)
        return super().upload(path, key)

    def create_job(self, request: JobRequest, key: str) -> FineTuningJob:
        """Makes a job and starts it. The job that a key has already is returned as it is. Errors as for `upload`."""
        python = str(environment.required(self._python).python)
        inputs = {TRAINING: self._files.path(request.training_file.id)}
        reference = AutoTrainOptions(**request.provider_options).model_ref
        extra = {
            "model": absolute(request.model),
            "reference": absolute(reference) if reference else None,
            "python": python,
        }
        return self._jobs.create(request, key, self._trainer, extra=extra, inputs=inputs)

    def delete_model(self, model: str) -> None:
        """Deletes the model of a job. The job itself stays.

        Raises:
            NotFoundError: It is no tuned model of this account.
        """
        job_id, _ = self._named(model)
        if not self._jobs.get(job_id).status.is_terminal:
            raise ConflictError(f"job '{job_id}' is still at work", provider=NAME, hint="Cancel it first.")
        place = self._jobs.place(job_id).path / MODEL
        if not place.exists():
            raise NotFoundError(f"no model '{model}'", provider=NAME)
        remove_tree(place)

    def _model_folder(self, job_id: str, step: int | None) -> Path:
        place = super()._model_folder(job_id, step)
        if isinstance(self._jobs.place(job_id).record().request.method, Reward):
            message = f"the model of job '{job_id}' is a reward model: it answers with a number, and no chat can ask it"
            raise UnsupportedError(message, hint=f"Load it with transformers, from {place}")
        return place
