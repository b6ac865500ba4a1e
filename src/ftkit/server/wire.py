"""The bodies of OpenAI's API as it documents them (API reference, 2026-11): what is sent, and what is answered.

What is asked with a field that is not here is refused, as the original refuses it. Answers hold every field that the
original's do. What Azure writes otherwise is made in `dialects`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, StringConstraints

Auto = Literal["auto"]
Epochs = Annotated[int, Field(ge=1, le=50)]
Batch = Annotated[int, Field(ge=1, le=256)]
Multiplier = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Beta = Annotated[float, Field(gt=0, le=2, allow_inf_nan=False)]
Id = Annotated[str, StringConstraints(min_length=1, max_length=200)]
ModelName = Annotated[str, StringConstraints(min_length=1, max_length=400, pattern=r"^[^\x00-\x1f\x7f]+$")]
Label = Annotated[str, StringConstraints(max_length=64)]
Labelled = Annotated[str, StringConstraints(max_length=512)]
Metadata = Annotated[dict[Label, Labelled], Field(max_length=16)]
Purpose = Literal["fine-tune", "assistants", "batch", "vision", "user_data", "evals"]


class Asked(BaseModel):
    """A body that is sent to us. Nothing in it is dropped in silence."""

    model_config = ConfigDict(extra="forbid", strict=True, validate_by_name=False, validate_by_alias=True)


class Hyperparameters(Asked):
    """Hyperparameters of supervised fine-tuning."""

    n_epochs: Auto | Epochs | None = None
    batch_size: Auto | Batch | None = None
    learning_rate_multiplier: Auto | Multiplier | None = None


class DPOHyperparameters(Hyperparameters):
    """Hyperparameters of direct preference optimisation."""

    beta: Auto | Beta | None = None


class ReinforcementHyperparameters(Hyperparameters):
    """Hyperparameters of reinforcement fine-tuning."""

    compute_multiplier: Auto | Multiplier | None = None
    eval_interval: Auto | PositiveInt | None = None
    eval_samples: Auto | PositiveInt | None = None
    reasoning_effort: Literal["default", "low", "medium", "high"] | None = None


class SupervisedMethod(Asked):
    """What stands under `method.supervised`."""

    hyperparameters: Hyperparameters | None = None


class DPOMethod(Asked):
    """What stands under `method.dpo`."""

    hyperparameters: DPOHyperparameters | None = None


class ReinforcementMethod(Asked):
    """What stands under `method.reinforcement`."""

    grader: dict[str, Any]
    hyperparameters: ReinforcementHyperparameters | None = None


class Method(Asked):
    """A method and its hyperparameters."""

    type: Literal["supervised", "dpo", "reinforcement"]
    supervised: SupervisedMethod | None = None
    dpo: DPOMethod | None = None
    reinforcement: ReinforcementMethod | None = None


class CreateJob(Asked):
    """What a job is asked for with. `trainingType` is Azure's."""

    model: ModelName
    training_file: Id
    validation_file: Id | None = None
    method: Method | None = None
    hyperparameters: Hyperparameters | None = None
    suffix: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    metadata: Metadata | None = None
    integrations: list[dict[str, Any]] | None = None
    training_type: Annotated[str, StringConstraints(max_length=64)] | int | None = Field(
        default=None, alias="trainingType"
    )

    def method_and_hyperparameters(self) -> tuple[str, dict[str, Any]]:
        """Returns the name of the method and what was set of it; the older form, without a method, is supervised."""
        if self.method is None:
            return "supervised", self.hyperparameters.model_dump(exclude_none=True) if self.hyperparameters else {}
        kind = self.method.type
        body = getattr(self.method, kind)
        given: dict[str, Any] = body.model_dump(exclude_none=True) if body is not None else {}
        return kind, {**given.pop("hyperparameters", {}), **given}


class ExpiresAfter(Asked):
    """When a file is due to be deleted."""

    anchor: Literal["created_at"]
    seconds: Annotated[int, Field(ge=3600, le=2_592_000)]


class CreateUpload(Asked):
    """What an upload is begun with."""

    filename: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    purpose: Purpose
    bytes: PositiveInt
    mime_type: Annotated[str, StringConstraints(max_length=200)]
    expires_after: ExpiresAfter | None = None


class CompleteUpload(Asked):
    """What an upload is ended with."""

    part_ids: Annotated[list[Id], Field(min_length=1, max_length=10_000)]
    md5: Annotated[str, StringConstraints(pattern=r"^[0-9A-Fa-f]{32}$")] | None = None


class Answer(BaseModel):
    """A body that we send."""

    model_config = ConfigDict(frozen=True)


class File(Answer):
    """A file."""

    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    filename: str
    purpose: str
    status: str
    status_details: str | None = None
    expires_at: int | None = None


class Deleted(Answer):
    """Something that was deleted."""

    id: str
    object: str
    deleted: Literal[True] = True


class Part(Answer):
    """A part of an upload."""

    id: str
    object: Literal["upload.part"] = "upload.part"
    created_at: int
    upload_id: str


class Upload(Answer):
    """An upload."""

    id: str
    object: Literal["upload"] = "upload"
    bytes: int
    created_at: int
    filename: str
    purpose: str
    status: str
    expires_at: int
    file: File | None = None


class JobFailure(Answer):
    """Why a job failed."""

    code: str
    message: str
    param: str | None = None


class Job(Answer):
    """A fine-tuning job."""

    object: Literal["fine_tuning.job"] = "fine_tuning.job"
    id: str
    model: str
    created_at: int
    finished_at: int | None = None
    fine_tuned_model: str | None = None
    organization_id: str | None
    result_files: list[str] | None
    status: str
    validation_file: str | None = None
    training_file: str
    hyperparameters: dict[str, Any]
    trained_tokens: int | None = None
    error: JobFailure | None = None
    integrations: list[dict[str, Any]] | None = Field(default_factory=list[dict[str, Any]])
    seed: int
    estimated_finish: int | None = None
    method: dict[str, Any] | None = None
    metadata: Mapping[str, str] | None = None


class Event(Answer):
    """An event of a job."""

    object: Literal["fine_tuning.job.event"] = "fine_tuning.job.event"
    id: str
    created_at: int
    level: str
    message: str
    type: Literal["message", "metrics"]
    data: dict[str, Any] = Field(default_factory=dict[str, Any])


class Checkpoint(Answer):
    """A checkpoint of a job."""

    object: Literal["fine_tuning.job.checkpoint"] = "fine_tuning.job.checkpoint"
    id: str
    created_at: int
    fine_tuned_model_checkpoint: str
    fine_tuning_job_id: str
    metrics: dict[str, float]
    step_number: int


class Model(Answer):
    """A model."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str


A = TypeVar("A", bound=Answer)


class List(Answer, Generic[A]):
    """One page of a list."""

    object: Literal["list"] = "list"
    data: list[A]
    has_more: bool = False
    first_id: str | None = None
    last_id: str | None = None


class ErrorBody(Answer):
    """What is wrong."""

    message: str
    type: str
    param: str | None
    code: str | None


class Error(Answer):
    """How an error is told."""

    error: ErrorBody
