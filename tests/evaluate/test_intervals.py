"""Intervals, held against published figures and against chance itself."""

from __future__ import annotations

import random
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftkit.evaluate import difference_of, mean_of
from ftkit.evaluate.intervals import chance_of

SCORES = st.lists(st.floats(0, 1), min_size=1, max_size=60)


@pytest.mark.parametrize(
    ("right", "rows", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_a_mean_is_as_published(right: int, rows: int, low: float, high: float) -> None:
    """R. G. Newcombe, Statistics in Medicine 17 (1998), 857-872, table I: method 3, Wilson's without correction."""
    found = mean_of([1.0] * right + [0.0] * (rows - right))
    assert (found.low, found.high) == pytest.approx((low, high), abs=6e-5)
    assert found.mean == right / rows


@pytest.mark.parametrize(
    ("both", "ours", "theirs", "neither", "low", "high"),
    [(36, 12, 2, 0, 0.0569, 0.3404), (20, 12, 2, 16, 0.0562, 0.3292), (54, 0, 0, 0, -0.0664, 0.0664)],
)
def test_a_difference_is_as_published(both: int, ours: int, theirs: int, neither: int, low: float, high: float) -> None:
    """R. G. Newcombe, Statistics in Medicine 17 (1998), 2635-2650, table II: method 10."""
    one = [1.0] * both + [1.0] * ours + [0.0] * theirs + [0.0] * neither
    other = [1.0] * both + [0.0] * ours + [1.0] * theirs + [0.0] * neither
    found = difference_of(one, other)
    assert (found.low, found.high) == pytest.approx((low, high), abs=6e-5)


@given(SCORES)
def test_a_mean_lies_in_its_interval(scores: list[float]) -> None:
    found = mean_of(scores)
    assert 0 <= found.low <= found.mean <= found.high <= 1
    assert found.low < found.high
    wider = mean_of(scores, 0.99)
    assert wider.low <= found.low
    assert found.high <= wider.high


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=60))
def test_a_difference_has_two_sides(pairs: list[tuple[float, float]]) -> None:
    one, other = [a for a, _ in pairs], [b for _, b in pairs]
    found, turned = difference_of(one, other), difference_of(other, one)
    assert -1 <= found.low <= found.mean <= found.high <= 1
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low), abs=1e-9)


@pytest.mark.parametrize("graded", [False, True])
def test_intervals_hold_the_truth_as_often_as_they_say(graded: bool) -> None:  # noqa: FBT001 - a parameter
    """In 19 of 20 draws, give or take: pairs of scores that go together, as those of two models do."""
    pick, held, draws, rows = random.Random(3), 0, 1500, 40  # noqa: S311 - it hides nothing
    for _ in range(draws):
        one, other = list[float](), list[float]()
        for _ in range(rows):
            hard = pick.random()
            a, b = (float(pick.random() < 0.3 + 0.6 * hard), float(pick.random() < 0.1 + 0.5 * hard))
            one.append((a + pick.random()) / 2 if graded else a)
            other.append((b + pick.random()) / 2 if graded else b)
        truth = (0.6 - 0.35) / (2 if graded else 1)
        found = difference_of(one, other)
        held += found.low <= truth <= found.high
    assert held / draws >= 0.94


@pytest.mark.parametrize(
    ("better", "worse", "chance"), [(0, 0, 1), (1, 0, 1), (2, 0, 0.5), (6, 0, 0.03125), (5, 5, 1), (9, 1, 0.021484375)]
)
def test_how_often_chance_does_it(better: int, worse: int, chance: float) -> None:
    """The two-sided sign test, by the binomial table for one half."""
    one, other = [1.0] * better + [0.0] * worse + [0.5], [0.0] * better + [1.0] * worse + [0.5]
    assert chance_of(one, other) == chance
    assert chance_of(other, one) == chance


def test_it_shrinks_with_the_rows() -> None:
    few, many = [1.0, 0.0] * 10, [1.0, 0.0] * 1000
    assert mean_of(few).high - mean_of(few).low > 5 * (mean_of(many).high - mean_of(many).low)
    assert fmean(few) == mean_of(few).mean
    assert str(mean_of([1.0] * 29 + [0.0])) == "0.97 (0.83 to 0.99)"
