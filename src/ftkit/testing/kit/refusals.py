"""What the vendor refuses: which error it is, in whose words, and that nothing that costs is asked for again."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from ftkit.client import Client
from ftkit.errors import (
    CredentialsError,
    FtkitError,
    NotFoundError,
    ProviderError,
    ProviderUnavailableError,
    RateLimitError,
)
from ftkit.ledger import Ledger
from ftkit.provider import Deploys
from ftkit.testing import _rules as rules
from ftkit.testing._rules import must
from ftkit.testing.hooks import ProviderHooks
from ftkit.testing.kit import basics
from ftkit.testing.witness import CountsRequests, Refuses, RefusesDeployments

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ftkit.provider import Provider
    from ftkit.testing.witness import Witness

    Table = Mapping[str, type[FtkitError]]

_AT_LEAST = (CredentialsError, NotFoundError, RateLimitError, ProviderUnavailableError)
"""What every vendor has a word for."""
_TRIED_AGAIN = (RateLimitError, ProviderUnavailableError)
_STATUS = 3
"""Digits of an HTTP status."""


class Refusals(ProviderHooks, kit=True):
    """Checks of errors. They need a witness that is one that `Refuses`."""

    def test_refusals_are_named(self, witness: Witness) -> None:
        """The author names the vendor's words for what every vendor refuses."""
        named = set(_refusing(witness).known_refusals().values())
        lacks = [kind.__name__ for kind in _AT_LEAST if kind not in named]
        must(not lacks, f"known_refusals() names no word for {', '.join(lacks)}")

    def test_refused_creates(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """A create that is refused is sent once, makes no job, and is told as what it is, in the vendor's words."""
        refuses = _refusing(witness)
        request = self.request(basics.a_file(self, provider, tmp_path))
        for word, kind in refuses.known_refusals().items():
            jobs, creates = witness.jobs(), witness.creates()
            refusal = _Refusal.new(word, kind, "create_job")
            refuses.refuse(word, refusal.message, refusal.request_id)
            error = rules.error_of(lambda: provider.create_job(request, rules.new_key()), "create_job")
            sent = witness.creates() - creates
            must(sent == 1, f"a create that was refused with {word!r} was sent {sent} times")
            must(witness.jobs() == jobs, f"a create that was refused with {word!r} left a job")
            refusal.must_be_told(error, provider, witness)

    def test_refused_reads(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """A read that is refused is told as what it is, in the vendor's words, unless asking again helped."""
        refuses = _refusing(witness)
        job = basics.a_job(self, provider, tmp_path)
        for word, kind in _without_waits(refuses.known_refusals()).items():
            refusal = _Refusal.new(word, kind, "get_job")
            refuses.refuse(word, refusal.message, refusal.request_id)
            error = rules.error_of(lambda: provider.get_job(job.id), "get_job")
            if error is not None or kind not in _TRIED_AGAIN:
                refusal.must_be_told(error, provider, witness)

    def test_refused_looks_find_no_absence(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """`find_job` that is refused does not say that there is no job: it would be paid for again."""
        refuses = _refusing(witness)
        request, key = self.request(basics.a_file(self, provider, tmp_path)), rules.new_key()
        provider.create_job(request, key)
        must(basics.found(provider, key, request) is not None, "find_job does not find the job")
        for word, kind in _without_waits(refuses.known_refusals()).items():
            if kind is NotFoundError:  # where a job is known by its name, that is an answer
                continue
            refusal = _Refusal.new(word, kind, "find_job")
            refuses.refuse(word, refusal.message, refusal.request_id)
            try:
                found = provider.find_job(key, request, basics.BEGINNING)
            except FtkitError as error:
                refusal.must_be_told(error, provider, witness)
            else:
                must(found is not None, f"find_job, refused with {word!r}, says that there is no job")

    def test_client_reads_again(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """A read that is refused once because the vendor is busy or away is answered all the same."""
        table = _without_waits(_refusing(witness).known_refusals())
        words = [word for word, kind in table.items() if kind in _TRIED_AGAIN]
        if not words:
            pytest.skip("known_refusals() names nothing that passes by itself")
        job = basics.a_job(self, provider, tmp_path)
        client = Client(provider, ledger=Ledger(tmp_path / "ledger"))
        for word in words:
            refusal = _Refusal.new(word, table[word], "get_job of a Client")
            _refusing(witness).refuse(word, refusal.message, refusal.request_id)
            error = rules.error_of(lambda: client.get_job(job.id), "get_job of a Client")
            must(error is None, f"a read that is refused once with {word!r} must be answered, and came as {error!r}")

    def test_client_asks_once(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """A read that is refused for good reaches the caller at once, and is not asked for again."""
        refuses = _refusing(witness)
        if not isinstance(witness, CountsRequests):
            pytest.skip("the witness does not count requests")
        job = basics.a_job(self, provider, tmp_path)
        client = Client(provider, ledger=Ledger(tmp_path / "ledger"))
        before = witness.requests()
        client.get_job(job.id)
        plain = witness.requests() - before
        for word, kind in refuses.known_refusals().items():
            if kind in _TRIED_AGAIN:
                continue
            refusal, before = _Refusal.new(word, kind, "get_job of a Client"), witness.requests()
            refuses.refuse(word, refusal.message, refusal.request_id)
            error = rules.error_of(lambda: client.get_job(job.id), "get_job of a Client")
            sent = witness.requests() - before
            must(sent <= plain, f"a read takes {plain} requests; refused with {word!r}, it took {sent}")
            refusal.must_be_told(error, provider, witness)

    def test_refused_deployments(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """A deployment that is refused is not made, and is told as what it is, as is a list that is refused."""
        deploys = basics.able(provider, Deploys)
        if not isinstance(witness, RefusesDeployments):
            pytest.skip("the witness cannot refuse deployments")
        job = basics.a_tuned_job(self, provider, witness, tmp_path)
        table = witness.known_deployment_refusals()
        for word, kind in table.items():
            refusal = _Refusal.new(word, kind, "deploy")
            witness.refuse_deployment(word, refusal.message, refusal.request_id)
            error = rules.error_of(lambda: deploys.deploy(job, "ftkit-kit", self.deploy_options()), "deploy")
            refusal.must_be_told(error, provider, witness)
            names = [each.name for each in deploys.list_deployments()]
            must("ftkit-kit" not in names, f"a deployment that was refused with {word!r} is there")
        for word, kind in _without_waits(table).items():
            refusal = _Refusal.new(word, kind, "list_deployments")
            witness.refuse_deployment(word, refusal.message, refusal.request_id)
            error = rules.error_of(deploys.list_deployments, "list_deployments")
            if error is not None or kind not in _TRIED_AGAIN:
                refusal.must_be_told(error, provider, witness)


@dataclass(frozen=True)
class _Refusal:
    """A refusal, and what must come of it.

    Attributes:
        word: The vendor's word for it.
        kind: The error that it is.
        message: What the vendor says.
        request_id: The vendor's id of the request.
        what: What is refused.
    """

    word: str
    kind: type[FtkitError]
    message: str
    request_id: str
    what: str

    @classmethod
    def new(cls, word: str, kind: type[FtkitError], what: str) -> _Refusal:
        """Returns one in words that were never heard."""
        mark = uuid.uuid4().hex[:12]
        return cls(word, kind, f"refused by the kit {mark}", f"req-kit-{mark[::-1]}", what)

    def must_be_told(self, error: FtkitError | None, provider: Provider, witness: Witness) -> None:
        """Checks that an error tells what the vendor told, and no secret."""
        where = f"{self.what}, refused with {self.word!r},"
        if error is not None:
            rules.shows_none(witness.secrets(), rules.told_by(error), f"the error of {where}")
        must(type(error) is self.kind, f"{where} must be a {self.kind.__name__}, and came as {error!r}")
        must(self.message in str(error), f"{where} does not tell the vendor's message: {error!r}")
        if not isinstance(error, ProviderError):
            return
        must(error.provider == provider.name, f"{where} came from {error.provider!r}, not {provider.name!r}")
        must(error.request_id == self.request_id, f"{where} tells {error.request_id!r} for the vendor's request id")
        status = self.word.partition(" ")[0]
        if len(status) == _STATUS and status.isdecimal():
            must(error.status_code == int(status), f"{where} tells {error.status_code} for the status")


def _refusing(witness: Witness) -> Refuses:
    if not isinstance(witness, Refuses):
        pytest.skip("the witness cannot refuse")
    return witness


def _without_waits(table: Table) -> Table:
    """Leaves of what a vendor's SDK may try again after a pause one word of each kind."""
    seen: set[type[FtkitError]] = set()
    kept: dict[str, type[FtkitError]] = {}
    for word, kind in table.items():
        if kind not in _TRIED_AGAIN or kind not in seen:
            kept[word] = kind
        seen.add(kind)
    return kept
