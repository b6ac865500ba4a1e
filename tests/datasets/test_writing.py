from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING

import pytest
from dataset_files import ANY_KIND, records, write_lines

from ftkit.datasets import prepare, split
from ftkit.errors import ConfigurationError, DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return write_lines(tmp_path / "in" / "all.jsonl", [{"text": str(i)} for i in range(10)])


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder that must be as it was when the test ends."""
    folder = tmp_path / "out"
    (folder / "folder").mkdir(parents=True)
    (folder / "file.jsonl").write_text("old")
    monkeypatch.chdir(folder)
    before = sorted(folder.rglob("*"))
    yield folder
    assert sorted(folder.rglob("*")) == before
    assert (folder / "file.jsonl").read_text() == "old"


IMPOSSIBLE = [
    {"a.jsonl": 5, "folder": 5},  # the first must not be there because the second cannot be
    {"folder": 5, "a.jsonl": 5},
    {"new/a.jsonl": 5, "folder": 5},
    {"b": 5, "b/b.jsonl": 5},
    {"file.jsonl": 5, "file.jsonl/b.jsonl": 5},
    {".": 1},
    {"": 1},
    {"a" * 250: 1},  # there is no room for a temporary name
]


@pytest.mark.usefixtures("out")
@pytest.mark.parametrize("into", IMPOSSIBLE, ids=str)
def test_what_cannot_be_written_is_one_error_and_leaves_nothing(into: dict[str, float], source: Path) -> None:
    with pytest.raises(ConfigurationError):
        split(source, into)


@pytest.mark.skipif(sys.platform == "win32", reason="has no named pipes among its files")
def test_a_pipe_is_not_replaced_by_a_file(source: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    with pytest.raises(ConfigurationError, match="a pipe or a device"):
        prepare(source, ANY_KIND, tmp_path / "pipe.jsonl")
    assert (tmp_path / "pipe.jsonl").is_fifo()


def test_folders_that_were_made_vanish_when_the_data_is_bad(out: Path) -> None:
    bad = write_lines(out.parent / "bad.jsonl", ["{"])
    with pytest.raises(DatasetError):
        prepare(bad, ANY_KIND, out / "new" / "deep" / "a.jsonl")


@pytest.mark.skipif(sys.platform == "win32", reason="has no limit on the size of files")
def test_a_disk_without_room_is_one_error_and_leaves_nothing(out: Path) -> None:
    resource = importlib.import_module("resource")
    source = write_lines(out.parent / "in.jsonl", [{"text": "x" * 1000}] * 1000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    try:
        with pytest.raises(ConfigurationError, match=r"file\.jsonl' cannot be written: File too large"):
            prepare(source, ANY_KIND, out / "file.jsonl")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class Meddling(dict[str, str]):
    """Column names that change the file when they are looked at for the second time."""

    def __init__(self, path: Path, content: str) -> None:
        super().__init__({"text": "text"})
        self._path, self._content, self._looks = path, content, 0

    def values(self):  # type: ignore[no-untyped-def]  # noqa: ANN201 - dict's own type has no name
        self._looks += 1
        if self._looks == 3:  # twice for each reading
            self._path.write_text(self._content)
        return super().values()


@pytest.mark.usefixtures("out")
@pytest.mark.parametrize("rows", [0, 9, 11])
def test_a_file_that_changes_while_it_is_split_is_an_error(rows: int, source: Path) -> None:
    columns = Meddling(source, '{"text": "new"}\n' * rows or "\n")
    with pytest.raises(DatasetError, match="changed"):
        split(source, {"a.jsonl": 0.5, "b.jsonl": 0.5}, columns=columns)


def test_a_file_of_the_same_name_is_replaced_as_a_whole(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.jsonl"
    target.write_text("old" * 1000)
    split(source, {target: 2})
    assert len(records(target)) == 2
