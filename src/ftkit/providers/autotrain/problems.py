"""What is certain to fail about a request, and what a user should know, found without asking anybody, all at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftkit.methods import DPO, Method, Supervised
from ftkit.models import Problem, Severity
from ftkit.plugin import option_problems
from ftkit.provider import unsupported_method
from ftkit.providers._local_jobs import checks
from ftkit.providers.autotrain.options import AutoTrainOptions
from ftkit.providers.autotrain.recipe import TASKS
from ftkit.providers.huggingface.resolve import HOW_TO_NAME, model_problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ftkit.models import JobRequest

_ONLY: dict[str, tuple[type[Method], ...]] = {"trainer": (Supervised,), "model_ref": (DPO,)}


def problems_of(request: JobRequest) -> Iterator[Problem]:
    """Yields the problems of a request."""
    yield from checks.of_model(model_problem(request.model), HOW_TO_NAME)
    unknown = unsupported_method(request.method, TASKS)
    if unknown:
        yield from unknown
        return
    known = (*checks.HYPERPARAMETERS, *(["beta"] if isinstance(request.method, DPO) else []))
    yield from checks.of_hyperparameters(request.method, known, f"AutoTrain's {TASKS[type(request.method)]}")
    yield from checks.of_suffix(request)
    if request.validation_file is not None:
        message = "AutoTrain's trainers for language models pass over validation data: nothing is measured on it."
        fix = "Ask the tuned model yourself, or train with Client('huggingface')."
        yield Problem(severity=Severity.WARNING, code="not-used", field="validation_file", message=message, fix=fix)
    wrong = option_problems(AutoTrainOptions, request.provider_options)
    yield from wrong or _of_options(request, AutoTrainOptions(**request.provider_options))


def _of_options(request: JobRequest, options: AutoTrainOptions) -> Iterator[Problem]:
    for name, methods in _ONLY.items():
        if getattr(options, name) is not None and not isinstance(request.method, methods):
            yield _bad(name, f"'{name}' means nothing to the method '{request.method.type}'.", "Leave it out.")
    wrong = options.model_ref and model_problem(options.model_ref)
    if wrong:
        yield _bad("model_ref", f"{wrong}.", HOW_TO_NAME)
    parts, batch = options.gradient_accumulation or 1, request.method.hyperparameters().get("batch_size")
    if isinstance(batch, int) and batch % parts:
        message = f"a batch of {batch} examples cannot be computed in {parts} equal parts."
        yield _bad("gradient_accumulation", message, f"Choose a number that divides {batch}.")
    if options.quantization in {"int4", "int8"} and not request.method.hyperparameters().get("lora"):
        message = f"weights of {options.quantization.removeprefix('int')} bits cannot be trained themselves."
        yield _bad("quantization", message, "Set lora=True, or leave out quantization.")


def _bad(name: str, message: str, fix: str) -> Problem:
    return Problem(code="bad-option", field=f"provider_options.{name}", message=message, fix=fix)
