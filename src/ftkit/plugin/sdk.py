"""Errors of a vendor's package, where the same generator made it that made `openai`, `anthropic` and `together`.

Those have the same classes under the same names: `APIStatusError` for an answer that is a refusal, below an `APIError`
for all that went wrong with a request.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from ftkit.errors import FtkitError, ProviderUnavailableError
from ftkit.plugin.http_errors import error_of, plain, raise_alone, retry_after_s, sent_elsewhere
from ftkit.plugin.secrets import borne_by, forget, masked

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence
    from types import ModuleType

_UNAUTHORIZED = 401
_MOST_SHOWN = 200


@contextmanager
def sdk_errors(
    package: ModuleType,
    provider: str,
    *,
    secrets: Sequence[str] = (),
    hint: str | None = None,
    request_ids: Sequence[str] = ("x-request-id",),
    no_answer: tuple[type[Exception], ...] = (),
) -> Generator[None]:
    """Turns what a package raises into an error of ours, for the time of a `with` block.

    Read the answer inside the block, too: what cannot be read is a `ProviderUnavailableError`, since nobody knows what
    became of such a request.

    Args:
        package: The package.
        provider: Name of the provider.
        secrets: What must not be told, beside what a request bore.
        hint: What to do about a key that is refused.
        request_ids: Names of the headers that may hold the vendor's id of a request, the best first.
        no_answer: What else means that no answer came: the errors of an HTTP client that the package uses past itself.

    Raises:
        ProviderError: The vendor refused, did not answer, or what it sent cannot be read; by its status: `error_of`.
        CredentialsError: The key was refused.
    """
    try:
        yield
    except FtkitError:
        raise
    except package.APIStatusError as error:
        failure: Exception = _refused(error, provider, secrets, hint, request_ids)
    except (package.APIError, *no_answer) as error:
        bears = [*secrets, *_borne(error)]
        cause = plain(str(error.__cause__ or error) or type(error).__name__, bears)
        failure = ProviderUnavailableError(f"no answer came: {cause}", provider=provider)
    except (ValueError, LookupError, TypeError, AttributeError) as error:  # HTML, half of it, or something else
        shown = plain(str(error), secrets)[:_MOST_SHOWN]
        failure = ProviderUnavailableError(f"what it sent cannot be read: {shown}", provider=provider)
    except BaseException as error:  # Ctrl-C, say: the package's frames hold the request, and with it the key
        forget(error)
        raise
    else:
        return
    raise_alone(failure)


def _refused(
    error: Any,  # noqa: ANN401 - of a class that every such package has for itself
    provider: str,
    secrets: Sequence[str],
    hint: str | None,
    request_ids: Sequence[str],
) -> Exception:
    headers: Mapping[str, str] = error.response.headers
    bears = [*secrets, *_borne(error)]
    status: int = error.status_code
    if error.response.has_redirect_location:
        asked, location = error.response.request, plain(headers["location"], bears)
        return sent_elsewhere(provider, asked.method, plain(str(asked.url), bears), status, location)
    request_id = next((headers[name] for name in request_ids if headers.get(name)), "")
    return error_of(
        status,
        plain(_said(error), bears),
        provider=provider,
        request_id=plain(masked(request_id, bears), ()) or None,
        retry_after=retry_after_s(headers.get("retry-after"), headers.get("date")),
        hint=hint if status == _UNAUTHORIZED else None,
    )


def _borne(error: object) -> list[str]:
    """Returns the secrets that the request of an error bore, if it is known."""
    try:
        request = getattr(error, "request", None)
    except RuntimeError:  # what an HTTP client says where it does not know it
        return []
    return [] if request is None else list(borne_by(request))


def _said(error: Any) -> str:  # noqa: ANN401 - likewise
    """Returns the vendor's own words: of {"error": {"message": ...}}, or of what is around or inside of it."""
    body: object = error.body  # some packages hand on what is under "error" alone
    if isinstance(body, str) and body:
        return body
    told = cast("dict[str, object]", body) if isinstance(body, dict) else {}
    inner: object = told.get("error", told)
    if isinstance(inner, dict):
        fields = cast("dict[str, object]", inner)
        inner = fields.get("message") or fields.get("detail") or fields.get("title")
    return str(inner or error.message)
