"""Training files: taken whole, listed, given back whole, or one clear error."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from ftkit.errors import NotFoundError, ProviderError
from ftkit.providers._local_jobs.files import LocalFiles

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def files(tmp_path: Path) -> LocalFiles:
    return LocalFiles(tmp_path / "files", "huggingface", "local:tests")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "train.jsonl"
    path.write_text('{"text": "🍪"}\n')
    return path


def test_a_file_is_copied_and_known_by_its_key(files: LocalFiles, source: Path, tmp_path: Path) -> None:
    file = files.add(source, "k")
    assert (file.filename, file.size, file.identity) == ("train.jsonl", source.stat().st_size, "local:tests")
    assert files.add(source, "k").id == file.id != files.add(source, "other").id
    content = source.read_bytes()
    source.write_text("changed since")
    files.download(file.id, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == content


def test_another_account_opens_the_same_folder(files: LocalFiles, source: Path, tmp_path: Path) -> None:
    file = files.add(source, "k")
    assert LocalFiles(tmp_path / "files", "huggingface", "local:tests").get(file.id) == file


def test_files_are_listed_newest_first_in_pages(files: LocalFiles, source: Path) -> None:
    made = [files.add(source, str(n)).id for n in range(3)]
    first = files.list_files(None, 2)
    assert [file.id for file in first.items] == made[:0:-1]
    rest = files.list_files(first.next, 2)
    assert ([file.id for file in rest.items], rest.next) == (made[:1], None)
    with pytest.raises(NotFoundError):
        files.list_files("file-" + "0" * 24, 2)


def test_a_file_that_is_not_whole_is_not_there(files: LocalFiles, source: Path, tmp_path: Path) -> None:
    file = files.add(source, "k")
    os.truncate(tmp_path / "files" / f"{file.id}.jsonl", 3)
    for ask in (files.get, files.path, files.delete):
        with pytest.raises(NotFoundError, match="Upload it again"):
            ask(file.id)
    assert files.list_files(None, 9).items == ()
    assert files.add(source, "k") == files.get(file.id), "the same upload again mends it"


def test_a_note_that_is_damaged_is_one_error(files: LocalFiles, source: Path, tmp_path: Path) -> None:
    file = files.add(source, "k")
    (tmp_path / "files" / f"{file.id}.json").write_text("{")
    with pytest.raises(ProviderError, match="is damaged"):
        files.get(file.id)


def test_a_deleted_file_is_gone_with_all_that_was_of_it(files: LocalFiles, source: Path, tmp_path: Path) -> None:
    file = files.add(source, "k")
    files.delete(file.id)
    assert os.listdir(tmp_path / "files") == []
    with pytest.raises(NotFoundError):
        files.delete(file.id)


def test_a_download_that_fails_leaves_what_was_there(files: LocalFiles, source: Path, tmp_path: Path) -> None:
    file = files.add(source, "k")
    folder = tmp_path / "taken"
    folder.mkdir()
    with pytest.raises(ProviderError, match="the file could not be written"):
        files.download(file.id, folder)
    with pytest.raises(ProviderError, match="the file could not be written"):
        files.download(file.id, tmp_path / "no" / "such" / "folder")
    assert os.listdir(folder) == []
    assert not [path for path in tmp_path.iterdir() if path.name.startswith((".", "no"))]


def test_an_upload_of_what_is_not_there_leaves_nothing(files: LocalFiles, tmp_path: Path) -> None:
    with pytest.raises(ProviderError, match=r"'missing\.jsonl' could not be copied"):
        files.add(tmp_path / "missing.jsonl", "k")
    assert os.listdir(tmp_path / "files") == []
