from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from ftkit import Client
from ftkit.testing import MemoryProvider, MemoryVendor

if TYPE_CHECKING:
    from pathlib import Path


def chat_rows(count: int = 12) -> list[dict[str, object]]:
    return [
        {"messages": [{"role": "user", "content": f"question {i}"}, {"role": "assistant", "content": f"answer {i}"}]}
        for i in range(count)
    ]


@pytest.fixture
def train(tmp_path: Path) -> Path:
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in chat_rows()))
    return path


@pytest.fixture
def vendor() -> MemoryVendor:
    """The remote side, which sees every request, and knows nothing of keys."""
    return MemoryVendor(account="tests")


@pytest.fixture
def client(vendor: MemoryVendor) -> Client:
    return Client(MemoryProvider(vendor))
