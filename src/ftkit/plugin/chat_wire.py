"""Asking an OpenAI-style chat endpoint over HTTP: our nouns to its JSON and back, its errors to ours."""

from __future__ import annotations

import json
import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from pydantic import SecretStr, ValidationError

from ftkit.errors import (
    ConfigurationError,
    CredentialsError,
    FtkitError,
    MissingExtraError,
    NotFoundError,
    ProviderError,
    ProviderUnavailableError,
    RateLimitError,
)
from ftkit.models import ChatChunk, ChatMessage, ChatOptions, ChatReply, ChatUsage
from ftkit.plugin.http_errors import plain, raise_alone, sent_elsewhere
from ftkit.plugin.secrets import HoldsKey, forget

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence

    import httpx2

_CONNECT_S = 5.0
_ANSWER_S = 600.0  # a long answer on a CPU takes minutes, and may wait for others before it
_DONE = "[DONE]"
_MOST_SHOWN = 500

_UNAUTHORIZED = 401
_NOT_FOUND = 404
_TOO_MANY = 429
_SERVER_ERRORS = 500


def request_body(
    model: str, messages: Sequence[ChatMessage], options: ChatOptions, *, stream: bool = False
) -> dict[str, Any]:
    """Returns the body of a chat request. What was not set is left out; `options.extra` goes in as it is.

    Raises:
        ConfigurationError: `extra` sets what has a field of its own.
    """
    body: dict[str, Any] = {
        "model": model,
        "messages": [message.model_dump(mode="json", exclude_none=True) for message in messages],
        **options.model_dump(mode="json", exclude_none=True, exclude={"extra"}),
        **({"stream": True, "stream_options": {"include_usage": True}} if stream else {}),
    }
    twice = sorted(body.keys() & options.extra.keys())
    if twice:
        message = f"ChatOptions.extra may not hold {', '.join(twice)}: that is set already"
        raise ConfigurationError(message, hint="Use the argument or the option of that name.")
    return {**body, **options.extra}


def reply_of(payload: Mapping[str, Any]) -> ChatReply:
    """Reads an answer. Fields that we do not know are passed over.

    Raises:
        KeyError, IndexError, TypeError, ValueError: It is not an answer.
    """
    choice = payload["choices"][0]
    message = choice["message"]
    return ChatReply(
        text=message.get("content") or "",
        model=payload["model"],
        finish_reason=choice.get("finish_reason"),
        usage=_usage_of(payload.get("usage")),
        tool_calls=tuple(message.get("tool_calls") or ()),
    )


def chunks_of(payloads: Iterable[Mapping[str, Any]]) -> Iterator[ChatChunk]:
    """Reads the events of a stream. The last piece tells why it ended, and the tokens that it took if they are told.

    Those come in an event of their own, after the end: the last piece waits for it.
    """
    last: ChatChunk | None = None
    for payload in payloads:
        usage = _usage_of(payload.get("usage"))
        for choice in payload.get("choices") or ():
            text, reason = _object(choice.get("delta")).get("content") or "", choice.get("finish_reason")
            if reason:
                last = ChatChunk(text=text, finish_reason=reason)
            elif text:
                yield ChatChunk(text=text)
        if last is not None and usage is not None:
            last = last.model_copy(update={"usage": usage})
    if last is not None:
        yield last


def to_the_end(chunks: Iterable[ChatChunk], provider: str) -> Iterator[ChatChunk]:
    """Yields the pieces of an answer, and sees that the last one says why it ended.

    Raises:
        ProviderUnavailableError: The answer broke off. Many a package takes that for its end.
    """
    piece: ChatChunk | None = None
    for piece in chunks:
        yield piece
    if piece is None or piece.finish_reason is None:
        raise ProviderUnavailableError("the answer broke off", provider=provider)


def _usage_of(value: object) -> ChatUsage | None:
    usage = _object(value)
    if not usage:
        return None
    try:
        return ChatUsage(prompt_tokens=usage["prompt_tokens"], completion_tokens=usage["completion_tokens"])
    except (KeyError, ValidationError):  # it counts in some other way: the answer is one all the same
        return None


def _object(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


class ChatEndpoint(HoldsKey):
    """One endpoint. Holds no connection between calls.

    Args:
        provider: Name of the provider, for errors.
        url: Base address, ending in /v1.
        token: What it asks for; shown nowhere.
        hint: What to do when it cannot be reached.
    """

    def __init__(self, provider: str, url: str, token: str, hint: str | None = None) -> None:
        self._provider = provider
        self._url = url
        self._token = SecretStr(token)
        self._hint = hint

    def __repr__(self) -> str:
        return f"ChatEndpoint({self._provider!r}, {self._url!r})"

    def chat(self, model: str, messages: Sequence[ChatMessage], options: ChatOptions) -> ChatReply:
        """Asks, and waits for the whole answer.

        Raises:
            CredentialsError: The endpoint refuses the token.
            NotFoundError: It has no such model.
            ProviderUnavailableError: It cannot be reached, is still loading, or broke down.
            ProviderError: It refuses the request, or what it sends is no answer.
        """
        body = request_body(model, messages, options)
        with self._errors(), self._client() as client:
            response = client.post("/chat/completions", json=body)
            self._check(response)
            try:
                return reply_of(response.json())
            except (ValueError, KeyError, IndexError, TypeError):
                message = f"what it sent is no answer: {self._hide(response.text)}"
            raise ProviderError(message, provider=self._provider)

    def stream(self, model: str, messages: Sequence[ChatMessage], options: ChatOptions) -> Iterator[ChatChunk]:
        """Asks, and yields the answer as it comes. To stop early, close the iterator. Errors as for `chat`."""
        body = request_body(model, messages, options, stream=True)
        with (
            self._errors(),
            self._client() as client,
            client.stream("POST", "/chat/completions", json=body) as response,
        ):
            if not response.is_success:
                response.read()
                self._check(response)
            yield from chunks_of(self._payloads(response))

    def _payloads(self, response: httpx2.Response) -> Iterator[dict[str, Any]]:
        import httpx2

        for event in httpx2.EventSource(response):
            if event.data == _DONE:
                return
            payload = _object(json.loads(event.data))
            if "error" in payload:
                said = self._hide(_message(payload, event.data))
                del event, payload  # a traceback that shows variables would show what they repeat
                raise ProviderError(said, provider=self._provider)
            yield payload
        raise ProviderUnavailableError("the answer broke off", provider=self._provider, hint=self._hint)

    def _client(self) -> httpx2.Client:
        import httpx2

        return httpx2.Client(
            base_url=self._url,
            headers={"Authorization": f"Bearer {self._token.get_secret_value()}"},
            timeout=httpx2.Timeout(_ANSWER_S, connect=_CONNECT_S),
            trust_env=False,  # no proxy, and no .netrc, comes between
            follow_redirects=False,
            # Reading the system's certificates takes 50 ms; a context without any trusts nobody, should it be asked.
            verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if self._url.startswith("http://") else True,
        )

    @contextmanager
    def _errors(self) -> Generator[None]:
        try:
            import httpx2
        except ImportError as error:
            raise MissingExtraError("Asking a local model", "local") from error
        try:
            yield
        except FtkitError:
            raise
        except httpx2.TimeoutException as error:
            message = f"{self._url} did not answer in time ({type(error).__name__})"
            failure: ProviderError = ProviderUnavailableError(message, provider=self._provider, hint=self._hint)
        except httpx2.TransportError as error:
            message = f"{self._url} cannot be reached: {self._hide(str(error))}"
            failure = ProviderUnavailableError(message, provider=self._provider, hint=self._hint)
        except (httpx2.DecodingError, httpx2.SSEError, ValueError) as error:
            message = f"what {self._url} sent cannot be read: {self._hide(str(error))}"
            failure = ProviderError(message, provider=self._provider)
        except BaseException as error:  # Ctrl-C, say: httpx2's frames hold the request, and with it the token
            forget(error)
            raise
        else:
            return
        raise_alone(failure)

    def _hide(self, text: str) -> str:
        """Returns a text without the token: what answers may repeat it."""
        return plain(text, [self._token.get_secret_value()])[:_MOST_SHOWN]

    def _check(self, response: httpx2.Response) -> None:
        if response.is_success:
            return
        status = response.status_code
        if response.has_redirect_location:
            location = self._hide(response.headers["location"])
            raise sent_elsewhere(self._provider, "POST", self._url, status, location)
        kind: type[ProviderError] = ProviderError
        if status == _UNAUTHORIZED:
            message = f"{self._provider}: {self._url} refuses the token"
            raise CredentialsError(message, hint="Delete the deployment, and deploy again.")
        if status == _NOT_FOUND:
            kind = NotFoundError
        elif status == _TOO_MANY:
            kind = RateLimitError
        elif status >= _SERVER_ERRORS:
            kind = ProviderUnavailableError
        raise kind(self._said(response), provider=self._provider, status_code=status, hint=_hint_for(status))

    def _said(self, response: httpx2.Response) -> str:
        try:
            payload: object = response.json()
        except ValueError:  # not from the endpoint itself, or it broke down: its text is all there is
            payload = None
        return self._hide(_message(_object(payload), response.text))


def _message(payload: Mapping[str, Any], text: str) -> str:
    error = payload.get("error")
    said = _object(error).get("message") or error
    return str(said) if said else text or "no message"


def _hint_for(status: int) -> str | None:
    return "Its log.txt says why." if status == _SERVER_ERRORS else None
