"""A budget: what a job may cost. It is held against the provider's own estimate, before the job is asked for.

Where the provider knows a bound (`Estimate.at_most`), that is what counts, else the likely cost. What is not known is
refused: an unknown price is never taken to be 0.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from ftkit.errors import BudgetError, ConfigurationError
from ftkit.provider import EstimatesCost, Provider
from ftkit.retrying import read

if TYPE_CHECKING:
    from ftkit.models import Estimate, JobRequest


class Budget:
    """What each job of a provider may cost.

    Args:
        provider: The provider.
        amount: The most that a job may cost, in the currency of the provider's estimates; None for any amount.
    """

    def __init__(self, provider: Provider, amount: Decimal | None) -> None:
        self._provider = provider
        self._amount = amount

    def refuse(self, request: JobRequest, tokens: int | None) -> None:
        """Raises what forbids a job; asks nobody where there is no budget.

        Args:
            request: What is to be asked for.
            tokens: Tokens of the training file for one epoch, where they were counted.

        Raises:
            BudgetError: It would cost more than the budget, or nobody knows how much.
            ProviderError: The provider could not be asked for the price.
        """
        if self._amount is None:
            return
        if not isinstance(self._provider, EstimatesCost):
            raise self._unknown(self._amount, f"the provider '{self._provider.name}' does not tell prices")
        estimate = read(self._provider.estimate, request, tokens)
        most = estimate.at_most if estimate.at_most is not None else estimate.cost
        if most is None:
            why = estimate.source or f"the provider '{self._provider.name}' does not tell the price of it"
            raise self._unknown(self._amount, why, estimate)
        if most > self._amount:
            raise self._too_much(self._amount, most, estimate)

    @staticmethod
    def _unknown(amount: Decimal, why: str, estimate: Estimate | None = None) -> BudgetError:
        message = f"there is a budget of {amount:f}, and it is not known what the job costs: {why}. No job was made."
        hint = "Without a budget (on the job, the client and the profile) it is made, whatever it costs."
        return BudgetError(message, budget=amount, estimate=estimate, hint=hint)

    @staticmethod
    def _too_much(amount: Decimal, most: Decimal, estimate: Estimate) -> BudgetError:
        source = f" ({estimate.source})" if estimate.source else ""
        up_to = "up to " if estimate.at_most is not None else ""
        cost = f"{up_to}{most:f} {estimate.currency}{source}"
        message = f"the job would cost {cost}, and its budget is {amount:f} {estimate.currency}. No job was made."
        return BudgetError(message, budget=amount, estimate=estimate, hint=f"budget={most:f} allows it.")


def as_budget(value: object) -> Decimal | None:
    """Returns a budget as it was given to a client or a job; None if there is none.

    Raises:
        ConfigurationError: It is no amount of money.
    """
    if value is None:
        return None
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        amount = Decimal(str(value))  # by its digits: 0.1 is a tenth, and not the float next to it
        if amount.is_finite() and amount >= 0:
            return amount
    hint = "It is in the currency of the provider's estimates: budget=20 is 20 USD, say."
    raise ConfigurationError(f"budget is an amount of money, 0 or more (got {value!r})", hint=hint)
