"""The one place where exceptions of the `openai` package become ours. No secret gets through."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import httpx2
import openai

from ftkit.errors import (
    CredentialsError,
    FtkitError,
    ProviderError,
    ProviderUnavailableError,
    QuotaError,
    RateLimitError,
)
from ftkit.plugin.http_errors import kind_of, raise_alone, retry_after_s, sent_elsewhere
from ftkit.plugin.secrets import borne_by, forget, masked

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

_QUOTA_CODES = {"insufficient_quota", "quotaExceeded", "billing_hard_limit_reached", "exceeded_quota"}
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _TOO_MANY = 401, 403, 404, 429
_COLLECTIONS = {"jobs", "files", "models", "uploads"}
_NOT_THERE = "See that it runs, that the network is there, and that the address (base_url or endpoint) is right."
_MAY_NOT = "See the permissions of this key and of its project, and whether the service may be used from this network."


@contextmanager
def translated(provider: str, where: str, hide: Callable[[str], str], hint: str | None = None) -> Generator[None]:
    """Turns what the package raises into an error of ours.

    Args:
        provider: Name of the provider.
        where: Its address.
        hide: Takes out of a text what must not be told. A function, since a traceback may show what we hold.
        hint: What to do about a key that is refused.

    Raises:
        ProviderError: See `of_status`; what did not come back at all is a `ProviderUnavailableError`.
        CredentialsError: The key is refused.
    """
    try:
        yield
    except FtkitError:
        raise
    except openai.APIStatusError as error:
        failure = _of_status(error, provider, _hiding(error, hide), hint)
    except openai.APITimeoutError:
        failure = ProviderUnavailableError(f"{where} did not answer in time", provider=provider)
    except (openai.APIConnectionError, httpx2.HTTPError) as error:
        cause = str(error.__cause__ or error)
        message = f"{where} cannot be reached: {hide(cause)}"
        failure = ProviderUnavailableError(message, provider=provider, hint=_NOT_THERE)
    except openai.APIError as error:  # told in the middle of a stream
        failure = ProviderUnavailableError(
            f"{where} broke off: {_hiding(error, hide)(error.message)}", provider=provider
        )
    except ValueError as error:  # half a JSON object; of a create that is no clear no, and must not pass for one
        failure = ProviderUnavailableError(f"what it sent cannot be read: {hide(str(error))}", provider=provider)
    except openai.OpenAIError as error:  # no request was made
        failure = CredentialsError(f"{provider}: {hide(str(error))}", hint=hint)
    except BaseException as error:  # Ctrl-C, say: the package's frames hold the request, and with it the key
        forget(error)
        raise
    else:
        return
    raise_alone(failure)


def _hiding(error: openai.APIError, hide: Callable[[str], str]) -> Callable[[str], str]:
    """Adds to what is hidden the key that the request bore: one that a credential gave is nowhere else."""
    return lambda text: hide(masked(text, borne_by(error.request)))


def _of_status(
    error: openai.APIStatusError, provider: str, hide: Callable[[str], str], hint: str | None
) -> ProviderError | CredentialsError:
    status, message = error.status_code, hide(_message(error))
    if status == _UNAUTHORIZED:
        return CredentialsError(f"{provider}: {message}", hint=hint)
    if error.response.has_redirect_location:
        asked, location = error.request, error.response.headers["location"]
        request_id = hide(error.request_id or "") or None
        return sent_elsewhere(provider, asked.method, hide(str(asked.url)), status, hide(location), request_id)
    where: dict[str, Any] = {
        "provider": provider,
        "request_id": hide(error.request_id or "") or None,
        "status_code": status,
    }
    if status == _TOO_MANY and (error.code in _QUOTA_CODES or error.type in _QUOTA_CODES):
        return QuotaError(
            message, hint="See the account's limits and billing; waiting alone does not mend it.", **where
        )
    if status == _TOO_MANY:
        headers = error.response.headers
        seconds = retry_after_s(headers.get("retry-after"), headers.get("date"))
        return RateLimitError(message, retry_after_s=seconds, **where)
    told = _MAY_NOT if status == _FORBIDDEN else None
    if status == _NOT_FOUND and _is_elsewhere(error):
        told = f"Is {hide(str(error.request.url))} where the API is? See base_url (it often ends in /v1) or endpoint."
    return kind_of(status)(message, hint=told, **where)


def _is_elsewhere(error: openai.APIStatusError) -> bool:
    """Whether there is no API at all: it says what is not there, and a collection is always there."""
    return _said(error) is None or error.request.url.path.rpartition("/")[2] in _COLLECTIONS


def _message(error: openai.APIStatusError) -> str:
    """Returns the service's own words; those of the package begin with all that was sent back."""
    told = _body(error)
    said = _said(error) or told.get("detail") or told.get("title")  # the last two: RFC 9457, and many a proxy
    return str(said or error.message or f"HTTP status {error.status_code}")


def _said(error: openai.APIStatusError) -> object:
    return _body(error).get("message") or None


def _body(error: openai.APIStatusError) -> dict[str, object]:
    body: object = error.body
    return cast("dict[str, object]", body) if isinstance(body, dict) else {}
