from __future__ import annotations

import importlib.util
import json
import sys
from typing import TYPE_CHECKING

import pytest
from served import Served

if sys.platform == "win32":
    pytest.skip("local training is POSIX only", allow_module_level=True)
if any(importlib.util.find_spec(name) is None for name in ("torch", "transformers", "trl", "peft", "starlette")):
    pytest.skip("the extra `local` is not installed", allow_module_level=True)

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

OCCASIONS = (
    *("the morning", "the afternoon", "the evening", "a long night", "a short night", "before dinner"),
    *("after dinner", "a walk in the rain", "a visit", "a good book", "a cold", "a train journey"),
)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Served]:
    """Trains and answers for real; there is one for each process of the tests."""
    running = Served(tmp_path_factory.mktemp("server"), "--model", "gpt-4o-mini-2024-07-18=ftkit/small")
    running.start()
    yield running
    running.end()


@pytest.fixture
def train(tmp_path: Path) -> Path:
    """A training file: an answer that no model gives of itself, and so soon learnt that no seed matters."""
    rows = [
        {
            "messages": [
                {"role": "user", "content": f"Which tea is for {occasion}?"},
                {"role": "assistant", "content": "Maté, as ever."},
            ]
        }
        for occasion in OCCASIONS
    ]
    path = tmp_path / "tea.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path
