"""A folder is there whole, or not at all."""

from __future__ import annotations

import errno
import os
import stat
import time
from typing import TYPE_CHECKING

import pytest
from job_tools import COMMAND, REQUEST, ask_only, await_word, elsewhere, start

from ftkit.errors import ProviderError, QuotaError
from ftkit.plugin.disk import try_lock, write_atomically

if TYPE_CHECKING:
    from pathlib import Path

    from ftkit.providers._local_jobs import LocalJobs


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_leaves_nothing_behind(jobs: LocalJobs, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)  # where a disk that is full shows, with delayed allocation
        with pytest.raises(QuotaError, match=f"{jobs.folder}: No space left on device") as error:
            start(jobs)
    assert "Free some space" in str(error.value)
    assert list(jobs.folder.iterdir()) == []
    assert jobs.find("k") is None
    await_word(jobs, start(jobs, steps=1), "succeeded")


def test_a_file_that_may_not_grow_leaves_nothing_behind(jobs: LocalJobs) -> None:
    code = (
        "import resource\n"
        "from ftkit.errors import ProviderError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try: start(jobs, notes='x' * 10_000)\n"
        "except ProviderError as error: print(error)\n"
    )
    out, errors = elsewhere(code, str(jobs.folder)).communicate(timeout=30)
    assert errors == ""
    assert f"the job could not be written in {jobs.folder}: File too large" in out
    assert list(jobs.folder.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_an_error_that_names_it(tmp_path: Path, jobs: LocalJobs) -> None:
    (tmp_path / "jobs").touch()
    with pytest.raises(ProviderError, match=f"the job could not be written in {jobs.folder}"):
        start(jobs)


def test_an_input_that_is_not_there_leaves_nothing_behind(jobs: LocalJobs, tmp_path: Path) -> None:
    with pytest.raises(ProviderError, match="No such file"):
        jobs.create(REQUEST, "k", COMMAND, inputs={"training.jsonl": tmp_path / "none"})
    assert list(jobs.folder.iterdir()) == []


def test_what_cannot_be_written_as_json_leaves_nothing_behind(jobs: LocalJobs) -> None:
    with pytest.raises(ValueError, match="serialize"):
        start(jobs, thing=object())
    assert list(jobs.folder.iterdir()) == []


def test_inputs_outlive_the_files_that_they_were_taken_from(
    jobs: LocalJobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object, **__: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    source = tmp_path / "source"
    for key in ("linked", "copied"):
        source.write_text("rows")
        with monkeypatch.context() as patch:
            if key == "copied":
                patch.setattr(os, "link", no_links)
            job = jobs.create(REQUEST, key, COMMAND, extra={"steps": 1}, inputs={"training.jsonl": source})
        source.unlink()
        assert (jobs.place(job.id).path / "training.jsonl").read_text() == "rows"


def test_a_job_is_for_its_owner_only(jobs: LocalJobs) -> None:
    place = ask_only(jobs)
    for folder in (jobs.folder, place.path):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_what_was_left_half_built_is_swept_away_when_it_is_old_and_nobody_builds_it(jobs: LocalJobs) -> None:
    jobs.folder.mkdir()
    old, young, held = (jobs.folder / f".tmp-{name}" for name in ("old", "young", "held"))
    for folder in (old, young, held):
        folder.mkdir()
        (folder / "training.jsonl").touch()
    lock = try_lock(held / "lock")
    assert lock is not None
    (jobs.folder / ".tmp-file").touch()
    hour_ago = time.time() - 3600
    for path in (old, held, jobs.folder / ".tmp-file"):
        os.utime(path, (hour_ago, hour_ago))
    try:
        ask_only(jobs)
    finally:
        os.close(lock)
    left = {path.name for path in jobs.folder.iterdir() if path.name.startswith(".tmp-")}
    assert left == {".tmp-young", ".tmp-held", ".tmp-file"}


def test_a_file_is_written_whole_or_stays_what_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_atomically(path, "before", durable=True)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, "after", durable=True)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir() if p.is_file()] == [("file", "before")]
