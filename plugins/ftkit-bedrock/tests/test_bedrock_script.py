"""What a user does with Bedrock, through `Client("bedrock")`: the same script as with any other provider."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from bedrock_place import BUCKET, MODEL, REGION, ROLE, session
from bedrock_vendor import BedrockVendor

from ftkit import ChatMessage, Client, Supervised
from ftkit.errors import DatasetError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("by_name")
CLAUDE = "anthropic.claude-3-haiku-20240307-v1:0:200k"
TITAN = "amazon.titan-text-express-v1:0:8k"
SYSTEM = {"role": "system", "content": "Be brief."}


@pytest.fixture
def vendor() -> Generator[BedrockVendor]:
    vendor = BedrockVendor()
    vendor.finish_after = 3
    yield vendor
    vendor.stop()
    assert not vendor.misfits


def client_of(vendor: BedrockVendor) -> Client:
    client = Client("bedrock", session=session(), bucket=BUCKET, role_arn=ROLE, endpoint_url=vendor.url)
    client.provider.settle_s = 0.1  # type: ignore[attr-defined]  # of this provider
    return client


@pytest.fixture
def chats(tmp_path: Path) -> Path:
    path = tmp_path / "chats.jsonl"
    rows = [[SYSTEM, {"role": "user", "content": f"{n}?"}, {"role": "assistant", "content": f"{n}."}] for n in range(9)]
    path.write_text("".join(json.dumps({"messages": messages}) + "\n" for messages in rows))
    return path


def sent(vendor: BedrockVendor, folder: Path) -> list[dict[str, object]]:
    """Returns the rows of the only file in the bucket."""
    (key,) = vendor.files
    path = folder / "sent.jsonl"
    session().client("s3", endpoint_url=vendor.url).download_file(BUCKET, key, str(path))
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_same_script(vendor: BedrockVendor, chats: Path, tmp_path: Path) -> None:
    for _ in range(2):  # run twice, it is one job
        client = client_of(vendor)
        job = client.fine_tune(MODEL, chats, method=Supervised(n_epochs=2), progress=False)
        with client.deployed(job) as deployment:
            said = client.chat(deployment, "Hello")
            pieces = [piece.text for piece in client.stream_chat(deployment, "Hello")]
        assert said.text == "echo: Hello"
        assert "".join(pieces).strip() == "echo: Hello"
        assert (said.finish_reason, said.usage and said.usage.completion_tokens) == ("stop", 2)
    assert (len(vendor.jobs), len(vendor.files), vendor.requests["CreateModelCustomizationJob"]) == (1, 1, 1)
    assert not vendor.deployments  # they were taken down
    table = [(row.step, row.epoch, row.train_loss, row.extra["perplexity"]) for row in client.results(job)]
    assert table == [(1, 0, 2.5, 12.2), (2, 1, 1.25, 3.5)]
    assert job.identity == f"bedrock:123456789012/{REGION}"
    assert sent(vendor, tmp_path)[0] == {
        "schemaVersion": "bedrock-conversation-2024",
        "system": [{"text": "Be brief."}],
        "messages": [{"role": "user", "content": [{"text": "0?"}]}, {"role": "assistant", "content": [{"text": "0."}]}],
    }


def test_another_machine_finds_the_job(vendor: BedrockVendor, chats: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = client_of(vendor).fine_tune(MODEL, chats, wait=False)
    monkeypatch.setenv("FTKIT_HOME", str(chats.parent / "another-machine"))
    assert client_of(vendor).fine_tune(MODEL, chats, wait=False).id == first.id
    assert vendor.requests["CreateModelCustomizationJob"] == 1


def test_claude_wants_its_own_form(vendor: BedrockVendor, chats: Path, tmp_path: Path) -> None:
    client_of(vendor).upload(chats, model=CLAUDE)
    turns = [{"role": "user", "content": "0?"}, {"role": "assistant", "content": "0."}]
    assert sent(vendor, tmp_path)[0] == {"system": "Be brief.", "messages": turns}


def test_others_want_prompts(vendor: BedrockVendor, tmp_path: Path) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_text("".join(json.dumps({"prompt": f"{n}?", "completion": f"{n}."}) + "\n" for n in range(9)))
    client_of(vendor).upload(path, model=TITAN)
    assert sent(vendor, tmp_path)[0] == {"prompt": "0?", "completion": "0."}


def test_a_conversation_that_ends_with_a_question_is_refused(vendor: BedrockVendor, tmp_path: Path) -> None:
    path = tmp_path / "chats.jsonl"
    turns = [{"role": "assistant", "content": "Hello."}, {"role": "user", "content": "Hello?"}]
    path.write_text(json.dumps({"messages": turns}) + "\n")
    with pytest.raises(DatasetError, match="the last one the assistant's"):
        client_of(vendor).upload(path, model=MODEL)
    assert not vendor.files


def test_what_a_chat_has_no_place_for(vendor: BedrockVendor, chats: Path) -> None:
    client = client_of(vendor)
    job = client.fine_tune(MODEL, chats, progress=False)
    with client.deployed(job) as deployment:
        for message in (
            ChatMessage(role="tool", content="4", tool_call_id="1"),
            ChatMessage(role="user", content=[{"type": "image_url", "image_url": {"url": "https://example.org"}}]),
        ):
            with pytest.raises(UnsupportedError, match="no place for"):
                client.chat(deployment, [message])
        with pytest.raises(UnsupportedError, match="no seed"):
            client.chat(deployment, "Hello", seed=1)
        client.chat(
            deployment, [ChatMessage(**SYSTEM), ChatMessage(role="user", content="?")], max_tokens=5, stop=["."]
        )
    assert vendor.chats[-1]["inferenceConfig"] == {"maxTokens": 5, "stopSequences": ["."]}
    assert vendor.chats[-1]["system"] == [{"text": "Be brief."}]
