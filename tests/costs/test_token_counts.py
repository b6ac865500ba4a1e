"""Tokens are counted as tiktoken counts them; the counts were recorded from it (token_samples.json)."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import random
from importlib.util import find_spec
from itertools import count, islice
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

from ftkit import DPO, Supervised
from ftkit.errors import UnsupportedError
from ftkit.methods import Reinforcement
from ftkit.tokens import AboutRows, ChatCounter, base_of, counter_of, encoding_of, prompt_tokens, text_counter

SAMPLES: list[tuple[str, int, int, int]] = json.loads(
    (Path(__file__).parent / "token_samples.json").read_text(encoding="utf-8")
)["rows"]
ENCODINGS = ("o200k_base", "cl100k_base")
CHAT: list[dict[str, Any]] = [
    {"role": "system", "content": "You are Marv, factual and sarcastic."},
    {"role": "user", "name": "ann", "content": "¿Qué distancia hay a la Luna? 🌕"},
    {"role": "assistant", "content": "Around 384,400 kilometers."},
]
HAS_TIKTOKEN = bool(os.environ.get("TIKTOKEN_CACHE_DIR")) and find_spec("tiktoken") is not None


@pytest.mark.parametrize("nth", [0, 1])
def test_texts_have_the_counts_that_tiktoken_gave(nth: int) -> None:
    counts = text_counter(ENCODINGS[nth])
    wrong = [(text[:40], row[nth]) for text, times, *row in SAMPLES if counts(text * times) != row[nth]]
    assert not wrong
    assert len(SAMPLES) >= 60
    assert counts("a\ud800b") == counts("a\ufffdb") > counts("ab"), "half a letter is one that cannot be read"


@pytest.mark.skipif(not HAS_TIKTOKEN, reason="tiktoken's files are not here: set TIKTOKEN_CACHE_DIR")
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_random_texts_have_the_counts_that_tiktoken_gives(encoding: str) -> None:
    import tiktoken

    theirs, ours = tiktoken.get_encoding(encoding), text_counter(encoding)
    chance = random.Random(11)  # noqa: S311 - the same texts every time
    letters = "".join(text for text, *_ in SAMPLES)
    for _ in range(5000):
        text = "".join(chance.choices(letters, k=chance.randrange(60)))
        assert ours(text) == len(theirs.encode(text, disallowed_special=())), text


@pytest.mark.parametrize("letter", ["a", " ", "中", "\n", "ab"])
def test_a_long_run_takes_no_longer_than_its_length(letter: str) -> None:
    counts, begun = text_counter("o200k_base"), perf_counter()
    counts(letter * 500_000)
    assert perf_counter() - begun < 2, "it was 0.05 s where this was written; by the square of the length, minutes"


def test_a_conversation_is_counted_by_the_rule_of_the_cookbook() -> None:
    record = {"messages": CHAT}
    assert list(ChatCounter("o200k_base").count([record])) == [(43, 7)]
    assert list(ChatCounter("cl100k_base").count([record])) == [(45, 7)]
    assert prompt_tokens("gpt-4o", CHAT) == 43
    assert prompt_tokens("gpt-4o", "Hi") == 3 + 3 + 1 + 1


def test_what_is_not_learnt_from_is_billed_all_the_same() -> None:
    counter = ChatCounter("o200k_base")
    quiet = [*CHAT[:2], {**CHAT[2], "weight": 0}]
    assert list(counter.count([{"messages": quiet}])) == [(43, 0)]
    item = {"messages": CHAT[:2], "answer": "384,400"}
    [(tokens, learnt)] = counter_of("o4-mini", Reinforcement(grader={})).count([item])
    assert tokens == learnt == 43 - 3 - 1 - 7


def test_a_pair_is_its_prompt_once_and_both_answers() -> None:
    good, bad = [CHAT[2]], [{"role": "assistant", "content": "Who knows?"}]
    counter = counter_of("gpt-4.1", DPO())
    [(tokens, learnt)] = counter.count([{"prompt": CHAT[:2], "chosen": good, "rejected": bad}])
    assert (tokens, learnt) == (43 + 3 + 1 + 3, 7 + 3)
    assert counter.is_about({"prompt": CHAT[:2], "chosen": good, "rejected": bad})


def test_tools_and_parts_are_counted_and_told_to_be_about_right() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "moon", "arguments": '{"unit":"km"}'}}
    tool = {"type": "function", "function": {"name": "moon", "parameters": {"type": "object"}}}
    picture = {"type": "image_url", "image_url": {"url": "https://example.org/moon.png"}}
    plain = {"messages": CHAT}
    calls = {"messages": [CHAT[0], {"role": "assistant", "content": None, "tool_calls": [call]}]}
    tools = {"messages": CHAT, "tools": [tool]}
    parts = {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}, picture]}, CHAT[2]]}
    counter = ChatCounter("o200k_base")
    counts = list(counter.count([plain, calls, tools, parts]))
    assert counts[1][1] > 5, "a call is learnt from"
    assert counts[2][0] > counts[0][0] + 10
    assert counts[3] == (3 + 3 + 1 + 1 + 3 + 1 + 7, 7)
    watch = AboutRows()
    for record in (plain, calls, tools, parts):
        assert not list(watch.see(1, None, record))  # type: ignore[arg-type]  # it pays no heed to the kind
    [told] = watch.end()
    assert told.count == 3
    assert "1 row are not counted" in told.message
    assert not list(AboutRows().end())


@pytest.mark.parametrize(
    ("model", "base", "encoding"),
    [
        ("gpt-4o-mini-2024-07-18", "gpt-4o-mini-2024-07-18", "o200k_base"),
        ("gpt-4.1-nano", "gpt-4.1-nano", "o200k_base"),
        ("o4-mini-2025-04-16", "o4-mini-2025-04-16", "o200k_base"),
        ("gpt-5", "gpt-5", "o200k_base"),
        ("openai/gpt-oss-20b", "gpt-oss-20b", "o200k_base"),
        ("gpt-4", "gpt-4", "cl100k_base"),
        ("gpt-4-0613", "gpt-4-0613", "cl100k_base"),
        ("gpt-3.5-turbo-0125", "gpt-3.5-turbo-0125", "cl100k_base"),
        ("ft:gpt-4o-mini-2024-07-18:org:word:8xYz", "gpt-4o-mini-2024-07-18", "o200k_base"),
        ("ft:gpt-3.5-turbo-0125:org::8xYz:ckpt-step-90", "gpt-3.5-turbo-0125", "cl100k_base"),
        ("gpt-4o-mini-2024-07-18.ft-0123abcd-word", "gpt-4o-mini-2024-07-18", "o200k_base"),
        ("gpt-4.7-turbo", "gpt-4.7-turbo", None),
        ("gpt-40", "gpt-40", None),
        ("Llama-3.3-70B-Instruct", "Llama-3.3-70B-Instruct", None),
        ("", "", None),
    ],
)
def test_a_model_is_known_by_its_name(model: str, base: str, encoding: str | None) -> None:
    assert base_of(model) == base
    assert encoding_of(model) == encoding
    if encoding is None:
        with pytest.raises(UnsupportedError, match="encoding is not known"):
            counter_of(model, Supervised())


def test_records_are_taken_one_by_one() -> None:
    taken = count()
    endless = ({"messages": [{"role": "user", "content": f"{next(taken)}"}]} for _ in count())
    assert len(list(islice(ChatCounter("o200k_base").count(endless), 5))) == 5
    assert next(taken) == 5


def test_a_counter_goes_to_another_process() -> None:
    counter = ChatCounter("o200k_base")
    assert pickle.loads(pickle.dumps(counter.count)).__self__ == counter  # noqa: S301 - our own
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(_total, (counter, [{"messages": CHAT}] * 3)) == 3 * 43


def _total(counter: ChatCounter, records: list[dict[str, Any]]) -> int:
    return sum(tokens for tokens, _ in counter.count(records))
