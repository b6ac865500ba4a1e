"""What a training costs that is billed by the token, and how many epochs it is likely to take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftkit.home import config_folder
from ftkit.methods import Reinforcement
from ftkit.models import Estimate
from ftkit.pricing.table import FILE_NAME, MILLION

if TYPE_CHECKING:
    from ftkit.methods import Method
    from ftkit.models import JobRequest
    from ftkit.pricing.table import PriceList

_TARGET_EPOCHS, _MOST_EPOCHS = 3, 25
_FEWEST_EXAMPLES, _MOST_EXAMPLES = 100, 25_000
EPOCHS_SOURCE = "OpenAI's cookbook, Chat_finetuning_data_prep.ipynb"
_PUBLISHES = "openai"
"""Whose rule it is. Others may choose otherwise: Microsoft has an example of 500 rows and 2 epochs."""


def likely_epochs(rows: int) -> int:
    """Returns how many epochs OpenAI is likely to choose for a file, where none are asked for.

    That is three, but so many that 100 examples are gone through in all (25 epochs at most), and so few that no more
    than 25,000 are (`EPOCHS_SOURCE`, read on 2026-11-27). It is published as an estimate, and not as a promise.

    Args:
        rows: Rows of the training file, 1 or more.
    """
    if rows * _TARGET_EPOCHS < _FEWEST_EXAMPLES:
        return min(_MOST_EPOCHS, _FEWEST_EXAMPLES // rows)
    if rows * _TARGET_EPOCHS > _MOST_EXAMPLES:
        return max(1, _MOST_EXAMPLES // rows)
    return _TARGET_EPOCHS


def training_estimate(
    request: JobRequest,
    tokens: int | None,
    *,
    prices: PriceList,
    provider: str,
    tier: str | None = None,
    tier_option: str | None = None,
) -> Estimate:
    """Returns what a job costs that is billed by the token: tokens x epochs x price.

    What is not known stays None, and `source` says why. The cost is exact; it is rounded where it is shown.

    Args:
        request: What is to be asked for. Where it asks for no number of epochs, they come from the rows of its file.
        tokens: Tokens of the training file for one epoch; None if they were not counted.
        prices: The prices.
        provider: The name that they are looked up by.
        tier: The way of training, if it is known.
        tier_option: Which of the `provider_options` names that way, to say so where a price is known for another one.
    """
    by_hour = prices.price(provider, request.model, "training_hour", tier)
    if isinstance(request.method, Reinforcement):
        rate = f"{by_hour} an hour ({by_hour.source})" if by_hour else "at a price that ftkit does not know"
        source = f"{request.method.type} is billed by the hour, {rate}, and how long it takes is not known beforehand"
        return Estimate(tokens=tokens, source=source, as_of=by_hour.as_of if by_hour else None)
    epochs, assumes = _epochs(request.method, request.training_file.rows, provider)
    billed = tokens * epochs if tokens is not None and epochs is not None else None
    told = Estimate(tokens=tokens, n_epochs=epochs, billed_tokens=billed, assumes=assumes)
    price = prices.price(provider, request.model, "training", tier)
    if price is None:
        why = _unpriced(request.model, prices, provider, tier, tier_option)
        return told.model_copy(update={"source": why})
    at = f"{price} for a million tokens ({price.source})"
    if billed is None:
        lacking = "the number of tokens is not known" if tokens is None else "the number of epochs is not known"
        source = f"{lacking}; they cost {at}"
        return told.model_copy(update={"source": source, "as_of": price.as_of})
    cost = billed * price.amount / MILLION
    return told.model_copy(update={"cost": cost, "currency": price.currency, "source": at, "as_of": price.as_of})


def _unpriced(model: str, prices: PriceList, provider: str, tier: str | None, option: str | None) -> str:
    """Says why there is no price: there is none at all, or only one for another way of training."""
    what = f"of training {model} at '{provider}'"
    tiers = prices.tiers(provider, model, "training")
    if not tiers:
        of_tier = f" as {tier}" if tier else ""
        return f"ftkit knows no price {what}{of_tier}; you can give one in {config_folder() / FILE_NAME}"
    asked = f"and {tier} is asked for" if tier else "and the request does not say how it is to be trained"
    known = f"ftkit knows a price {what} only as {' or '.join(tiers)}, {asked}"
    if option is None:
        return known
    return f"{known}; say provider_options={{'{option}': '{tiers[0]}'}}, or --option {option}={tiers[0]}"


def _epochs(method: Method, rows: int | None, provider: str) -> tuple[int | None, tuple[str, ...]]:
    """Returns the number of epochs, and what was assumed for it."""
    asked: object = getattr(method, "n_epochs", None)
    if isinstance(asked, int):
        return asked, ()
    if not rows:
        return None, ()
    likely = likely_epochs(rows)
    whose = EPOCHS_SOURCE if provider == _PUBLISHES else f"{EPOCHS_SOURCE}; no rule of '{provider}' is known"
    return likely, (f"n_epochs was not asked for, and {likely} are likely for {rows:,} rows ({whose})",)
