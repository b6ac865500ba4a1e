"""The request of a job that was made without ftkit: as it is said, or as the job itself tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ftkit.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ftkit.models import FineTuningJob, TrainingFile

_HIGHEST_SEED = 2**31 - 1


def fields_of(
    job: FineTuningJob,
    given: Mapping[str, Any],
    sources: Mapping[str, Any],
    file_to_be: Callable[[Any], TrainingFile],
) -> dict[str, Any]:
    """Returns the fields of a job's request.

    With a model and training data, the request is what is given, and no more. Else the job tells what is not given.

    Args:
        job: The job, as its provider tells it.
        given: The fields that are given; None for one that is not.
        sources: Data sets on this machine, by the field that they stand for; None likewise.
        file_to_be: Makes a file of a data set, by its content, without sending it.

    Raises:
        ConfigurationError: A file is given in two ways, or a field that must be there is told by nobody.
    """
    _refuse_both(given, sources)
    fields = {**given}
    if given["model"] is None or (sources["training_file"] is None and given["training_file"] is None):
        told = _told_by(job)
        fields = {name: told.get(name) if value is None else value for name, value in given.items()}
    for name, source in sources.items():
        if source is not None:  # the id is that of the job's own file, by which `tear_down` knows who uses it
            file = file_to_be(source)
            fields[name] = file.model_copy(update={"id": getattr(job, name) or file.id})
    for name, hint in (("model", "Give model=."), ("training_file", "Give training_file= or train=.")):
        if not fields[name]:
            what = name.replace("_", " ")
            raise ConfigurationError(f"the provider does not tell the {what} of the job {job.id}", hint=hint)
    return fields


def _refuse_both(given: Mapping[str, object], sources: Mapping[str, object]) -> None:
    """Refuses a file that is given as one of the provider's, and as a data set on this machine as well."""
    for name, source in sources.items():
        if source is not None and given[name] is not None:
            own = "train" if name == "training_file" else "validation"
            raise ConfigurationError(f"{name}= and {own}= are two ways to give one file", hint="Give one of them.")


def _told_by(job: FineTuningJob) -> dict[str, Any]:
    """Returns the request of a job, as far as the provider tells it, and as far as it could be asked for again."""
    seed = job.seed if job.seed is not None and 0 <= job.seed <= _HIGHEST_SEED else None  # no request can name another
    labels = {name: value for name, value in job.metadata.items() if value != job.key}  # the key is ours, and no label
    files = {"training_file": job.training_file, "validation_file": job.validation_file or None}
    asked = {"model": job.model, "method": job.method, "suffix": job.suffix or None, "seed": seed, "metadata": labels}
    return {**asked, **files}
