"""Asking endpoints: the token goes to the service's own hosts alone, and one that sleeps is waited for."""

from __future__ import annotations

import re
import ssl
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from pydantic import SecretStr

from ftkit.errors import CredentialsError, ProviderError, ProviderUnavailableError, RateLimitError
from ftkit.plugin.chat_wire import ChatEndpoint
from ftkit.plugin.http_errors import plain, raise_alone
from ftkit.plugin.secrets import HoldsKey
from ftkit.providers._hub import TOKEN_HINT
from ftkit.providers.huggingface.endpoint_reading import FAILED, PAUSED, RUNNING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from ftkit.models import ChatChunk, ChatMessage, ChatOptions, ChatReply, Deployment
    from ftkit.providers.huggingface.endpoint_reading import Seen

T = TypeVar("T")

LOG_PAGE = "https://endpoints.huggingface.co"
"""Where a person finds an endpoint's log."""

_OURS = ".endpoints.huggingface.cloud"
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_PLAIN_URL = re.compile(r"[a-z]+://[A-Za-z0-9.:\[\]-]+(/[\w./~-]*)?", re.ASCII)
_ASLEEP_ANSWERS = {502, 503}
_LAG_S = 30.0
"""How long the service may call an endpoint running that already sleeps."""
_HEALTH_S = 10.0
_OK, _SERVER_ERRORS = 200, 500


class EndpointLines(HoldsKey):
    """Lines to endpoints.

    Args:
        token: What they ask for; shown nowhere.
        provider: Name of the provider.
        look: Reads an endpoint by its name.
        poll_s: Seconds between two looks.
        wake_timeout_s: How long to wait for one that sleeps, in seconds.
    """

    def __init__(
        self, token: str, *, provider: str, look: Callable[[str], Seen], poll_s: float, wake_timeout_s: float
    ) -> None:
        self._token = SecretStr(token)
        self._provider = provider
        self._look = look
        self._poll_s = poll_s
        self._wake_timeout_s = wake_timeout_s

    def trouble(self, seen: Seen) -> str | None:
        """Asks a running endpoint whether it is well, and returns what is wrong; None if nothing is.

        Raises:
            ProviderError: The token would go to a stranger.
        """
        import httpx2

        if seen.url is None:
            return "it has no address yet"
        url = f"{self._checked(seen.url)}/{seen.health_route.lstrip('/')}"
        # As for a chat: reading the system's certificates takes 50 ms, and plain HTTP needs none.
        trusted = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if url.startswith("http://") else True
        line = httpx2.Client(timeout=_HEALTH_S, trust_env=False, follow_redirects=False, verify=trusted)
        try:
            with line:
                answer = line.get(url, headers={"Authorization": f"Bearer {self._token.get_secret_value()}"})
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            return f"{url} does not answer ({type(error).__name__})"
        return None if answer.status_code == _OK else f"{url} answers {answer.status_code}"

    def chat(self, deployment: Deployment, messages: Sequence[ChatMessage], options: ChatOptions) -> ChatReply:
        """Asks, and waits for the whole answer."""
        return self._answered(deployment, lambda line: line.chat(deployment.model, messages, options))

    def stream(
        self, deployment: Deployment, messages: Sequence[ChatMessage], options: ChatOptions
    ) -> Iterator[ChatChunk]:
        """Asks, and yields the answer as it comes. What has begun is never asked for again."""

        def begin(line: ChatEndpoint) -> tuple[Iterator[ChatChunk], ChatChunk | None]:
            chunks = line.stream(deployment.model, messages, options)
            return chunks, next(chunks, None)

        chunks, first = self._answered(deployment, begin)
        with self._told(), closing(chunks):  # type: ignore[type-var]  # a generator, as `stream` makes it
            if first is not None:
                yield first
            yield from chunks

    def _answered(self, deployment: Deployment, ask: Callable[[ChatEndpoint], T]) -> T:
        """Asks until the endpoint is awake: its proxy refuses with a 503 while it starts, and does not ask it."""
        name = deployment.name
        line = self._line(deployment)
        deadline = time.monotonic() + self._wake_timeout_s
        running_since: float | None = None
        while True:
            try:
                with self._told():
                    return ask(line)
            except ProviderUnavailableError as error:
                if error.status_code not in _ASLEEP_ANSWERS:
                    raise
                state, refused = self._state(name), error
            now = time.monotonic()
            running_since = (running_since or now) if state == RUNNING else None
            if running_since is not None and now - running_since >= _LAG_S:
                raise refused
            if now + self._poll_s > deadline:
                message = f"the endpoint '{name}' was asleep, and is not awake after {self._wake_timeout_s:g} s"
                hint = f"It goes on waking up ({state or 'its state is not known'}): ask again in a few minutes."
                raise self._unavailable(message, hint, refused.status_code)
            time.sleep(self._poll_s)

    def _state(self, name: str) -> str | None:
        """Returns where an endpoint stands that does not answer; None if that cannot be known just now.

        Raises:
            ProviderUnavailableError: It will not answer, however long one waits.
        """
        try:
            seen = self._look(name)
        except (ProviderUnavailableError, RateLimitError):
            return None
        if seen.state in FAILED:
            hint = f"Its log is at {LOG_PAGE}. Delete it, and deploy again: client.delete_deployment({name!r})."
            raise self._unavailable(f"the endpoint '{name}' has failed ({seen.state}): {seen.message}", hint)
        if seen.state == PAUSED:
            hint = "Deploy again under the same name: that resumes it."
            raise self._unavailable(f"the endpoint '{name}' is paused", hint)
        return seen.state

    def _line(self, deployment: Deployment) -> ChatEndpoint:
        url = deployment.url or self._look(deployment.name).url
        if url is None:
            message = f"the endpoint '{deployment.name}' has no address yet"
            raise self._unavailable(message, "It is still coming up: ask again in a few minutes.")
        base = f"{self._checked(url).removesuffix('/v1')}/v1"
        return ChatEndpoint(self._provider, base, self._token.get_secret_value())

    def _checked(self, url: str) -> str:
        """Returns an address that the token may be sent to.

        Raises:
            ProviderError: It is not one of the service's own, whatever the service says.
        """
        if not _PLAIN_URL.fullmatch(url) or not _is_ours(url):
            message = f"the token is not sent to {url[:200]!r}: that is no host of Inference Endpoints"
            raise ProviderError(message, provider=self._provider, hint=f"It must be https, and under {_OURS[1:]}.")
        return url.rstrip("/")

    @contextmanager
    def _told(self) -> Generator[None]:
        """Tells errors of an endpoint without the token, and with hints that fit."""
        try:
            yield
        except CredentialsError:
            message = f"{self._provider}: the endpoint refuses the token"
            failure: CredentialsError | ProviderError = CredentialsError(message, hint=TOKEN_HINT)
        except ProviderError as error:
            is_its_own = (error.status_code or 0) >= _SERVER_ERRORS
            failure = type(error)(
                self._hide(str(error.args[0])),
                provider=self._provider,
                status_code=error.status_code,
                hint=f"Its log, at {LOG_PAGE}, says why." if is_its_own else None,
            )
        else:
            return
        raise_alone(failure)

    def _hide(self, text: str) -> str:
        return plain(text, [self._token.get_secret_value()])

    def _unavailable(self, message: str, hint: str, status_code: int | None = None) -> ProviderUnavailableError:
        said = self._hide(message)
        return ProviderUnavailableError(said, provider=self._provider, status_code=status_code, hint=hint)


def _is_ours(url: str) -> bool:
    """Whether an address is the service's own; one on loopback is, where the service itself is there, as in tests."""
    from huggingface_hub import constants

    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    if parts.scheme == "https":
        return host.endswith(_OURS) and port in {None, 443}
    at_home = urlsplit(constants.INFERENCE_ENDPOINTS_ENDPOINT).hostname in _LOOPBACK
    return parts.scheme == "http" and host in _LOOPBACK and at_home
