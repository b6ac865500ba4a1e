"""What becomes of a request whose answer does not come, or cannot be read: nobody knows, and it is told so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ftkit.errors import ProviderError, ProviderUnavailableError, UnclearOutcomeError
from ftkit.testing import _rules as rules
from ftkit.testing._rules import must
from ftkit.testing.hooks import ProviderHooks
from ftkit.testing.kit import basics
from ftkit.testing.witness import Breaks

if TYPE_CHECKING:
    from pathlib import Path

    from ftkit.errors import FtkitError
    from ftkit.provider import Provider
    from ftkit.testing.witness import Witness


class Breaking(ProviderHooks, kit=True):
    """Checks of a line that breaks. They need a witness that `Breaks` it."""

    def test_broken_creates(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """A create to which no answer comes, or none that can be read, is unclear, and is sent once."""
        breaks = _breaking(witness)
        request = self.request(basics.a_file(self, provider, tmp_path))
        for way, words in breaks.known_breaks().items():
            creates = witness.creates()
            breaks.break_line(way)
            error = rules.error_of(lambda: provider.create_job(request, rules.new_key()), "create_job")
            sent = witness.creates() - creates
            must(sent <= 1, f"a create that ended with {way!r} was sent {sent} times")
            unclear = isinstance(error, ProviderUnavailableError | UnclearOutcomeError)
            must(unclear, f"a create that ends with {way!r} must be unclear, and came as {error!r}")
            _must_say(words, way, error, provider, witness)

    def test_broken_reads(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """A read to which no answer comes, or none that can be read, says so: it may be asked again."""
        breaks = _breaking(witness)
        job = basics.a_job(self, provider, tmp_path)
        for way, words in breaks.known_breaks().items():
            breaks.break_line(way)
            error = rules.error_of(lambda: provider.get_job(job.id), "get_job")
            if error is None:  # the vendor's package has asked again
                continue
            right = isinstance(error, ProviderUnavailableError)
            must(right, f"a read that ends with {way!r} must be a ProviderUnavailableError, and came as {error!r}")
            _must_say(words, way, error, provider, witness)


def _breaking(witness: Witness) -> Breaks:
    if not isinstance(witness, Breaks):
        pytest.skip("the witness cannot break the line")
    return witness


def _must_say(words: str, way: str, error: FtkitError | None, provider: Provider, witness: Witness) -> None:
    must(words in str(error), f"the error of {way!r} must say {words!r}, and says {str(error)!r}")
    if error is not None:
        rules.shows_none(witness.secrets(), rules.told_by(error), f"the error of {way!r}")
    if isinstance(error, ProviderError):
        must(error.provider == provider.name, f"{way!r} came from {error.provider!r}, not {provider.name!r}")
