"""Training data: read in any format, checked, converted, prepared for a provider, split. In constant memory.

report = check("train.jsonl", rules)        every problem at once: line, field, what is wrong, how to mend it
report = prepare("train.jsonl", rules, Path("out.jsonl"))
transcribe("train.csv", "train.jsonl", to="sharegpt")     in another layout and format, exactly or not at all
split("all.csv", {"train.jsonl": 0.9, "test.jsonl": 0.1}, columns={"question": "prompt", "answer": "completion"})
"""

from __future__ import annotations

from ftkit.datasets._rows import Row
from ftkit.datasets.checking import check
from ftkit.datasets.converting import convert
from ftkit.datasets.hashing import source_hash
from ftkit.datasets.layouts import LAYOUTS, Layout, register_layout
from ftkit.datasets.mending import Mended, mend
from ftkit.datasets.noticing import WARNINGS, watches_for
from ftkit.datasets.preparing import prepare
from ftkit.datasets.reading import read
from ftkit.datasets.records import Shape, normalise
from ftkit.datasets.rulebook import RuleBook, built_in
from ftkit.datasets.splitting import split
from ftkit.datasets.transcribing import transcribe

__all__ = [
    "LAYOUTS",
    "WARNINGS",
    "Layout",
    "Mended",
    "Row",
    "RuleBook",
    "Shape",
    "built_in",
    "check",
    "convert",
    "mend",
    "normalise",
    "prepare",
    "read",
    "register_layout",
    "source_hash",
    "split",
    "transcribe",
    "watches_for",
]
