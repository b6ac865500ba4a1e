"""What errors of HTTP services have in common, whatever package brings them."""

from __future__ import annotations

import email.utils
import math
import time
from typing import TYPE_CHECKING, NoReturn

from ftkit.errors import ConflictError, NotFoundError, ProviderError, ProviderUnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST_SHOWN = 1000
_HIDDEN = "***"
_SHORTEST = 8
_NOT_FOUND, _TIMEOUT, _CONFLICT, _SERVER = 404, 408, 409, 500


def kind_of(status: int) -> type[ProviderError]:
    """Returns the error that an HTTP status stands for, where the service's own words say nothing more."""
    if status >= _SERVER or status == _TIMEOUT:
        return ProviderUnavailableError
    return {_NOT_FOUND: NotFoundError, _CONFLICT: ConflictError}.get(status, ProviderError)


def raise_alone(failure: Exception) -> NoReturn:
    """Raises an error, and no other behind it: a vendor's exception holds the request, and with it the key.

    `from None` alone hides the other, and keeps it: a `with` block is still handling it.
    """
    try:
        raise failure from None
    finally:
        failure.__context__ = None


def plain(text: str, secrets: Sequence[str]) -> str:
    """Returns a text without secrets, and no longer than anybody reads."""
    for secret in secrets:
        if len(secret) >= _SHORTEST:  # what is shorter is no secret, and stands in many words
            text = text.replace(secret, _HIDDEN).replace(repr(secret)[1:-1], _HIDDEN)
    return text[:_MOST_SHOWN]


def retry_after_s(value: str | None) -> float | None:
    """Reads Retry-After (RFC 9110, 10.2.3): seconds, or a date. What is neither says nothing.

    Returns:
        Seconds from now, 0 or more; None if there is nothing to go by.
    """
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None
