"""Making jobs, once, and finding them again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ftkit.errors import ProviderUnavailableError, UnclearOutcomeError
from ftkit.testing import _rules as rules
from ftkit.testing._rules import must
from ftkit.testing.hooks import ProviderHooks
from ftkit.testing.kit import basics
from ftkit.testing.witness import LosesReplies

if TYPE_CHECKING:
    from pathlib import Path

    from ftkit.provider import Provider
    from ftkit.testing.witness import Witness


class Making(ProviderHooks, kit=True):
    """Checks of `create_job` and `find_job`."""

    def test_create(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """A create is one request, makes one job, and tells what was asked for."""
        request = self.request(basics.a_file(self, provider, tmp_path))
        jobs, creates = witness.jobs(), witness.creates()
        job = provider.create_job(request, rules.new_key())
        must(witness.creates() == creates + 1, f"one create sent {witness.creates() - creates} requests")
        must(witness.jobs() == jobs + 1, f"one create made {witness.jobs() - jobs} jobs")
        must(job.id, "the job has no id")
        must(job.provider == provider.name, f"the job's provider is {job.provider!r}, not {provider.name!r}")
        must(job.model == request.model, f"{request.model!r} was asked for, the job says {job.model!r}")
        must(job.identity in {None, provider.identity()}, "the job belongs to another identity")
        must(not job.status.is_terminal, f"a new job is {job.status.value} already")

    def test_create_when_the_reply_is_lost(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """A create whose reply is lost is not repeated, ends as an unclear error, and `find_job` finds its job."""
        if not isinstance(witness, LosesReplies):
            pytest.skip("the witness cannot lose replies")
        request, key = self.request(basics.a_file(self, provider, tmp_path)), rules.new_key()
        creates = witness.creates()
        witness.lose_replies(1)
        error = rules.error_of(lambda: provider.create_job(request, key), "create_job")
        must(witness.creates() == creates + 1, f"the create was sent {witness.creates() - creates} times")
        unclear = isinstance(error, ProviderUnavailableError | UnclearOutcomeError)
        must(unclear, f"a lost reply must be unclear, and came as {error!r}")
        found = basics.found(provider, key, request)
        must(found is not None, "find_job does not find the job whose reply was lost")

    def test_find_job(self, provider: Provider, tmp_path: Path) -> None:
        """`find_job` finds what `create_job` made under the same key, as soon as the list has settled."""
        request, key = self.request(basics.a_file(self, provider, tmp_path)), rules.new_key()
        job = provider.create_job(request, key)
        for since in (basics.BEGINNING, job.created_at or basics.BEGINNING):
            found = basics.found(provider, key, request, since)
            must(found is not None, f"find_job does not find the job of the key (since {since})")
            must(found is not None and found.id == job.id, f"find_job finds another job: {found!r}")

    def test_find_job_finds_nothing(self, provider: Provider, tmp_path: Path) -> None:
        """`find_job` returns None for what was never asked for, also when there are other jobs."""
        file = basics.a_file(self, provider, tmp_path)
        request, key = self.request(file), rules.new_key()
        must(provider.find_job(key, request, basics.BEGINNING) is None, "find_job finds a job where none was made")
        job = provider.create_job(request, key)
        basics.found(provider, key, request)
        other = self.other_request(file)
        if other is not None:
            stray = provider.find_job(rules.new_key(), other, basics.BEGINNING)
            must(stray is None, "find_job takes a job that was ordered differently for the one of a new key")
        if job.key is not None:
            must(job.key == key, "the job carries another key than it was made under")
            stray = provider.find_job(rules.new_key(), request, basics.BEGINNING)
            must(stray is None, "the provider keeps keys, and find_job finds a job of another key")
