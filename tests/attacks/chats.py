"""A small training file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def chats(folder: Path, rows: int = 12) -> Path:
    """Writes so many short conversations, and returns the file."""
    path = folder / "train.jsonl"
    said = [[{"role": "user", "content": f"{n}?"}, {"role": "assistant", "content": f"{n}."}] for n in range(rows)]
    path.write_text("".join(json.dumps({"messages": messages}) + "\n" for messages in said), encoding="utf-8")
    return path
