"""What comes in from outside, and what gets out: ids that are none, secrets, and nouns that the ledger keeps."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import pytest

from ftkit.models import FineTuningJob, TrainingFile
from ftkit.provider import ListsEvents, ReadsFiles
from ftkit.testing import _rules as rules
from ftkit.testing._rules import must
from ftkit.testing.hooks import ProviderHooks
from ftkit.testing.kit import basics
from ftkit.testing.witness import LosesReplies

if TYPE_CHECKING:
    from pathlib import Path

    from ftkit.models import JobEvent, Page
    from ftkit.provider import Provider
    from ftkit.testing.witness import Witness


class Shown(ProviderHooks, kit=True):
    """Checks of ids, secrets and JSON."""

    def test_strange_ids(self, provider: Provider) -> None:
        """An id that it does not know is a NotFoundError in every method that takes one, whatever the id looks like."""
        calls = rules.by_id(provider)
        if isinstance(provider, ListsEvents):
            calls["list_events"] = functools.partial(_first_events, provider)
        for name, call in calls.items():
            for strange in rules.STRANGE_IDS:
                rules.not_found(functools.partial(call, strange), f"{name}({strange[:20]!r})")

    def test_strange_file_ids_are_not_downloaded(self, provider: Provider, tmp_path: Path) -> None:
        """A file id that it does not know is a NotFoundError, and leaves no file behind."""
        reads = basics.able(provider, ReadsFiles)
        path = tmp_path / "nothing"
        for strange in rules.STRANGE_IDS:
            ask = functools.partial(reads.download_file, strange, path)
            rules.not_found(ask, f"download_file({strange[:20]!r})")
            must(not path.exists(), "a download that failed leaves a file behind")

    def test_no_secret_is_shown(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """No secret is in the repr or str of provider, file or job, in their JSON, or in an error or its causes."""
        secrets = [secret for secret in witness.secrets() if secret]
        if not secrets:
            pytest.skip("the witness knows no secret")
        file = basics.a_file(self, provider, tmp_path)
        job = provider.create_job(self.request(file), rules.new_key())
        rules.shows_none(secrets, f"{provider!r} {provider}", "the provider")
        for noun in (file, job, provider.get_job(job.id)):
            rules.shows_none(secrets, f"{noun!r} {noun} {noun.model_dump_json()}", type(noun).__name__)
        errors = [rules.error_of(lambda: provider.get_job("ftkit-no-such-thing"), "get_job")]
        if isinstance(witness, LosesReplies):
            witness.lose_replies(1)
            errors.append(
                rules.error_of(lambda: provider.create_job(self.request(file), rules.new_key()), "create_job")
            )
        for error in filter(None, errors):
            rules.shows_none(secrets, rules.told_by(error), type(error).__name__)

    def test_nouns_round_trip(self, provider: Provider, tmp_path: Path) -> None:
        """Files and jobs come back from JSON as they were: that is how the ledger keeps them."""
        file = basics.a_file(self, provider, tmp_path)
        rules.round_trips(TrainingFile, file)
        request, key = self.request(file), rules.new_key()
        job = provider.create_job(request, key)
        read = (job, provider.get_job(job.id), basics.found(provider, key, request), basics.listed(provider, job.id))
        for each in filter(None, read):
            rules.round_trips(FineTuningJob, each)


def _first_events(lists: ListsEvents, job_id: str) -> Page[JobEvent]:
    return lists.list_events(job_id, None, 10)
