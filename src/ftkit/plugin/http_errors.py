"""What errors of HTTP services have in common, whatever package brings them."""

from __future__ import annotations

import email.utils
import math
import time
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urljoin, urlsplit

from ftkit.errors import (
    ConflictError,
    CredentialsError,
    NotFoundError,
    ProviderError,
    ProviderUnavailableError,
    QuotaError,
    RateLimitError,
)
from ftkit.plugin.secrets import masked, surrounding

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST_SHOWN = 1000
_UNAUTHORIZED, _PAYMENT, _NOT_FOUND, _TIMEOUT, _CONFLICT, _TOO_MANY, _SERVER = 401, 402, 404, 408, 409, 429, 500
_SEE_OTHER = frozenset({301, 302, 303})
_PORTS = {"http": 80, "https": 443}


def kind_of(status: int) -> type[ProviderError]:
    """Returns the error that an HTTP status stands for, where the service's own words say nothing more."""
    if status >= _SERVER or status == _TIMEOUT:
        return ProviderUnavailableError
    return {_NOT_FOUND: NotFoundError, _CONFLICT: ConflictError}.get(status, ProviderError)


def error_of(
    status: int,
    message: str,
    *,
    provider: str,
    request_id: str | None = None,
    retry_after: float | None = None,
    hint: str | None = None,
) -> ProviderError | CredentialsError:
    """Returns the error that an answer over HTTP is, by its status.

    Args:
        status: The status.
        message: The vendor's own words. Take keys out before: see `plain`.
        provider: Name of the provider.
        request_id: The vendor's id of the request.
        retry_after: Seconds that the vendor asks to wait; see `retry_after_s`.
        hint: What to do next.
    """
    if status == _UNAUTHORIZED:
        return CredentialsError(f"{provider}: {message}", hint=hint)
    if status == _TOO_MANY:
        return RateLimitError(
            message,
            retry_after_s=retry_after,
            provider=provider,
            request_id=request_id,
            status_code=status,
            hint=hint,
        )
    kind = QuotaError if status == _PAYMENT else kind_of(status)
    return kind(message, provider=provider, request_id=request_id, status_code=status, hint=hint)


def sent_elsewhere(
    provider: str, method: str, url: str, status: int, location: str, request_id: str | None = None
) -> ProviderError:
    """Returns the error for an answer that is a redirect. None is followed: it would take data, and keys, along.

    Args:
        provider: Name of the provider.
        method: How it was asked.
        url: What was asked.
        status: The status of the answer.
        location: Where it sends us.
        request_id: The vendor's id of the request, if it told one.
    """
    parts = urlsplit(urljoin(url, location))
    where = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"[:_MOST_SHOWN]
    message = f"{urlsplit(url).netloc} sends us on to {where} ({status}), and no redirect is followed"
    hint = "If it is there now, give that address. A network that wants a login first does so, too."
    # These three may as well mean that it was done, and where the outcome is.
    is_unclear = status in _SEE_OTHER and method not in {"GET", "HEAD"}
    kind = ProviderUnavailableError if is_unclear else ProviderError
    return kind(message, provider=provider, hint=hint, status_code=status, request_id=request_id)


def origin_of(url: str) -> tuple[str, str, int | None]:
    """Returns what two addresses of one service have in common: scheme, host and port."""
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or _PORTS.get(parts.scheme)


def raise_alone(failure: Exception) -> NoReturn:
    """Raises an error, and no other behind it: a vendor's exception holds the request, and with it the key.

    `from None` alone hides the other, and keeps it: a `with` block is still handling it.
    """
    try:
        raise failure from None
    finally:
        if failure.__context__ is not None:  # the frames of the `with` block show it all the same
            failure.__context__.args = ()
        failure.__context__ = None


def plain(text: str, secrets: Sequence[str]) -> str:
    """Returns a text without secrets, those of the environment among them, and no longer than anybody reads."""
    return masked(text, [*secrets, *surrounding()])[:_MOST_SHOWN]


def retry_after_s(value: str | None, sent: str | None = None) -> float | None:
    """Reads Retry-After (RFC 9110, 10.2.3): seconds, or a date. What is neither says nothing.

    Args:
        value: What it says.
        sent: The answer's own Date. A date is counted from there: ours may be wrong, and whoever wrote one wrote both.

    Returns:
        Seconds from now, 0 or more; None if there is nothing to go by.
    """
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        until, now = _moment(value), _moment(sent)
        if until is None:
            return None
        seconds = until - (time.time() if now is None else now)
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _moment(date: str | None) -> float | None:
    try:
        return None if date is None else email.utils.parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
