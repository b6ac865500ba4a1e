"""Reads are tried again; nothing that costs ever is."""

from __future__ import annotations

from typing import TYPE_CHECKING, ParamSpec, TypeVar

import tenacity

from ftkit.errors import ProviderUnavailableError, RateLimitError

if TYPE_CHECKING:
    from collections.abc import Callable

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
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type((ProviderUnavailableError, RateLimitError)),
        stop=tenacity.stop_after_attempt(ATTEMPTS) | tenacity.stop_before_delay(DEADLINE_S),
        wait=_pause,
        reraise=True,
    )
    return retrying(call, *args, **kwargs)
