"""The tokenizer of `ftkit/small`: byte-level BPE learnt from its own texts, ChatML. Loads no torch."""

from __future__ import annotations

import json
from itertools import islice
from random import Random
from typing import TYPE_CHECKING

from ftkit.providers.huggingface.small.corpus import documents

if TYPE_CHECKING:
    from pathlib import Path

    from ftkit.providers.huggingface.small.corpus import Document

VOCABULARY = 1536
POSITIONS = 1024
"""Longest text that the model takes, in tokens."""

START, END, PAD = "<|im_start|>", "<|im_end|>", "<|endoftext|>"
_DOCUMENTS = 6000
_SEED = 1

TEMPLATE = """\
{%- if tools %}{{ '<|im_start|>tools\\n' + (tools | tojson) + '<|im_end|>\\n' }}{% endif %}
{%- for message in messages %}
{{- '<|im_start|>' + message['role'] + '\\n' }}
{%- if message['role'] == 'assistant' %}
{%- generation %}
{{- message['content'] or '' }}
{%- for call in message['tool_calls'] or [] %}
{{- '<tool_call>' + (call['function'] | tojson) + '</tool_call>' }}
{%- endfor %}
{{- '<|im_end|>' }}
{%- endgeneration %}
{%- else %}
{{- (message['content'] or '') + '<|im_end|>' }}
{%- endif %}
{{- '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}
"""


def plain(document: Document) -> str:
    """Writes a document out as the model reads it; a conversation just as `TEMPLATE` does."""
    if isinstance(document, str):
        return document + PAD
    return "".join(f"{START}{m['role']}\n{m['content']}{END}\n" for m in document)


def write_tokenizer(folder: Path) -> None:
    """Learns the tokenizer, and writes it as transformers reads it."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = [AddedToken(word, special=True, normalized=False) for word in (PAD, START, END)]
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=special,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    texts = (plain(document) for document in islice(documents(Random(_SEED)), _DOCUMENTS))
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": END,
        "pad_token": PAD,
        "clean_up_tokenization_spaces": False,
        "model_max_length": POSITIONS,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    (folder / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
