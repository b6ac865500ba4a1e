"""How tokens are spread: exact, the same in parts as at once, and old reports can be read."""

from __future__ import annotations

import pickle
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftkit.datasets._tallies import Tokens
from ftkit.models import DatasetRules, RecordKind, Report, Severity, TokenStats


def rules(most: int | None = None, too_long: Literal["truncated", "dropped", "refused"] = "refused") -> DatasetRules:
    return DatasetRules(layout="chat", accepts=frozenset({RecordKind.CHAT}), max_tokens=most, too_long=too_long)


def tallied(lengths: list[int], of: DatasetRules | None = None) -> Tokens:
    tokens = Tokens(of or rules())
    for line, length in enumerate(lengths, 1):
        tokens.add(line, length, length // 2)
    return tokens


def stats_of(tokens: Tokens) -> TokenStats:
    found = tokens.stats()
    assert found is not None
    return found


def quantile(values: list[int], share: float) -> float:
    """What numpy.quantile says, written down another way: by the sorted list itself."""
    ordered, place = sorted(values), share * (len(values) - 1)
    below, above = ordered[int(place)], ordered[min(int(place) + 1, len(values) - 1)]
    return below + (above - below) * (place % 1)


@given(st.lists(st.integers(0, 60), min_size=1, max_size=80))
def test_the_spread_is_exact(lengths: list[int]) -> None:
    found = stats_of(tallied(lengths))
    assert found.lengths is not None
    assert found.answers is not None
    assert (found.total, found.trained) == (sum(lengths), sum(n // 2 for n in lengths))
    assert (found.lengths.min, found.lengths.max, found.longest) == (min(lengths), max(lengths), max(lengths))
    assert found.lengths.mean == found.mean == pytest.approx(sum(lengths) / len(lengths))
    for share, told in ((0.05, found.lengths.p5), (0.5, found.lengths.median), (0.95, found.lengths.p95)):
        assert told == pytest.approx(quantile(lengths, share))
    assert found.answers.p95 == pytest.approx(quantile([n // 2 for n in lengths], 0.95))


@given(st.lists(st.integers(0, 60), max_size=40), st.lists(st.integers(0, 60), max_size=40))
def test_parts_add_up_to_what_the_whole_is(first: list[int], second: list[int]) -> None:
    of = rules(20, "truncated")
    whole, parts = tallied([*first, *second], of), tallied(first, of)
    told = pickle.loads(pickle.dumps(tallied(second, of).told()))  # noqa: S301 - our own
    parts.take(told, len(first))
    assert parts.stats() == whole.stats()
    assert parts.problems("x") == whole.problems("x")


@pytest.mark.parametrize(("too_long", "capped"), [("truncated", 25), ("dropped", 15), ("refused", 35)])
def test_what_is_trained_on_is_what_the_provider_leaves(
    too_long: Literal["truncated", "dropped", "refused"], capped: int
) -> None:
    found = stats_of(tallied([5, 10, 20], rules(10, too_long)))
    assert (found.total, found.capped) == (35, capped)
    assert ("after cutting" in str(found)) is (capped != 35)


def test_what_is_cut_off_is_not_learnt_from() -> None:
    tokens = Tokens(rules(10, "truncated"))
    for line, (length, learnt) in enumerate([(8, 4), (12, 4), (30, 4), (40, 5), (20, 0)], 1):
        tokens.add(line, length, learnt)
    found = stats_of(tokens)
    assert (found.trained, found.capped_trained, found.rows) == (17, 4 + 2, 5)
    assert str(found).splitlines()[0] == "110 tokens, 48 after cutting, about 6 of them to learn from"
    (lost,) = (p for p in tokens.problems("x") if p.code == "answer-cut-off")
    assert (lost.severity, lost.count) == (Severity.WARNING, 2)
    assert "lines 3, 4." in lost.message
    dropped = tallied([8, 12], rules(10, "dropped"))
    assert stats_of(dropped).capped_trained == 4
    assert [p.code for p in dropped.problems("x")] == ["too-long"]


def test_all_of_it_is_told_and_reads_back() -> None:
    found = stats_of(tallied([10, 20, 30, 40]))
    assert TokenStats.model_validate_json(found.model_dump_json()) == found
    assert str(found).splitlines() == [
        "100 tokens, 50 of them to learn from",
        "  a row: min 10, max 40, mean 25.0, median 25.0, p5 11.5, p95 38.5",
        "  to learn: min 5, max 20, mean 12.5, median 12.5, p5 5.8, p95 19.2",
    ]
    old = {"source": "a.jsonl", "tokens": {"total": 6, "trained": 4, "longest": 4, "mean": 3.0}}
    assert Report.model_validate(old).tokens == TokenStats(total=6, trained=4, longest=4, mean=3.0)
    assert Tokens(rules()).stats() is None
