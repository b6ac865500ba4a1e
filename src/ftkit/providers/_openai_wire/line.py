"""Asking a service through the `openai` package: each request once, and what comes back read with care."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from ftkit.errors import ConfigurationError, CredentialsError, ProviderUnavailableError
from ftkit.plugin.http_errors import plain
from ftkit.plugin.secrets import HoldsKey, borne_by, masked, url_shown
from ftkit.providers._openai_wire.bodies import Body, ListBody
from ftkit.providers._openai_wire.errors import translated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    import httpx2
    import openai

B = TypeVar("B", bound=Body)

PAGE = 100
"""Most items that are asked for at once."""


class Line(HoldsKey):
    """A way to a service. The package tries nothing again: reads are tried again by `Client`, a create by nobody.

    Args:
        client: The package's client.
        provider: Name of the provider, for errors.
        hint: What to do when the key is refused.

    Raises:
        CredentialsError: The key cannot be one.
        ConfigurationError: The address cannot be one, or the time for a request cannot.
    """

    def __init__(self, client: openai.OpenAI, provider: str, hint: str) -> None:
        self.client = _without_redirects(client.with_options(max_retries=0))
        self._provider = provider
        self._hint = hint
        if not _may_be_key(client.api_key):
            message = f"{provider}: the key holds a line break, a blank or a letter that no key has"
            raise CredentialsError(message, hint="Read it with .strip(), if it comes from a file.")
        if client.base_url.scheme not in {"http", "https"}:
            raise ConfigurationError(
                f"{provider}: {url_shown(client.base_url)} is no address of a service", hint="Write https://..."
            )
        time_s: object = client.timeout
        if isinstance(time_s, str) or (isinstance(time_s, int | float) and not time_s > 0):
            raise ConfigurationError(f"{provider}: timeout_s is a number of seconds above 0 (got {time_s})")

    def errors(self) -> AbstractContextManager[None]:
        """Turns the package's exceptions into ours, for the time of a `with` block."""
        return translated(self._provider, url_shown(self.client.base_url), self.hide, self._hint)

    def hide(self, text: str) -> str:
        """Returns a text without the key, and no longer than anybody reads."""
        return plain(text, [self.client.api_key] if self.client.api_key else [])

    def seal(self, salt: str) -> str:
        """Returns what stands for the key, and does not tell it."""
        place = self.client.base_url.netloc.decode("ascii")  # without user and password
        return hashlib.sha256(f"{salt} {place} {self.client.api_key}".encode()).hexdigest()

    def told(self, response: httpx2.Response) -> str:
        """Returns the text of an answer, without the key that was sent for it: some services repeat it."""
        return masked(response.text, borne_by(response.request))

    def request_id(self, response: httpx2.Response) -> str | None:
        """Returns the service's id of a request, without the key, if it gave one."""
        return self.hide(masked(response.headers.get("x-request-id", ""), borne_by(response.request))) or None

    def send(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> httpx2.Response:
        """Makes one request, by one of the package's `with_raw_response` methods."""
        with self.errors():
            response: httpx2.Response = call(*args, **kwargs).http_response
        return response

    def ask(self, body: type[B], call: Callable[..., Any], *args: Any, **kwargs: Any) -> B:
        """Makes one request, and reads the answer.

        Raises:
            ProviderUnavailableError: The answer is not what it should be: HTML, half of it, or something else. So what
                became of the request is not known.
        """
        response = self.send(call, *args, **kwargs)
        try:
            return body.model_validate_json(self.told(response))
        except ValidationError:
            shown = self.hide(self.told(response))[:200]
            message = f"what it sent is no {body.__name__.removesuffix('Body').lower()}: {shown!r}"
            where = {"provider": self._provider, "request_id": self.request_id(response)}
        raise ProviderUnavailableError(message, status_code=response.status_code, **where)

    def page(
        self, body: type[B], call: Callable[..., Any], *args: Any, limit: int = PAGE, **kwargs: Any
    ) -> tuple[list[B], bool]:
        """Reads one page of a list, and tells whether more follows."""
        found = self.ask(ListBody, call, *args, limit=limit, **kwargs)
        try:
            items = [body.model_validate(item) for item in found.data]
        except ValidationError as error:
            message = f"what it sent is no list: {error.errors(include_input=False)[0]['msg']}"
            raise ProviderUnavailableError(message, provider=self._provider) from None
        return items, len(items) >= limit if found.has_more is None else found.has_more

    def walk(self, body: type[B], call: Callable[..., Any], *args: Any, **kwargs: Any) -> Iterator[B]:
        """Yields the items of a list, page by page."""
        after: dict[str, Any] = {}
        more = True
        while more:
            items, more = self.page(body, call, *args, **kwargs, **after)
            last: Any = items[-1] if items else None
            if last is None or after.get("after") == last.id:  # a service that pays no heed to `after`
                return
            yield from items
            after = {"after": last.id}


def _without_redirects(client: openai.OpenAI) -> openai.OpenAI:
    """Lets a client follow no redirect, whatever its HTTP client does: others may use that as well.

    httpx would take along the body of a request, which is the data, and of its headers leave out `Authorization` alone.
    """
    prepare: Callable[[Any], Any] = client._prepare_options  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]

    def prepared(options: Any) -> Any:  # noqa: ANN401 - the package's own class is private
        options = prepare(options)
        options.follow_redirects = False
        return options

    client._prepare_options = prepared  # type: ignore[method-assign]  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    return client


def _may_be_key(key: str) -> bool:
    if key.startswith("<"):  # what the package writes where tokens take the place of a key
        return True
    return key.isascii() and key.isprintable() and " " not in key
