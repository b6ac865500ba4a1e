"""Scorers that compare with the wanted answer: text, JSON, and sets."""

from __future__ import annotations

import csv
import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftkit import ConfigurationError
from ftkit.evaluate.matching import exact_match, json_match, set_f1
from ftkit.evaluate.questions import Question
from ftkit.models import ChatMessage

if TYPE_CHECKING:
    from collections.abc import Callable

RECIPES = Path(__file__).parents[2] / "examples" / "data" / "recipes.csv"
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inside: st.lists(inside) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inside),
    max_leaves=10,
)
MEMBERS = st.lists(st.integers(0, 4) | st.sampled_from(["egg", " Egg", "milk", "ÖL", "öl", "straße", "STRASSE", ""]))


def question(wanted: str, line: int = 7) -> Question:
    return Question(messages=(ChatMessage(role="user", content="?"),), wanted=wanted, line=line)


def test_exact_match_passes_over_white_space_at_the_ends_alone() -> None:
    assert exact_match(" two words\n", question("two words")) == 1
    assert exact_match("two  words", question("two words")) == 0
    assert exact_match("Two words", question("two words")) == 0


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        ('{"b": [1, 2], "a": "x"}', '{"a": "x", "b": [1.0, 2e0]}'),
        (" [null, true]\n", "[null,true]"),
        ('"\\u00e9"', '"é"'),
        ("12345678901234567890", "12345678901234567890"),
    ],
)
def test_json_that_is_written_in_another_way_matches(answer: str, wanted: str) -> None:
    assert json_match(answer, question(wanted)) == json_match(wanted, question(answer)) == 1


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        ("[2, 1]", "[1, 2]"),
        ("[1]", "[1, 1]"),
        ("true", "1"),
        ("[0]", "[false]"),
        ("{}", "[]"),
        ("{}", '{"a": null}'),
        ('"1"', "1"),
        ("12345678901234567891", "12345678901234567890"),
        ("0.1000000000000000000001", "0.1"),
        ('{"a": 1, "a": 1}', '{"a": 1}'),
        ("NaN", "1"),
        ("1e999", "1"),
        ('```json\n{"a": 1}\n```', '{"a": 1}'),
        ('{"a": 1} indeed', '{"a": 1}'),
        ("{'a': 1}", '{"a": 1}'),
        ("", "1"),
        ('"\\ud800"', '"?"'),
    ],
)
def test_other_json_and_what_is_none_does_not_match(answer: str, wanted: str) -> None:
    assert json_match(answer, question(wanted)) == 0


@given(VALUES)
def test_every_value_matches_itself(value: object) -> None:
    assert json_match(json.dumps(value), question(json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False))) == 1


@pytest.mark.parametrize("wanted", ["words", "[1", "NaN", '{"a": 1, "a": 2}'])
def test_a_row_whose_wanted_answer_is_no_json_is_named(wanted: str) -> None:
    for scorer in (json_match, set_f1):
        with pytest.raises(ConfigurationError, match="row 7: the wanted answer is no JSON") as told:
            scorer("[]", question(wanted))
        assert told.value.hint


@pytest.mark.parametrize("scorer", [json_match, set_f1])
@pytest.mark.parametrize(
    "answer",
    ["[" * 100_000, "[" * 150 + "]" * 150, '{"a":' * 5000 + "1" + "}" * 5000, "9" * 100_000, "[1" + ",1" * 500_000],
)
def test_what_is_deep_or_long_is_no_harm(scorer: Callable[[str, Question], float], answer: str) -> None:
    assert scorer(answer, question('["a"]')) == 0


def test_deep_values_are_compared_where_little_of_the_stack_is_left() -> None:
    deep = "[" * 150 + "1" + "]" * 150
    found: list[float] = []

    def further(levels: int) -> None:
        if levels:
            further(levels - 1)
        else:
            found.append(json_match(deep, question(deep)))

    thread = threading.Thread(target=further, args=(780,))  # of the 1,000 that Python allows
    thread.start()
    thread.join()
    assert found == [1]


def test_the_set_of_ingredients() -> None:
    wanted = question('["garlic", "oats", "rice"]')
    assert set_f1('["rice", " Garlic", "OATS", "oats"]', wanted) == 1
    assert set_f1('["garlic", "oats"]', wanted) == pytest.approx(2 * 2 / (2 + 3))
    assert set_f1('["garlic", "salt", "honey"]', wanted) == pytest.approx(1 / 3)
    assert set_f1('["salt"]', wanted) == set_f1("[]", wanted) == 0
    assert set_f1("[]", question("[]")) == 1
    assert set_f1("[1.0]", question("[1]")) == 1
    assert set_f1('["1"]', question("[1]")) == 0


@pytest.mark.parametrize(
    "answer", ['"garlic"', '{"garlic": 1}', '["garlic", null]', '[["garlic"]]', "[true]", "garlic"]
)
def test_what_is_no_list_of_texts_and_numbers_scores_nothing(answer: str) -> None:
    assert set_f1(answer, question('["garlic", 1]')) == 0


@pytest.mark.parametrize("wanted", ['"garlic"', '[["garlic"]]', "[true]"])
def test_a_row_that_wants_no_list_is_named(wanted: str) -> None:
    with pytest.raises(ConfigurationError, match=r"row 7: .* no JSON list of texts and numbers"):
        set_f1("[]", question(wanted))


@given(MEMBERS, MEMBERS)
def test_f1_is_the_same_both_ways(one: list[Any], other: list[Any]) -> None:
    a, b = json.dumps(one), json.dumps(other)
    score = set_f1(a, question(b))
    assert score == set_f1(b, question(a))
    assert 0 <= score <= 1
    assert set_f1(a, question(a)) == 1


def test_the_tutorials_rows_match_themselves() -> None:
    with RECIPES.open(encoding="utf-8", newline="") as file:
        wanted = [row["NER"] for row in csv.DictReader(file)]
    assert all(scorer(each, question(each)) == 1 for each in wanted for scorer in (exact_match, json_match, set_f1))
