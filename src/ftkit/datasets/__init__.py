"""Training data: read in any format, checked, converted, prepared for a provider, split. In constant memory.

report = check("train.jsonl", rules)        every problem at once: line, field, what is wrong, how to mend it
report = prepare("train.jsonl", rules, Path("out.jsonl"))
split("all.csv", {"train.jsonl": 0.9, "test.jsonl": 0.1}, columns={"question": "prompt", "answer": "completion"})
"""

from __future__ import annotations

from ftkit.datasets._rows import Row
from ftkit.datasets.checking import check
from ftkit.datasets.converting import convert
from ftkit.datasets.hashing import source_hash
from ftkit.datasets.layouts import LAYOUTS, Layout, register_layout
from ftkit.datasets.preparing import prepare
from ftkit.datasets.reading import read
from ftkit.datasets.records import normalise
from ftkit.datasets.splitting import split

__all__ = [
    "LAYOUTS",
    "Layout",
    "Row",
    "check",
    "convert",
    "normalise",
    "prepare",
    "read",
    "register_layout",
    "source_hash",
    "split",
]
