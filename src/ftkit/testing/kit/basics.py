"""What many checks begin with: a file, a job, a job that has succeeded; and how lists are read.

These are functions, and no methods of the kit: what is no method cannot be overridden, not even by chance.
"""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

import pytest

from ftkit.models import JobStatus, Severity
from ftkit.testing import _rules as rules
from ftkit.testing._rules import must
from ftkit.testing.witness import CountsRequests

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ftkit.models import FineTuningJob, JobRequest, Problem, TrainingFile
    from ftkit.provider import Provider
    from ftkit.testing.hooks import ProviderHooks
    from ftkit.testing.witness import Witness

A = TypeVar("A")

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
NO_OPTION = "ftkit_no_such_option"


def able(provider: Provider, ability: type[A]) -> A:
    """Returns the provider as one that has an ability, or skips the check."""
    if not isinstance(provider, ability):
        pytest.skip(f"{provider.name} has no {ability.__name__}")
    return provider


def a_file(kit: ProviderHooks, provider: Provider, folder: Path) -> TrainingFile:
    """Uploads a file."""
    return provider.upload(kit.training_path(folder), rules.new_key())


def a_job(kit: ProviderHooks, provider: Provider, folder: Path) -> FineTuningJob:
    """Makes a job."""
    return provider.create_job(kit.request(a_file(kit, provider, folder)), rules.new_key())


def a_job_that_is(kit: ProviderHooks, provider: Provider, witness: Witness, folder: Path, word: str) -> FineTuningJob:
    """Makes a job, puts it into a state by the vendor's word, and reads it."""
    job = a_job(kit, provider, folder)
    witness.set_status(job.id, word)
    return provider.get_job(job.id)


def a_tuned_job(kit: ProviderHooks, provider: Provider, witness: Witness, folder: Path) -> FineTuningJob:
    """Makes a job that has succeeded."""
    word = words_for(witness, JobStatus.SUCCEEDED)[0]
    done = a_job_that_is(kit, provider, witness, folder, word)
    must(done.status is JobStatus.SUCCEEDED, f"{word!r} reads as {done.status.value}")
    must(done.fine_tuned_model, "a job that has succeeded names no fine_tuned_model")
    return done


def words_for(witness: Witness, *statuses: JobStatus) -> list[str]:
    """Returns the vendor's words that mean one of these."""
    return [word for word, status in witness.known_status_words().items() if status in statuses]


def terminal_words(witness: Witness) -> list[str]:
    """Returns the vendor's words for an end."""
    return words_for(witness, *(status for status in JobStatus if status.is_terminal))


def found(provider: Provider, key: str, request: JobRequest, since: datetime = BEGINNING) -> FineTuningJob | None:
    """Looks for a job as the client does: for as long as the provider says that its list may lag."""
    return rules.settled(provider, lambda: provider.find_job(key, request, since), lambda job: job is not None)


def listed(provider: Provider, job_id: str) -> FineTuningJob | None:
    """Reads one job through the list."""
    ask = functools.partial(all_jobs, provider, 100)
    jobs = rules.settled(provider, ask, lambda jobs: any(job.id == job_id for job in jobs))
    return next((job for job in jobs if job.id == job_id), None)


def all_jobs(provider: Provider, limit: int) -> list[FineTuningJob]:
    """Reads the whole list, in pages."""
    return list(rules.pages(provider.list_jobs, limit))


def errors(problems: Sequence[Problem]) -> list[Problem]:
    """Returns those problems that are errors."""
    return [problem for problem in problems if problem.severity is Severity.ERROR]


def counts(witness: Witness) -> tuple[int, ...]:
    """Returns all that a witness counts, to see that nothing was sent."""
    requests = witness.requests() if isinstance(witness, CountsRequests) else 0
    return witness.jobs(), witness.creates(), requests
