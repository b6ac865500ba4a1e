"""A checkpoint is whole, or it is nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from ftkit.providers.huggingface import checkpoints

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def make(job: Path, step: int) -> Path:
    folder = job / "checkpoints" / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(bytes(100))
    (folder / "trainer_state.json").write_text('{"global_step": 1}')
    return folder


def steps(job: Path) -> list[int]:
    return [mark.step for _, mark in checkpoints.whole(job)]


@pytest.fixture
def job(tmp_path: Path) -> Path:
    for step in (9, 10, 100):
        checkpoints.seal(make(tmp_path, step))
    return tmp_path


def test_checkpoints_come_newest_first_by_number(job: Path) -> None:
    assert steps(job) == [100, 10, 9]


def test_a_job_without_checkpoints_has_none(tmp_path: Path) -> None:
    assert checkpoints.whole(tmp_path) == []
    assert checkpoints.drop_torn(tmp_path) == []


def truncate(folder: Path) -> None:
    os.truncate(folder / "model.safetensors", 50)


def lengthen(folder: Path) -> None:
    os.truncate(folder / "model.safetensors", 101)


def drop_a_file(folder: Path) -> None:
    (folder / "trainer_state.json").unlink()


def break_json_of_the_same_size(folder: Path) -> None:
    path = folder / "trainer_state.json"
    path.write_bytes(bytes(path.stat().st_size))


def never_sealed(folder: Path) -> None:
    (folder / "complete.json").unlink()


def half_a_mark(folder: Path) -> None:
    os.truncate(folder / "complete.json", 10)


def a_folder_for_a_mark(folder: Path) -> None:
    (folder / "complete.json").unlink()
    (folder / "complete.json").mkdir()


@pytest.mark.parametrize(
    "tear",
    [
        truncate,
        lengthen,
        drop_a_file,
        break_json_of_the_same_size,
        never_sealed,
        half_a_mark,
        a_folder_for_a_mark,
    ],
)
def test_a_torn_one_is_neither_listed_nor_kept(job: Path, tear: Callable[[Path], None]) -> None:
    tear(job / "checkpoints" / "checkpoint-100")
    assert steps(job) == [10, 9]
    assert (job / "checkpoints" / "checkpoint-100").exists(), "reading removes nothing"
    assert checkpoints.drop_torn(job) == ["checkpoint-100"]
    assert checkpoints.drop_torn(job) == []
    assert sorted(os.listdir(job / "checkpoints")) == ["checkpoint-10", "checkpoint-9"]


def test_a_file_of_that_name_is_torn(job: Path) -> None:
    (job / "checkpoints" / "checkpoint-200").write_text("")
    assert steps(job) == [100, 10, 9]
    assert checkpoints.drop_torn(job) == ["checkpoint-200"]


def test_the_oldest_go_once_a_newer_one_is_whole(job: Path) -> None:
    make(job, 200)
    checkpoints.drop_old(job, keep=2)
    assert steps(job) == [100, 10], "one that is not sealed takes nobody's place"
    checkpoints.seal(job / "checkpoints" / "checkpoint-200")
    checkpoints.drop_old(job, keep=1)
    assert steps(job) == [200]


def test_a_removal_that_was_killed_is_ended_later(job: Path) -> None:
    left = job / "checkpoints" / ".gone-checkpoint-3"
    left.mkdir()
    (left / "model.safetensors").write_bytes(b"half")
    assert steps(job) == [100, 10, 9]
    assert checkpoints.drop_torn(job) == []
    assert not left.exists()
