"""The names of tuned models, in the form of the service that is spoken.

    OpenAI  ft:gpt-4o-mini-2024-07-18:ftkit:my-suffix:ab12cd34            ...:ckpt-step-120
    Azure   gpt-4o-mini-2024-07-18.ft-<job>-my-suffix                     ...:ckpt-step-120

Both forms of one model are understood by every dialect: whoever moves from one to the other need not rename.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ftkit.server.records import JOB_PREFIX, JobRecord, short_id

OWNER = "ftkit"
"""Stands where OpenAI names the organisation."""

_STEP = re.compile(r"(.+):ckpt-step-(\d{1,18})", re.DOTALL)


class TunedName(NamedTuple):
    """What a name says.

    Attributes:
        model: The name without its step.
        step: The step of the checkpoint; None for the model that came out at the end.
    """

    model: str
    step: int | None


def openai_name(job: JobRecord) -> str:
    """Returns the name of a job's model in OpenAI's form."""
    return f"ft:{job.model}:{OWNER}:{job.suffix or ''}:{short_id(job.id)}"


def azure_name(job: JobRecord) -> str:
    """Returns the name of a job's model in Azure's form."""
    return f"{job.model}.ft-{tail(job)}{f'-{job.suffix}' if job.suffix else ''}"


def checkpoint_name(model: str, step: int) -> str:
    """Returns the name of a checkpoint of a model."""
    return f"{model}:ckpt-step-{step}"


def parse_tuned(name: str) -> TunedName:
    """Takes the step off a name, if it has one."""
    match = _STEP.fullmatch(name)
    return TunedName(name, None) if match is None else TunedName(match[1], int(match[2]))


def job_hint(model: str) -> tuple[str | None, str | None]:
    """Returns what a name tells of the job: its short id (OpenAI's form), or its whole id (Azure's)."""
    _, dot, rest = model.rpartition(".ft-")
    if dot:
        return None, f"{JOB_PREFIX}{rest.partition('-')[0]}"
    return (model.rpartition(":")[2], None) if model.startswith("ft:") else (None, None)


def is_tuned(name: str) -> bool:
    """Whether a name is that of a tuned model, here or elsewhere."""
    return name.startswith("ft:") or ".ft-" in name


def plain_suffix(suffix: str | None) -> str | None:
    """Returns a suffix as it can stand in a name: letters, digits and hyphens."""
    plain = re.sub(r"[^A-Za-z0-9]+", "-", suffix or "").strip("-").lower()
    return plain or None


def tail(job: JobRecord) -> str:
    """Returns the id of a job without what all ids of jobs begin with."""
    return job.id.removeprefix(JOB_PREFIX)
