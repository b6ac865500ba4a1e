"""Reads are tried again; what costs, only where it was turned away at the door."""

from __future__ import annotations

from typing import TYPE_CHECKING, ParamSpec, TypeVar

import tenacity

from ftkit.errors import ProviderUnavailableError, RateLimitError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ftkit.errors import ProviderError

P = ParamSpec("P")
T = TypeVar("T")

ATTEMPTS = 5
DEADLINE_S = 60.0
_LONGEST_PAUSE_S = 20.0
_BACKOFF = tenacity.wait_exponential(multiplier=0.5, max=_LONGEST_PAUSE_S) + tenacity.wait_random(0, 1)


def _pause(state: tenacity.RetryCallState) -> float:
    """Waits as long as the provider asks, else longer each time, with jitter.

    A date that has passed asks for no pause at all; it may have passed by our clock alone, so some pause there is.
    """
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after_s if isinstance(error, RateLimitError) else None
    return asked if asked is not None and asked > 0 else _BACKOFF(state)


def read(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Calls something that only reads, and again if the provider is busy or away for a moment.

    At most `ATTEMPTS` calls, and none begins later than `DEADLINE_S` seconds after the first.

    Raises:
        ProviderError: The last answer, if none was better.
    """
    return _again_after(ProviderUnavailableError, RateLimitError)(call, *args, **kwargs)


def when_let_in(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Calls something that costs a little, and again only where it was turned away for its rate: nothing was done then.

    Raises:
        RateLimitError: It is turned away still.
        ProviderError: Any other answer, at once.
    """
    return _again_after(RateLimitError)(call, *args, **kwargs)


def _again_after(*errors: type[ProviderError]) -> tenacity.Retrying:
    return tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(errors),
        stop=tenacity.stop_after_attempt(ATTEMPTS) | tenacity.stop_before_delay(DEADLINE_S),
        wait=_pause,
        reraise=True,
    )
