"""Whether a training pays: how many calls with the shorter prompt make up for what it cost."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_UP, Decimal
from typing import TYPE_CHECKING, Any, Literal, cast

from ftkit.errors import ConfigurationError
from ftkit.models import BreakEven
from ftkit.pricing.table import MILLION

if TYPE_CHECKING:
    from ftkit.models import Estimate
    from ftkit.pricing.table import Name, PriceList


@dataclass(frozen=True, slots=True)
class Call:
    """How long a call is, in tokens.

    Attributes:
        prompt: Tokens of its prompt.
        answer: Tokens of its answer.
        cached: Which share of its prompt is read from the provider's cache, 0 to 1.
    """

    prompt: float
    answer: float
    cached: float = 0.0

    def __post_init__(self) -> None:
        if self.prompt < 0 or self.answer < 0 or not 0 <= self.cached <= 1:
            message = f"a call has tokens, and a share of them is cached, from 0 to 1 (got {self})"
            raise ConfigurationError(message)


def worth_it(
    training: Estimate,
    today: Call,
    tuned: Call,
    *,
    prices: PriceList,
    provider: str,
    model: str,
    tier: str | None = None,
    calls_per_day: float | None = None,
    days_left: int | None = None,
) -> BreakEven:
    """Says after how many calls a training has paid for itself, if ever.

    Tuned, a model needs a shorter prompt; but its calls may be dearer, and it may cost to host it.

    Args:
        training: What the training costs.
        today: A call of the untuned model with the prompt that it needs.
        tuned: A call of the tuned one: its prompt is that of the rows of the training file.
        prices: The prices.
        provider: The name that they are looked up by.
        model: The base model.
        tier: The way of serving, if it is known.
        calls_per_day: How many calls are made a day. Where hosting costs, nothing can be said without it.
        days_left: For how many days the tuned model can answer.

    Raises:
        ConfigurationError: `calls_per_day` is not above 0.
    """
    if calls_per_day is not None and not calls_per_day > 0:
        raise ConfigurationError(f"calls_per_day is a number above 0 (got {calls_per_day})")
    bill = _Bill(prices, provider, model, tier)
    costs = training.cost if training.cost is not None else training.at_most
    before, after = bill.call(today, ""), bill.call(tuned, "tuned_")
    by_hour = bill.price("hosting_hour")
    a_day = 24 * by_hour if by_hour is not None else None
    currencies = sorted(bill.currencies | ({training.currency} if costs else set()))
    known = _amounts(bill, training.currency, costs, before, after, a_day)
    if training.assumes:
        known["assumes"] = training.assumes
    lacking = bill.lacking
    if costs is None:
        lacking = [f"what the training costs ({training.source or 'nobody tells'})", *lacking]
    if before is None or after is None or costs is None or a_day is None:
        return BreakEven(why=f"whether it pays is not known, for want of: {'; '.join(lacking)}.", **known)
    if len(currencies) > 1:
        why = f"whether it pays is not known: the prices are in several currencies ({', '.join(currencies)})."
        return BreakEven(why=why, **known)
    found = _outcome(costs, before - after, a_day, calls_per_day, days_left, known["currency"])
    return BreakEven(**known, **found)


def _amounts(
    bill: _Bill,
    currency: str,
    costs: Decimal | None,
    before: Decimal | None,
    after: Decimal | None,
    a_day: Decimal | None,
) -> dict[str, Any]:
    """Returns the amounts that are of one currency: that of the calls, if they have one, else that of the training."""
    if len(bill.currencies) > 1:
        return {"training": costs, "currency": currency}
    of_calls = next(iter(bill.currencies), currency)
    calls = {"untuned_call": before, "tuned_call": after, "hosting_day": a_day, "currency": of_calls}
    return {"training": costs if of_calls == currency or not costs else None, **calls}


class _Bill:
    """Looks up what calls of a model cost, and remembers what could not be found."""

    def __init__(self, prices: PriceList, provider: str, model: str, tier: str | None) -> None:
        self._prices = prices
        self._where = (provider, model, tier)
        self.lacking: list[str] = []
        self.currencies: set[str] = set()

    def call(self, call: Call, prefix: Literal["", "tuned_"]) -> Decimal | None:
        """Returns the price of a call; None if part of it is not known."""
        cached = Decimal(repr(call.cached)) * Decimal(repr(call.prompt))
        shares = {
            "input": Decimal(repr(call.prompt)) - cached,
            "cached_input": cached,
            "output": Decimal(repr(call.answer)),
        }
        parts = [
            (count, self.price(cast("Name", f"{prefix}{name}")))
            for name, count in shares.items()
            if count or name != "cached_input"
        ]
        if any(price is None for _, price in parts):
            return None
        return sum((count * price for count, price in parts if price is not None), start=Decimal(0)) / MILLION

    def price(self, name: Name) -> Decimal | None:
        provider, model, tier = self._where
        found = self._prices.price(provider, model, name, tier)
        if found is None:
            tiers = " or ".join(self._prices.tiers(provider, model, name))
            only = f" (known only for {tiers})" if tiers else ""
            self.lacking.append(f"the price '{name}' of {model} at '{provider}'{only}")
            return None
        if found.amount:
            self.currencies.add(found.currency)
        return found.amount


def _outcome(
    costs: Decimal, saved: Decimal, a_day: Decimal, calls_per_day: float | None, days_left: int | None, currency: str
) -> dict[str, Any]:
    """Says whether and when it pays, where all prices are known.

    Args:
        costs: What the training costs.
        saved: What each call saves; below 0 if it is dearer.
        a_day: What it costs a day to host the model.
        calls_per_day: How many calls are made a day.
        days_left: For how many days the model can answer.
        currency: The currency, for people.
    """
    if saved <= 0:
        why = f"it never pays: a call of the tuned model is dearer than today's by {_small(-saved)} {currency}."
        return {"pays": False, "why": why if saved else "it never pays: a call costs the same as today's."}
    least = {"least_calls_per_day": _up(a_day / saved)} if a_day else {}
    if a_day and calls_per_day is None:
        why = f"it pays with more than {least['least_calls_per_day']:,} calls a day, which pay for hosting the model."
        return {"why": f"{why} After how many days depends on how many more there are.", **least}
    rate = Decimal(repr(calls_per_day)) if calls_per_day is not None else None
    a_call = saved - (a_day / rate if rate else 0)
    if a_call <= 0:
        why = f"it never pays at {calls_per_day:,.0f} calls a day: hosting the model costs more than they save."
        return {"pays": False, "why": why, **least}
    calls = _up(costs / a_call)
    days = float(Decimal(calls) / rate) if rate else None
    when = f"after {calls:,} calls" + (f", which is {days:,.1f} days at {calls_per_day:,.0f} a day" if days else "")
    if days is not None and days_left is not None and days > days_left:
        why = f"it does not pay: it would {when}, and the model answers for {days_left:,} more days."
        return {"pays": False, "calls": calls, "days": days, "why": why, **least}
    return {"pays": True, "calls": calls, "days": days, "why": f"it pays {when}.", **least}


def _up(amount: Decimal) -> int:
    return int(amount.to_integral_value(rounding=ROUND_UP))


def _small(amount: Decimal) -> str:
    return f"{amount:.6f}"
