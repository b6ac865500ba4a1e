"""Prices as data, what a training costs by them, and whether it pays.

    prices = known_prices()                                 ftkit's own table, and after it the user's prices.toml
    prices.price("openai", "gpt-4o-mini", "training")       3.00 USD for a million tokens, with source and date
    training_estimate(request, tokens, prices=prices, provider="openai")
    worth_it(estimate, today=Call(900, 40), tuned=Call(80, 40), prices=prices, provider="openai", model="gpt-4o-mini")

A plug-in has its own table: `PriceList.from_toml(text)`, or `PriceList({"model": "tiny-*", "training": "0.40"})`. An
unknown price is None, never 0. What a row is, `ftkit/prices.toml` says: the table of the built-in providers.
"""

from __future__ import annotations

from ftkit.pricing.paying_back import Call, worth_it
from ftkit.pricing.table import NAMES, Price, PriceList, built_in_prices, known_prices
from ftkit.pricing.training import likely_epochs, training_estimate

__all__ = [
    "NAMES",
    "Call",
    "Price",
    "PriceList",
    "built_in_prices",
    "known_prices",
    "likely_epochs",
    "training_estimate",
    "worth_it",
]
