"""What of an old job another provider can do, and what it cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ftkit.fitting import fit
from ftkit.models import NOT_SENT, JobRequest, Problem, Severity, TrainingFile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ftkit.client import Client
    from ftkit.fitting import Fitted
    from ftkit.methods import Method
    from ftkit.models import FineTuningJob

_SPOKEN_OF = ("suffix", "seed", "metadata")


def settings_of(
    job: FineTuningJob, client: Client, model: str, method: Method, options: Mapping[str, Any]
) -> tuple[dict[str, Any], list[Problem]]:
    """Returns what of an old job's settings is asked for anew, and what is lost.

    Args:
        job: The old job.
        client: The client of the new provider.
        model: The new base model.
        method: The method to ask for.
        options: The new provider's own options.

    Raises:
        UnsupportedError: The new provider has no such method at all.
    """
    fitted = fit(client, model=model, method=method, provider_options=options)
    wanted: dict[str, Any] = {
        "suffix": job.suffix,
        "seed": job.seed,
        "metadata": dict(job.metadata) or None,
    }
    lost = [*fitted.left_out]
    for problem in _refused(client, model, fitted, wanted, job):
        name = str(problem.field).partition(".")[0]
        wanted[name] = None
        lost.append(problem)
    said = {name: value for name, value in wanted.items() if value is not None}
    lost += [each for each in _problems(client, model, fitted, said, job) if each.severity is Severity.WARNING]
    return {"method": fitted.method, "provider_options": fitted.provider_options, **said}, [*lost, *_always(job)]


def _refused(
    client: Client, model: str, fitted: Fitted, wanted: Mapping[str, Any], job: FineTuningJob
) -> list[Problem]:
    """Returns what the new provider refuses of the words that stand beside the method."""
    return [
        problem
        for problem in _problems(client, model, fitted, wanted, job)
        if problem.severity is Severity.ERROR and str(problem.field).partition(".")[0] in _SPOKEN_OF
    ]


def _problems(
    client: Client, model: str, fitted: Fitted, wanted: Mapping[str, Any], job: FineTuningJob
) -> list[Problem]:
    """Returns what the new provider has to say of the request as it would be made."""
    file = TrainingFile(id=NOT_SENT, provider=client.provider.name)
    request = JobRequest(
        model=client.resolve_model(model),
        training_file=file,
        validation_file=file if job.validation_file else None,
        method=fitted.method,
        provider_options=fitted.provider_options,
        **{name: value for name, value in wanted.items() if value is not None},
    )
    return client.provider.problems(request)


def _always(job: FineTuningJob) -> list[Problem]:
    """Returns what no move carries over."""
    tuned = f"{job.fine_tuned_model} stays" if job.fine_tuned_model else "what was tuned stays"
    weights = f"{tuned} where it is: the new model begins with its own base model, and learns from the same data."
    unseen = f"what '{job.provider}' does not tell of a job, such as its integrations, is not known here."
    return [
        Problem(severity=Severity.NOTE, code="weights-stay", field="fine_tuned_model", message=weights),
        Problem(severity=Severity.NOTE, code="not-told", field="provider_options", message=unseen),
    ]
