"""Reads are tried again: how often, and after which pauses."""

from __future__ import annotations

import time

import pytest

from ftkit.errors import ProviderError, ProviderUnavailableError, RateLimitError
from ftkit.retrying import ATTEMPTS, read


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    return slept


class Answers:
    """Raises what it is given, one after the other, and then answers."""

    def __init__(self, *errors: ProviderError) -> None:
        self.errors = [*errors]
        self.asked = 0

    def __call__(self) -> str:
        self.asked += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


def test_the_pause_is_what_the_vendor_asks_for(pauses: list[float]) -> None:
    assert read(Answers(RateLimitError("busy", retry_after_s=7.0))) == "answer"
    assert pauses == [7.0]


def test_without_a_word_the_pauses_grow_and_are_never_nothing(pauses: list[float]) -> None:
    errors = [ProviderUnavailableError("away"), RateLimitError("busy"), RateLimitError("busy", retry_after_s=0.0)]
    assert read(Answers(*errors)) == "answer"
    assert len(pauses) == 3
    assert all(0.5 * 2**n <= pause <= 0.5 * 2**n + 1 for n, pause in enumerate(pauses))


def test_it_ends_with_the_last_answer(pauses: list[float]) -> None:
    asks = Answers(*(ProviderUnavailableError(f"away {n}") for n in range(1, 10)))
    with pytest.raises(ProviderUnavailableError, match=f"away {ATTEMPTS}"):
        read(asks)
    assert (asks.asked, len(pauses)) == (ATTEMPTS, ATTEMPTS - 1)


def test_what_will_not_change_is_not_asked_again(pauses: list[float]) -> None:
    asks = Answers(ProviderError("no"))
    with pytest.raises(ProviderError, match="no"):
        read(asks)
    assert (asks.asked, pauses) == (1, [])
