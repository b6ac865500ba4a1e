"""What a request may hold: the bounds of OpenAI's API reference (2026-11-23), checked before anything is sent."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ftkit.datasets.rulebook import built_in
from ftkit.methods import DPO, Method, Reinforcement, Supervised, values_in
from ftkit.models import NOT_SENT, Problem, Severity
from ftkit.plugin import hyperparameter_problems
from ftkit.provider import unsupported_method
from ftkit.providers._openai_wire.bodies import known_hyperparameters
from ftkit.providers._openai_wire.graders import grader_problems

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ftkit.models import DatasetRules, JobRequest

METHODS: frozenset[type[Method]] = frozenset({Supervised, DPO, Reinforcement})

_MOST = {"n_epochs": 50, "batch_size": 256, "beta": 2}
_PAIRS, _KEY, _VALUE = 16, 64, 512
_OURS = 1
"""Labels among the metadata that we need ourselves."""
_ITEM_FIELD = re.compile(r"\{\{\s*item\.(\w+)")
"""What a template of a grader reads of an item."""


def rules_of(provider: str, method: Method, model: str) -> DatasetRules:
    """Returns what a data set must look like, by the table of rules.

    Args:
        provider: Whose rules: "openai" or "azure".
        method: The method. What its grader reads, every item must have.
        model: The model, or one that was tuned, whose name holds that of the model that it came from.
    """
    read = _read_by_grader(method) if isinstance(method, Reinforcement) else frozenset[str]()
    return built_in(provider).rules(method, model.removeprefix("ft:"), item_fields=read)


def _read_by_grader(method: Reinforcement) -> frozenset[str]:
    texts = (value for _, value in values_in(method.grader) if isinstance(value, str))
    return frozenset(name for text in texts for name in _ITEM_FIELD.findall(text))


def problems_of(request: JobRequest, *, suffix: re.Pattern[str], suffix_rule: str) -> Iterator[Problem]:
    """Yields what the service is certain to refuse.

    Args:
        request: The request.
        suffix: What a suffix may be.
        suffix_rule: The same in words.
    """
    unknown = unsupported_method(request.method, METHODS)
    if unknown:
        yield from unknown
        return
    yield from _hyperparameters(request.method)
    if isinstance(request.method, Reinforcement):
        yield from _reinforcement(request, request.method)
    if request.suffix is not None and not suffix.fullmatch(request.suffix):
        yield _problem("bad-suffix", "suffix", f"'{request.suffix[:80]}' cannot be a suffix.", suffix_rule)
    yield from _metadata(request)


def _hyperparameters(method: Method) -> Iterator[Problem]:
    yield from hyperparameter_problems(method, known_hyperparameters(method), f"the method '{method.type}'")
    for name, value in method.hyperparameters().items():
        if name in _MOST and isinstance(value, int | float) and value > _MOST[name]:
            message = f"{name} is at most {_MOST[name]} (got {value})."
            yield _problem("bad-hyperparameter", f"method.{name}", message, "Choose a smaller one.")


def _reinforcement(request: JobRequest, method: Reinforcement) -> Iterator[Problem]:
    if method.grader is None:
        fix = "Give one, such as Reinforcement(grader={'type': 'string_check', ...})."
        yield _problem("no-grader", "method.grader", "reinforcement needs a grader.", fix)
    else:
        yield from grader_problems(method.grader, "method.grader")
    if request.validation_file is None:
        is_for_a_check = request.training_file.id == NOT_SENT and request.training_file.source_hash is None
        severity = Severity.WARNING if is_for_a_check else Severity.ERROR
        message, fix = "reinforcement needs a validation file.", "Give one, when you make the job."
        yield Problem(severity=severity, code="no-validation-file", field="validation_file", message=message, fix=fix)


def _metadata(request: JobRequest) -> Iterator[Problem]:
    if len(request.metadata) > _PAIRS - _OURS:
        message = f"a job has at most {_PAIRS} labels, of which ftkit needs {_OURS} (got {len(request.metadata)})."
        yield _problem("too-much-metadata", "metadata", message, "Leave some out.")
    for name, value in request.metadata.items():
        if len(name) > _KEY or len(value) > _VALUE:
            message = f"a label has at most {_KEY} characters, and its value {_VALUE}."
            yield _problem("long-metadata", f"metadata.{name[:_KEY]}", message, "Shorten it.")


def _problem(code: str, field: str, message: str, fix: str) -> Problem:
    return Problem(code=code, field=field, message=message, fix=fix)
