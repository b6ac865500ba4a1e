"""What is certain to fail about a request, found without asking anybody, all at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ftkit.errors import ConfigurationError
from ftkit.methods import DPO, Method, near
from ftkit.models import Problem, Severity
from ftkit.providers._local_jobs.names import SUFFIX
from ftkit.providers.huggingface.options import LocalOptions
from ftkit.providers.huggingface.resolve import model_problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ftkit.models import JobRequest

_KNOWN = ("n_epochs", "batch_size", "learning_rate", "learning_rate_multiplier", "lora")


def problems_of(request: JobRequest, methods: Iterable[type[Method]]) -> list[Problem]:
    """Returns the problems of a request.

    Args:
        request: The request.
        methods: The methods that can be trained.
    """
    return list(_problems(request, frozenset(methods)))


def _problems(request: JobRequest, methods: frozenset[type[Method]]) -> Iterator[Problem]:
    yield from _of_model(request)
    if type(request.method) not in methods:
        known = ", ".join(sorted(str(method.model_fields["type"].default) for method in methods))
        message = f"it has no method '{request.method.type}'."
        yield Problem(code="unsupported-method", field="method", message=message, fix=f"It has: {known}.")
        return
    yield from _of_hyperparameters(request.method)
    if request.suffix is not None and not SUFFIX.fullmatch(request.suffix):
        fix = "Use 1 to 64 letters, digits, '.', '_' and '-'."
        yield Problem(code="bad-suffix", field="suffix", message=f"'{request.suffix}' cannot be a suffix.", fix=fix)
    try:
        options = LocalOptions(**request.provider_options)
    except ConfigurationError as error:
        for line in str(error).splitlines():
            yield Problem(code="bad-option", field="provider_options", message=line, fix="Mend it, or leave it out.")
        return
    yield from _of_options(request, options)


def _of_model(request: JobRequest) -> Iterator[Problem]:
    problem = model_problem(request.model)
    if problem:
        fix = "Name a model of the Hub (organisation/model), a folder that holds one, or 'ftkit/small'."
        yield Problem(code="unknown-model", field="model", message=f"{problem}.", fix=fix)


def _of_hyperparameters(method: Method) -> Iterator[Problem]:
    known = (*_KNOWN, "beta") if isinstance(method, DPO) else _KNOWN
    for name in method.hyperparameters():
        if name not in known:
            message = f"local training has no hyperparameter '{name}'{near(name, known) or '.'}"
            fix = f"It has: {', '.join(known)}."
            yield Problem(code="unknown-hyperparameter", field=f"method.{name}", message=message, fix=fix)
    given = method.hyperparameters()
    if "learning_rate" in given and given.get("learning_rate_multiplier", "auto") != "auto":
        message = "learning_rate and learning_rate_multiplier say two different things."
        fix = "Leave one of them out."
        yield Problem(code="two-learning-rates", field="method.learning_rate_multiplier", message=message, fix=fix)


def _of_options(request: JobRequest, options: LocalOptions) -> Iterator[Problem]:
    hyperparameters = request.method.hyperparameters()
    if options.quantization and hyperparameters.get("lora") is False:
        message = f"weights of {options.quantization.removesuffix('bit')} bits cannot be trained themselves."
        yield _bad("quantization", message, "Set lora=True, or leave out quantization.")
    if options.warmup_ratio is not None and options.warmup_steps is not None:
        yield _bad("warmup_steps", "warmup_ratio and warmup_steps say two different things.", "Leave one of them out.")
    accumulate, batch = options.gradient_accumulation_steps or 1, hyperparameters.get("batch_size")
    if isinstance(batch, int) and batch % accumulate:
        message = f"a batch of {batch} examples cannot be computed in {accumulate} equal parts."
        yield _bad("gradient_accumulation_steps", message, f"Choose a number that divides {batch}.")
    if isinstance(request.method, DPO):
        for name in ("packing", "train_on"):
            if getattr(options, name):
                yield _bad(name, f"DPO has no {name}.", "Leave it out.")
    if options.eval_steps and request.validation_file is None:
        yield _bad("eval_steps", "nothing is evaluated without a validation file.", "Give one.", Severity.WARNING)


def _bad(name: str, message: str, fix: str, severity: Severity = Severity.ERROR) -> Problem:
    field: Any = f"provider_options.{name}"
    return Problem(severity=severity, code="bad-option", field=field, message=message, fix=fix)
