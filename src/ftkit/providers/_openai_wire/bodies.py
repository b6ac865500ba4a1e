"""What comes over OpenAI's wire, read into our nouns, and what goes out. Nothing here knows how it travels.

What is read is read loosely: a field that is not known is passed over, and one that a service leaves out, or fills in
its own way (Azure's -1, `error: {}`), does no harm. What makes a thing that thing must be there.
"""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from ftkit.errors import ConfigurationError
from ftkit.methods import DPO, Method, Reinforcement, Supervised, parse_method
from ftkit.models import (
    Checkpoint,
    EventLevel,
    FineTuningJob,
    JobEvent,
    JobStatus,
    Metrics,
    TrainingFile,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY_LABEL = "ftkit_key"
"""The label among a job's metadata that holds its key."""

STATUS_WORDS: Mapping[str, JobStatus] = {
    "validating_files": JobStatus.VALIDATING,
    "created": JobStatus.QUEUED,
    "pending": JobStatus.QUEUED,
    "notRunning": JobStatus.QUEUED,
    "queued": JobStatus.QUEUED,
    "running": JobStatus.RUNNING,
    "pausing": JobStatus.RUNNING,
    "paused": JobStatus.PAUSED,
    "resuming": JobStatus.QUEUED,
    "cancelling": JobStatus.CANCELLING,
    "canceling": JobStatus.CANCELLING,
    "succeeded": JobStatus.SUCCEEDED,
    "failed": JobStatus.FAILED,
    "cancelled": JobStatus.CANCELLED,
    "canceled": JobStatus.CANCELLED,
}
"""What the words of both services mean. A word that is not here reads as UNKNOWN."""

_LEVELS = {"warn": EventLevel.WARNING, "warning": EventLevel.WARNING, "error": EventLevel.ERROR}
_MEASURED = frozenset(Metrics.model_fields) - {"extra", "step"}
_OTHER_COLUMNS = {
    "train_accuracy": "train_mean_token_accuracy",
    "validation_mean_token_accuracy": "valid_mean_token_accuracy",
    "valid_accuracy": "valid_mean_token_accuracy",
}
"""Other names that columns of a results file have, or had."""

_HYPERPARAMETERS = ("n_epochs", "batch_size", "learning_rate_multiplier")
_FIELDS: Mapping[type[Method], tuple[str, ...]] = {
    Supervised: _HYPERPARAMETERS,
    DPO: (*_HYPERPARAMETERS, "beta"),
    Reinforcement: (*_HYPERPARAMETERS, "compute_multiplier", "eval_interval", "eval_samples", "reasoning_effort"),
}
"""The hyperparameters of each method, as they stand in its `hyperparameters`."""


def _none_if_empty(value: object) -> object:
    return value or None


class Body(BaseModel):
    """Something that came over the wire."""

    model_config = ConfigDict(extra="ignore")


class Failure(Body):
    """Why a job failed."""

    code: str | None = None
    message: str | None = None


class JobBody(Body):
    """A fine-tuning job."""

    id: Annotated[str, Field(min_length=1)]
    status: str
    model: str = ""
    created_at: int | None = None
    finished_at: int | None = None
    fine_tuned_model: str | None = None
    training_file: str | None = None
    validation_file: str | None = None
    result_files: list[str] | None = None
    trained_tokens: int | None = None
    seed: int | None = None
    suffix: str | None = None
    hyperparameters: dict[str, Any] | None = None
    method: dict[str, Any] | None = None
    metadata: dict[str, str] | None = None
    error: Annotated[Failure | None, BeforeValidator(_none_if_empty)] = None


class FileBody(Body):
    """A file."""

    id: Annotated[str, Field(min_length=1)]
    bytes: int | None = None
    created_at: int | None = None
    filename: str | None = None
    purpose: str | None = None
    status: str | None = None
    status_details: str | None = None


class EventBody(Body):
    """An event of a job."""

    id: Annotated[str, Field(min_length=1)]
    created_at: int
    level: str = "info"
    message: str = ""
    type: str | None = None
    data: Any = None


class CheckpointBody(Body):
    """A checkpoint of a job."""

    id: Annotated[str, Field(min_length=1)]
    created_at: int | None = None
    fine_tuned_model_checkpoint: str
    step_number: int
    metrics: dict[str, Any] = Field(default_factory=dict[str, Any])


class ModelBody(Body):
    """A model."""

    id: str
    shutdown_date: str | None = None


B = TypeVar("B", bound=Body)


class ListBody(Body):
    """One page of a list; its items are read one by one."""

    data: list[dict[str, Any]]
    has_more: bool | None = None


def moment(seconds: int | None) -> datetime | None:
    """Returns a time of the wire as a moment."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def job_of(body: JobBody, provider: str, identity: str) -> FineTuningJob:
    """Reads a job."""
    labels = dict(body.metadata or {})
    key = labels.pop(KEY_LABEL, None)
    message = body.error.message or body.error.code if body.error else None
    return FineTuningJob(
        id=body.id,
        provider=provider,
        identity=identity,
        status=STATUS_WORDS.get(body.status, JobStatus.UNKNOWN),
        provider_status=body.status,
        model=body.model,
        fine_tuned_model=body.fine_tuned_model or None,
        method=_method_of(body),
        training_file=body.training_file,
        validation_file=body.validation_file,
        suffix=body.suffix,
        seed=body.seed,
        metadata=labels,
        key=key,
        created_at=moment(body.created_at),
        finished_at=moment(body.finished_at),
        trained_tokens=body.trained_tokens,
        error=message,
    )


def _method_of(body: JobBody) -> Method | None:
    """Reads the method; None if it is one that we do not know."""
    kind = str(body.method.get("type")) if body.method else "supervised"
    of_kind: Any = (body.method or {}).get(kind) or {}
    given: dict[str, Any] = dict(of_kind.get("hyperparameters") or (body.hyperparameters or {}))
    grader = of_kind.get("grader")
    known = {name for fields in _FIELDS.values() for name in fields}
    told = {name: value for name, value in given.items() if name in known and value not in (None, "auto", -1)}
    try:
        return parse_method({"type": kind, **told, **({"grader": grader} if grader else {})})
    except (ConfigurationError, ValidationError):
        return None


def file_of(body: FileBody, provider: str, identity: str) -> TrainingFile:
    """Reads a file."""
    return TrainingFile(
        id=body.id,
        provider=provider,
        identity=identity,
        filename=body.filename,
        size=body.bytes,
        created_at=moment(body.created_at),
        provider_status=body.status,
    )


def event_of(body: EventBody, job_id: str) -> JobEvent:
    """Reads an event, with what was measured if it is one of that sort."""
    given: object = body.data
    data = cast("dict[str, Any]", given) if isinstance(given, dict) else {}
    return JobEvent(
        id=body.id,
        job_id=job_id,
        created_at=datetime.fromtimestamp(body.created_at, UTC),
        level=_LEVELS.get(body.level, EventLevel.INFO),
        message=body.message,
        metrics=metrics_of(data) if body.type == "metrics" or "train_loss" in data else None,
    )


def checkpoint_of(body: CheckpointBody, job_id: str) -> Checkpoint:
    """Reads a checkpoint."""
    return Checkpoint(
        id=body.id,
        job_id=job_id,
        step=body.step_number,
        model=body.fine_tuned_model_checkpoint,
        metrics=metrics_of({**body.metrics, "step": body.step_number}),
        created_at=moment(body.created_at),
    )


def metrics_of(given: Mapping[str, Any]) -> Metrics | None:
    """Reads what was measured at a step; None if no step is told."""
    numbers = {_OTHER_COLUMNS.get(name, name): _number(value) for name, value in given.items()}
    step = numbers.pop("step", None)
    if step is None:
        return None
    told = {name: value for name, value in numbers.items() if value is not None}
    ours = {name: told.pop(name) for name in [*told] if name in _MEASURED}
    return Metrics(step=int(step), extra=told, **ours)


def results_of(text: str) -> list[Metrics]:
    """Reads a results file by the names of its columns, one row a step, in the order of steps."""
    rows = (metrics_of(row) for row in csv.DictReader(io.StringIO(text)))
    return sorted((row for row in rows if row is not None), key=lambda row: row.step)


def _number(value: object) -> float | None:
    try:
        return float(cast("str", value))
    except (TypeError, ValueError):
        return None


def method_body(method: Method) -> dict[str, Any]:
    """Writes a method as it stands in a request."""
    given = method.hyperparameters()
    grader = given.pop("grader", None)
    inner: dict[str, Any] = {"hyperparameters": given} if given else {}
    return {"type": method.type, method.type: {**inner, **({"grader": grader} if grader is not None else {})}}


def known_hyperparameters(method: Method) -> tuple[str, ...]:
    """Returns the hyperparameters that a method has here."""
    extra = ("grader",) if isinstance(method, Reinforcement) else ()
    return (*_FIELDS.get(type(method), ()), *extra)
