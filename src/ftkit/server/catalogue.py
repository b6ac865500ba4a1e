"""Which models there are: base models under the names that users know, and those tuned here."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ftkit.server import names
from ftkit.server.errors import NOT_FOUND, ApiError
from ftkit.server.records import JobRecord, JobWord

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ftkit.server.store import Store


class Tuned(NamedTuple):
    """A model that was tuned here.

    Attributes:
        job: Its job.
        step: The step, if it is a checkpoint.
    """

    job: JobRecord
    step: int | None


class Catalogue:
    """Knows models by name.

    Args:
        models: Names as users write them -> the provider's base models.
        default: The provider's base model for every other name, or None.
        store: Where the jobs are.
    """

    def __init__(self, models: Mapping[str, str], default: str | None, store: Store) -> None:
        self._models = models
        self._default = default
        self._store = store

    def names(self) -> list[str]:
        """Returns the names of base models that were set up."""
        return list(self._models)

    def base(self, name: str) -> str | None:
        """Returns the provider's model that a name of a base model stands for; None if it stands for none."""
        return self._models.get(name, self._default)

    def base_to_tune(self, name: str) -> str:
        """Returns the provider's model to start a job from.

        Raises:
            ApiError: There is none, or it is one that was tuned here: those are not tuned again.
        """
        if self.tuned(name) is not None:
            message = f"{name} was tuned here, and cannot be tuned further. Start from its base model."
            raise ApiError(message, param="model", code="model_not_available")
        base = None if names.is_tuned(name) else self.base(name)
        if base is None:
            known = ", ".join(self._models) or "none"
            message = (
                f"The model '{name[:200]}' is not available for fine-tuning here. There are: {known}. "
                "Which model stands for a name is said where the server is started, with --model NAME=MODEL."
            )
            raise ApiError(message, param="model", code="model_not_available")
        return base

    def tuned(self, name: str) -> Tuned | None:
        """Returns what a name of a tuned model or of a checkpoint stands for; None if there is no such model."""
        model, step = names.parse_tuned(name)
        short, job_id = names.job_hint(model)
        if short is not None:
            found = [job for job in self._store.everything(JobRecord, under=short) if names.openai_name(job) == model]
        else:
            job = self._store.find(JobRecord, job_id) if job_id else None
            found = [job] if job is not None and names.azure_name(job) == model else []
        there = [job for job in found if not job.model_deleted and (step is not None or job.word is JobWord.SUCCEEDED)]
        return Tuned(there[0], step) if there else None

    def all_tuned(self) -> list[JobRecord]:
        """Returns the jobs whose model is there, oldest first."""
        jobs = self._store.everything(JobRecord)
        return [job for job in jobs if job.word is JobWord.SUCCEEDED and not job.model_deleted]


def no_such_model(name: str, param: str | None = "model") -> ApiError:
    """Returns the error of a name that stands for no model."""
    message = f"The model '{name[:200]}' does not exist or you do not have access to it."
    return ApiError(message, status=NOT_FOUND, param=param, code="model_not_found")
