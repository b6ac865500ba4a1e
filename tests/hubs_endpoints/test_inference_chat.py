"""Asking Inference Endpoints: awake, asleep, broken, and not where the token may go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hubs.endpoints import BREAK, HANG, RESET, TOKEN, USER, refusal

from ftkit import CredentialsError, NotFoundError, ProviderError, ProviderUnavailableError, RateLimitError
from ftkit.models import ChatMessage, ChatOptions
from ftkit.plugin import chat_wire
from ftkit.providers.huggingface import endpoint_chat

if TYPE_CHECKING:
    from collections.abc import Callable

    from endpoints_standin import EndpointsStandIn

    from ftkit.errors import FtkitError
    from ftkit.models import Deployment
    from ftkit.providers.huggingface.endpoints import HubEndpoints

HELLO = [ChatMessage(role="user", content="Hello?")]
HOWS = ["whole", "streamed"]


@pytest.fixture
def deployment(endpoints: HubEndpoints) -> Deployment:
    return endpoints.deploy("mine", f"{USER}/tuned", "job-4711", {})


@pytest.fixture(params=HOWS)
def ask(request: pytest.FixtureRequest, endpoints: HubEndpoints) -> Callable[[Deployment], str]:
    """Asks either way, and returns the text."""

    def whole(deployment: Deployment) -> str:
        return endpoints.chat(deployment, HELLO, ChatOptions()).text

    def streamed(deployment: Deployment) -> str:
        return "".join(chunk.text for chunk in endpoints.stream_chat(deployment, HELLO, ChatOptions())).strip()

    return whole if request.param == "whole" else streamed


def test_an_answer(endpoints: HubEndpoints, service: EndpointsStandIn, deployment: Deployment) -> None:
    before = service.requests["GET endpoint/one"]
    reply = endpoints.chat(deployment, HELLO, ChatOptions(temperature=0, max_tokens=8))
    assert (reply.text, reply.model, reply.finish_reason) == ("echo: Hello?", "mine", "stop")
    assert reply.usage is not None
    assert reply.usage.completion_tokens == 4
    assert service.asked[0]["temperature"] == 0
    assert service.asked[0]["max_tokens"] == 8
    assert service.requests["GET endpoint/one"] == before, "one request an answer"


def test_an_answer_piece_by_piece(endpoints: HubEndpoints, deployment: Deployment) -> None:
    chunks = list(endpoints.stream_chat(deployment, HELLO, ChatOptions()))
    assert [chunk.text for chunk in chunks] == ["echo: ", "Hello? ", ""]
    assert chunks[-1].finish_reason == "stop"
    assert chunks[-1].usage is not None


def test_a_stream_can_be_left_early(endpoints: HubEndpoints, deployment: Deployment) -> None:
    stream = endpoints.stream_chat(deployment, HELLO, ChatOptions())
    assert next(stream).text == "echo: "
    stream.close()  # type: ignore[attr-defined]  # a generator
    assert list(stream) == []


def test_the_repositorys_name_is_served_as_well(ask: Callable[..., str], deployment: Deployment) -> None:
    assert ask(deployment.model_copy(update={"model": f"{USER}/tuned"})) == "echo: Hello?"
    with pytest.raises(NotFoundError, match="does not exist"):
        ask(deployment.model_copy(update={"model": "another"}))


def test_a_deployment_without_an_address_is_looked_up(
    ask: Callable[..., str], service: EndpointsStandIn, deployment: Deployment
) -> None:
    bare = deployment.model_copy(update={"url": None})
    assert ask(bare) == "echo: Hello?"
    service.set("mine", "pending", url=None)
    with pytest.raises(ProviderUnavailableError, match="no address yet"):
        ask(bare)


# -- asleep ------------------------------------------------------------------------------------------------------


def test_one_that_sleeps_is_woken_and_waited_for(
    ask: Callable[..., str], service: EndpointsStandIn, deployment: Deployment
) -> None:
    service.set("mine", "scaledToZero")
    assert ask(deployment) == "echo: Hello?"
    assert service.requests["POST chat"] > 1
    assert len(service.asked) == 1


@pytest.mark.parametrize("status", [502, 503])
def test_one_that_the_service_calls_running_too_early_or_too_long(
    ask: Callable[..., str],
    service: EndpointsStandIn,
    deployment: Deployment,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    service.refusing["POST chat"] = [refusal(status, "Service Unavailable")] * 2
    assert ask(deployment) == "echo: Hello?"
    monkeypatch.setattr(endpoint_chat, "_LAG_S", 0.1)
    service.refusing["POST chat"] = [refusal(status, "no healthy upstream")] * 1000
    with pytest.raises(ProviderUnavailableError, match="no healthy upstream") as broken:
        ask(deployment)
    assert broken.value.status_code == status
    assert len(service.refusing["POST chat"]) > 980


def test_one_that_does_not_wake_in_time_says_that_it_is_waking(
    ask: Callable[..., str], service: EndpointsStandIn, deployment: Deployment
) -> None:
    service.refusing["POST chat"] = [refusal(503, "Service Unavailable")] * 1000
    service.set("mine", "initializing")
    with pytest.raises(ProviderUnavailableError, match="'mine' was asleep, and is not awake after 1 s") as late:
        ask(deployment)
    assert "initializing" in str(late.value.hint)


def test_a_look_that_fails_while_it_wakes_ends_nothing(
    ask: Callable[..., str], service: EndpointsStandIn, deployment: Deployment
) -> None:
    service.set("mine", "scaledToZero")
    service.refusing["GET endpoint/one"] = [refusal(503, "busy"), refusal(429, "slow"), RESET]
    assert ask(deployment) == "echo: Hello?"


@pytest.mark.parametrize(
    ("state", "why", "hint"),
    [
        ("paused", "is paused", "Deploy again"),
        ("failed", r"has failed \(failed\): out of memory", "delete_deployment"),
        ("updateFailed", r"has failed \(updateFailed\): out of memory", "delete_deployment"),
    ],
)
def test_one_that_no_request_wakes_is_not_waited_for(
    ask: Callable[..., str], service: EndpointsStandIn, deployment: Deployment, state: str, why: str, hint: str
) -> None:
    service.set("mine", state, message="out of memory")
    with pytest.raises(ProviderUnavailableError, match=why) as refused:
        ask(deployment)
    assert hint in str(refused.value.hint)
    assert service.requests["POST chat"] == 1


def test_one_that_is_gone(ask: Callable[..., str], service: EndpointsStandIn, deployment: Deployment) -> None:
    service.refusing["POST chat"] = [refusal(503, "Service Unavailable")]
    del service.endpoints["mine"]
    with pytest.raises(NotFoundError, match="no deployment 'mine'"):
        ask(deployment)


# -- broken ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (refusal(401, f"no: {TOKEN}"), CredentialsError),
        (refusal(400, f"too long: {TOKEN}"), ProviderError),
        (refusal(403, f"no: {TOKEN}"), ProviderError),
        (refusal(429, f"slow: {TOKEN}"), RateLimitError),
        (refusal(500, f"broken: {TOKEN}"), ProviderUnavailableError),
        ((200, f"<html>{TOKEN}".encode(), {}), ProviderError),
        ((307, f"go: {TOKEN}", {"location": "https://example.com/"}), ProviderError),
        (RESET, ProviderUnavailableError),
    ],
)
def test_what_an_endpoint_refuses_is_told_without_the_token_and_asked_once(
    ask: Callable[..., str], service: EndpointsStandIn, deployment: Deployment, fault: Any, kind: type[FtkitError]
) -> None:
    service.refusing["POST chat"] = [fault]
    with pytest.raises(kind) as refused:
        ask(deployment)
    error = refused.value
    assert TOKEN not in f"{error!s}{error!r}{error.args}"
    assert error.__cause__ is error.__context__ is None, "httpx2's holds the request, and its token"
    assert "log.txt" not in str(error), "that is a file of local deployments"
    assert service.requests["POST chat"] == 1


def test_a_stream_that_breaks_off_gives_what_came_and_is_not_asked_for_again(
    endpoints: HubEndpoints, service: EndpointsStandIn, deployment: Deployment
) -> None:
    service.refusing["POST chat"] = [BREAK]
    stream, texts = endpoints.stream_chat(deployment, HELLO, ChatOptions()), list[str]()
    with pytest.raises(ProviderUnavailableError, match="broke off"):
        texts.extend(chunk.text for chunk in stream)
    assert service.requests["POST chat"] == 1
    assert texts == ["echo: ", "Hel "]


def test_a_silent_endpoint_is_not_waited_for_for_ever(
    ask: Callable[..., str], service: EndpointsStandIn, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat_wire, "_ANSWER_S", 0.2)
    service.refusing["POST chat"] = [HANG]
    with pytest.raises(ProviderUnavailableError, match="in time"):
        ask(deployment)


# -- where the token may go --------------------------------------------------------------------------------------

STRANGERS = [
    "https://evil.example",
    "https://evil.example/.endpoints.huggingface.cloud",
    "https://evil.example?.endpoints.huggingface.cloud",
    "https://evil.example#.endpoints.huggingface.cloud",
    "https://x.endpoints.huggingface.cloud@evil.example",
    "https://evil.example\\@x.endpoints.huggingface.cloud",
    "https://evilendpoints.huggingface.cloud",
    "https://endpoints.huggingface.cloud.evil.example",
    "https://x.endpoints.huggingface.cloud:8443",
    "https://x.endpoints.huggingface.cloud:port",
    "http://x.endpoints.huggingface.cloud",
    "http://10.0.0.1",
    "http://127.0.0.1.evil.example",
    "ftp://x.endpoints.huggingface.cloud",
    "//x.endpoints.huggingface.cloud",
    "https://x.endpoints.huggingface.cloud\n",
    "https://[x.endpoints.huggingface.cloud",
    "",
]


@pytest.mark.parametrize("url", STRANGERS)
def test_the_token_is_sent_to_no_stranger(
    endpoints: HubEndpoints,
    service: EndpointsStandIn,
    deployment: Deployment,
    url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError(url)

    monkeypatch.setattr(chat_wire.ChatEndpoint, "_client", never)
    monkeypatch.setattr("httpx2.Client", never)
    service.set("mine", "running", url=url)
    if url:
        with pytest.raises(ProviderError, match="token is not sent"):
            endpoints.chat(deployment.model_copy(update={"url": url}), HELLO, ChatOptions())
        with pytest.raises(ProviderError, match="token is not sent") as refused:
            endpoints.deploy("mine", f"{USER}/tuned", "job-4711", {})
        assert "client.delete_deployment('mine')" in refused.value.__notes__[0]
    with pytest.raises(ProviderError, match=r"token is not sent|no address"):
        list(endpoints.stream_chat(deployment.model_copy(update={"url": None}), HELLO, ChatOptions()))


def test_loopback_is_a_stranger_to_the_real_service(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = "https://jpj7k2q4j805b727.us-east-1.aws.endpoints.huggingface.cloud"
    assert endpoint_chat._is_ours(ours)
    assert not endpoint_chat._is_ours("http://127.0.0.1:8000")
    monkeypatch.setattr("huggingface_hub.constants.INFERENCE_ENDPOINTS_ENDPOINT", "http://127.0.0.1:9/v2")
    assert endpoint_chat._is_ours("http://127.0.0.1:8000")
