"""What a deployed model answers: through our client, and on the wire."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from ftkit.errors import (
    ConfigurationError,
    CredentialsError,
    NotFoundError,
    ProviderError,
    ProviderUnavailableError,
)
from ftkit.models import ChatMessage, ChatOptions
from ftkit.plugin.chat_wire import ChatEndpoint, chunks_of, reply_of, request_body

if TYPE_CHECKING:
    from collections.abc import Generator

    from ftkit.models import Deployment
    from ftkit.providers._local_endpoints import LocalEndpoints

GREEDY = ChatOptions(temperature=0, max_tokens=24)
FIELDS = {"temperature", "max_tokens", "seed"}
HELLO = [ChatMessage(role="user", content="hello")]


@pytest.fixture
def wire(shared: LocalEndpoints, tiny: Deployment) -> Generator[httpx2.Client]:
    token = shared.token_file("tiny").read_text()
    with httpx2.Client(
        base_url=str(tiny.url), headers={"Authorization": f"Bearer {token}"}, trust_env=False, timeout=30
    ) as client:
        yield client


def body(**fields: Any) -> dict[str, Any]:
    return {
        "model": "tiny",
        "messages": [{"role": "user", "content": "hello"}],
        "temperature": 0,
        "max_tokens": 24,
        **fields,
    }


def test_the_same_question_gets_the_same_answer(shared: LocalEndpoints, tiny: Deployment) -> None:
    first, second = (shared.chat(tiny, HELLO, GREEDY) for _ in range(2))
    assert first == second
    assert first.text
    assert first.model == "tiny"
    assert first.usage is not None
    assert first.usage.prompt_tokens == len("<|user|>hello<|assistant|>")


@pytest.mark.parametrize("question", ["hello", "how are you?", "Grüße 🌍", "x" * 100])
def test_streamed_pieces_joined_are_the_answer(shared: LocalEndpoints, tiny: Deployment, question: str) -> None:
    messages = [ChatMessage(role="user", content=question)]
    pieces = list(shared.stream_chat(tiny, messages, GREEDY))
    whole = shared.chat(tiny, messages, GREEDY)
    assert "".join(map(str, pieces)) == whole.text
    assert len(pieces) > 3
    assert [piece.finish_reason for piece in pieces if piece.finish_reason] == [whole.finish_reason]


def test_max_tokens_ends_the_answer(shared: LocalEndpoints, tiny: Deployment) -> None:
    reply = shared.chat(tiny, HELLO, ChatOptions(temperature=0, max_tokens=7))
    assert reply.finish_reason == "length"
    assert reply.usage is not None
    assert reply.usage.completion_tokens == 7
    assert shared.chat(tiny, HELLO, GREEDY).text.startswith(reply.text.rstrip("\N{REPLACEMENT CHARACTER}"))


def test_without_a_limit_the_context_is_one(wire: httpx2.Client) -> None:
    asked = body(max_tokens=None)
    reply = wire.post("/chat/completions", json=asked).json()
    assert reply["usage"]["total_tokens"] <= 192
    assert reply["choices"][0]["finish_reason"] == ("length" if reply["usage"]["total_tokens"] == 192 else "stop")


@pytest.mark.parametrize("length", [1, 2, 3])
def test_a_stop_string_ends_the_answer_and_is_no_part_of_it(
    shared: LocalEndpoints, tiny: Deployment, length: int
) -> None:
    text = shared.chat(tiny, HELLO, GREEDY).text
    stop = text[8 : 8 + length]
    options = GREEDY.model_copy(update={"stop": ("never said", stop)})
    reply = shared.chat(tiny, HELLO, options)
    assert reply.text == text[: text.index(stop)]
    assert reply.finish_reason == "stop"
    assert "".join(map(str, shared.stream_chat(tiny, HELLO, options))) == reply.text


def test_a_stop_string_that_does_not_come_changes_nothing(shared: LocalEndpoints, tiny: Deployment) -> None:
    text = shared.chat(tiny, HELLO, GREEDY).text
    stop = (text[-1] + "never said",)  # the answer ends as this begins
    assert shared.chat(tiny, HELLO, GREEDY.model_copy(update={"stop": stop})).text == text


def test_a_seed_repeats_a_draw(shared: LocalEndpoints, tiny: Deployment) -> None:
    def draw(seed: int | None) -> str:
        return shared.chat(tiny, HELLO, ChatOptions(temperature=1, max_tokens=24, seed=seed)).text

    assert draw(5) == draw(5)
    assert len({draw(5), draw(6), draw(None), draw(None)}) == 4


def test_top_p_narrows_the_draw_to_the_likeliest(shared: LocalEndpoints, tiny: Deployment) -> None:
    narrow = ChatOptions(temperature=1, top_p=1e-6, max_tokens=24)
    assert shared.chat(tiny, HELLO, narrow).text == shared.chat(tiny, HELLO, GREEDY).text


def test_requests_at_once_get_the_answers_they_get_alone(shared: LocalEndpoints, tiny: Deployment) -> None:
    def ask(n: int) -> tuple[str, str | None]:
        messages = [ChatMessage(role="user", content=f"row {n} " + "z" * (7 * n))]
        reply = shared.chat(tiny, messages, ChatOptions(temperature=0, max_tokens=4 + 2 * n))
        return reply.text, reply.finish_reason

    alone = [ask(n) for n in range(16)]
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(ask, range(16))) == alone


def test_draws_and_greedy_answers_at_once_do_not_disturb_each_other(shared: LocalEndpoints, tiny: Deployment) -> None:
    def ask(n: int) -> str:
        options = GREEDY if n % 2 else ChatOptions(temperature=1, seed=n, max_tokens=24)
        return shared.chat(tiny, HELLO, options).text

    alone = [ask(n) for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(8))) == alone


def test_tools_reach_the_chat_template(shared: LocalEndpoints, tiny: Deployment) -> None:
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
    without = shared.chat(tiny, HELLO, GREEDY)
    reply = shared.chat(tiny, HELLO, GREEDY.model_copy(update={"tools": (tool,)}))
    assert without.usage is not None
    assert reply.usage is not None
    assert reply.usage.prompt_tokens == without.usage.prompt_tokens + len("<|tools|>1")


def test_text_parts_are_text(wire: httpx2.Client) -> None:
    parts = [{"role": "user", "content": [{"type": "text", "text": "hel"}, {"type": "text", "text": "lo"}]}]
    answers = [wire.post("/chat/completions", json=asked).json()["choices"] for asked in (body(), body(messages=parts))]
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"n": 2}, "n", "unsupported_parameter"),
        ({"logprobs": True}, "logprobs", "unsupported_parameter"),
        ({"response_format": {"type": "json_object"}}, "response_format", "unsupported_parameter"),
        ({"frequency_penalty": 0.5}, "frequency_penalty", "unsupported_parameter"),
        ({"tool_choice": "required"}, "tool_choice", "unsupported_parameter"),
        ({"top_k": 3}, "top_k", "unknown_parameter"),
        ({"temperature": 3}, "temperature", "invalid_value"),
        ({"stop": ""}, "stop[0]", "invalid_value"),
        ({"messages": []}, "messages", "invalid_value"),
        ({"messages": [{"role": "robot", "content": "hi"}]}, "messages[0].role", "invalid_value"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content", None),
        ({"messages": [{"role": "user", "content": "x" * 300}]}, "messages", "context_length_exceeded"),
        ({"messages": [{"role": "tool", "content": "the template refuses it"}]}, "messages", None),
    ],
)
def test_what_cannot_be_honoured_is_refused(
    wire: httpx2.Client, fields: dict[str, Any], param: str, code: str | None
) -> None:
    response = wire.post("/chat/completions", json=body(**fields))
    error = response.json()["error"]
    assert response.status_code == 400
    assert error["type"] == "invalid_request_error"
    assert error["param"] == param
    assert code is None or error["code"] == code


@pytest.mark.parametrize(
    "fields", [{"n": 1}, {"logprobs": False}, {"response_format": {"type": "text"}}, {"user": "me"}]
)
def test_what_changes_nothing_is_taken(wire: httpx2.Client, fields: dict[str, Any]) -> None:
    answers = [wire.post("/chat/completions", json=asked).json() for asked in (body(), body(**fields))]
    assert answers[0]["choices"] == answers[1]["choices"]


def test_a_body_that_is_no_json_or_too_large_is_refused(wire: httpx2.Client) -> None:
    for content, status in ((b"{", 400), (b"[]", 400), (b"x" * (4 * 2**20 + 1), 413)):
        response = wire.post("/chat/completions", content=content)
        assert response.status_code == status
        assert response.json()["error"]["message"]


def test_models_and_unknown_paths(wire: httpx2.Client) -> None:
    assert [model["id"] for model in wire.get("/models").json()["data"]] == ["tiny"]
    missing = wire.post("/embeddings", json={})
    assert missing.status_code == 404
    assert missing.json()["error"]["type"] == "invalid_request_error"
    wrong = wire.post("/chat/completions", json=body(model="another"))
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (404, "model_not_found")


def test_the_stream_is_openais(wire: httpx2.Client) -> None:
    asked = body(stream=True, stream_options={"include_usage": True})
    with wire.stream("POST", "/chat/completions", json=asked) as response:
        lines = [line for line in response.iter_lines() if line]
    assert lines[-1] == "data: [DONE]"
    events = [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]
    assert events[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert events[-2]["choices"][0]["finish_reason"] in {"stop", "length"}
    assert events[-1]["choices"] == []
    assert events[-1]["usage"]["completion_tokens"] > 0
    assert len({(event["id"], event["object"]) for event in events}) == 1


@pytest.mark.parametrize("given", [None, "Bearer", "Bearer wrong", "Basic {token}", "Bearer {token}x", "Bearer Grüße"])
def test_nothing_is_told_without_the_token(shared: LocalEndpoints, tiny: Deployment, given: str | None) -> None:
    token = shared.token_file("tiny").read_text()
    headers = {} if given is None else {"Authorization": given.format(token=token).encode()}
    with httpx2.Client(base_url=str(tiny.url), headers=headers, trust_env=False) as client:
        for response in (client.get("/models"), client.post("/chat/completions", json=body()), client.get("/x")):
            assert response.status_code == 401
            assert response.json()["error"]["code"] == "invalid_api_key"
            assert token not in response.text


def test_health_needs_no_token(tiny: Deployment) -> None:
    url = str(tiny.url).removesuffix("/v1") + "/health"
    response = httpx2.get(url, trust_env=False)
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize("streamed", [False, True])
def test_who_leaves_is_not_answered_any_more(
    shared: LocalEndpoints, tiny: Deployment, wire: httpx2.Client, *, streamed: bool
) -> None:
    # Draws are answered one by one. One that does not end by chance takes 0.2 s.
    draws = ChatOptions(temperature=1, max_tokens=150)
    seeds = (draws.model_copy(update={"seed": seed}) for seed in range(100))
    draws = next(options for options in seeds if shared.chat(tiny, HELLO, options).finish_reason == "length")
    begun = time.monotonic()
    for _ in range(30):
        if streamed:
            pieces = shared.stream_chat(tiny, HELLO, draws)
            next(iter(pieces))
            pieces.close()  # type: ignore[attr-defined]
        else:
            with pytest.raises(httpx2.ReadTimeout):
                wire.post("/chat/completions", json=body(**draws.model_dump(include=FIELDS)), timeout=0.02)
    assert shared.chat(tiny, HELLO, draws).text
    assert time.monotonic() - begun < 3  # all of them would take 6 s


def test_errors_of_the_endpoint_are_ours(shared: LocalEndpoints, tiny: Deployment) -> None:
    url, token = str(tiny.url), shared.token_file("tiny").read_text()
    endpoint = ChatEndpoint("huggingface", url, token)
    assert token not in repr(endpoint)
    with pytest.raises(NotFoundError, match="does not exist"):
        endpoint.chat("another", HELLO, GREEDY)
    with pytest.raises(CredentialsError, match="refuses the token") as refused:
        ChatEndpoint("huggingface", url, token + "x").chat("tiny", HELLO, GREEDY)
    assert token not in str(refused.value)
    with pytest.raises(CredentialsError):
        next(iter(ChatEndpoint("huggingface", url, "x").stream("tiny", HELLO, GREEDY)))
    with pytest.raises(ProviderError, match="'n' is not supported") as unsupported:
        endpoint.chat("tiny", HELLO, ChatOptions(extra={"n": 2}))
    assert unsupported.value.status_code == 400
    with pytest.raises(ProviderUnavailableError, match="cannot be reached") as gone:
        ChatEndpoint("huggingface", "http://127.0.0.1:1/v1", "x", hint="Look.").chat("tiny", HELLO, GREEDY)
    assert gone.value.hint == "Look."


def test_a_proxy_of_the_environment_is_not_asked(
    shared: LocalEndpoints, tiny: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert shared.chat(tiny, HELLO, GREEDY).text


def test_what_was_not_set_is_not_sent() -> None:
    assert request_body("m", HELLO, ChatOptions()) == {
        "model": "m",
        "messages": [{"role": "user", "content": "hello"}],
    }
    options = ChatOptions(temperature=0, stop=("a",), extra={"top_k": 3})
    sent = request_body("m", HELLO, options, stream=True)
    assert sent["temperature"] == 0
    assert (sent["stop"], sent["top_k"], sent["stream"]) == (["a"], 3, True)
    with pytest.raises(ConfigurationError, match="temperature"):
        request_body("m", HELLO, ChatOptions(temperature=0, extra={"temperature": 1}))


def test_unknown_fields_of_an_answer_are_passed_over() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    reply = reply_of(
        {
            "model": "m",
            "new": 1,
            "choices": [{"message": {"content": None, "tool_calls": [call], "refusal": None}, "new": 2}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "details": {}},
        }
    )
    assert (reply.text, reply.tool_calls, reply.finish_reason) == ("", (call,), None)
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "new": 1}
    first, last = chunks_of(
        [
            {"choices": [{"delta": {"role": "assistant", "content": ""}}], "usage": None},
            {"choices": [{"delta": {"content": "x"}}], "new": 1},
            {"choices": [{"delta": {}, "finish_reason": "stop"}], "new": 1},
            {"choices": [], "usage": usage},
        ]
    )
    assert (first.text, first.finish_reason, first.usage) == ("x", None, None)
    assert (last.text, last.finish_reason) == ("", "stop")
    assert last.usage is not None
    assert last.usage.completion_tokens == 2
