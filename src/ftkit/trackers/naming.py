"""One scheme of names for all trackers: of metrics, of what describes a job, and of the run that a job becomes."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from ftkit.errors import without_keys
from ftkit.methods import names_secret

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from ftkit.models import FineTuningJob, Metrics

_NAMES = {
    "train_loss": "train/loss",
    "train_mean_token_accuracy": "train/accuracy",
    "valid_loss": "valid/loss",
    "valid_mean_token_accuracy": "valid/accuracy",
    "full_valid_loss": "full_valid/loss",
    "full_valid_mean_token_accuracy": "full_valid/accuracy",
    "learning_rate": "learning_rate",
    "epoch": "epoch",
}
"""Fields of `Metrics` -> names of metrics."""
_EXTRA = "extra"
_ODD = re.compile(r"[^\w. -]")
_NO_NAME = re.compile(r"[^\w-]+")
_LONGEST = 40
_HIDDEN = "***"


def named(metrics: Metrics) -> dict[str, float]:
    """Returns what was measured at a step, by the names that trackers get: train/loss, valid/accuracy, extra/NAME."""
    known = {name: getattr(metrics, field) for field, name in _NAMES.items()}
    told = {name: float(value) for name, value in known.items() if value is not None}
    return told | {_extra(name): value for name, value in metrics.extra.items()}


def without(metrics: Metrics, held: Collection[tuple[str, int]]) -> Metrics:
    """Returns what was measured at a step, less the points that a tracker has."""
    old = {name for name in named(metrics) if (name, metrics.step) in held}
    fields: dict[str, object] = {field: None for field, name in _NAMES.items() if name in old}
    extra = {name: value for name, value in metrics.extra.items() if _extra(name) not in old}
    return metrics.model_copy(update={**fields, "extra": extra})


def _extra(name: str) -> str:
    """Returns the name of what only one provider reports. MLflow takes no other signs, nor empty parts of a path."""
    return "/".join([_EXTRA, *map(_plain, name.split("/"))])


def _plain(name: str) -> str:
    """Returns a name of letters, digits and few signs: others are written as their number, so that no two are one."""
    plain = _ODD.sub(lambda odd: f"_{ord(odd[0]):x}_", name)
    return plain if plain.strip(". ") else f"_{plain}_"


def run_id(job: FineTuningJob) -> str:
    """Returns the id of a job's run: 20 letters and digits, the same each time, of the account and the job's id."""
    return hashlib.sha256(json.dumps([job.provider, job.identity, job.id]).encode()).hexdigest()[:20]


def run_name(job: FineTuningJob) -> str:
    """Returns the name of a job's run, for people and folders: its suffix or model, and what makes it unique."""
    shown = _NO_NAME.sub("-", job.suffix or job.model.rpartition("/")[2]).strip("-")[:_LONGEST]
    return f"{shown or job.provider}-{run_id(job)[:8]}"


def config_of(job: FineTuningJob) -> dict[str, str | float | bool]:
    """Returns what describes a job: a flat table of what is known, in which nothing is secret."""
    method = job.method
    told = {
        "job": job.id,
        "provider": job.provider,
        "model": job.model,
        "method": method.type if method else None,
        "hyperparameters": method.hyperparameters() if method else None,
        "seed": job.seed,
        "suffix": job.suffix,
        "fine_tuned_model": job.fine_tuned_model,
        "metadata": dict(job.metadata),
    }
    return dict(_flat("", told))


def outcome_of(job: FineTuningJob) -> dict[str, str]:
    """Returns how a job stands: its status, and its tuned model and error, where there is one."""
    told = {"status": job.status.value, "fine_tuned_model": job.fine_tuned_model, "error": job.error}
    return {name: without_keys(text) for name, text in told.items() if text is not None}


def _flat(path: str, value: object) -> Iterator[tuple[str, str | float | bool]]:
    if isinstance(value, Mapping):
        for name, inner in cast("Mapping[str, object]", value).items():
            inside = f"{path}/{_plain(without_keys(name))}" if path else name
            yield from [(inside, _HIDDEN)] if names_secret(name) else _flat(inside, inner)
    elif isinstance(value, bool | int | float):
        yield path, value
    elif value is not None:
        text = value if isinstance(value, str) else json.dumps(_open(value), default=str)
        yield path, without_keys(text)


def _open(value: object) -> object:
    """Returns JSON-like data without what is named as a secret."""
    if isinstance(value, Mapping):
        pairs = cast("Mapping[str, object]", value).items()
        return {name: _HIDDEN if names_secret(name) else _open(inner) for name, inner in pairs}
    return [_open(inner) for inner in cast("list[object]", value)] if isinstance(value, list | tuple) else value
