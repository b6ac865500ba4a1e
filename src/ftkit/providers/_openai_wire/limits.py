"""What a request may hold: the bounds of OpenAI's API reference (2026-11-23), checked before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftkit.methods import DPO, Method, Reinforcement, Supervised, near
from ftkit.models import DatasetRules, Problem, RecordKind, Severity
from ftkit.provider import unsupported_method
from ftkit.providers._openai_wire.bodies import known_hyperparameters
from ftkit.providers._openai_wire.graders import grader_problems

if TYPE_CHECKING:
    import re
    from collections.abc import Iterator

    from ftkit.models import JobRequest

METHODS: frozenset[type[Method]] = frozenset({Supervised, DPO, Reinforcement})

_SOURCE = "OpenAI API reference and its guide to fine-tuning, 2026-11-23"
_MOST = {"n_epochs": 50, "batch_size": 256, "beta": 2}
_PAIRS, _KEY, _VALUE = 16, 64, 512
_OURS = 1
"""Labels among the metadata that we need ourselves."""
_MIN_ROWS = 10


def rules_of(method: Method, max_bytes: int) -> DatasetRules:
    """Returns what a data set must look like.

    Args:
        method: The method.
        max_bytes: Largest file, in bytes.
    """
    if isinstance(method, Supervised):
        layout, kind = "chat", RecordKind.CHAT
    elif isinstance(method, Reinforcement):
        layout, kind = "openai-item", RecordKind.ITEM
    else:
        layout, kind = "openai-preference", RecordKind.PREFERENCE
    return DatasetRules(
        layout=layout,
        accepts=frozenset({kind}),
        needs_assistant=not isinstance(method, Reinforcement),
        min_rows=_MIN_ROWS,
        max_bytes=max_bytes,
        source=_SOURCE,
    )


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
    known = known_hyperparameters(method)
    for name, value in method.hyperparameters().items():
        if name not in known:
            message = f"the method '{method.type}' has no hyperparameter '{name}' here{near(name, known) or '.'}"
            fix = f"It has: {', '.join(known)}."
            yield _problem("unknown-hyperparameter", f"method.{name}", message, fix)
        elif name in _MOST and isinstance(value, int | float) and value > _MOST[name]:
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


NOT_SENT = "not-uploaded-yet"
"""The id of a file that a request is checked with before there is one; of the other file nothing is known then."""


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
