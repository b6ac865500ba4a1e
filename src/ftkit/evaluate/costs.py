"""Whether the tuned model's shorter prompt makes up for what its training cost, with tokens that were counted."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from ftkit.models import Estimate
from ftkit.pricing import Call, known_prices, worth_it

if TYPE_CHECKING:
    from ftkit.evaluate.outcome import Standing
    from ftkit.models import BreakEven, FineTuningJob
    from ftkit.pricing import PriceList

_MILLION = 1_000_000


def break_even(job: FineTuningJob, before: Standing, after: Standing) -> BreakEven | None:
    """Says after how many calls a training has paid for itself.

    Args:
        job: The job, which tells the tokens that it was billed for.
        before: The model that would be asked without the training, with the prompt that it needs.
        after: The tuned model.

    Returns:
        None where tokens, or a price, are not known.
    """
    prices = known_prices()
    training, calls = _paid(job, prices), (_call(before), _call(after))
    if training is None or calls[0] is None or calls[1] is None:
        return None
    found = worth_it(training, calls[0], calls[1], prices=prices, provider=job.provider, model=job.model)
    return None if found.pays is None else found


def _paid(job: FineTuningJob, prices: PriceList) -> Estimate | None:
    price = prices.price(job.provider, job.model, "training")
    if price is None or job.trained_tokens is None:
        return None
    cost = Decimal(job.trained_tokens) * price.amount / _MILLION
    return Estimate(billed_tokens=job.trained_tokens, cost=cost, currency=price.currency, source=price.origin)


def _call(standing: Standing) -> Call | None:
    prompt, answer = standing.prompt_tokens, standing.completion_tokens
    return None if prompt is None or answer is None else Call(prompt=prompt, answer=answer)
