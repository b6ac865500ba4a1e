"""What is checked of a request wherever open weights are trained, before anything is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftkit.models import Problem
from ftkit.plugin.checking import hyperparameter_problems
from ftkit.providers._local_jobs.names import SUFFIX

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from ftkit.methods import Method
    from ftkit.models import JobRequest

HYPERPARAMETERS = ("n_epochs", "batch_size", "learning_rate", "learning_rate_multiplier", "lora")
"""What every method has where open weights are trained."""


def of_model(wrong: str | None, fix: str) -> Iterator[Problem]:
    """Yields what is wrong with the model, if anything is."""
    if wrong:
        yield Problem(code="unknown-model", field="model", message=f"{wrong}.", fix=fix)


def of_hyperparameters(method: Method, known: Collection[str], who: str) -> Iterator[Problem]:
    """Yields the hyperparameters that are not there, and two that say different things.

    Args:
        method: The method.
        known: The hyperparameters that are there.
        who: What has them, for the message.
    """
    yield from hyperparameter_problems(method, known, who)
    given = method.hyperparameters()
    if "learning_rate" in given and given.get("learning_rate_multiplier", "auto") != "auto":
        message = "learning_rate and learning_rate_multiplier say two different things."
        field, fix = "method.learning_rate_multiplier", "Leave one of them out."
        yield Problem(code="two-learning-rates", field=field, message=message, fix=fix)


def of_suffix(request: JobRequest) -> Iterator[Problem]:
    """Yields that a suffix cannot be a part of a name."""
    if request.suffix is not None and not SUFFIX.fullmatch(request.suffix):
        fix = "Use 1 to 64 letters, digits, '.', '_' and '-'."
        yield Problem(code="bad-suffix", field="suffix", message=f"'{request.suffix}' cannot be a suffix.", fix=fix)
