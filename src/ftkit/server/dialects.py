"""The dialects: what we keep, written in the words of OpenAI, and of Azure's two forms of the same API.

Where the three differ (Azure's REST specifications `authoring/stable/2024-10-21` and `OpenAI.v1`, read 2026-11-25):

| | OpenAI | Azure, v1 | Azure, dated |
|---|---|---|---|
| a file or job is made | 200 | 200 | 201, with its address as Location |
| a file that just came | processed | pending | pending |
| a job that waits | validating_files, queued | pending, queued | pending |
| organization_id, result_files | text, list | null, null until there are any | likewise |
| hyperparameters not set | "auto" | "auto" | -1 |
| a warning's level | warn | warn | warning |
| a tuned model | ft:base:owner:suffix:id | base.ft-id-suffix | likewise |
| an error | message, type, param, code | likewise | code, message |
| the last checkpoint of a job | has a step in its name | is the model itself | likewise |
| a chat names | a model | a deployment | a deployment |
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, cast

from ftkit.methods import DPO, Method, Reinforcement
from ftkit.models import EventLevel
from ftkit.server import names, wire
from ftkit.server.errors import (
    BAD_REQUEST,
    CONFLICT,
    INTERNAL,
    NOT_FOUND,
    TOO_LARGE,
    TOO_MANY,
    UNAUTHORIZED,
    UNAVAILABLE,
    ApiError,
)
from ftkit.server.records import JobWord

if TYPE_CHECKING:
    from ftkit.models import Checkpoint, Metrics
    from ftkit.server.records import EventRecord, FileRecord, JobRecord, PartRecord, UploadRecord

Json = Mapping[str, Any]

_MEASURED = (
    "train_loss",
    "train_mean_token_accuracy",
    "valid_loss",
    "valid_mean_token_accuracy",
    "full_valid_loss",
    "full_valid_mean_token_accuracy",
)
_METHOD_WIDE = ("n_epochs", "batch_size", "learning_rate_multiplier")
_OF_METHOD: Mapping[type[Method], tuple[str, ...]] = {
    DPO: ("beta",),
    Reinforcement: ("compute_multiplier", "eval_interval", "eval_samples", "reasoning_effort"),
}


class OpenAI:
    """OpenAI's own words, under /v1."""

    prefix: ClassVar[str] = "/v1"
    created: ClassVar[int] = 200
    just_came: ClassVar[str] = "processed"
    owner: ClassVar[str | None] = names.OWNER
    no_results: ClassVar[list[str] | None] = []
    unset: ClassVar[str | int] = "auto"
    words: ClassVar[Mapping[JobWord, str]] = {}
    levels: ClassVar[Mapping[EventLevel, str]] = {EventLevel.WARNING: "warn"}
    asks_deployments: ClassVar[bool] = False

    def tuned_name(self, job: JobRecord) -> str:
        """Returns the name of a job's model."""
        return names.openai_name(job)

    def file(self, file: FileRecord, *, just_came: bool = False) -> Json:
        """Writes a file."""
        return wire.File(
            id=file.id,
            bytes=file.size,
            created_at=file.created_at,
            filename=file.filename,
            purpose=file.purpose,
            status=self.just_came if just_came else "processed",
            expires_at=file.expires_at,
        ).model_dump()

    def upload(self, upload: UploadRecord, file: FileRecord | None = None) -> Json:
        """Writes an upload, with the file that it became."""
        return wire.Upload(
            id=upload.id,
            bytes=upload.size,
            created_at=upload.created_at,
            filename=upload.filename,
            purpose=upload.purpose,
            status=upload.word.value,
            expires_at=upload.expires_at,
            file=wire.File.model_validate(self.file(file)) if file else None,
        ).model_dump()

    def part(self, part: PartRecord) -> Json:
        """Writes a part of an upload."""
        return wire.Part(id=part.id, created_at=part.created_at, upload_id=part.upload_id).model_dump()

    def job(self, job: JobRecord) -> Json:
        """Writes a job."""
        has_model = job.word is JobWord.SUCCEEDED
        return wire.Job(
            id=job.id,
            model=job.model,
            created_at=job.created_at,
            finished_at=job.finished_at,
            fine_tuned_model=self.tuned_name(job) if has_model else None,
            organization_id=self.owner,
            result_files=[job.result_file] if job.result_file else self.no_results,
            status=self.words.get(job.word, job.word.value),
            training_file=job.training_file,
            validation_file=job.validation_file,
            hyperparameters=self._hyperparameters(job.method, _METHOD_WIDE),
            trained_tokens=job.job.trained_tokens if job.job else None,
            error=wire.JobFailure(**job.error.model_dump()) if job.error else None,
            seed=job.seed,
            method=self._method(job.method),
            metadata=job.metadata,
        ).model_dump()

    def event(self, event: EventRecord) -> Json:
        """Writes an event of a job."""
        return wire.Event(
            id=event.id,
            created_at=event.created_at,
            level=self.levels.get(event.level, event.level.value),
            message=event.message,
            type="message" if event.metrics is None else "metrics",
            data={} if event.metrics is None else {"step": event.metrics.step, **_measured(event.metrics)},
        ).model_dump()

    def checkpoint(self, job: JobRecord, checkpoint: Checkpoint) -> Json:
        """Writes a checkpoint of a job."""
        made = checkpoint.created_at
        measured = _measured(checkpoint.metrics) if checkpoint.metrics else {}
        return wire.Checkpoint(
            id=f"ftckpt_{names.tail(job)}{checkpoint.step}",
            created_at=int(made.timestamp()) if made else job.created_at,
            fine_tuned_model_checkpoint=names.checkpoint_name(self.tuned_name(job), checkpoint.step),
            fine_tuning_job_id=job.id,
            metrics={"step": float(checkpoint.step), **measured},
            step_number=checkpoint.step,
        ).model_dump()

    def base_model(self, name: str, since: int) -> Json:
        """Writes a base model."""
        return wire.Model(id=name, created=since, owned_by="system").model_dump()

    def tuned_model(self, job: JobRecord, step: int | None = None) -> Json:
        """Writes a tuned model, or a checkpoint of one."""
        name = self.tuned_name(job)
        name = name if step is None else names.checkpoint_name(name, step)
        return wire.Model(id=name, created=job.finished_at or job.created_at, owned_by=names.OWNER).model_dump()

    def page(self, items: list[Json], *, more: bool) -> Json:
        """Writes one page of a list."""
        ids = {"first_id": items[0]["id"], "last_id": items[-1]["id"]} if items else {"first_id": None, "last_id": None}
        return {"object": "list", "data": items, **ids, "has_more": more}

    def error(self, error: ApiError) -> Json:
        """Writes what is wrong."""
        body = wire.ErrorBody(message=error.message, type=error.type, param=error.param, code=error.code)
        return wire.Error(error=body).model_dump()

    def _hyperparameters(self, method: Method, known: tuple[str, ...]) -> dict[str, Any]:
        given = method.hyperparameters()
        return {name: given.get(name, self.unset) for name in known}

    def _method(self, method: Method) -> dict[str, Any]:
        known = (*_METHOD_WIDE, *_OF_METHOD.get(type(method), ()))
        body: dict[str, Any] = {"hyperparameters": self._hyperparameters(method, known)}
        grader = getattr(method, "grader", None)
        return {"type": method.type, method.type: {**body, **({"grader": grader} if grader else {})}}


class AzureV1(OpenAI):
    """Azure's v1 form, under /openai/v1."""

    prefix = "/openai/v1"
    just_came = "pending"
    owner = None
    no_results = None
    words: ClassVar[Mapping[JobWord, str]] = {JobWord.VALIDATING: "pending"}
    asks_deployments = True

    def tuned_name(self, job: JobRecord) -> str:
        """Returns the name of a job's model."""
        return names.azure_name(job)

    def checkpoint(self, job: JobRecord, checkpoint: Checkpoint) -> Json:
        """Writes a checkpoint of a job; the last one of a job that has succeeded is the model itself."""
        is_last = job.job is not None and job.word is JobWord.SUCCEEDED and checkpoint.step == job.job.total_steps
        itself = {"fine_tuned_model_checkpoint": self.tuned_name(job)} if is_last else {}
        return {**super().checkpoint(job, checkpoint), **itself}

    def job(self, job: JobRecord) -> Json:
        """Writes a job, with the training type that was asked for."""
        typed = {} if job.training_type is None else {"trainingType": job.training_type}
        return {**super().job(job), **typed}


class Azure(AzureV1):
    """Azure's dated form, under /openai, with its api-version in the query."""

    prefix = "/openai"
    created = 201
    unset = -1
    words: ClassVar[Mapping[JobWord, str]] = {JobWord.VALIDATING: "pending", JobWord.QUEUED: "pending"}
    levels: ClassVar[Mapping[EventLevel, str]] = {}

    def base_model(self, name: str, since: int) -> Json:
        """Writes a base model."""
        return _azure_model(name, since, None, None)

    def tuned_model(self, job: JobRecord, step: int | None = None) -> Json:
        """Writes a tuned model, or a checkpoint of one."""
        made = cast("dict[str, Any]", super().tuned_model(job, step))
        return _azure_model(made["id"], made["created"], job.model, job.id)

    def page(self, items: list[Json], *, more: bool) -> Json:
        """Writes one page of a list."""
        return {"object": "list", "data": items, "has_more": more}

    def error(self, error: ApiError) -> Json:
        """Writes what is wrong."""
        return {"error": {"code": _azure_code(error), "message": error.message}}


class ARM(Azure):
    """The control plane, of which only the errors are of this kind."""

    prefix = "/subscriptions"

    def error(self, error: ApiError) -> Json:
        """Writes what is wrong."""
        return {"error": {"code": error.code or _ARM_CODES.get(error.status, "BadRequest"), "message": error.message}}


DIALECTS = (OpenAI(), AzureV1(), Azure(), ARM())
"""All of them; the one whose prefix stands first in a path, and is the longest, is meant."""

_AZURE_CODES = {
    BAD_REQUEST: "invalidPayload",
    UNAUTHORIZED: "401",
    NOT_FOUND: "notFound",
    CONFLICT: "conflict",
    TOO_LARGE: "invalidPayload",
    TOO_MANY: "tooManyRequests",
    INTERNAL: "internalFailure",
    UNAVAILABLE: "serviceUnavailable",
}
_ARM_CODES = {
    UNAUTHORIZED: "InvalidAuthenticationToken",
    NOT_FOUND: "ResourceNotFound",
    INTERNAL: "InternalServerError",
    UNAVAILABLE: "ServiceUnavailable",
}


def dialect_of(path: str) -> OpenAI:
    """Returns the dialect that a path is of; OpenAI's if it is of none."""
    fitting = [d for d in DIALECTS if path == d.prefix or path.startswith(f"{d.prefix}/")]
    return max(fitting, key=lambda d: len(d.prefix)) if fitting else DIALECTS[0]


def _measured(metrics: Metrics) -> dict[str, float]:
    values = {name: getattr(metrics, name) for name in _MEASURED}
    return {name: value for name, value in values.items() if value is not None}


def _azure_code(error: ApiError) -> str:
    if error.code is not None and error.code[0].isupper():  # one of Azure's own, such as DeploymentNotFound
        return error.code
    return _AZURE_CODES.get(error.status, "invalidPayload")


def _azure_model(name: str, created: int, base: str | None, job_id: str | None) -> Json:
    return {
        "id": name,
        "object": "model",
        "created_at": created,
        "status": "succeeded",
        "capabilities": {
            "fine_tune": base is None,
            "inference": True,
            "completion": False,
            "chat_completion": True,
            "embeddings": False,
        },
        "lifecycle_status": "generally-available",
        "deprecation": {},
        **({} if base is None else {"model": base, "fine_tune": job_id}),
    }
