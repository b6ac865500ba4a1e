"""What a job costs, told without asking anybody: its tokens, its price, and how long its model lives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ftkit.lifecycles import announced, ending, unlisted
from ftkit.pricing import PriceList, known_prices, training_estimate
from ftkit.tokens import counter_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ftkit.methods import Method
    from ftkit.models import Estimate, JobRequest, Problem
    from ftkit.tokens import ChatCounter


_TIER_OPTIONS = {"azure": "training_type"}
"""Which option says how it is trained, where prices differ by that."""


class TellsCosts:
    """Counts tokens and estimates costs. The models, and so their tokens, are the same wherever the API is spoken."""

    name: str
    wire: ClassVar[str]

    def token_counter(self, model: str, method: Method) -> ChatCounter:
        """Returns what counts the records of a training file. It is plain data, and can be sent to another process.

        Raises:
            UnsupportedError: The encoding of the model is not known.
            MissingExtraError: The package that counts is not installed.
        """
        return counter_of(model, method)

    def count_tokens(
        self, model: str, method: Method, records: Iterator[Mapping[str, Any]]
    ) -> Iterator[tuple[int, int]]:
        """Returns an iterator over (tokens, tokens learnt from) of each record, in order.

        Raises:
            UnsupportedError: The encoding of the model is not known. That is told at once, before a record is taken.
            MissingExtraError: The package that counts is not installed.
        """
        return self.token_counter(model, method).count(records)

    def estimate(self, request: JobRequest, tokens: int | None) -> Estimate:
        """Returns the likely cost: tokens x epochs x price, as far as they are known. Asks nobody."""
        tier = self._tier(request)
        if self._has_vendors_prices:
            named = _TIER_OPTIONS.get(self.wire)
            return training_estimate(
                request, tokens, prices=known_prices(), provider=self.wire, tier=tier, tier_option=named
            )
        told = training_estimate(request, tokens, prices=PriceList(), provider=self.wire)
        source = "the prices that ftkit knows are those of the vendor's own service, and this is another address"
        return told.model_copy(update={"source": source})

    def _told_of(self, request: JobRequest) -> list[Problem]:
        """Returns what is to be told of a model: its announced end, and that it is not known to be tuned like that."""
        if not self._has_vendors_prices:
            return []
        known = announced(self.wire, request.model)
        told = ending(known, self.name) if known is not None else None
        return [*([] if told is None else [told]), *unlisted(self.wire, request.model, request.method)]

    @property
    def _has_vendors_prices(self) -> bool:
        """Whether it is the vendor's own service, with its prices and its dates."""
        raise NotImplementedError

    def _tier(self, request: JobRequest) -> str | None:
        """Returns the way of training that a request asks for, where there are several at different prices."""
        del request
        return None
