"""Jobs that stand still and go on, and jobs that have ended and stay as they are."""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING

import pytest

from ftkit.errors import ConflictError
from ftkit.models import FineTuningJob, JobStatus
from ftkit.provider import Pauses
from ftkit.testing import _rules as rules
from ftkit.testing._rules import must
from ftkit.testing.hooks import ProviderHooks
from ftkit.testing.kit import basics

if TYPE_CHECKING:
    from pathlib import Path

    from ftkit.provider import Provider
    from ftkit.testing.witness import Witness

_GOING = {JobStatus.VALIDATING, JobStatus.QUEUED, JobStatus.RUNNING}


class Pausing(ProviderHooks, kit=True):
    """Checks of `pause_job` and `resume_job`."""

    def test_pause(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """A running job that is to pause is running until it stands still. It does not end."""
        pauses = basics.able(provider, Pauses)
        words = basics.words_for(witness, JobStatus.RUNNING)
        if not words:
            pytest.skip("the vendor has no word for a job that runs")
        job = basics.a_job_that_is(self, provider, witness, tmp_path, words[0])
        for now in (pauses.pause_job(job.id), provider.get_job(job.id)):
            rules.round_trips(FineTuningJob, now)
            must(now.id == job.id, f"{job.id} was to pause, and {now.id} came")
            must(now.status in {JobStatus.RUNNING, JobStatus.PAUSED}, f"a job that is to pause is {now.status.value}")

    def test_resume(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """A paused job that is resumed goes on, as the same job."""
        pauses = basics.able(provider, Pauses)
        job = _paused(self, pauses, provider, witness, tmp_path)
        for now in (pauses.resume_job(job.id), provider.get_job(job.id)):
            rules.round_trips(FineTuningJob, now)
            must(now.id == job.id, f"{job.id} was resumed, and {now.id} came")
            must(now.status in _GOING, f"a job that was resumed is {now.status.value}")

    def test_pause_of_an_ended_job(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """A job that has ended can be neither paused nor resumed: that is a ConflictError, and it stays as it is."""
        pauses = basics.able(provider, Pauses)
        for word in basics.terminal_words(witness):
            before = basics.a_job_that_is(self, provider, witness, tmp_path, word)
            for verb in (pauses.pause_job, pauses.resume_job):
                error = rules.error_of(functools.partial(verb, before.id), verb.__name__)
                said = f"{verb.__name__} of a job that was {word} must be a ConflictError, and came as {error!r}"
                must(isinstance(error, ConflictError), said)
                after = provider.get_job(before.id)
                must(after == before, f"{verb.__name__} of a job that was {word} made of it {after!r}")


def _paused(kit: ProviderHooks, pauses: Pauses, provider: Provider, witness: Witness, folder: Path) -> FineTuningJob:
    """Makes a job that stands still: by the vendor's word for it, or else by asking for it until one does at once."""
    for word in basics.words_for(witness, JobStatus.PAUSED):
        return basics.a_job_that_is(kit, provider, witness, folder, word)
    for word in basics.words_for(witness, JobStatus.QUEUED, JobStatus.RUNNING):
        job = basics.a_job_that_is(kit, provider, witness, folder, word)
        with contextlib.suppress(ConflictError):
            pauses.pause_job(job.id)
        now = provider.get_job(job.id)
        if now.status is JobStatus.PAUSED:
            return now
    pytest.skip("the vendor has no word for a job that is paused, and none stands still at once")
