"""What endpoints cost an hour."""

from __future__ import annotations

import logging
import time
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from ftkit.errors import FtkitError
from ftkit.providers.huggingface.endpoint_reading import FREE

if TYPE_CHECKING:
    from collections.abc import Callable

    from huggingface_hub import InferenceEndpointHardware

    from ftkit.providers.huggingface.endpoint_options import EndpointsOptions
    from ftkit.providers.huggingface.endpoint_reading import Seen

logger = logging.getLogger("ftkit")

_FRESH_S = 3600.0


class EndpointPrices:
    """The service's own offers, asked for once an hour. A price that they do not tell is unknown, never 0.

    Args:
        ask: Asks for the offers.
    """

    def __init__(self, ask: Callable[[], list[InferenceEndpointHardware]]) -> None:
        self._ask = ask
        self._known: dict[tuple[object, ...], Decimal] = {}
        self._until = 0.0

    def of_all(self, all_seen: list[Seen]) -> list[Decimal | None]:
        """Returns what each endpoint costs an hour, in USD.

        One that sleeps (scaledToZero) costs nothing just then, but the next request wakes it: its price is that of an
        hour awake. One that is paused or has failed costs 0: nothing of it runs, and no request changes that.
        """
        known = self._offers() if any(seen.state not in FREE for seen in all_seen) else {}
        return [_price(known.get(seen.hardware), seen) for seen in all_seen]

    def announce(self, name: str, options: EndpointsOptions) -> None:
        """Tells what an endpoint costs before it does."""
        kind = (options.accelerator, options.instance_type, options.instance_size)
        price = self._offers().get((options.vendor, options.region, *kind))
        costs = "at a price that ftkit does not know" if price is None else f"for ${price} an hour and replica"
        minutes = options.sleeps_after
        sleeps = (
            f"it keeps {options.min_replica} awake, used or not"
            if minutes is None
            else f"it sleeps, and costs nothing, after {minutes} minutes without a request"
        )
        hardware = f"{options.instance_type} {options.instance_size}, {options.vendor} {options.region}"
        logger.warning("deploying '%s' (%s) %s; %s", name, hardware, costs, sleeps)

    def _offers(self) -> dict[tuple[object, ...], Decimal]:
        if time.monotonic() >= self._until:
            try:
                offers = self._ask()
            except FtkitError as error:  # a deployment is told of, and made, without its price
                logger.info("the prices of Inference Endpoints are not known: %s", error)
                return self._known
            self._known = {
                (o.vendor, o.region, o.accelerator, o.instance_type, o.instance_size): price
                for o in offers
                if (price := _usd(o.price_per_hour)) is not None
            }
            self._until = time.monotonic() + _FRESH_S
        return self._known


def _price(one: Decimal | None, seen: Seen) -> Decimal | None:
    if seen.state in FREE:
        return Decimal(0)
    return None if one is None else one * seen.replicas


def _usd(told: object) -> Decimal | None:
    try:
        price = Decimal(str(told))
    except InvalidOperation:
        return None
    return price if price.is_finite() and price > 0 else None
