"""Folders that `datasets` itself wrote are read as it reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from dataset_files import ANY_KIND, chat, records, write_lines

from ftkit.datasets import check

if TYPE_CHECKING:
    from pathlib import Path

hugging = pytest.importorskip("datasets")


@pytest.fixture(autouse=True)
def _quiet() -> None:
    hugging.disable_progress_bars()


def test_a_folder_is_read_as_datasets_reads_it(tmp_path: Path) -> None:
    whole = hugging.Dataset.from_list([chat(str(n)) for n in range(20)])
    whole.shuffle(seed=3).select(range(9)).save_to_disk(tmp_path / "saved", num_shards=2)
    assert records(tmp_path / "saved") == list(hugging.load_from_disk(tmp_path / "saved"))


def test_several_splits_are_named_and_one_is_read(tmp_path: Path) -> None:
    rows = hugging.Dataset.from_list([chat()])
    hugging.DatasetDict({"train": rows, "test": rows}).save_to_disk(tmp_path / "two")
    hugging.DatasetDict({"train": rows}).save_to_disk(tmp_path / "one")
    problem = check(tmp_path / "two", ANY_KIND).errors[0]
    assert problem.code == "several-splits"
    assert str(tmp_path / "two" / "test") in (problem.fix or "")
    assert records(tmp_path / "one") == records(tmp_path / "two" / "train") == [chat()]


def test_what_differs_from_row_to_row_is_kept_as_json_and_read_as_what_it_says(tmp_path: Path) -> None:
    said = ["text", [{"type": "text", "text": "a part"}], "more"]
    given: list[Any] = [{"a": {"type": "string", "default": None}}, {"b": 1}, {"a": [1, None]}]
    rows = [
        {**chat(content, "four"), "tools": [{"type": "function", "function": {"name": "f", "parameters": parameters}}]}
        for content, parameters in zip(said, given, strict=True)
    ]
    source = str(write_lines(tmp_path / "rows.jsonl", rows))
    loaded = hugging.load_dataset("json", data_files=source, split="train", cache_dir=str(tmp_path / "cache"))
    loaded.save_to_disk(tmp_path / "saved")
    loaded.to_parquet(tmp_path / "rows.parquet")
    assert "Json" in str(loaded.features)
    assert records(tmp_path / "saved") == records(tmp_path / "rows.parquet") == list(loaded) == rows
