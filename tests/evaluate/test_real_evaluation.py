"""A real training pays, and one that was made useless on purpose does not: only the learning rate is another."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from ftkit import Client, Supervised
from ftkit.evaluate import Evaluation, ExecutionMatch, Finding, evaluate

DATA = Path(__file__).parents[2] / "examples" / "data" / "text_to_sql.jsonl"
LOCAL = all(importlib.util.find_spec(name) for name in ("torch", "transformers", "trl", "peft", "starlette"))
pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(not LOCAL or sys.platform == "win32", reason="local training is not to be had here"),
]


def talks(first: int, last: int) -> list[dict[str, list[dict[str, str]]]]:
    rows = [json.loads(line) for line in DATA.read_text(encoding="utf-8").splitlines()[first:last]]
    return [
        {
            "messages": [
                {"role": "system", "content": row["context"]},
                {"role": "user", "content": row["question"]},
                {"role": "assistant", "content": row["answer"]},
            ]
        }
        for row in rows
    ]


@pytest.mark.parametrize(("learning_rate", "finding"), [(3e-3, Finding.YES), (1e-9, Finding.NO)])
def test_the_verdict_tells_a_training_from_none(learning_rate: float, finding: Finding, tmp_path: Path) -> None:
    train = tmp_path / "train.jsonl"
    train.write_text("".join(json.dumps(talk) + "\n" for talk in talks(0, 400)))
    client = Client("huggingface")
    method = Supervised(n_epochs=3, batch_size=8, learning_rate=learning_rate)
    job = client.fine_tune("small", train, method=method, seed=7, progress=False)
    found = evaluate(
        client, talks(400, 440), job, few_shot=train, metric=ExecutionMatch(), max_tokens=60, progress=False
    )
    assert [each.name for each in found.standings] == ["base", "few-shot", "tuned"]
    assert found.verdict is not None
    assert found.verdict.finding is finding, str(found)
    assert Evaluation.model_validate_json(found.model_dump_json()) == found
