"""Builds a model of a few thousand random weights in FOLDER/model: `python tiny_model.py FOLDER`.

Beside it, FOLDER/adapter holds an adapter for it alone, and FOLDER/merged the same adapter merged into it.

A module of its own, run in a process of its own, so that the tests themselves load no torch.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

CONTEXT = 192
TEMPLATE = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}{% endfor %}"
    "{% if tools %}<|tools|>{{ tools | length }}{% endif %}"
    "{% if messages[0].role == 'tool' %}{{ raise_exception('a conversation cannot begin with a tool') }}{% endif %}"
    "<|assistant|>"
)


def build(folder: Path) -> None:
    import torch
    from peft import LoraConfig, get_peft_model
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: n for n, letter in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast: Any = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<eos>", pad_token="<pad>")  # noqa: S106
    fast.chat_template = TEMPLATE
    fast.save_pretrained(folder / "model")
    fast.save_pretrained(folder / "merged")

    torch.manual_seed(11)
    config = LlamaConfig(
        vocab_size=len(fast),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT,
        initializer_range=0.3,
        bos_token_id=None,
        eos_token_id=fast.eos_token_id,
        pad_token_id=fast.pad_token_id,
    )
    model: Any = LlamaForCausalLM(config)
    model.save_pretrained(folder / "model")
    model.name_or_path = str(folder / "model")
    lora = LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False)
    adapted: Any = get_peft_model(model, lora)
    adapted.save_pretrained(folder / "adapter")
    adapted.merge_and_unload().save_pretrained(folder / "merged")


if __name__ == "__main__":
    build(Path(sys.argv[1]))
