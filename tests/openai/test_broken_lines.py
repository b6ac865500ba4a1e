"""What no kit can reach of the ways in which a line breaks: streams, downloads, credentials, Ctrl-C."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

import httpx2
import openai
import pytest
from arm_vendor import ArmVendor, NoCredential
from azure.core.exceptions import AzureError, ServiceRequestError, ServiceResponseError
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.mgmt.cognitiveservices import CognitiveServicesManagementClient
from filelock import FileLock
from wire_vendor import KEY, AzureWireVendor

from ftkit.errors import ConflictError, CredentialsError, FtkitError, ProviderUnavailableError
from ftkit.models import ChatMessage, ChatOptions, Deployment, DeploymentStatus
from ftkit.providers.azure import AzureProvider
from ftkit.providers.openai import OpenAIProvider

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

HELLO = [ChatMessage(role="user", content="Hello")]
PIECE = b'data: {"id": "1", "choices": [{"index": 0, "delta": {"content": "Hel"}}]}\n\n'
ASKED = Deployment(name="mine", provider="openai", status=DeploymentStatus.RUNNING, model="ft:x")


def provider_at(answer: Callable[[httpx2.Request], httpx2.Response], key: Any = KEY) -> OpenAIProvider:
    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    return OpenAIProvider(openai.OpenAI(api_key=key, base_url="https://api.openai.com/v1", http_client=http))


class Cut(httpx2.SyncByteStream):
    """A body that ends in the middle."""

    def __iter__(self) -> Iterator[bytes]:
        yield b'{"messages": ['
        raise httpx2.ReadError("the connection was reset")


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        (b'data: {"error": {"message": "the model fell over"}}\n\n', "broke off: the model fell over"),
        (b'data: {"choices": [\n\n', "what it sent cannot be read"),
        (b"data: [DONE]\n\n", "the answer broke off"),
    ],
)
def test_a_stream_that_breaks_off_says_so(rest: bytes, said: str) -> None:
    headers = {"content-type": "text/event-stream"}
    provider = provider_at(lambda _: httpx2.Response(200, headers=headers, content=PIECE + rest))
    with pytest.raises(ProviderUnavailableError, match=said):
        list(provider.stream_chat(ASKED, HELLO, ChatOptions()))


def test_a_download_that_breaks_off_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    provider = provider_at(lambda _: httpx2.Response(200, stream=Cut()))
    with pytest.raises(ProviderUnavailableError, match="cannot be reached: the connection was reset"):
        provider.download_file("file-1", tmp_path / "train.jsonl")
    assert not [*tmp_path.glob("train*"), *tmp_path.glob(".ftkit*")]


def test_a_key_that_cannot_be_had_is_no_request() -> None:
    def no_key() -> str:
        raise openai.OpenAIError("the vault is closed")

    def never(request: httpx2.Request) -> httpx2.Response:
        raise AssertionError(request)

    with pytest.raises(CredentialsError, match="the vault is closed"):
        provider_at(never, no_key).get_job("ftjob-1")


# -- Azure's control plane -----------------------------------------------------------------------------------------


class Raises(SansIOHTTPPolicy[Any, Any]):
    """What happens to a request on its way."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def on_request(self, request: Any) -> None:
        token = f"Bearer {KEY}"
        request.http_request.headers["authorization"] = token
        raise self._error


def azure_that(error: BaseException) -> AzureProvider:
    management = CognitiveServicesManagementClient(
        NoCredential(), "sub", base_url="http://127.0.0.1:9", authentication_policy=Raises(error), retry_total=0
    )
    return AzureProvider(AzureWireVendor().client(), management=management, resource_group="group")


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (ServiceRequestError("no route"), ProviderUnavailableError, "control plane cannot be reached: no route"),
        (ServiceResponseError("half of it"), ProviderUnavailableError, "control plane cannot be reached: half of it"),
        (AzureError("az login has expired"), CredentialsError, "az login has expired"),
    ],
)
def test_a_control_plane_that_is_not_reached(error: BaseException, kind: type[FtkitError], said: str) -> None:
    with pytest.raises(kind, match=said) as caught:
        azure_that(error).list_deployments()
    assert type(caught.value) is kind


def test_ctrl_c_leaves_no_token_in_the_traceback() -> None:
    with pytest.raises(KeyboardInterrupt) as caught:
        azure_that(KeyboardInterrupt()).list_deployments()
    frames = [frame for frame, _ in traceback.walk_tb(caught.value.__traceback__)]
    assert [frame.f_code.co_name for frame in frames if KEY in repr(frame.f_locals.get("token"))] == []
    assert "on_request" in {frame.f_code.co_name for frame in frames}


def test_another_process_that_writes_is_a_conflict(home: Path) -> None:
    arm = ArmVendor()
    try:
        provider = AzureProvider(AzureWireVendor().client(), management=arm.client(), resource_group="group")
        provider.deploy("gpt-4o-mini-2024-07-18.ft-1", "first", {})
        (lock,) = home.rglob("writes.lock")
        with FileLock(lock), pytest.raises(ConflictError, match="another process is writing"):
            provider.deploy("gpt-4o-mini-2024-07-18.ft-1", "second", {"wait_s": 0.1})
        assert {*arm.deployments} == {"first"}
    finally:
        arm.stop()
