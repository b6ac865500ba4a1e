"""What cannot work is said before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ftkit.client import Client
from ftkit.ledger import Ledger
from ftkit.methods import Method
from ftkit.models import Problem
from ftkit.testing import _rules as rules
from ftkit.testing._rules import must
from ftkit.testing.hooks import ProviderHooks
from ftkit.testing.kit import basics
from ftkit.testing.witness import CountsUploads

if TYPE_CHECKING:
    from pathlib import Path

    from ftkit.provider import Provider
    from ftkit.testing.witness import Witness


class Foreseen(ProviderHooks, kit=True):
    """Checks of `problems`."""

    def test_valid_request_has_no_problems(self, provider: Provider, tmp_path: Path) -> None:
        """A request that it takes has no errors."""
        found = provider.problems(self.request(basics.a_file(self, provider, tmp_path)))
        must(not basics.errors(found), f"a valid request has errors: {found}")

    def test_problems_of_an_unknown_method(self, provider: Provider, tmp_path: Path) -> None:
        """A method that it does not declare is an error in `problems`, not an exception."""
        request = self.request(basics.a_file(self, provider, tmp_path))
        with_stranger = request.model_copy(update={"method": _unknown_method()})
        must(basics.errors(provider.problems(with_stranger)), "an unknown method has no error in problems()")

    def test_problems_of_an_unknown_option(self, provider: Provider, tmp_path: Path) -> None:
        """A provider option that it does not know is an error in `problems`: nothing is dropped in silence."""
        request = self.request(basics.a_file(self, provider, tmp_path))
        options = {**request.provider_options, basics.NO_OPTION: 1}
        found = basics.errors(provider.problems(request.model_copy(update={"provider_options": options})))
        must(found, "an unknown provider option has no error in problems()")
        must(any(basics.NO_OPTION in str(p) for p in found), f"the error does not name the unknown option: {found}")

    def test_problems_of_impossible_requests(self, provider: Provider, tmp_path: Path) -> None:
        """Each request that the author calls impossible has an error in `problems`."""
        requests = self.impossible_requests(basics.a_file(self, provider, tmp_path))
        if not requests:
            pytest.skip("impossible_requests() names none")
        for request in requests:
            must(basics.errors(provider.problems(request)), f"problems() has no error for {request!r}")

    def test_problems_send_nothing(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """`problems` is offline."""
        request = self.request(basics.a_file(self, provider, tmp_path))
        before = basics.counts(witness)
        for each in (request, request.model_copy(update={"provider_options": {basics.NO_OPTION: 1}})):
            for problem in provider.problems(each):
                rules.round_trips(Problem, problem)
        must(basics.counts(witness) == before, "problems() sent something")

    def test_refused_before_upload(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """A `Client` that is asked for what cannot work says so, and sends no file and no create."""
        request = self.request(basics.a_file(self, provider, tmp_path))
        client = Client(provider, ledger=Ledger(tmp_path / "ledger"))
        options = {**request.provider_options, basics.NO_OPTION: 1}
        before = _paid(witness)
        error = rules.error_of(
            lambda: client.fine_tune(
                request.model,
                self.training_path(tmp_path),
                method=request.method,
                provider_options=options,
                wait=False,
                progress=False,
            ),
            "fine_tune",
        )
        must(_paid(witness) == before, "what cannot work was sent all the same")
        must(error is not None, "a Client that is asked for an unknown option does not say so")


def _paid(witness: Witness) -> tuple[int, ...]:
    """Counts what was left at the vendor's. Who the account is may be asked."""
    uploads = witness.uploads() if isinstance(witness, CountsUploads) else 0
    return witness.jobs(), witness.creates(), uploads


def _unknown_method() -> Method:
    """Returns a method that no provider can have; it is made here so that it is not known anywhere else."""

    class Unheard(Method):
        type: str = "ftkit-kit-unheard"

    del Method.registry["ftkit-kit-unheard"]
    return Unheard()
