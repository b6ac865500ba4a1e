"""Rows as examples: nothing is cut, left out, or wrong without its line being told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hf_tools import chat, write

from ftkit import DPO, Supervised
from ftkit.errors import DatasetError
from ftkit.providers.huggingface.data import Examples, read_examples
from ftkit.providers.huggingface.encode import Pair
from ftkit.providers.huggingface.tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def read(model: Path, tmp_path: Path) -> Callable[..., Examples]:
    def read_rows(*rows: dict[str, Any], length: int = 60, dpo: bool = False) -> Examples:
        path = write(tmp_path / "rows.jsonl", rows)
        method = DPO() if dpo else Supervised()
        return read_examples(path, "training", method, Tokens.load(model, "m"), "assistant", length)

    return read_rows


def test_every_row_is_an_example(read: Callable[..., Examples]) -> None:
    found = read(chat("a", "b"), {"prompt": "a", "completion": "b"}, {"text": "c"})
    assert (len(found.rows), found.cut, found.left_out, found.warnings()) == (3, [], [], [])


def test_what_is_cut_or_left_out_is_told_by_line(read: Callable[..., Examples]) -> None:
    found = read(chat("a", "b"), chat("a", "b" * 60), chat("a" * 60, "b"), *[chat("a", "c" * 99)] * 5)
    assert (found.cut, found.left_out) == ([2, 3, 4, 5, 6, 7, 8], [3])
    assert max(len(row.input_ids) for row in found.rows if not isinstance(row, Pair)) == 60
    assert found.warnings() == [
        (
            "7 of the training examples are longer than max_length=60 tokens, and their ends were cut off "
            "(lines 2, 3, 4, 5, 6, ...)"
        ),
        "1 of the training examples hold nothing to learn within max_length=60 tokens, and are left out (line 3)",
    ]


def test_a_row_of_exactly_the_length_is_whole(read: Callable[..., Examples]) -> None:
    size = len(read(chat("a", "b")).rows[0].input_ids)  # type: ignore[union-attr]
    assert read(chat("a", "b"), length=size).cut == []
    assert read(chat("a", "b"), length=size - 1).cut == [1]


def test_pairs_that_were_cut_where_they_do_not_differ_yet_are_left_out(read: Callable[..., Examples]) -> None:
    pair = {"prompt": "p" * 10, "chosen": "same until here: yes", "rejected": "same until here: no"}
    assert len(read(pair, dpo=True).rows) == 1
    found = read(pair, {"prompt": "a", "chosen": "b", "rejected": "c"}, dpo=True, length=20)
    assert (len(found.rows), found.cut, found.left_out) == (1, [1], [1])


def test_a_file_without_anything_to_learn_says_why(read: Callable[..., Examples]) -> None:
    with pytest.raises(DatasetError, match="the training file holds nothing to learn: it is empty"):
        read()
    with pytest.raises(DatasetError, match=r"hold nothing to learn within max_length=8 tokens, .* \(lines 1, 2\)"):
        read(chat("a" * 20, "b"), chat("a" * 20, "b"), length=8)


def test_a_row_that_cannot_be_read_is_named_by_its_line(read: Callable[..., Examples], model: Path) -> None:
    with pytest.raises(DatasetError, match="line 2 of the training file: a record with the fields question cannot"):
        read(chat("a", "b"), {"question": "?"})
    path = write(model.parent / "broken.jsonl", [chat("a", "b")])
    path.write_text(path.read_text() + "\n{broken\n")
    with pytest.raises(DatasetError, match=r"line 3 of broken\.jsonl is no JSON"):
        read_examples(path, "training", Supervised(), Tokens.load(model, "m"), "assistant", 60)


def test_an_empty_line_is_no_row_and_counts_as_a_line(tmp_path: Path, model: Path) -> None:
    path = write(tmp_path / "rows.jsonl", [chat("a", "b")])
    path.write_text("\n" + path.read_text() + "\n\n" + path.read_text().replace("b", "b" * 99))
    found = read_examples(path, "training", Supervised(), Tokens.load(model, "m"), "assistant", 60)
    assert (len(found.rows), found.cut) == (2, [5])
