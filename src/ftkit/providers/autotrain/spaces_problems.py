"""What cannot work on a Space, besides what AutoTrain cannot do anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftkit.models import Problem, Severity
from ftkit.providers.autotrain.problems import problems_of
from ftkit.providers.huggingface.resolve import is_folder
from ftkit.providers.huggingface.small import NAME as SMALL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ftkit.models import JobRequest

_NEEDS_GPU = ("quantization", "mixed_precision", "use_flash_attention_2")


def spaces_problems_of(request: JobRequest, hardware: str) -> Iterator[Problem]:
    """Yields the problems of a request.

    Args:
        request: The request.
        hardware: The hardware of the Space.
    """
    hidden = request.model == SMALL or is_folder(request.model)
    if hidden:
        message = f"'{request.model}' is on this machine, where a Space cannot see it."
        fix = "Name a model of the Hub (organisation/model), or train here: leave out backend."
        yield Problem(code="unknown-model", field="model", message=message, fix=fix)
    for problem in problems_of(request):
        if not (hidden and problem.field == "model"):
            yield problem
    if request.suffix is not None:
        message = "The name of the model on the Hub comes from the request alone; the suffix is kept on this machine."
        yield _not_used("suffix", message)
    if request.seed is not None:
        message = "AutoTrain's trainers drop the seed; what mends that on this machine is not in a Space."
        yield _not_used("seed", message)
    yield from _of_options(request, hardware)


def _of_options(request: JobRequest, hardware: str) -> Iterator[Problem]:
    options = request.provider_options
    if options.get("push_to_hub") is not None:
        message = "a Space always pushes the model, to a repository of its own name."
        yield _bad("push_to_hub", message, "Leave it out; the job says where the model is.")
    reference = options.get("model_ref")
    if isinstance(reference, str) and (reference == SMALL or is_folder(reference)):
        message = f"'{reference}' is on this machine, where a Space cannot see it."
        yield _bad("model_ref", message, "Name a model of the Hub.")
    for name in _NEEDS_GPU if is_cpu(hardware) else ():
        if options.get(name) not in (None, False, "none"):
            yield _bad(name, f"{hardware} has no GPU, which that needs.", "Choose other hardware, or leave it out.")


def is_cpu(hardware: str) -> bool:
    """Whether hardware has no GPU."""
    return hardware.startswith("cpu-")


def _not_used(field: str, message: str) -> Problem:
    return Problem(severity=Severity.WARNING, code="not-used", field=field, message=message, fix="Leave it out.")


def _bad(name: str, message: str, fix: str) -> Problem:
    return Problem(code="bad-option", field=f"provider_options.{name}", message=message, fix=fix)
