"""The model side alone: what a batch, an adapter and a half character come to."""

from __future__ import annotations

import random
import shutil
from typing import TYPE_CHECKING

import pytest

from ftkit.errors import ConfigurationError

generation = pytest.importorskip("ftkit.providers.huggingface.generation")

if TYPE_CHECKING:
    from pathlib import Path

    from ftkit.providers.huggingface.generation import ChatModel, Generation, Piece


@pytest.fixture(scope="module")
def chat_model(model: Path) -> ChatModel:
    loaded: ChatModel = generation.load(str(model))
    return loaded


def wanted(model: ChatModel, question: str, told: list[Piece], max_tokens: int = 30) -> Generation:
    prompt = model.prompt([{"role": "user", "content": question}], None)
    one: Generation = generation.Generation(
        prompt=prompt, max_tokens=max_tokens, deliver=told.append, sampling=generation.Sampling(temperature=0)
    )
    return one


def answers(model: ChatModel, *batches: list[str]) -> list[str]:
    texts: list[str] = []
    for batch in batches:
        told: list[list[Piece]] = [[] for _ in batch]
        model.generate([wanted(model, question, pieces) for question, pieces in zip(batch, told, strict=True)])
        texts += ["".join(piece.text for piece in pieces) for pieces in told]
    return texts


def test_a_batch_gives_the_answers_that_each_gets_alone(chat_model: ChatModel) -> None:
    questions = ["a", "bc", "long " * 20, "x" * 60, "", "Grüße"]
    assert answers(chat_model, questions) == answers(chat_model, *([question] for question in questions))


def test_who_waits_together_is_answered_together_within_bounds(chat_model: ChatModel) -> None:
    batches = generation.Batches(chat_model)
    told: list[list[Piece]] = [[] for _ in range(20)]
    for n, pieces in enumerate(told):
        batches.submit(wanted(chat_model, f"row {n}", pieces))
    left: list[Piece] = []
    gone = wanted(chat_model, "gone", left)
    gone.cancelled = True
    batches.submit(gone)
    batches.run_once()
    assert [bool(pieces) for pieces in told] == [True] * 16 + [False] * 4
    # 170 of the context's 192 tokens, and 100 more of another row: padding would go beyond the last position.
    long, many = [], []
    batches.submit(wanted(chat_model, "x" * 150, long, 2))
    batches.submit(wanted(chat_model, "y", many, 100))
    batches.run_once()
    assert bool(long) is not bool(many)
    assert not left


def test_one_failed_batch_is_told_and_the_next_is_answered(chat_model: ChatModel) -> None:
    batches = generation.Batches(chat_model)
    bad: list[Piece] = []
    good: list[Piece] = []
    impossible = wanted(chat_model, "x", bad)
    impossible.prompt = [10**6]  # no such token
    batches.submit(impossible)
    batches.run_once()
    batches.submit(wanted(chat_model, "x", good))
    batches.run_once()
    assert [type(piece) for piece in bad] == [IndexError]
    assert good[-1].finish_reason in {"stop", "length"}


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # peft asks for it
def test_an_adapter_alone_answers_like_its_merged_model(chat_model: ChatModel, models: Path) -> None:
    adapted, merged = (generation.load(str(models / name)) for name in ("adapter", "merged"))
    questions = [["hello"], ["how are you?"]]
    assert answers(adapted, *questions) == answers(merged, *questions)
    assert answers(adapted, *questions) != answers(chat_model, *questions)


def test_an_adapter_that_is_a_pickle_is_not_read(models: Path, tmp_path: Path) -> None:
    shutil.copytree(models / "adapter", tmp_path / "adapter")
    (tmp_path / "adapter" / "adapter_model.safetensors").rename(tmp_path / "adapter" / "adapter_model.bin")
    with pytest.raises(ConfigurationError, match="safetensors"):
        generation.load(str(tmp_path / "adapter"))


@pytest.mark.parametrize("seed", range(20))
def test_pieces_of_any_bytes_are_the_text_of_all(chat_model: ChatModel, seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311 - tests draw the same each time
    words = ["ä", "🌍", "a", " ", "漢", "\n"]
    tokenizer = chat_model._tokenizer
    tokens = [token for _ in range(30) for token in tokenizer.encode(draw.choice(words))]
    for _ in range(5 * (seed % 2)):
        tokens.insert(draw.randrange(len(tokens)), draw.randrange(256))
    text = generation.Text(tokenizer)
    pieces = [text.add(token) for token in tokens]
    assert not [piece for piece in pieces if piece.endswith("\N{REPLACEMENT CHARACTER}")]
    assert "".join([*pieces, text.end()]) == tokenizer.decode(tokens)


def test_the_earliest_of_several_stop_strings_counts(chat_model: ChatModel) -> None:
    text = generation.Text(chat_model._tokenizer, ("lo", "llo", "z"))
    pieces = [text.add(token) for token in chat_model._tokenizer.encode("hello world") if not text.stopped]
    assert "".join(pieces) == "he"
    assert text.stopped
