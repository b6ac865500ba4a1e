"""Reading jobs, one by one: every word of the vendor's, also those that nobody has seen before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftkit.models import FineTuningJob, JobStatus
from ftkit.testing import _rules as rules
from ftkit.testing._rules import must
from ftkit.testing.hooks import ProviderHooks
from ftkit.testing.kit import basics

if TYPE_CHECKING:
    from pathlib import Path

    from ftkit.provider import Provider
    from ftkit.testing.witness import Witness

_STRANGE_WORD = "ftkit_never_seen"


class Reading(ProviderHooks, kit=True):
    """Checks of `get_job`."""

    def test_get_job(self, provider: Provider, tmp_path: Path) -> None:
        """A job can be read by its id at once, also where lists lag."""
        job = basics.a_job(self, provider, tmp_path)
        again = provider.get_job(job.id)
        must(again.id == job.id, f"{job.id} was asked for, and {again.id} came")
        must(again.created_at == job.created_at or job.created_at is None, "created_at changes")
        must((again.model, again.provider) == (job.model, job.provider), "model or provider changes")

    def test_status_words(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """Every word that the vendor has for a job's state reads as the witness says; the word itself is kept."""
        for word, status in witness.known_status_words().items():
            job = basics.a_job(self, provider, tmp_path)
            witness.set_status(job.id, word)
            now = provider.get_job(job.id)
            must(now.status is status, f"{word!r} must read as {status.value}, and reads as {now.status.value}")
            must(now.provider_status == word, f"provider_status must be {word!r}, and is {now.provider_status!r}")
            rules.round_trips(FineTuningJob, now)

    def test_unknown_status_word(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """A word that nobody has seen before reads as UNKNOWN, which is not the end and never means queued."""
        job = basics.a_job(self, provider, tmp_path)
        witness.set_status(job.id, _STRANGE_WORD)
        for now in filter(None, (provider.get_job(job.id), basics.listed(provider, job.id))):
            must(now.status is JobStatus.UNKNOWN, f"a word never seen reads as {now.status.value}")
            must(now.provider_status == _STRANGE_WORD, "the vendor's own word is not kept in provider_status")
            rules.round_trips(FineTuningJob, now)

    def test_terminal_states_stay(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """A job that has ended reads the same however often, and in whichever way, it is read."""
        for word in basics.terminal_words(witness):
            job = basics.a_job(self, provider, tmp_path)
            witness.set_status(job.id, word)
            first = provider.get_job(job.id)
            looks = (provider.get_job(job.id), basics.listed(provider, job.id), provider.get_job(job.id))
            for again in filter(None, looks):
                must(again.status is first.status, f"{first.status.value} became {again.status.value}")
                must(again.finished_at == first.finished_at, "finished_at changes after the end")
