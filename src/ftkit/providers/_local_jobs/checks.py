"""What is checked of a request wherever open weights are trained, before anything is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftkit.errors import ConfigurationError
from ftkit.methods import near
from ftkit.models import Problem
from ftkit.providers._local_jobs.names import SUFFIX

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from ftkit.methods import Method, Settings
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
    given = method.hyperparameters()
    for name in given:
        if name not in known:
            message = f"{who} has no hyperparameter '{name}'{near(name, known) or '.'}"
            fix = f"It has: {', '.join(known)}."
            yield Problem(code="unknown-hyperparameter", field=f"method.{name}", message=message, fix=fix)
    if "learning_rate" in given and given.get("learning_rate_multiplier", "auto") != "auto":
        message = "learning_rate and learning_rate_multiplier say two different things."
        field, fix = "method.learning_rate_multiplier", "Leave one of them out."
        yield Problem(code="two-learning-rates", field=field, message=message, fix=fix)


def of_suffix(request: JobRequest) -> Iterator[Problem]:
    """Yields that a suffix cannot be a part of a name."""
    if request.suffix is not None and not SUFFIX.fullmatch(request.suffix):
        fix = "Use 1 to 64 letters, digits, '.', '_' and '-'."
        yield Problem(code="bad-suffix", field="suffix", message=f"'{request.suffix}' cannot be a suffix.", fix=fix)


def of_options(request: JobRequest, options: type[Settings]) -> Iterator[Problem]:
    """Yields what is wrong with the provider's own options, one by one."""
    try:
        options(**request.provider_options)
    except ConfigurationError as error:
        for line in str(error).splitlines():
            yield Problem(code="bad-option", field="provider_options", message=line, fix="Mend it, or leave it out.")
