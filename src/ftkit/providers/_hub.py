"""The Hub, for every provider that asks it: its client, limits on how long it may take, and its errors as ours."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urljoin

from ftkit.errors import (
    ConfigurationError,
    CredentialsError,
    FtkitError,
    MissingExtraError,
    ProviderError,
    ProviderUnavailableError,
)
from ftkit.plugin.http_errors import error_of, origin_of, raise_alone, retry_after_s, sent_elsewhere
from ftkit.plugin.secrets import borne_by, forget, masked
from ftkit.retrying import DEADLINE_S

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    import httpx2
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

_TOKENS = "https://huggingface.co/settings/tokens"
TOKEN_HINT = f"Set HF_TOKEN to a token that may write ({_TOKENS}), log in with `hf auth login`, or give token=..."
_UNAUTHORIZED = 401
_HINTS = {
    _UNAUTHORIZED: TOKEN_HINT,
    402: "Add a payment method, or credits, at https://huggingface.co/settings/billing.",
    403: "See that the token may write, and that it may do so for this user or organisation.",
}
"""What to do about a refusal, by its status."""

_CENTS = Decimal("0.0001")
_HOURS = {"hour": Decimal(1), "minute": Decimal(60), "second": Decimal(3600)}
_ANSWER_S = 60.0
_ASKING: ContextVar[str] = ContextVar("_ASKING", default="")
"""Name of the provider that asks, as long as it does."""


def refusal(
    provider: str,
    status: int,
    message: str,
    *,
    request_id: str | None = None,
    retry_after: str | None = None,
    sent: str | None = None,
) -> ProviderError | CredentialsError:
    """Returns the error that an answer of the Hub's stands for.

    Args:
        provider: Who asked.
        status: Its HTTP status.
        message: Its words, without secrets.
        request_id: The Hub's id of the request.
        retry_after: What it says of when to ask again.
        sent: When it was sent, by its own words.
    """
    return error_of(
        status,
        f"the Hub refused the token: {message}" if status == _UNAUTHORIZED else message,
        provider=provider,
        request_id=request_id,
        retry_after=retry_after_s(retry_after, sent),
        hint=_HINTS.get(status),
    )


@contextmanager
def hub_asked(provider: str, hide: Callable[[str], str]) -> Generator[None]:
    """Turns what huggingface_hub raises into an error of ours, and lets no request wait for ever.

    Args:
        provider: Who asks.
        hide: Takes out of a text what must not be told.

    Raises:
        ProviderError: See `refusal`; what did not come back at all is a `ProviderUnavailableError`.
        CredentialsError: The token is refused.
    """
    try:
        with _limited(provider):
            yield
    except FtkitError:
        raise
    except BaseException as error:
        failure = _translated(provider, error, hide)
        if failure is None:  # Ctrl-C, say: huggingface_hub's frames hold the request, and with it the token
            forget(error)
            raise
    else:
        return
    raise_alone(failure)


def _translated(provider: str, error: BaseException, hide: Callable[[str], str]) -> FtkitError | None:
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError

    if isinstance(error, RuntimeError) and isinstance(error.__cause__, httpx2.HTTPError | OSError):
        error = error.__cause__  # huggingface_hub's own is around what went wrong with a large file
    if isinstance(error, HfHubHTTPError):
        return _of_answer(provider, error, hide)
    if isinstance(error, httpx2.HTTPError | OSError):
        return _unreachable(provider, error, hide)
    if isinstance(error, httpx2.InvalidURL):  # which says why, and with it a part of a password, perhaps
        message = f"{provider}: the address of the Hub, or of a proxy in the environment, cannot be one"
        return ConfigurationError(message, hint="See HF_ENDPOINT, and HTTPS_PROXY and the like.")
    if isinstance(error, ValueError | KeyError | TypeError):
        said = hide(f"{type(error).__name__}: {error}")
        return ProviderUnavailableError(f"what the Hub sent cannot be read: {said}", provider=provider)
    return None


def _unreachable(provider: str, error: Exception, hide: Callable[[str], str]) -> ProviderUnavailableError:
    said = hide(str(error) or type(error).__name__)
    return ProviderUnavailableError(f"the Hub cannot be reached: {said}", provider=provider)


def _of_answer(provider: str, error: HfHubHTTPError, hide: Callable[[str], str]) -> ProviderError | CredentialsError:
    headers, request = error.response.headers, error.response.request

    def hidden(text: str) -> str:
        return hide(masked(text, borne_by(request)))

    message = hidden(error.server_message or str(error).strip().partition("\n")[0])
    return refusal(
        provider,
        error.response.status_code,
        message,
        request_id=hidden(headers.get("x-request-id") or headers.get("x-amzn-trace-id") or "") or None,
        retry_after=headers.get("retry-after"),
        sent=headers.get("date"),
    )


@contextmanager
def _limited(provider: str) -> Generator[None]:
    """Puts a limit on each of our own requests; huggingface_hub's client, which is the whole process's, has none."""
    from huggingface_hub import get_session

    hooks = get_session().event_hooks
    if _limit not in hooks["request"]:
        hooks["request"].append(_limit)
        hooks["response"] += [_stay, _heed]
    before = _ASKING.set(provider)
    try:
        yield
    finally:
        _ASKING.reset(before)


def _limit(request: httpx2.Request) -> None:
    given: dict[str, float | None] = request.extensions.get("timeout") or {}
    if _ASKING.get() and not any(given.values()):
        request.extensions["timeout"] = dict.fromkeys(("connect", "read", "write", "pool"), _ANSWER_S)


def _stay(response: httpx2.Response) -> None:
    """Lets what we write follow no redirect to another host: its body would go along, and a job's holds the token.

    What we read may be elsewhere: large files are, and httpx leaves the token out there.
    """
    asked = response.request
    if not _ASKING.get() or asked.method in {"GET", "HEAD"} or not response.has_redirect_location:
        return
    url, location = str(asked.url), response.headers["location"]
    if origin_of(urljoin(url, location)) != origin_of(url):
        raise sent_elsewhere(_ASKING.get(), asked.method, url, response.status_code, location)


def _heed(response: httpx2.Response) -> None:
    """Ends a request that is to be made again much later: huggingface_hub would sleep till then, if it takes years."""
    if not _ASKING.get() or not response.is_error:
        return
    from huggingface_hub.utils import parse_ratelimit_headers  # type: ignore[attr-defined] # which it does export

    headers = response.headers
    told = parse_ratelimit_headers(headers)
    asked = retry_after_s(headers.get("retry-after"), headers.get("date")) or 0.0
    wait_s = max(asked, told.reset_in_seconds if told is not None and told.remaining == 0 else 0.0)
    if wait_s > DEADLINE_S:
        message = f"the Hub asks to be left alone for {wait_s:.0f} s"
        raise refusal(_ASKING.get(), response.status_code, message, retry_after=str(wait_s))


def client_and_token(provider: str, hub: HfApi | None, token: str | None) -> tuple[HfApi, str]:
    """Returns huggingface_hub's client, and its token: processes that are started for it need that, too.

    Args:
        provider: Who asks.
        hub: A ready-made client.
        token: A token, in place of that; the one that huggingface_hub finds if both are None.

    Raises:
        ConfigurationError: Both are given.
        CredentialsError: There is no token, or it cannot be one.
        MissingExtraError: huggingface_hub is not installed.
    """
    try:
        from huggingface_hub import HfApi, get_token
    except ImportError as error:
        raise MissingExtraError("The Hub", "huggingface") from error
    if hub is not None and token is not None:
        raise ConfigurationError("a ready-made client has its own token")
    given = hub.token if hub is not None else token
    found = given if isinstance(given, str) else None if given is False else get_token()
    if not found:
        raise CredentialsError(f"{provider}: there is no token for the Hub", hint=TOKEN_HINT)
    if not (found.isascii() and found.isprintable() and " " not in found):
        message = f"{provider}: the token holds a line break, a blank or a letter that no token has"
        raise CredentialsError(message, hint="Read it with .strip(), if it comes from a file.")
    return hub if hub is not None else HfApi(token=found), found


class Hardware(Protocol):
    """Hardware of the Hub, whatever it is for."""

    name: str
    unit_cost_usd: float
    unit_label: str


def prices_of(listed: Iterable[Hardware]) -> dict[str, Decimal | None]:
    """Returns the price of hardware in USD an hour, by its name; None where the Hub counts in a unit not known here."""
    return {
        each.name: (Decimal(str(each.unit_cost_usd)) * _HOURS[each.unit_label]).quantize(_CENTS)
        if each.unit_label in _HOURS
        else None
        for each in listed
    }
