"""The first weights of `ftkit/small`: random, but for two attention heads that can copy already.

What a language model has to learn first is to say again what stands before: it finds the last place where the newest
token stood, and says what came after it there. The circuit that does it needs one head that looks at the token
before, and in a later layer heads that look for the newest token among those (arXiv:2209.11895). Training finds it by
itself, after a long plateau: with these sizes it took more than 400 steps, minutes on one core, until 40 % of our
held-out queries were right. Here it is written down, which costs nothing: 70 % after 200 steps (2026-11-25,
docs/decisions/0001). Training goes on from there, and changes these weights like all others.

The residual stream is divided among the first dimensions, for the token itself; those after, for the one before it;
and the last one, which is the same for all tokens and lets a head look at a distance, whatever stands there.
"""

# pyright: basic
# torch and transformers are typed in part only; mypy still checks this file strictly.

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

_SCALE = 0.25
"""Size of an entry of an embedding."""

_OWN = 0.7
"""How much of an embedding is the token's own, beside what it shares with the others of the same word."""

_DISTANCE_SHARPNESS = 50.0
_TOKEN_SHARPNESS = 1.6
_FINAL_NORM = 0.5
_SLOW = 0.012
"""Radians a position: pairs of dimensions that turn no faster tell what, not where, up to about a hundred tokens."""


def write_head_start(
    model: Any,  # noqa: ANN401 - transformers is untyped
    words: Sequence[str],
    content: int,
    random: torch.Generator,
) -> None:
    """Writes the two kinds of head into the first two layers of a Llama.

    Args:
        model: The model, with random weights. Its embeddings are tied.
        words: The tokens as text; those of the same word are akin, with or without a space or a capital letter.
        content: How many dimensions are for the token itself; a multiple of the size of a head.
        random: Draws the embeddings.
    """
    with torch.no_grad():
        _write(model, words, content, random)


def _write(
    model: Any,  # noqa: ANN401 - transformers is untyped
    words: Sequence[str],
    content: int,
    random: torch.Generator,
) -> None:
    hidden, heads = model.config.hidden_size, model.config.num_attention_heads
    size = hidden // heads
    constant = hidden - 1
    directions = torch.linalg.qr(torch.randn(content, content, generator=random))[0][: constant - content]
    _write_embeddings(model.model.embed_tokens.weight, words, content, random)
    unit = (hidden / (content + 1)) ** 0.5  # what the first norm makes of an entry of an embedding
    turns = model.config.rope_parameters["rope_theta"] ** (-torch.arange(size // 2) / (size // 2))
    _look_one_back(model.model.layers[0].self_attn, directions, turns, constant, unit)
    for head in range(content // size):
        _look_for_the_same(model.model.layers[1].self_attn, head, directions, turns, content)
    model.model.norm.weight.fill_(_FINAL_NORM)


def _write_embeddings(weight: torch.Tensor, words: Sequence[str], content: int, random: torch.Generator) -> None:
    roots = {word: n for n, word in enumerate(dict.fromkeys(map(str.lower, words)))}
    drawn = torch.randn(len(roots), content, generator=random)[[roots[word.lower()] for word in words]]
    drawn += _OWN * torch.randn(len(words), content, generator=random)
    weight.zero_()
    weight[:, :content] = torch.nn.functional.normalize(drawn) * _SCALE * content**0.5  # all of one length
    weight[:, -1] = _SCALE


def _clear(attention: Any, rows: slice) -> None:  # noqa: ANN401 - transformers is untyped
    for linear in (attention.q_proj, attention.k_proj, attention.v_proj):
        linear.weight[rows] = 0
    attention.o_proj.weight[:, rows] = 0


def _look_one_back(
    attention: Any,  # noqa: ANN401 - transformers is untyped
    directions: torch.Tensor,
    turns: torch.Tensor,
    constant: int,
    unit: float,
) -> None:
    """Head 0: the key of each token is turned by one position, so that it fits best the query of the next."""
    size, half = 2 * len(turns), len(turns)
    kept, content = directions.shape
    _clear(attention, slice(0, size))
    fast = half // 4  # these turn fast enough to tell one position from the next
    strength = _DISTANCE_SHARPNESS**0.5 / unit
    attention.q_proj.weight[:fast, constant] = strength
    attention.k_proj.weight[:fast, constant] = strength * torch.cos(turns[:fast])
    attention.k_proj.weight[half : half + fast, constant] = strength * torch.sin(turns[:fast])
    attention.v_proj.weight[:kept, :content] = directions
    attention.o_proj.weight[content : content + kept, :kept] = torch.eye(kept) * _SCALE / unit


def _look_for_the_same(
    attention: Any,  # noqa: ANN401 - transformers is untyped
    head: int,
    directions: torch.Tensor,
    turns: torch.Tensor,
    content: int,
) -> None:
    """A head that looks for tokens before which the newest one stood, and takes over its share of what they are."""
    size, half = 2 * len(turns), len(turns)
    rows = slice(head * size, (head + 1) * size)
    _clear(attention, rows)
    slow = [n for n in range(half) if turns[n] < _SLOW]
    for n, place in enumerate([*slow, *(half + n for n in slow)][: len(directions)]):
        attention.q_proj.weight[rows.start + place, :content] = _TOKEN_SHARPNESS * directions[n]
        attention.k_proj.weight[rows.start + place, content + n] = _TOKEN_SHARPNESS
    attention.v_proj.weight[rows, rows] = torch.eye(size)
    attention.o_proj.weight[rows, rows] = torch.eye(size)
