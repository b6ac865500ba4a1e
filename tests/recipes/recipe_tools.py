"""Recipes in the shapes that AutoTrain's documentation has, and small data for them."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

GONE = object()


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def chat(n: int) -> list[dict[str, str]]:
    return [user(f"After {n}?"), assistant(str(n + 1))]


CHATS = [{"text": chat(n)} for n in range(12)]
TEXTS = [{"text": f"After {n} comes {n + 1}."} for n in range(12)]
PAIRS = [{"chosen": chat(n), "rejected": [user(f"After {n}?"), assistant("7")]} for n in range(12)]

BASE: dict[str, Any] = {
    "task": "llm-sft",
    "base_model": "ftkit/small",
    "project_name": "numbers",
    "log": "none",
    "backend": "local",
    "data": {
        "path": "data",
        "train_split": "train",
        "valid_split": None,
        "chat_template": "tokenizer",
        "column_mapping": {"text_column": "text"},
    },
    "params": {},
}
PAIRED: dict[str, Any] = {
    "task": "llm-dpo",
    "data.column_mapping": {"text_column": "chosen", "rejected_text_column": "rejected"},
}
"""What makes preferences of it."""


def put_rows(rows: list[dict[str, Any]], name: str = "data/train.jsonl") -> None:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def put_recipe(changes: dict[str, Any] | None = None, name: str = "recipe.yml") -> str:
    """Writes a recipe: the one above, but for keys with dots between their parts."""
    recipe = deepcopy(BASE)
    for key, value in (changes or {}).items():
        *sections, last = key.split(".")
        place = recipe
        for section in sections:
            place = place.setdefault(section, {})
        if value is GONE:
            place.pop(last, None)
        else:
            place[last] = value
    Path(name).write_text(yaml.safe_dump(recipe), encoding="utf-8")
    return name
