"""Prices are told with source and date, or not at all; a user's own win."""

from __future__ import annotations

import tomllib
from datetime import date
from decimal import Decimal
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest

from ftkit import DPO, ConfigurationError, Supervised
from ftkit.methods import Method, Reinforcement
from ftkit.models import Estimate, JobRequest, TrainingFile
from ftkit.pricing import NAMES, PriceList, built_in_prices, known_prices, likely_epochs, training_estimate

if TYPE_CHECKING:
    from pathlib import Path

MINI = "gpt-4o-mini-2024-07-18"


def request(
    model: str = MINI, method: Method | None = None, rows: int | None = 200, options: dict[str, Any] | None = None
) -> JobRequest:
    file = TrainingFile(id="file-1", provider="openai", rows=rows)
    return JobRequest(model=model, training_file=file, method=method or Supervised(), provider_options=options or {})


def test_every_price_of_ours_has_a_document_and_a_date() -> None:
    rows = tomllib.loads(files("ftkit").joinpath("prices.toml").read_text(encoding="utf-8"))["prices"]
    assert len(rows) > 5
    for row in rows:
        assert row["source"]
        assert row["currency"] == "USD"
        assert date(2026, 9, 1) <= row["as_of"] <= date.today()  # noqa: DTZ011 - a date, not a moment
        assert row.keys() & set(NAMES)


def test_a_price_is_that_of_the_model_and_of_what_was_tuned_on_it() -> None:
    prices = built_in_prices()
    for model in (MINI, "gpt-4o-mini", f"ft:{MINI}:org:word:8xYz"):
        found = prices.price("openai", model, "training")
        assert found is not None
        assert (found.amount, found.currency) == (Decimal("3.00"), "USD")
        assert "pricing page" in found.source
    assert prices.price("openai", "gpt-4o-mini-audio", "training") is None, "a like name is another model"
    assert prices.price("azure", MINI, "training", "Standard") is None, "nobody tells it"
    assert prices.price("acme", MINI, "training") is None


def test_a_tier_is_asked_for_where_prices_differ_by_it() -> None:
    prices = built_in_prices()
    found = {tier: prices.price("azure", MINI, "hosting_hour", tier) for tier in ("standard", "DeveloperTier", "PTU")}
    assert {tier: price and price.amount for tier, price in found.items()} == {
        "standard": Decimal("1.70"),
        "DeveloperTier": 0,
        "PTU": None,
    }
    assert prices.price("azure", MINI, "hosting_hour") is None, "without the tier, nobody knows"


def test_a_users_prices_win_and_leave_the_others_as_they_are(home: Path) -> None:
    home.mkdir()
    (home / "prices.toml").write_text(
        """
        [[prices]]
        provider = "azure"
        model = "gpt-4o-mini*"
        tier = "GlobalStandard"
        training = 2.1
        currency = "EUR"

        [[prices]]
        provider = "openai"
        model = "gpt-4o-mini-*"
        training = "2.50"
        as_of = 2026-12-01
        source = "our contract"
        """
    )
    prices = known_prices()
    azure = prices.price("azure", MINI, "training", "globalstandard")
    assert azure is not None
    assert (str(azure), azure.source) == ("2.1 EUR", str(home / "prices.toml"))
    ours = prices.price("openai", MINI, "training")
    assert ours is not None
    assert ours.origin == "our contract, as of 2026-12-01"
    assert prices.price("openai", MINI, "tuned_output") == built_in_prices().price("openai", MINI, "tuned_output")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[prices]]\ntraning = 1\n", "row 1: .*no price 'traning'; did you mean 'training'"),
        ("[[prices]]\ntraining = -1\n", "training: .*greater than or equal to 0"),
        ("[[prices]]\nmodel = 'a'\n", "row 1: the row has no price"),
        ("[[prices]]\ntraining = 1\ncurrency = 'dollars'\n", "currency"),
        ("[prices]\ntraining = 1\n", "no list of rows"),
        ("[[price]]\n", "unknown 'price'; did you mean 'prices'"),
        ("[[prices]]\ntraining = \n", "wrong TOML"),
        (b"\xff", "cannot be read"),
    ],
)
def test_a_table_that_is_wrong_is_one_error_with_its_place(home: Path, text: str | bytes, says: str) -> None:
    home.mkdir()
    (home / "prices.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigurationError, match=says) as refused:
        known_prices()
    assert str(home / "prices.toml") in str(refused.value)


@pytest.mark.parametrize(
    ("rows", "epochs"), [(1, 25), (4, 25), (5, 20), (33, 3), (34, 3), (8333, 3), (8334, 2), (12501, 1), (900_000, 1)]
)
def test_epochs_are_those_of_the_published_rule(rows: int, epochs: int) -> None:
    assert likely_epochs(rows) == epochs


def test_a_training_costs_tokens_times_epochs_times_price() -> None:
    prices = built_in_prices()
    asked = training_estimate(request(method=Supervised(n_epochs=4)), 1_000_000, prices=prices, provider="openai")
    assert (asked.n_epochs, asked.billed_tokens, asked.cost) == (4, 4_000_000, Decimal("12.00"))
    assert not asked.assumes
    assert str(asked) == (
        "12.00 USD for 4,000,000 billed tokens (4 epochs): 3.00 USD for a million tokens (OpenAI's pricing page, "
        "developers.openai.com/api/docs/pricing) (as of 2026-09-25)"
    )
    likely = training_estimate(request(rows=20), 1, prices=prices, provider="openai")
    assert (likely.n_epochs, likely.billed_tokens, likely.cost) == (5, 5, Decimal("0.000015")), "exact, never 0"
    assert "5 are likely for 20 rows" in likely.assumes[0]
    assert str(likely).startswith("about 0.000015 USD")
    auto = training_estimate(request(method=DPO(n_epochs="auto")), 10, prices=prices, provider="openai")
    assert auto.n_epochs == 3


@pytest.mark.parametrize(
    ("amount", "shown"),
    [("0", "0"), ("0.02064", "0.021"), ("0.000000125", "0.00000013"), ("0.999", "1.00"), ("1.004", "1.00"),
     ("2.345", "2.35"), ("1234.5", "1234.50"), ("12", "12.00")],
)  # fmt: skip
def test_an_amount_is_shown_rounded_and_is_never_0_if_it_is_not(amount: str, shown: str) -> None:
    assert str(Estimate(cost=Decimal(amount))) == f"{shown} USD"
    assert Estimate(cost=Decimal(amount)).cost == Decimal(amount)


def test_a_bound_is_never_shown_lower_than_it_is() -> None:
    assert str(Estimate(at_most=Decimal("2.341"))) == "up to 2.35 USD"


def test_nothing_is_asserted_of_a_vendor_that_nobody_asked() -> None:
    told = training_estimate(request(), 10, prices=PriceList(), provider="acme")
    assert "no rule of 'acme' is known" in told.assumes[0]
    assert "no rule of" not in training_estimate(request(), 10, prices=PriceList(), provider="openai").assumes[0]


def test_a_price_for_another_tier_is_named() -> None:
    prices = PriceList({"tier": ["Global", "Local"], "training": 1}, {"tier": "dev", "hosting_hour": 1})
    assert prices.tiers("acme", "tiny", "training") == ("Global", "Local")
    told = str(training_estimate(request(), 10, prices=prices, provider="acme", tier="dev", tier_option="how"))
    assert "only as Global or Local, and dev is asked for; say provider_options={'how': 'Global'}" in told
    assert "--option how=Global" in told


@pytest.mark.parametrize(
    ("asked", "tokens", "says"),
    [
        (request(), None, "the number of tokens is not known; they cost 3.00 USD"),
        (request(rows=None), 10, "the number of epochs is not known; they cost 3.00 USD"),
        (request(model="gpt-4.7"), 10, "ftkit knows no price of training gpt-4.7 at 'openai'"),
        (request("o4-mini", Reinforcement(grader={})), 10, "billed by the hour, 100.00 USD an hour"),
        (request("gpt-5", Reinforcement(grader={})), 10, "billed by the hour, at a price that ftkit does not know"),
    ],
)
def test_what_is_not_known_is_none_and_says_why(asked: JobRequest, tokens: int | None, says: str) -> None:
    told = training_estimate(asked, tokens, prices=built_in_prices(), provider="openai")
    assert told.cost is None
    assert told.at_most is None
    assert says in str(told)
    assert "price unknown" in str(told)


def test_a_plug_in_has_its_own_table() -> None:
    prices = PriceList({"model": ["tiny-*"], "training": 0.1, "source": "its page"}, name="acme's prices")
    told = training_estimate(request("tiny-1", Supervised(n_epochs=1)), 3_000_000, prices=prices, provider="acme")
    assert told.cost == Decimal("0.30")
    with pytest.raises(ConfigurationError, match="acme's prices, row 1"):
        PriceList({"training": "much"}, name="acme's prices")
