"""The rows of a training file as examples that a model can be trained on. What is cut or left out is told."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ftkit.errors import DatasetError
from ftkit.methods import DPO
from ftkit.providers.huggingface.encode import NOT_LEARNT, Encoded, Pair, encode, encode_pair

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ftkit.methods import Method
    from ftkit.providers.huggingface.encode import TrainOn
    from ftkit.providers.huggingface.tokens import Tokens

_LINES_SHOWN = 5


@dataclass(slots=True)
class Examples:
    """What became of a file.

    Attributes:
        name: What it is for, such as "training".
        length: Most tokens of an example.
        rows: The examples.
        cut: Lines of which the end was cut off, as they were too long.
        left_out: Lines of which nothing is left to learn.
    """

    name: str
    length: int
    rows: list[Encoded | Pair] = field(default_factory=list["Encoded | Pair"])
    cut: list[int] = field(default_factory=list[int])
    left_out: list[int] = field(default_factory=list[int])

    def warnings(self) -> list[str]:
        """Says what was done to the file, one sentence each."""
        found: list[str] = []
        if self.cut:
            what = f"{len(self.cut)} of the {self.name} examples are longer than max_length={self.length} tokens"
            found.append(f"{what}, and their ends were cut off ({_lines(self.cut)})")
        if self.left_out:
            what = f"{len(self.left_out)} of the {self.name} examples hold nothing to learn"
            why = f" within max_length={self.length} tokens" if set(self.left_out) & set(self.cut) else ""
            found.append(f"{what}{why}, and are left out ({_lines(self.left_out)})")
        return found


def read_examples(path: Path, name: str, method: Method, tokens: Tokens, train_on: TrainOn, length: int) -> Examples:
    """Reads and encodes a file.

    Args:
        path: The file.
        name: What it is for.
        method: The fine-tuning method.
        tokens: The model's tokenizer.
        train_on: What to learn.
        length: Most tokens of an example.

    Raises:
        DatasetError: There is nothing in it to learn, or a row makes no sense.
        ConfigurationError: The model's chat template does not fit.
    """
    examples = Examples(name=name, length=length)
    for line, record in rows(path):
        try:
            is_pair = isinstance(method, DPO)
            example = encode_pair(record, tokens) if is_pair else encode(record, tokens, train_on)
        except DatasetError as error:
            raise DatasetError(f"line {line} of the {name} file: {error.message}") from error
        size = example.longest if isinstance(example, Pair) else len(example.input_ids)
        if size > length:
            examples.cut.append(line)
            example = example.cut(length)
        if _can_be_learnt(example):
            examples.rows.append(example)
        else:
            examples.left_out.append(line)
    if not examples.rows:
        found = "; ".join(examples.warnings()) or "it is empty"
        raise DatasetError(f"the {name} file holds nothing to learn: {found}")
    return examples


def rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields the rows of a file with their lines, counted from 1; empty lines are none."""
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                try:
                    yield number, json.loads(line)
                except ValueError as error:
                    raise DatasetError(f"line {number} of {path.name} is no JSON: {error}") from error


def _can_be_learnt(example: Encoded | Pair) -> bool:
    if isinstance(example, Pair):  # two answers that were cut where they do not differ yet say nothing
        return example.chosen_ids != example.rejected_ids
    return any(label != NOT_LEARNT for label in example.labels[1:])


def _lines(lines: list[int]) -> str:
    shown = ", ".join(map(str, lines[:_LINES_SHOWN]))
    return f"line{'s' if len(lines) > 1 else ''} {shown}{', ...' if len(lines) > _LINES_SHOWN else ''}"
