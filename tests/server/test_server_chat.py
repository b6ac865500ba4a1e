"""Models that answer: deployed when they are asked, let go when they are not."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import openai as sdk
import pytest
from live import MODEL, Live, until

from ftkit.testing import MemoryProvider, MemoryVendor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from openai import OpenAI

    from ftkit.models import ChatChunk, ChatMessage, ChatOptions, Deployment


def tuned(client: OpenAI, rows: bytes, **asked: Any) -> str:
    file = client.files.create(file=("tea.jsonl", rows), purpose="fine-tune").id
    job = client.fine_tuning.jobs.create(**{"model": MODEL, "training_file": file, **asked})
    until(lambda: client.fine_tuning.jobs.retrieve(job.id).status == "succeeded")
    return str(client.fine_tuning.jobs.retrieve(job.id).fine_tuned_model)


def ask(client: OpenAI, model: str, text: str = "Hello?", **options: Any) -> str:
    answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": text}], **options)
    return str(answer.choices[0].message.content)


def deployed(server: Live) -> list[str]:
    return [deployment.name for deployment in server.vendor.list_deployments()]


class Streaming(MemoryProvider):
    """Answers word by word, and keeps what it was asked with."""

    asked: ChatOptions | None = None

    def stream_chat(
        self, deployment: Deployment, messages: Sequence[ChatMessage], options: ChatOptions
    ) -> Iterator[ChatChunk]:
        from ftkit.models import ChatChunk, ChatUsage

        self.asked = options
        self.get_deployment(deployment.name)
        for word in str(messages[-1].content).split():
            yield ChatChunk(text=word + " ")
        yield ChatChunk(text="", finish_reason="length")
        yield ChatChunk(text="", usage=ChatUsage(prompt_tokens=3, completion_tokens=4))


def test_base_and_tuned_model_and_checkpoint_answer(openai: OpenAI, rows: bytes) -> None:
    model = tuned(openai, rows)
    assert "memory-small: nothing" in ask(openai, MODEL)
    assert ":tuned:job-" in ask(openai, model)
    checkpoints = list(openai.fine_tuning.jobs.checkpoints.list(next(iter(openai.fine_tuning.jobs.list())).id))
    assert [point.step_number for point in checkpoints] == [20, 10]
    assert ":step-10: nothing" in ask(openai, checkpoints[1].fine_tuned_model_checkpoint)


def test_the_model_unused_for_longest_makes_room(start: Callable[..., Live]) -> None:
    server = start(served=2, models={"a": "memory-a", "b": "memory-b", "c": "memory-c"})
    with server.openai() as client:
        for model in ("a", "b", "a", "c"):
            ask(client, model)
        served = {deployment.model for deployment in server.vendor.list_deployments()}
        assert served == {"memory-a", "memory-c"}


def test_no_more_models_answer_at_once_than_may(start: Callable[..., Live]) -> None:
    from concurrent.futures import ThreadPoolExecutor

    most: list[int] = []
    vendor = MemoryVendor()
    answer = vendor.chat

    def slow(name: str, text: str) -> str:
        most.append(len(vendor.list_deployments()))
        time.sleep(0.05)
        return answer(name, text)

    vendor.chat = slow  # type: ignore[method-assign]
    server = start(vendor=vendor, served=2, models={name: f"memory-{name}" for name in "abcd"})
    with server.openai() as client, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: ask(client, "abcd"[n % 4], f"question {n}"), range(16)))
    assert all(f"question {n}" in answer for n, answer in enumerate(answers))
    assert max(most) == 2


def test_an_idle_model_is_let_go_and_comes_back_when_it_is_asked(start: Callable[..., Live]) -> None:
    server = start(idle_s=0.01)
    with server.openai() as client:
        ask(client, MODEL)
        assert len(deployed(server)) == 1
        until(lambda: server.office.serving.tidy() is None and deployed(server) == [])
        assert "Hello?" in ask(client, MODEL)


def test_a_deployment_that_died_is_made_again(server: Live, openai: OpenAI) -> None:
    ask(openai, MODEL)
    server.vendor.delete_deployment(deployed(server)[0])
    assert "Hello?" in ask(openai, MODEL)


def test_what_a_killed_server_left_deployed_is_let_go_by_the_next(start: Callable[..., Live]) -> None:
    server = start()
    with server.openai() as client:
        ask(client, MODEL)
    server.office.serving.close = lambda: None  # type: ignore[method-assign]  # as if it had been killed
    server.stop()
    assert len(deployed(server)) == 1
    assert deployed(start(vendor=server.vendor)) == []


def test_a_stop_of_the_server_lets_go_of_what_it_deployed(start: Callable[..., Live]) -> None:
    server = start()
    with server.openai() as client:
        ask(client, MODEL)
    server.stop()
    assert deployed(server) == []


def test_a_model_that_is_not_there_is_not_found(openai: OpenAI, rows: bytes) -> None:
    for name in ("gpt-5", "ft:gpt-4o-mini-2024-07-18:ftkit::AAAAAAAA", "gpt-4o-mini-2024-07-18.ft-AAAA"):
        with pytest.raises(sdk.NotFoundError, match="does not exist"):
            ask(openai, name)
    model = tuned(openai, rows)
    with pytest.raises(sdk.NotFoundError, match="does not exist"):
        ask(openai, f"{model}:ckpt-step-11")
    with pytest.raises(sdk.APIStatusError, match="cannot delete models"):
        openai.models.delete(model)  # the in-memory vendor keeps its models


def test_a_stream_comes_in_pieces_and_ends_with_its_reason_and_its_tokens(start: Callable[..., Live]) -> None:
    provider = Streaming(MemoryVendor())
    with start(provider=provider).openai() as client:
        asked: Mapping[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": "one two three"}]}
        chunks = list(client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "one two three "
        assert [chunk.choices[0].finish_reason for chunk in chunks[-2:-1]] == ["length"]
        assert chunks[-1].usage is not None
        assert chunks[-1].usage.total_tokens == 7
        without = list(client.chat.completions.create(**asked, stream=True))
        assert all(chunk.choices for chunk in without)


def test_a_provider_that_cannot_stream_answers_a_stream_in_one_piece(openai: OpenAI) -> None:
    asked: Mapping[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": "Hello?"}]}
    chunks = list(openai.chat.completions.create(**asked, stream=True))
    assert "Hello?" in "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_options_reach_the_provider_and_what_no_answer_holds_is_refused(start: Callable[..., Live]) -> None:
    provider = Streaming(MemoryVendor())
    with start(provider=provider).openai() as client:
        asked: Mapping[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": "x"}], "stream": True}
        list(client.chat.completions.create(**asked, temperature=0, max_completion_tokens=7, stop="a", user="me"))
        assert provider.asked is not None
        assert (provider.asked.temperature, provider.asked.max_tokens, provider.asked.stop) == (0, 7, ("a",))
        assert provider.asked.extra == {}, "who asks is nothing to the model"
        list(client.chat.completions.create(**asked, presence_penalty=1.5))
        assert provider.asked.extra == {"presence_penalty": 1.5}, "for the provider to take or to refuse"
        for option in ({"n": 2}, {"logprobs": True}):
            with pytest.raises(sdk.BadRequestError, match="can only be"):
                client.chat.completions.create(**asked, **option)


def test_an_answer_can_be_sent_back_as_a_message(openai: OpenAI) -> None:
    answer = openai.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "One?"}])
    said: Any = answer.choices[0].message
    again = openai.chat.completions.create(
        model=MODEL, messages=[said, {"role": "user", "content": [{"type": "text", "text": "Two?"}]}]
    )
    assert "Two?" in str(again.choices[0].message.content)


def test_many_questions_at_once_deploy_a_model_once(server: Live, openai: OpenAI) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda n: ask(openai, MODEL, f"question {n}"), range(24)))
    assert all(f"question {n}" in answer for n, answer in enumerate(answers))
    assert server.vendor.calls["create_deployment"] == 1
