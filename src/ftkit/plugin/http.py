"""Asking a vendor over HTTP where it has no package of its own: each request once, what comes back read with care."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import quote

from pydantic import BaseModel, SecretStr, ValidationError

from ftkit.errors import ConfigurationError, CredentialsError, FtkitError, NotFoundError, ProviderUnavailableError
from ftkit.plugin.http_errors import error_of, plain, raise_alone, retry_after_s, sent_elsewhere
from ftkit.plugin.secrets import HoldsKey, forget, forgetful, split_address, url_shown

if TYPE_CHECKING:
    from collections.abc import Generator

    import httpx2

B = TypeVar("B", bound=BaseModel)

_MOST_SHOWN = 200
_UNAUTHORIZED = 401


class HttpService(HoldsKey):
    """A service over HTTP, with a key that is shown nowhere.

    No request is repeated, and no redirect is followed: it would take the data, and the key, along. Reads are tried
    again by `Client`, and a create by nobody. Needs the package httpx2, which a plug-in names among its dependencies.

    Args:
        provider: Name of the provider, for errors.
        url: Base address of the service.
        key: The key.
        hint: What to do where there is no key, or it is refused.
        header: The header that bears the key; "Authorization" bears it as "Bearer ...".
        timeout_s: Seconds that a request may take.
        client: A ready-made HTTP client: of a test, or with a proxy and certificates of its own.
        request_id: The header in which the vendor tells its id of a request.

    Raises:
        CredentialsError: There is no key, or it cannot be one.
        ConfigurationError: The address cannot be one.
    """

    @forgetful
    def __init__(
        self,
        provider: str,
        url: str,
        key: str | None,
        *,
        hint: str,
        header: str = "Authorization",
        timeout_s: float = 60.0,
        client: httpx2.Client | None = None,
        request_id: str = "x-request-id",
    ) -> None:
        import httpx2

        if not key:
            raise CredentialsError(f"{provider}: there is no key", hint=hint)
        if not (key.isascii() and key.isprintable() and " " not in key):
            raise CredentialsError(
                f"{provider}: the key holds a line break, a blank or a letter that no key has", hint=hint
            )
        if not url.startswith(("http://", "https://")) or split_address(url)[1]:
            raise ConfigurationError(
                f"{provider}: {url_shown(url)} is no address of a service", hint="Write https://..."
            )
        self.url = url.rstrip("/")
        self._provider = provider
        self._key = SecretStr(key)
        self._hint = hint
        self._header = header
        self._request_id = request_id
        self._is_own = client is None
        self._client = client or httpx2.Client(timeout=timeout_s)

    def __del__(self) -> None:
        if getattr(self, "_is_own", False):
            self._client.close()

    def __repr__(self) -> str:
        return f"HttpService({self._provider!r}, {self.url!r})"

    def ask(self, body: type[B], method: str, *path: str, **request: Any) -> B:
        """Makes one request, and reads the answer.

        Args:
            body: The model of the answer.
            method: "GET", "POST", ...
            path: The parts of the path below the base address. Each is quoted: an id is never more than one part.
            request: What httpx2's `Client.request` takes besides: json, params, content, files, ...

        Raises:
            ProviderUnavailableError: The answer is not what it should be: HTML, half of it, or something else. So what
                became of the request is not known.
            NotFoundError: A part of the path can be no id.
            FtkitError: Otherwise as for `send`.
        """
        response = self.send(method, *path, **request)
        try:
            return body.model_validate_json(response.content)
        except ValidationError:
            noun, shown = body.__name__.removesuffix("Body").lower(), self.hide(response.text)[:_MOST_SHOWN]
            message = f"what it sent is no {noun}: {shown!r}"
        raise ProviderUnavailableError(message, **self._where(response))

    def send(self, method: str, *path: str, **request: Any) -> httpx2.Response:
        """Makes one request. Arguments as for `ask`.

        Raises:
            CredentialsError: The key is refused.
            ProviderUnavailableError: The service did not answer, or answered 408 or 5xx.
            ProviderError: It refused, in one of the ways of `error_of`.
        """
        place = "/".join((self.url, *map(self._part, path)))
        bearing = self._key.get_secret_value()
        headers = {self._header: f"Bearer {bearing}" if self._header == "Authorization" else bearing}
        headers |= request.pop("headers", {})
        with self._errors():
            response = self._client.request(method, place, headers=headers, follow_redirects=False, **request)
        self._check(response)
        return response

    def hide(self, text: str) -> str:
        """Returns a text without the key, and no longer than anybody reads."""
        return plain(text, [self._key.get_secret_value()])

    def _part(self, part: str) -> str:
        if part in {"", ".", ".."} or not part.isprintable():
            raise NotFoundError(f"there is no {part[:80]!r}", provider=self._provider)
        return quote(part, safe="")

    def _check(self, response: httpx2.Response) -> None:
        if response.has_redirect_location:
            asked = response.request
            location = self.hide(response.headers["location"])
            raise sent_elsewhere(self._provider, asked.method, str(asked.url), response.status_code, location)
        if response.is_success:
            return
        headers, status = response.headers, response.status_code
        where = self._where(response)
        del where["status_code"]
        raise error_of(
            status,
            self.hide(_message(response.text)),
            retry_after=retry_after_s(headers.get("retry-after"), headers.get("date")),
            hint=self._hint if status == _UNAUTHORIZED else None,
            **where,
        )

    def _where(self, response: httpx2.Response) -> dict[str, Any]:
        request_id = self.hide(response.headers.get(self._request_id, "")) or None
        return {"provider": self._provider, "request_id": request_id, "status_code": response.status_code}

    @contextmanager
    def _errors(self) -> Generator[None]:
        import httpx2

        try:
            yield
        except FtkitError:
            raise
        except httpx2.TimeoutException:
            failure = ProviderUnavailableError(f"{self.url} did not answer in time", provider=self._provider)
        except httpx2.HTTPError as error:
            message = f"{self.url} cannot be reached: {self.hide(str(error))}"
            failure = ProviderUnavailableError(message, provider=self._provider)
        except BaseException as error:  # Ctrl-C, say: httpx2's frames hold the request, and with it the key
            forget(error)
            raise
        else:
            return
        raise_alone(failure)


def _message(text: str) -> str:
    """Returns the vendor's own words out of an error's body, in the forms that are common (RFC 9457 among them)."""
    try:
        told: object = json.loads(text)
    except ValueError:
        return text or "no message"
    body = cast("dict[str, object]", told) if isinstance(told, dict) else {}
    inner = body.get("error")
    nested = cast("dict[str, object]", inner) if isinstance(inner, dict) else {"message": inner}
    said = next(
        (part for part in (nested.get("message"), body.get("message"), body.get("detail"), body.get("title")) if part),
        text,
    )
    return str(said)
