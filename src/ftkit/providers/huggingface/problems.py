"""What is certain to fail about a request, found without asking anybody, all at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ftkit.methods import DPO
from ftkit.models import Problem, Severity
from ftkit.plugin import option_problems
from ftkit.provider import unsupported_method
from ftkit.providers._local_jobs import checks
from ftkit.providers.huggingface.options import LocalOptions
from ftkit.providers.huggingface.resolve import HOW_TO_NAME, model_problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ftkit.methods import Method
    from ftkit.models import JobRequest


def problems_of(request: JobRequest, methods: Iterable[type[Method]]) -> list[Problem]:
    """Returns the problems of a request.

    Args:
        request: The request.
        methods: The methods that can be trained.
    """
    return list(_problems(request, frozenset(methods)))


def _problems(request: JobRequest, methods: frozenset[type[Method]]) -> Iterator[Problem]:
    yield from checks.of_model(model_problem(request.model), HOW_TO_NAME)
    unknown = unsupported_method(request.method, methods)
    if unknown:
        yield from unknown
        return
    known = (*checks.HYPERPARAMETERS, *(["beta"] if isinstance(request.method, DPO) else []))
    yield from checks.of_hyperparameters(request.method, known, "local training")
    yield from checks.of_suffix(request)
    wrong = option_problems(LocalOptions, request.provider_options)
    yield from wrong or _of_options(request, LocalOptions(**request.provider_options))


def _of_options(request: JobRequest, options: LocalOptions) -> Iterator[Problem]:
    hyperparameters = request.method.hyperparameters()
    if options.quantization and hyperparameters.get("lora") is False:
        message = f"weights of {options.quantization.removesuffix('bit')} bits cannot be trained themselves."
        yield _bad("quantization", message, "Set lora=True, or leave out quantization.")
    if options.warmup_ratio is not None and options.warmup_steps is not None:
        yield _bad("warmup_steps", "warmup_ratio and warmup_steps say two different things.", "Leave one of them out.")
    yield from _of_parts(options, hyperparameters.get("batch_size"))
    yield from _of_processes(options)
    if isinstance(request.method, DPO):
        for name in ("packing", "train_on"):
            if getattr(options, name):
                yield _bad(name, f"DPO has no {name}.", "Leave it out.")
    if options.eval_steps and request.validation_file is None:
        yield _bad("eval_steps", "nothing is evaluated without a validation file.", "Give one.", Severity.WARNING)


def _of_parts(options: LocalOptions, batch: object) -> Iterator[Problem]:
    accumulate, processes = options.gradient_accumulation_steps or 1, options.processes or 1
    parts = accumulate * processes
    if isinstance(batch, int) and batch % parts:
        of = f" ({processes} processes, {accumulate} each)" if min(accumulate, processes) > 1 else ""
        message = f"a batch of {batch} examples cannot be computed in {parts} equal parts{of}."
        name = "gradient_accumulation_steps" if accumulate > 1 else "processes"
        yield _bad(name, message, f"Choose a number of parts that divides {batch}, or another batch_size.")


def _of_processes(options: LocalOptions) -> Iterator[Problem]:
    if options.fsdp and options.deepspeed is not None:
        yield _bad("fsdp", "fsdp and deepspeed do the same in two ways.", "Leave one of them out.")
    if options.deepspeed is not None and not options.deepspeed:
        yield _bad("deepspeed", "an empty configuration says nothing to DeepSpeed.", "Give one, or leave it out.")
    if options.fsdp_config and not options.fsdp:
        yield _bad(
            "fsdp_config", "fsdp_config says how, and fsdp does not say that.", "Set fsdp=True, or leave it out."
        )
    if options.fsdp and (options.processes or 1) == 1:
        yield _bad("fsdp", "there is one process, which has nothing to share.", "Set processes, or leave out fsdp.")
    if options.quantization and (options.fsdp or options.deepspeed is not None):
        message = "a quantized base is not spread over processes here."
        yield _bad("quantization", message, "Leave out quantization, or fsdp and deepspeed.")


def _bad(name: str, message: str, fix: str, severity: Severity = Severity.ERROR) -> Problem:
    field: Any = f"provider_options.{name}"
    return Problem(severity=severity, code="bad-option", field=field, message=message, fix=fix)
