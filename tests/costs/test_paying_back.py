"""Whether a training pays: by hand-made figures, and by those of the table."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from ftkit import ConfigurationError
from ftkit.models import BreakEven, Estimate
from ftkit.pricing import Call, PriceList, built_in_prices, worth_it

FLAT = {"input": 2, "output": 0, "tuned_input": 4, "tuned_output": 0, "hosting_hour": 0}
TRAINING = Estimate(cost=Decimal("12.00"))
TODAY, TUNED = Call(1000, 50), Call(100, 50)


def asked(prices: dict[str, Any] | None = None, training: Estimate = TRAINING, **more: Any) -> BreakEven:
    calls: dict[str, Any] = {"today": TODAY, "tuned": TUNED, **more}
    return worth_it(training, prices=PriceList(prices or FLAT), provider="acme", model="tiny", **calls)


def test_it_pays_after_as_many_calls_as_save_what_it_cost() -> None:
    found = asked()  # a call costs 0.002 today and 0.0004 tuned: 12 / 0.0016
    assert (found.pays, found.calls, found.days) == (True, 7500, None)
    assert found.untuned_call == Decimal("0.002")
    assert found.tuned_call == Decimal("0.0004")
    assert str(found).splitlines() == [
        "it pays after 7,500 calls.",
        "  a call costs 0.002000 today, and 0.000400 tuned (USD).",
    ]
    assert asked(calls_per_day=500).days == 15
    assert BreakEven.model_validate_json(found.model_dump_json()) == found


def test_it_never_pays_where_a_tuned_call_is_dearer() -> None:
    found = asked({**FLAT, "tuned_output": 100})
    assert (found.pays, found.calls) == (False, None)
    assert "dearer than today's by 0.003400 USD" in str(found)
    assert asked({**FLAT, "tuned_input": 20}).why == "it never pays: a call costs the same as today's."


def test_what_is_read_from_the_cache_is_cheaper() -> None:
    cached = asked({**FLAT, "cached_input": 0.2}, today=Call(1000, 50, cached=0.9))
    assert cached.untuned_call == Decimal("0.00038")
    assert cached.pays is False
    assert asked(today=Call(1000, 50, cached=0.9)).pays is None, "the price of what is cached is not known"


def test_hosting_is_paid_for_by_enough_calls_a_day() -> None:
    hosted = {**FLAT, "hosting_hour": "1.00"}  # 24 a day: 15,000 calls
    assert asked(hosted).pays is None
    assert asked(hosted).least_calls_per_day == 15_000
    few = asked(hosted, calls_per_day=10_000)
    assert (few.pays, few.calls) == (False, None)
    assert "hosting the model costs more than they save" in str(few)
    many = asked(hosted, calls_per_day=30_000)  # 48 saved, 24 for hosting: half a day for 12
    assert (many.pays, many.calls, many.days) == (True, 15_000, 0.5)


def test_it_does_not_pay_if_the_model_ends_before() -> None:
    assert asked(calls_per_day=500, days_left=15).pays is True
    late = asked(calls_per_day=500, days_left=14)
    assert (late.pays, late.days) == (False, 15)
    assert "answers for 14 more days" in str(late)


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (asked(training=Estimate(source="nobody knows")), "what the training costs (nobody knows)"),
        (asked({k: v for k, v in FLAT.items() if k != "tuned_output"}), "the price 'tuned_output' of tiny at 'acme'"),
        (asked({k: v for k, v in FLAT.items() if k != "hosting_hour"}), "the price 'hosting_hour'"),
        (asked({**FLAT, "currency": "EUR"}), "several currencies"),
    ],
)
def test_what_is_not_known_is_said(found: BreakEven, says: str) -> None:
    assert (found.pays, found.calls) == (None, None)
    assert says in str(found)


def test_amounts_are_in_the_currency_that_is_named() -> None:
    calls = asked({**FLAT, "currency": "EUR"})
    assert "(EUR, USD)" in str(calls)
    assert "a call costs 0.002000 today, and 0.000400 tuned (EUR)." in str(calls)
    assert (calls.currency, calls.training) == ("EUR", None)
    unknown = asked({**FLAT, "currency": "EUR"}, training=Estimate(source="nobody knows"))
    assert "tuned (EUR)." in str(unknown)
    small = asked({**FLAT, "input": "0.001"}, today=Call(1, 0))
    assert "a call costs 0.0000000010 today" in str(small)


def test_the_lessons_question_by_the_prices_of_today() -> None:
    def mini(prompt: int) -> BreakEven:
        return worth_it(
            Estimate(cost=Decimal("3.00"), assumes=("3 epochs",)),
            Call(prompt, 40),
            Call(80, 40),
            prices=built_in_prices(),
            provider="openai",
            model="gpt-4o-mini-2024-07-18",
        )

    assert mini(1000).calls == 29_412  # 0.000174 today, 0.000072 tuned
    assert "3 epochs" in str(mini(1000))
    assert mini(300).pays is False, "the calls of a tuned model cost twice as much"


@pytest.mark.parametrize("wrong", [(-1, 0, 0), (0, -1, 0), (0, 0, 1.5)])
def test_what_can_be_no_call_is_refused(wrong: tuple[float, float, float]) -> None:
    with pytest.raises(ConfigurationError, match="from 0 to 1"):
        Call(*wrong)
    with pytest.raises(ConfigurationError, match="above 0"):
        asked(calls_per_day=0)
