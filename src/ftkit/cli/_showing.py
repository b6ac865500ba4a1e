"""A job as text for people: what is set of it, line by line, and what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ftkit.cli._jobs import command, steps_of
from ftkit.cli._names import reference
from ftkit.cli._text import plain
from ftkit.cli._times import age, at, span
from ftkit.models import JobStatus

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from datetime import datetime

    from ftkit.models import FineTuningJob

_GAP = 2


def render(job: FineTuningJob, account: str, abilities: Collection[str]) -> str:
    """Returns a job as text.

    Args:
        job: The job.
        account: Name of the profile or provider that it was found by.
        abilities: Names of the provider's abilities.
    """
    facts = [(name, value) for name, value in _facts(job, account) if value]
    width = max(len(name) for name, _ in facts) + 1 + _GAP
    lines = [f"{name + ':':<{width}}{_indented(plain(value), width)}" for name, value in facts]
    steps = [f"  {line}" for line in _next(job, reference(account, job.id), abilities)]
    return "\n".join([*lines, *(["", "next:", *steps] if steps else [])])


def _indented(text: str, width: int) -> str:
    return text.strip().replace("\n", "\n" + " " * width)


def _facts(job: FineTuningJob, account: str) -> Iterator[tuple[str, str | None]]:
    yield "job", reference(account, job.id)
    yield "status", _status(job)
    yield "error", job.error
    yield "model", job.model
    yield "tuned model", job.fine_tuned_model
    yield "steps", steps_of(job)
    yield "trained tokens", None if job.trained_tokens is None else f"{job.trained_tokens:,}"
    if job.method is not None:
        yield "method", job.method.type
        yield from _flat("", job.method.hyperparameters())
    yield "seed", None if job.seed is None else str(job.seed)
    yield "suffix", job.suffix
    yield "training file", job.training_file
    yield "validation file", job.validation_file
    yield from _flat("metadata.", job.metadata)
    yield "created", _moment(job.created_at)
    yield "started", _moment(job.started_at)
    yield "finished", _moment(job.finished_at)
    yield "duration", _duration(job)
    yield "provider", job.provider
    yield "account", job.identity
    yield "key", job.key


def _status(job: FineTuningJob) -> str:
    own = job.provider_status
    word = job.status.value if own in {None, job.status.value} else f"{job.status.value} ({own})"
    return f"{word}, interrupted" if job.interrupted else word


def _flat(prefix: str, values: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(f"{prefix}{name}.", cast("dict[str, object]", value))
        else:
            yield f"{prefix}{name}", str(value)


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else f"{at(moment)} ({age(moment)} ago)"


def _duration(job: FineTuningJob) -> str | None:
    """How long it has trained: from its start to its end, or until now."""
    if job.started_at is None:
        return None
    if job.finished_at is not None:
        return span(job.finished_at - job.started_at)
    return age(job.started_at) if job.status in {JobStatus.RUNNING, JobStatus.CANCELLING} else None


def _next(job: FineTuningJob, name: str, abilities: Collection[str]) -> Iterator[str]:
    if job.status is JobStatus.PAUSED:
        if "Pauses" in abilities:
            yield command("resume", name)
    elif job.status is JobStatus.SUCCEEDED:
        if "FetchesResults" in abilities:
            yield command("metrics", name)
        if "Deploys" in abilities:
            yield command("deploy", name)
    elif job.status.is_terminal:
        if "ListsEvents" in abilities:
            yield command("follow", name)
        yield "ftkit run ... --retry-failed"
    else:
        yield command("wait", name)
        if "ListsEvents" in abilities:
            yield command("follow", name)
