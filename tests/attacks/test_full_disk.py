"""The disk is full, broken or read-only. What was written stays readable, and nothing is paid that was not written."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from chats import chats
from served_vendor import ServedVendor, openai_at
from wire_vendor import WireVendor

from ftkit.ledger import FILE_NAME
from ftkit.models import JobRequest, TrainingFile
from ftkit.testing.attacks import processes
from ftkit.testing.attacks.errand import Errand
from ftkit.testing.tally import ALL, Tally, points, record

if TYPE_CHECKING:
    from collections.abc import Generator

    from ftkit.providers.openai import OpenAIProvider

ATTACK = "full disk and I/O errors of the ledger"
CREATE = "POST /fine_tuning/jobs"
REQUEST = JobRequest(model="gpt-4o-mini-2024-07-18", training_file=TrainingFile(id="any", provider="openai"))
SAMPLE = 5
SENDS = ("sendto", "sendmsg")
WRITES = ("pwrite64", "fsync", "fdatasync", "write", "ftruncate")


@pytest.fixture
def served() -> Generator[ServedVendor]:
    server = ServedVendor(WireVendor())
    yield server
    server.stop()


def limited_openai_at(url: str, most: int) -> OpenAIProvider:
    """Makes the provider in a process that can write no file beyond a size from here on."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # it is told of it, in place of being killed
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    return openai_at(url)


def rows_of(home: Path) -> list[tuple[str, str | None]]:
    """Reads state and job of all intents by hand, as they are found after the process has died."""
    if not (home / FILE_NAME).exists():
        return []
    db = sqlite3.connect(home / FILE_NAME)
    try:
        there = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'jobs'").fetchone()
        return db.execute("SELECT state, job_id FROM jobs").fetchall() if there else []
    finally:
        db.close()


def errors_at(n: int) -> tuple[str, ...]:
    """Both errors at every point where all are tried, else one after the other."""
    both = ("EIO", "ENOSPC")
    return both if os.environ.get(ALL) == "all" else (both[n % 2],)


@pytest.mark.skipif(bool(processes.can_strike()), reason=str(processes.can_strike()))
def test_an_error_of_the_disk_at_any_write_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train = chats(tmp_path)

    def errand(url: str, home: Path) -> Errand:
        return Errand(partial(openai_at, url), home, train, REQUEST)

    server = ServedVendor(WireVendor())
    found, outcome = processes.points_of(errand(server.url, tmp_path / "counted"), (*WRITES, *SENDS))
    server.stop()
    assert outcome.came
    post = next(n for n, point in enumerate(found) if "POST /v1/fine_tuning/jobs" in point.text)
    intent = [point for point in found[post - 20 : post] if "-wal" in point.text]  # written just before it is sent
    found = [point for point in found if str(tmp_path) in point.text]  # in ftkit's own files
    assert len(found) > SAMPLE
    chosen = {*points(len(found), SAMPLE), *(found.index(intent[n]) + 1 for n in (0, -3, -2))}
    tries = [(found[n - 1], error) for n in sorted(chosen) for error in errors_at(n)]
    ends: Counter[str | None] = Counter()
    made = 0
    for number, (point, error) in enumerate(tries):
        where = f"{error} at {point.text}"
        vendor, home = WireVendor(), tmp_path / str(number)
        server = ServedVendor(vendor)
        try:
            struck = processes.run_struck(errand(server.url, home), point, f"error={error}")
            ends[struck.kind] += 1
            assert vendor.requests[CREATE] <= len(rows_of(home)), where
            assert struck.came or str(home) in str(struck.error), f"{where}: {struck.kind}: {struck.error}"
            monkeypatch.setenv("FTKIT_HOME", str(home))
            job_id = errand(server.url, home).run()
        finally:
            server.stop()
        assert [*vendor.jobs] == [job_id], where
        assert vendor.requests[CREATE] == 1, where
        assert rows_of(home) == [("made", job_id)], where
        made += len(vendor.jobs)
    assert ends["LedgerError"], ends  # else nothing was struck that matters
    record(Tally(attack=ATTACK, provider="openai", tries=len(tries), wanted=len(tries), made=made))


def test_a_file_that_may_not_grow_costs_nothing(
    tmp_path: Path, served: ServedVendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "limited"
    errands = [
        Errand(partial(limited_openai_at, served.url, most), home, chats(tmp_path), REQUEST)
        for most in (4096, 40_000, 60_000)
    ]
    told = [processes.run(errand) for errand in errands]
    for outcome in told[:2]:
        assert outcome.kind == "LedgerError"
        assert str(home / FILE_NAME) in str(outcome.error)
    assert served.vendor.requests[CREATE] <= len(rows_of(home))
    monkeypatch.setenv("FTKIT_HOME", str(home))
    job_id = Errand(partial(openai_at, served.url), home, chats(tmp_path), REQUEST).run()
    assert [*served.vendor.jobs] == [job_id]
    assert served.vendor.requests[CREATE] == 1
    record(Tally(attack=ATTACK, provider="openai", tries=len(told), wanted=1, made=len(served.vendor.jobs)))


def _own_disk() -> str | None:
    """Returns why no file system can be mounted here for one process, or None."""
    if sys.platform != "linux" or not shutil.which("unshare"):
        return "there is no unshare"
    tried = subprocess.run(
        ["unshare", "-Urm", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, text=True, check=False
    )
    return f"no file system can be mounted: {tried.stderr.strip()}" if tried.returncode else None


def test_a_disk_that_is_full_to_the_last_byte_and_one_that_is_read_only(tmp_path: Path, served: ServedVendor) -> None:
    why = _own_disk()
    if why:
        pytest.skip(why)
    vendor, disk = served.vendor, tmp_path / "disk"
    disk.mkdir()
    vendor._keep("train.jsonl", "fine-tune", b"{}", "processed")
    script = Path(__file__).with_name("small_disk.py")
    command = ["unshare", "-Urm", sys.executable, str(script), served.url, next(iter(vendor.files)), str(disk)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    told = json.loads(done.stdout)
    assert str(disk / FILE_NAME) in told["full"]
    assert "disk is full" in told["full"]
    assert told["full, known"] == told["at first"]  # what was written can be read, and is the job
    assert str(disk / FILE_NAME) in told["read-only"]
    assert "Read-only file system" in told["read-only"]
    assert [*vendor.jobs] == [told["at first"], told["freed"], told["at last"]]
    assert vendor.requests[CREATE] == 3
    assert told["files"] == FILE_NAME  # nothing was set aside: nothing was damaged
    record(Tally(attack=ATTACK, provider="openai", tries=3, wanted=3, made=len(vendor.jobs)))
