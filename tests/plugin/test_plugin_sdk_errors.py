"""`sdk_errors`, on the package `openai`: what a package of that kind raises is one of our errors, and tells no key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx2
import openai
import pytest

from ftkit.errors import (
    CredentialsError,
    FtkitError,
    NotFoundError,
    ProviderError,
    ProviderUnavailableError,
    QuotaError,
    RateLimitError,
)
from ftkit.plugin import sdk_errors

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = "sk-test-4711-very-secret"


def asked(answer: Callable[[httpx2.Request], httpx2.Response], **how: Any) -> FtkitError:
    """Reads a model from a service that answers so, and returns the error that comes of it."""
    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    client = openai.OpenAI(api_key=KEY, base_url="https://acme.example/v1", http_client=http, max_retries=0)
    with pytest.raises(FtkitError) as caught, sdk_errors(openai, "acme", secrets=[KEY], **how):
        client.models.retrieve("small").id.strip()
    assert KEY not in f"{caught.value!r}{caught.value}{vars(caught.value)}"
    assert caught.value.__context__ is None
    return caught.value


def says(status: int, body: object, **headers: str) -> Callable[[httpx2.Request], httpx2.Response]:
    return lambda _: httpx2.Response(status, json=body, headers=headers)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, ProviderError), (402, QuotaError), (404, NotFoundError), (500, ProviderUnavailableError)],
)
def test_a_refusal_is_told_in_the_vendors_words(status: int, kind: type[ProviderError]) -> None:
    error = asked(
        says(status, {"error": {"message": f"no, {KEY}"}}, **{"x-acme-id": "r-1"}), request_ids=("x-acme-id",)
    )
    assert type(error) is kind
    assert isinstance(error, ProviderError)
    assert (error.message, error.status_code) == ("acme: no, *** (request id r-1)", status)


@pytest.mark.parametrize("body", [{"error": "no"}, {"message": "no"}, {"detail": "no"}, {"error": {"title": "no"}}])
def test_the_words_are_found_in_every_form(body: object) -> None:
    assert asked(says(400, body)).message == "acme: no"


def test_a_key_that_is_refused_has_a_hint() -> None:
    error = asked(says(401, {"error": {"message": f"wrong key {KEY}"}}), hint="Set ACME_KEY.")
    assert isinstance(error, CredentialsError)
    assert str(error) == "acme: wrong key ***\n  -> Set ACME_KEY."


def test_how_long_to_wait_is_told() -> None:
    error = asked(says(429, {}, **{"retry-after": "7"}))
    assert isinstance(error, RateLimitError)
    assert error.retry_after_s == 7


def test_a_redirect_is_an_error_with_its_address() -> None:
    http = says(307, {}, location="https://elsewhere.example/x?key=1")
    error = asked(lambda request: http(request) if request.url.host == "acme.example" else httpx2.Response(500))
    assert isinstance(error, ProviderError)


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: httpx2.Response(200, text="<html>Please sign in</html>", headers={"content-type": "text/html"}),
        lambda _: httpx2.Response(200, text='{"id": "sm', headers={"content-type": "application/json"}),
        says(200, {"object": "model"}),
    ],
    ids=["html", "half", "schema"],
)
def test_what_cannot_be_read_is_unclear(answer: Callable[[httpx2.Request], httpx2.Response]) -> None:
    error = asked(answer)
    assert isinstance(error, ProviderUnavailableError)
    assert "cannot be read" in str(error)


def test_no_answer_is_unclear() -> None:
    def breaks(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ReadError(f"reset by peer, {KEY}", request=request)

    error = asked(breaks)
    assert isinstance(error, ProviderUnavailableError)
    assert "no answer came: reset by peer, ***" in str(error)


def test_a_client_that_the_package_uses_past_itself() -> None:
    with (
        pytest.raises(ProviderUnavailableError, match="no answer came: late"),
        sdk_errors(openai, "acme", no_answer=(httpx2.HTTPError,)),
    ):
        raise httpx2.ReadTimeout("late")


def test_a_secret_that_an_answer_repeats() -> None:
    with (
        pytest.raises(ProviderUnavailableError, match="no number: \\*\\*\\*"),
        sdk_errors(openai, "acme", secrets=[KEY]),
    ):
        raise ValueError(f"no number: {KEY}")


def test_errors_of_ours_pass() -> None:
    with pytest.raises(NotFoundError, match="there is no job"), sdk_errors(openai, "acme"):
        raise NotFoundError("there is no job")
