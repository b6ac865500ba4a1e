"""The names of tuned models, and of what is in a job's folder."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ftkit.models import JobRequest

TRAINING = "train.jsonl"
VALIDATION = "validation.jsonl"
MODEL = "model"
ADAPTER = "adapter"

SUFFIX = re.compile(r"[A-Za-z0-9._-]{1,64}")
_NAME = re.compile(r"ftkit:[^:]+:(?:[^:]+:)?([0-9a-f]{24})(?::step-([0-9]{1,18}))?")


def model_name(request: JobRequest, job_id: str, step: int | None = None) -> str:
    """Returns the name of a job's model, or of one of its checkpoints: `ftkit:small:my-suffix:<job>:step-120`."""
    base = request.model.rstrip("/").rpartition("/")[2].replace(":", "-")
    at = None if step is None else f"step-{step}"
    parts = ["ftkit", base, request.suffix, job_id.removeprefix("ftjob-"), at]
    return ":".join(part for part in parts if part)


def parse_model_name(name: str) -> tuple[str, int | None] | None:
    """Returns the job, and the step of the checkpoint, that a name stands for; None if it is no name of ours."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    return f"ftjob-{match[1]}", int(match[2]) if match[2] else None
