"""The attacks can fail: with a ledger that keeps nothing, they see what is paid twice."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar

import pytest
from test_openai_attacks import OpenAIUnderAttack

from ftkit.ledger import Ledger
from ftkit.testing import ProviderAttacks
from ftkit.testing.attacks.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from ftkit.ledger import JobEntry
    from ftkit.models import JobRequest, TrainingFile
    from ftkit.provider import Provider
    from ftkit.testing import Witness


class Forgetful(Ledger):
    """A ledger that is switched off: it locks nothing, and knows nothing of what was written into it."""

    @contextmanager
    def lock(self, key: str, timeout_s: float = 3600) -> Generator[None]:
        del key, timeout_s
        yield

    def attempts(self, base_key: str) -> list[JobEntry]:
        del base_key
        return []

    def job_entry(self, key: str) -> JobEntry | None:
        del key
        return None

    def request(self, key: str) -> JobRequest | None:
        del key
        return None

    def upload(self, key: str) -> TrainingFile | None:
        del key
        return None


class Unguarded(OpenAIUnderAttack):
    """Not collected: its checks are called by hand, for they must fail."""

    ledger: ClassVar[type[Ledger]] = Forgetful

    @contextmanager
    def standing(self) -> Generator[Provider]:
        """Stands behind a line that shows a job late: with luck alone, the processes would see each other's."""
        with super().standing() as provider:
            self._line_to_it = Wire(self.served.url, self.creates)
            self._line_to_it.lag_s = 60.0
            try:
                yield provider
            finally:
                self._line_to_it.stop()

    def vendor_url(self) -> str:
        return self._line_to_it.url


@pytest.mark.parametrize("attack", [ProviderAttacks.test_many_at_once, ProviderAttacks.test_lists_that_lag])
def test_without_the_ledger_jobs_are_paid_twice(
    attack: Callable[[ProviderAttacks, Provider, Witness, Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FTKIT_CHAOS_REPORT", raising=False)  # what is broken on purpose is no result
    unguarded = Unguarded()
    with unguarded.standing() as provider, pytest.raises(AssertionError, match="jobs were made, and one was asked for"):
        attack(unguarded, provider, unguarded.make_witness(provider), tmp_path)
