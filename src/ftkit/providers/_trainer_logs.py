"""What the trainer of transformers tells of a step, as our noun. Loads nothing of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, SupportsFloat

from ftkit.models import Metrics

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAMES = {
    "loss": "train_loss",
    "epoch": "epoch",
    "learning_rate": "learning_rate",
    "mean_token_accuracy": "train_mean_token_accuracy",
}


def training_metrics(step: int, logs: Mapping[str, Any]) -> Metrics:
    """Reads what was measured on the training file; what has no field of ours keeps its name. What is no number goes.

    Args:
        step: The step.
        logs: Names -> values, as the trainer hands them to `on_log`.
    """
    numbers = {name: float(value) for name, value in logs.items() if isinstance(value, SupportsFloat)}
    known = {field: numbers.get(name) for name, field in _NAMES.items()}
    return Metrics(step=step, extra={name: value for name, value in numbers.items() if name not in _NAMES}, **known)
