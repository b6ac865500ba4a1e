from __future__ import annotations

import multiprocessing
import os
import resource
import sqlite3
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING

import psutil
import pytest

from ftkit.errors import ConflictError, LedgerError
from ftkit.ledger import DeploymentEntry, Ledger, State
from ftkit.models import FineTuningJob, JobRequest, JobStatus, TrainingFile

if TYPE_CHECKING:
    from pathlib import Path

WHO = ("p", "identity")
REQUEST = JobRequest(model="m", training_file=TrainingFile(id="f", provider="p"))


def job(job_id: str) -> FineTuningJob:
    return FineTuningJob(id=job_id, provider="p", status=JobStatus.QUEUED, model="m")


def test_an_intent_is_on_disk_before_it_is_known_what_came_of_it(home: Path) -> None:
    Ledger().intend_job("k", 1, "k", REQUEST, WHO)
    entry = Ledger(home).job_entry("k")
    assert entry is not None
    assert (entry.state, entry.job_id, entry.identity) == (State.INTENDED, None, "identity")
    assert [e.key for e in Ledger().unclear_jobs()] == ["k"]


def test_what_came_of_an_intent_is_kept() -> None:
    ledger = Ledger()
    ledger.intend_job("k", 1, "k", REQUEST, WHO)
    ledger.record_job("k", job("j1"))
    ledger.intend_job("k", 2, "k#2", REQUEST, WHO)
    ledger.record_absent("k#2")
    assert [(e.key, e.state, e.job_id) for e in ledger.attempts("k")] == [
        ("k", State.MADE, "j1"),
        ("k#2", State.ABSENT, None),
    ]
    assert ledger.keys_of("identity", "j1") == {"k"}
    assert ledger.keys_of("another", "j1") == set()
    assert ledger.unclear_jobs() == []


def test_the_file_is_for_its_owner_only(home: Path) -> None:
    ledger = Ledger()
    ledger.attempts("k")
    assert (home / "ledger.sqlite3").stat().st_mode & 0o077 == 0


def test_a_lock_lets_one_thread_in_at_a_time() -> None:
    ledger, inside, most = Ledger(), 0, 0

    def enter() -> None:
        nonlocal inside, most
        with ledger.lock("k"):
            inside += 1
            most = max(most, inside)
            time.sleep(0.01)
            inside -= 1

    threads = [threading.Thread(target=enter) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_the_lock_of_a_process_that_was_killed_is_free_at_once(home: Path) -> None:
    code = (
        "import time; from ftkit.ledger import Ledger\nwith Ledger().lock('k'): print('in', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env={**os.environ})
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"in\n"
    with pytest.raises(ConflictError, match="busy"), Ledger(home).lock("k", timeout_s=0.2):
        pass
    holder.kill()
    holder.communicate()
    began = time.monotonic()
    with Ledger(home).lock("k", timeout_s=10):
        assert time.monotonic() - began < 5


def _write_many(number: int) -> None:
    ledger = Ledger()
    for i in range(10):
        ledger.intend_job(f"{number}-{i}", 1, f"{number}-{i}", REQUEST, WHO)


def test_many_processes_write_at_once_and_nothing_is_lost() -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        pool.map(_write_many, range(4))
    assert len(Ledger().unclear_jobs()) == 40


def test_a_ledger_of_a_newer_version_is_not_touched(home: Path) -> None:
    Ledger().attempts("k")
    with sqlite3.connect(home / "ledger.sqlite3") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(LedgerError, match="newer ftkit"):
        Ledger().attempts("k")


def test_a_broken_file_is_an_error_that_names_it(home: Path) -> None:
    home.mkdir()
    (home / "ledger.sqlite3").write_bytes(b"this is no database" * 100)
    with pytest.raises(LedgerError, match=r"ledger\.sqlite3 is damaged \(file is not a database\)"):
        Ledger().attempts("k")


def test_a_folder_that_cannot_be_made_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LedgerError, match="file/below"):
        Ledger(tmp_path / "file" / "below").attempts("k")


@pytest.mark.skipif(sys.platform != "linux", reason="sets the limit of a process by Linux's means")
def test_a_full_disk_is_an_error_that_names_the_file_and_keeps_what_was_there(home: Path) -> None:
    ledger = Ledger()
    ledger.intend_job("before", 1, "before", REQUEST, WHO)
    code = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"  # every larger file is 'too large' from here on
        "from ftkit.ledger import Ledger; from ftkit.models import JobRequest, TrainingFile\n"
        "request = JobRequest(model='m' * 20000, training_file=TrainingFile(id='f', provider='p'))\n"
        "Ledger().intend_job('after', 1, 'after', request, ('p', 'i'))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "LedgerError" in done.stderr
    assert "ledger.sqlite3 cannot be used" in done.stderr
    assert [entry.key for entry in Ledger(home).unclear_jobs()] == ["before"]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 4096  # the limit was the child's own


def test_a_network_file_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mount = SimpleNamespace(mountpoint=str(tmp_path), fstype="nfs4")
    monkeypatch.setattr(psutil, "disk_partitions", lambda **_: [mount])  # what the system would tell of such a mount
    with pytest.raises(LedgerError, match=r"network file system \(nfs4\)"):
        Ledger(tmp_path / "state").attempts("k")


def test_holders_that_died_do_not_count() -> None:
    ledger = Ledger()
    ledger.hold("i", "d", "me")
    code = "from ftkit.ledger import Ledger; Ledger().hold('i', 'd', 'other')"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert ledger.holders("i", "d") == 1
    ledger.release("i", "d", "me")
    assert ledger.holders("i", "d") == 0


def test_a_deployment_is_remembered_until_it_is_forgotten() -> None:
    ledger = Ledger()
    now = datetime(2026, 11, 24, tzinfo=UTC)
    entry = DeploymentEntry("i", "d", "p", "ftjob-1", State.INTENDED, temporary=True, intended_at=now, expires_at=now)
    ledger.intend_deployment(entry)
    assert ledger.deployments("i") == [entry]
    assert ledger.deployments("j") == []
    ledger.forget_deployment("i", "d")
    assert ledger.deployments("i") == []


def test_files_and_folders_are_for_their_owner_only(home: Path) -> None:
    before = os.umask(0)
    try:
        ledger = Ledger()
        with ledger.lock("k"):
            ledger.intend_job("k", 1, "k", REQUEST, WHO)
            open_ = sqlite3.connect(home / "ledger.sqlite3")
            open_.execute("SELECT * FROM jobs").fetchall()  # keeps SQLite's other files there
            there = {path.relative_to(home).as_posix(): path.stat().st_mode & 0o777 for path in home.rglob("*")}
            open_.close()
    finally:
        os.umask(before)
    assert home.stat().st_mode & 0o777 == 0o700
    assert "ledger.sqlite3-wal" in there
    assert {mode for name, mode in there.items() if name != "locks"} == {0o600}


def test_what_is_committed_is_on_the_disk() -> None:
    ledger = Ledger()
    with ledger._transaction() as db:
        pragmas = {name: db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")}
        full = db.execute("PRAGMA fullfsync").fetchone()[0]
    assert pragmas == {"journal_mode": "wal", "synchronous": 2}
    assert full == 1


def test_a_ledger_of_an_older_version_is_taken_over(home: Path) -> None:
    Ledger().intend_job("k", 1, "k", REQUEST, WHO)
    with sqlite3.connect(home / "ledger.sqlite3") as db:
        db.execute("ALTER TABLE holders DROP COLUMN boot")
        db.execute("PRAGMA user_version = 1")
    db.close()
    ledger = Ledger()
    ledger.hold("i", "d", "me")
    assert ledger.holders("i", "d") == 1
    assert [entry.key for entry in ledger.unclear_jobs()] == ["k"]


def test_a_dead_process_that_had_our_own_number_holds_nothing(home: Path) -> None:
    """In a container, every run has the same few numbers."""
    ledger = Ledger()
    ledger.hold("i", "d", "me")
    assert ledger.holders("i", "d") == 1
    with sqlite3.connect(home / "ledger.sqlite3") as db:
        db.execute("UPDATE holders SET started = started - 100")
    db.close()
    assert ledger.holders("i", "d") == 0


def test_a_network_file_system_is_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mount = SimpleNamespace(mountpoint=str(tmp_path), fstype="fuse.rclone")
    monkeypatch.setattr(psutil, "disk_partitions", lambda **_: [mount])
    with pytest.raises(LedgerError, match="network file system"):
        Ledger(tmp_path / "state").attempts("k")
    assert not (tmp_path / "state").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(LedgerError):
        Ledger(tmp_path / "state").attempts("k")
