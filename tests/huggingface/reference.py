"""What transformers and trl make of the templates and records: `python reference.py MODEL OUT`, as JSON in OUT.

Beside it, OUT/../tokenizers/NAME holds a tokenizer with each template, and MODEL's vocabulary.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from templates import CALLING, CONVERSATIONS, MARKED, PAIRS, PROMPTS, TEMPLATES, TEXTS, TOOLS


def rendered(tokenizer: Any, messages: list[dict[str, Any]], tools: list[dict[str, Any]] | None) -> dict[str, Any]:
    from jinja2 import TemplateError

    found: dict[str, Any] = {}
    for name, prompt in (("whole", False), ("asking", True)):
        try:
            text = tokenizer.apply_chat_template(messages, tools=tools, tokenize=False, add_generation_prompt=prompt)
            ids = tokenizer.apply_chat_template(messages, tools=tools, add_generation_prompt=prompt)["input_ids"]
            found[name] = {"text": text, "ids": ids}
        except TemplateError as error:
            found[name] = {"error": str(error)}
    return found


def trained(trainer: type[Any], settings: Any, model: Path, tokenizer: Any, rows: list[dict[str, Any]]) -> Any:
    from datasets import Dataset

    made = trainer(str(model), args=settings, train_dataset=Dataset.from_list(rows), processing_class=tokenizer)
    return [dict(row) for row in made.train_dataset]


def main(model: Path, out: Path) -> None:
    from transformers import AutoTokenizer
    from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

    shared: dict[str, Any] = {
        "output_dir": str(out.parent / "trl"),
        "use_cpu": True,
        "bf16": False,
        "report_to": "none",
        "max_length": None,
    }
    found: dict[str, Any] = {"rendered": {}, "assistant": {}}
    for name, template in {"plain": None, **TEMPLATES}.items():
        tokenizer: Any = AutoTokenizer.from_pretrained(model)
        if template is not None:
            tokenizer.chat_template = template
            tokenizer.bos_token = "<|im_start|>"
        folder = out.parent / "tokenizers" / name
        tokenizer.save_pretrained(folder)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        found["rendered"][name] = {
            case: rendered(tokenizer, messages, None) for case, messages in CONVERSATIONS.items()
        } | {"calling": rendered(tokenizer, CALLING, TOOLS)}
        if name in MARKED:
            rows = [{"messages": messages} for messages in CONVERSATIONS.values()]
            settings = SFTConfig(assistant_only_loss=True, **shared)
            found["assistant"][name] = dict(
                zip(CONVERSATIONS, trained(SFTTrainer, settings, model, tokenizer, rows), strict=True)
            )
        if name == "chatml":
            plain = SFTConfig(completion_only_loss=True, **shared)
            found["prompts"] = trained(SFTTrainer, plain, model, tokenizer, PROMPTS)
            found["texts"] = trained(SFTTrainer, SFTConfig(**shared), model, tokenizer, TEXTS)
            dpo = DPOConfig(**shared)
            found["pairs"] = [trained(DPOTrainer, dpo, model, tokenizer, [pair])[0] for pair in PAIRS]
    out.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
