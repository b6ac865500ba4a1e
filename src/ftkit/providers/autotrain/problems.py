"""What is certain to fail about a request, and what a user should know, found without asking anybody, all at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftkit.errors import ConfigurationError
from ftkit.methods import DPO, Method, Supervised, near
from ftkit.models import Problem, Severity
from ftkit.providers._local_jobs.names import SUFFIX
from ftkit.providers.autotrain.options import AutoTrainOptions
from ftkit.providers.autotrain.recipe import TASKS
from ftkit.providers.huggingface.resolve import model_problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ftkit.models import JobRequest

_HYPERPARAMETERS = ("n_epochs", "batch_size", "learning_rate", "learning_rate_multiplier", "lora")
_ONLY: dict[str, tuple[type[Method], ...]] = {"trainer": (Supervised,), "model_ref": (DPO,)}


def problems_of(request: JobRequest) -> Iterator[Problem]:
    """Yields the problems of a request."""
    wrong = model_problem(request.model)
    if wrong:
        fix = "Name a model of the Hub (organisation/model), a folder that holds one, or 'ftkit/small'."
        yield Problem(code="unknown-model", field="model", message=f"{wrong}.", fix=fix)
    if type(request.method) not in TASKS:
        known = ", ".join(sorted(str(method.model_fields["type"].default) for method in TASKS))
        message = f"it has no method '{request.method.type}'."
        yield Problem(code="unsupported-method", field="method", message=message, fix=f"It has: {known}.")
        return
    yield from _of_hyperparameters(request.method)
    if request.suffix is not None and not SUFFIX.fullmatch(request.suffix):
        fix = "Use 1 to 64 letters, digits, '.', '_' and '-'."
        yield Problem(code="bad-suffix", field="suffix", message=f"'{request.suffix}' cannot be a suffix.", fix=fix)
    if request.validation_file is not None:
        message = "AutoTrain's trainers for language models pass over validation data: nothing is measured on it."
        fix = "Ask the tuned model yourself, or train with Client('huggingface')."
        yield Problem(severity=Severity.WARNING, code="not-used", field="validation_file", message=message, fix=fix)
    yield from _of_options(request)


def _of_hyperparameters(method: Method) -> Iterator[Problem]:
    known = (*_HYPERPARAMETERS, "beta") if isinstance(method, DPO) else _HYPERPARAMETERS
    given = method.hyperparameters()
    for name in given:
        if name not in known:
            message = f"AutoTrain's {TASKS[type(method)]} has no hyperparameter '{name}'{near(name, known) or '.'}"
            fix = f"It has: {', '.join(known)}."
            yield Problem(code="unknown-hyperparameter", field=f"method.{name}", message=message, fix=fix)
    if "learning_rate" in given and given.get("learning_rate_multiplier", "auto") != "auto":
        message = "learning_rate and learning_rate_multiplier say two different things."
        field, fix = "method.learning_rate_multiplier", "Leave one of them out."
        yield Problem(code="two-learning-rates", field=field, message=message, fix=fix)


def _of_options(request: JobRequest) -> Iterator[Problem]:
    try:
        options = AutoTrainOptions(**request.provider_options)
    except ConfigurationError as error:
        for line in str(error).splitlines():
            yield Problem(code="bad-option", field="provider_options", message=line, fix="Mend it, or leave it out.")
        return
    for name, methods in _ONLY.items():
        if getattr(options, name) is not None and not isinstance(request.method, methods):
            message = f"'{name}' means nothing to the method '{request.method.type}'."
            yield _bad(name, message, "Leave it out.")
    if options.quantization in {"int4", "int8"} and not request.method.hyperparameters().get("lora"):
        message = f"weights of {options.quantization.removeprefix('int')} bits cannot be trained themselves."
        yield _bad("quantization", message, "Set lora=True, or leave out quantization.")


def _bad(name: str, message: str, fix: str) -> Problem:
    return Problem(code="bad-option", field=f"provider_options.{name}", message=message, fix=fix)
