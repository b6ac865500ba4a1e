"""What the tests of AutoTrain share."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit import DPO, ORPO, Client, LoRA, Reward, Supervised
from ftkit.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ftkit.methods import Method

HF_TOKEN = "hf_never_to_be_seen_4711"
HERE = Path(__file__).parent
VOCABULARY = 259
CHANCE = math.log(VOCABULARY)
"""The loss of a model that knows nothing, in nats a token."""


def build_model(folder: Path) -> None:
    subprocess.run([sys.executable, HERE.parent / "huggingface" / "tiny_model.py", folder], check=True)


def write(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def chats(count: int) -> list[dict[str, Any]]:
    return [{"messages": [asked(n), {"role": "assistant", "content": f"It is {n + 1}."}]} for n in range(count)]


def texts(count: int) -> list[dict[str, Any]]:
    return [{"text": f"The sum of {n} and one is {n + 1}."} for n in range(count)]


def preferences(count: int) -> list[dict[str, Any]]:
    return [
        {
            "prompt": [asked(n)],
            "chosen": [{"role": "assistant", "content": f"It is {n + 1}."}],
            "rejected": [{"role": "assistant", "content": "No idea."}],
        }
        for n in range(count)
    ]


def asked(number: int) -> dict[str, str]:
    return {"role": "user", "content": f"What is {number} and one?"}


def client_of(folder: Path, python: str) -> Client:
    """A client of a jobs folder and a ledger that nobody else has."""
    return Client("autotrain", ledger=Ledger(folder / "ledger"), jobs_folder=folder / "jobs", python=python)


CASES: dict[str, tuple[list[dict[str, Any]], Method, dict[str, Any]]] = {
    "sft": (chats(24), Supervised(learning_rate=1e-3, lora=LoRA(r=4)), {"chat_template": "zephyr"}),
    "generic": (texts(40), Supervised(learning_rate=1e-3), {"optimizer": "paged_adamw_8bit", "log": "tensorboard"}),
    "dpo": (preferences(8), DPO(beta=0.2, lora=True), {"chat_template": "chatml", "mixed_precision": "fp16"}),
    "orpo": (preferences(8), ORPO(n_epochs=2), {"max_prompt_length": 64}),
    "reward": (preferences(8), Reward(batch_size=4), {}),
}
"""A task of AutoTrain's -> rows, method and options."""
