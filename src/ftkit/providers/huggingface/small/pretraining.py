"""The weights of `ftkit/small`: a Llama, pre-trained on texts that are made as it goes. One core, about a minute."""

# pyright: basic
# torch and transformers are typed in part only; mypy still checks this file strictly.

from __future__ import annotations

from contextlib import contextmanager
from random import Random
from typing import TYPE_CHECKING, Any

import torch
from tokenizers import Tokenizer
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

from ftkit.providers.huggingface.small.corpus import documents
from ftkit.providers.huggingface.small.head_start import write_head_start
from ftkit.providers.huggingface.small.tokenizer import END, PAD, POSITIONS, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

STEPS = 260
_SEED = 20261123
_HIDDEN, _HEADS, _LAYERS, _INNER = 192, 3, 4, 512
_CONTENT = 128
_ROWS, _LENGTH = 16, 128
_LEARNING_RATE = 2e-3
_WARM_UP = 20
_COOL_DOWN = 0.4
"""Share of the steps, at the end, in which the learning rate falls."""

_LONGEST_GRADIENT = 1.0
_DOCUMENTS_AT_ONCE = 100


def pretrain(folder: Path, on_progress: Callable[[int, int, float], None] | None = None) -> None:
    """Trains the model for the tokenizer in a folder, and writes it there.

    Args:
        folder: Holds the tokenizer.
        on_progress: Called with (step, steps in all, loss in nats a token).
    """
    tokenizer: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
    with _one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        model = _new_model(tokenizer)
        optimizer = torch.optim.AdamW(model.parameters(), lr=_LEARNING_RATE, betas=(0.9, 0.95), weight_decay=0.05)
        for step, batch in zip(range(STEPS), _batches(tokenizer), strict=False):
            for group in optimizer.param_groups:
                group["lr"] = _LEARNING_RATE * _rate(step)
            loss = model(input_ids=batch, labels=batch).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), _LONGEST_GRADIENT)
            optimizer.step()
            optimizer.zero_grad()
            if on_progress:
                on_progress(step + 1, STEPS, loss.item())
    model.config.use_cache = True
    model.save_pretrained(folder)


def _new_model(tokenizer: Any) -> Any:  # noqa: ANN401 - untyped
    end, pad = tokenizer.token_to_id(END), tokenizer.token_to_id(PAD)
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=_HIDDEN,
        intermediate_size=_INNER,
        num_hidden_layers=_LAYERS,
        num_attention_heads=_HEADS,
        num_key_value_heads=_HEADS,
        max_position_embeddings=POSITIONS,
        rope_parameters={"rope_type": "default", "rope_theta": 500_000.0},
        tie_word_embeddings=True,
        use_cache=False,
        bos_token_id=None,
        eos_token_id=end,
        pad_token_id=pad,
    )
    model: Any = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(eos_token_id=end, pad_token_id=pad)
    words = [tokenizer.id_to_token(n).lstrip("Ġ") for n in range(tokenizer.get_vocab_size())]  # Ġ is a space
    write_head_start(model, words, _CONTENT, torch.Generator().manual_seed(_SEED))
    return model


def _batches(tokenizer: Any) -> Iterator[torch.Tensor]:  # noqa: ANN401 - untyped
    """Yields texts one after the other, cut to rows of one length."""
    texts, ids = documents(Random(_SEED)), list[int]()
    need = _ROWS * _LENGTH
    while True:
        while len(ids) < need:
            some = [plain(next(texts)) for _ in range(_DOCUMENTS_AT_ONCE)]
            ids.extend(token for encoded in tokenizer.encode_batch(some) for token in encoded.ids)
        yield torch.tensor(ids[:need]).view(_ROWS, _LENGTH)
        ids = ids[need:]


def _rate(step: int) -> float:
    """Returns the share of the learning rate: it rises, stays, and falls."""
    return min((step + 1) / _WARM_UP, 1.0, (STEPS - step) / (STEPS * _COOL_DOWN))


@contextmanager
def _one_thread() -> Generator[None]:
    """More would wait for each other; and on the same number of threads, the same sums come out."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
