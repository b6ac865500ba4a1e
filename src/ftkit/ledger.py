"""The ledger: what was asked for and what came of it. SQLite, on disk before anything that costs is sent.

A row is written as INTENDED before a job is asked for, and becomes MADE when the provider's answer is in. A row that
is still INTENDED belongs to a request whose end nobody saw: the provider is asked before anything is sent again.

The database runs in WAL mode with `synchronous=FULL`, so that what was committed survives a power cut. That does
not hold on network file systems, where the ledger refuses to live (https://www.sqlite.org/wal.html, section 1).
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import psutil
from filelock import FileLock, Timeout

from ftkit.errors import ConfigurationError, ConflictError, LedgerError
from ftkit.home import state_folder
from ftkit.models import JobRequest, TrainingFile
from ftkit.providers._processes import ProcessId, is_alive, this_process

if TYPE_CHECKING:
    from collections.abc import Generator

    from ftkit.models import Deployment, FineTuningJob

SCHEMA_VERSION = 2
FILE_NAME = "ledger.sqlite3"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    key TEXT PRIMARY KEY, base_key TEXT NOT NULL, attempt INTEGER NOT NULL,
    provider TEXT NOT NULL, identity TEXT NOT NULL, request TEXT NOT NULL,
    state TEXT NOT NULL, job_id TEXT, job TEXT, intended_at TEXT NOT NULL, updated_at TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS jobs_by_base ON jobs (base_key, attempt);
CREATE INDEX IF NOT EXISTS jobs_by_id ON jobs (identity, job_id);
CREATE TABLE IF NOT EXISTS uploads (
    key TEXT PRIMARY KEY, provider TEXT NOT NULL, identity TEXT NOT NULL, file TEXT NOT NULL, updated_at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS deployments (
    identity TEXT NOT NULL, name TEXT NOT NULL, provider TEXT NOT NULL, source TEXT NOT NULL,
    state TEXT NOT NULL, temporary INTEGER NOT NULL, intended_at TEXT NOT NULL, expires_at TEXT,
    PRIMARY KEY (identity, name)
);
CREATE TABLE IF NOT EXISTS holders (
    identity TEXT NOT NULL, name TEXT NOT NULL, holder TEXT NOT NULL,
    pid INTEGER NOT NULL, started REAL NOT NULL, boot TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (identity, name, holder)
);
"""
_FROM_1 = "ALTER TABLE holders ADD COLUMN boot TEXT NOT NULL DEFAULT '';"
_BROKEN = (
    "The file is damaged. Move it away, and keep it: without it, ftkit asks the provider for the job of a request "
    "before it makes one. Look at the provider's own list of deployments, which may still cost."
)
_BUSY_S = 60.0
"""How long one write waits for those of other processes, in seconds."""
_NETWORK = {
    "nfs",
    "nfs4",
    "cifs",
    "smbfs",
    "smb3",
    "smb2",
    "afs",
    "ceph",
    "lustre",
    "glusterfs",
    "gpfs",
    "beegfs",
    "davfs",
    "webdav",
    "fuse.sshfs",
    "fuse.glusterfs",
    "fuse.ceph",
    "fuse.ceph-fuse",
    "fuse.juicefs",
    "fuse.blobfuse2",
    "fuse.rclone",
    "fuse.s3fs",
    "fuse.gcsfuse",
    "fuse.davfs2",
    "9p",
    "afpfs",
}


class State(StrEnum):
    """What is known of a request.

    INTENDED: sent, perhaps. MADE: the provider has it. ABSENT: surely not made. DISMISSED: a person has looked, and
    says that it was not made.
    """

    INTENDED = "intended"
    MADE = "made"
    ABSENT = "absent"
    DISMISSED = "dismissed"


class JobEntry(NamedTuple):
    """One attempt at a request."""

    key: str
    attempt: int
    provider: str
    identity: str
    state: State
    job_id: str | None
    intended_at: datetime


class DeploymentEntry(NamedTuple):
    """A deployment that ftkit asked for. A temporary one is deleted when nobody holds it any more."""

    identity: str
    name: str
    provider: str
    source: str
    state: State
    temporary: bool
    intended_at: datetime
    expires_at: datetime | None


def _now() -> str:
    return datetime.now(UTC).isoformat()


class Ledger:
    """The ledger of one user on one machine; safe to share between threads and processes.

    Args:
        folder: Where it lives; the user's state folder (or FTKIT_HOME) if None.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder if folder is not None else state_folder()
        self.path = self.folder / FILE_NAME
        self._ready = False

    def __repr__(self) -> str:
        return f"Ledger({str(self.path)!r})"

    # -- locks ---------------------------------------------------------------------------------------------------

    @contextmanager
    def lock(self, key: str, timeout_s: float = 3600) -> Generator[None]:
        """Holds a key for this thread alone, across all processes; the system lets go of it if the process dies.

        Raises:
            ConflictError: Someone else held it for all of `timeout_s`.
            LedgerError: The lock cannot be made on disk.
        """
        self._prepare()
        name = hashlib.sha256(key.encode()).hexdigest()[:32]
        lock = FileLock(self.folder / "locks" / f"{name}.lock", timeout=timeout_s, mode=0o600)
        try:
            lock.acquire()
        except Timeout as error:
            message = f"another process has been busy with this request for {timeout_s:.0f} s"
            raise ConflictError(message, hint="See whether it hangs, or wait for it.") from error
        except (OSError, NotImplementedError) as error:  # the second: a file system that knows no locks
            raise self._error(error) from error
        try:
            yield
        finally:
            lock.release()

    # -- jobs ----------------------------------------------------------------------------------------------------

    def intend_job(self, base_key: str, attempt: int, key: str, request: JobRequest, who: tuple[str, str]) -> None:
        """Writes down, on disk, that a job is about to be asked for.

        Args:
            base_key: The key of the request.
            attempt: Which attempt at it, counted from 1.
            key: The key of that attempt.
            request: What is asked for.
            who: Provider's name and identity.
        """
        with self._transaction() as db:
            db.execute(
                "INSERT INTO jobs VALUES (?, ?, ?, ?, ?, ?, ?, NULL, NULL, ?, ?)"
                " ON CONFLICT (key) DO UPDATE SET state = excluded.state, request = excluded.request,"
                " intended_at = excluded.intended_at, updated_at = excluded.updated_at",
                (key, base_key, attempt, *who, request.model_dump_json(), State.INTENDED, _now(), _now()),
            )

    def record_job(self, key: str, job: FineTuningJob) -> None:
        """Writes down what the provider has made for a key that was intended."""
        with self._transaction() as db:
            db.execute(
                "UPDATE jobs SET state = ?, job_id = ?, job = ?, updated_at = ? WHERE key = ?",
                (State.MADE, job.id, job.model_dump_json(), _now(), key),
            )

    def record_absent(self, key: str, state: State = State.ABSENT) -> None:
        """Writes down that nothing was made for a key: surely (ABSENT), or as a person says (DISMISSED)."""
        with self._transaction() as db:
            db.execute(
                "UPDATE jobs SET state = ?, job_id = NULL, job = NULL, updated_at = ? WHERE key = ?",
                (state, _now(), key),
            )

    def attempts(self, base_key: str) -> list[JobEntry]:
        """Returns all attempts at a request, the first one first."""
        return self._jobs("WHERE base_key = ? ORDER BY attempt", (base_key,))

    def job_entry(self, key: str) -> JobEntry | None:
        """Returns what is known of one attempt."""
        return next(iter(self._jobs("WHERE key = ?", (key,))), None)

    def request(self, key: str) -> JobRequest | None:
        """Returns what was last asked for under a key, as it was sent; None if nothing was."""
        with self._transaction() as db:
            row = db.execute("SELECT request FROM jobs WHERE key = ?", (key,)).fetchone()
            return JobRequest.model_validate_json(row[0]) if row else None

    def unclear_jobs(self) -> list[JobEntry]:
        """Returns the attempts whose outcome nobody has seen, oldest first."""
        return self._jobs("WHERE state = ? ORDER BY intended_at", (State.INTENDED,))

    def keys_of(self, identity: str, job_id: str) -> set[str]:
        """Returns the keys under which a job is known: one, or none, or more if one was adopted for another."""
        with self._transaction() as db:
            rows = db.execute("SELECT key FROM jobs WHERE identity = ? AND job_id = ?", (identity, job_id)).fetchall()
        return {str(row[0]) for row in rows}

    def _jobs(self, where: str, values: tuple[object, ...]) -> list[JobEntry]:
        columns = "key, attempt, provider, identity, state, job_id, intended_at"
        with self._transaction() as db:
            rows = db.execute(f"SELECT {columns} FROM jobs {where}", values).fetchall()  # noqa: S608 - our own text
            return [
                JobEntry(
                    key=row["key"],
                    attempt=row["attempt"],
                    provider=row["provider"],
                    identity=row["identity"],
                    state=State(row["state"]),
                    job_id=row["job_id"],
                    intended_at=datetime.fromisoformat(row["intended_at"]),
                )
                for row in rows
            ]

    # -- uploads -------------------------------------------------------------------------------------------------

    def record_upload(self, key: str, file: TrainingFile, who: tuple[str, str]) -> None:
        """Writes down an upload that is done."""
        with self._transaction() as db:
            row = (key, *who, file.model_dump_json(), _now())
            db.execute("INSERT OR REPLACE INTO uploads VALUES (?, ?, ?, ?, ?)", row)

    def upload(self, key: str) -> TrainingFile | None:
        """Returns the file that was uploaded under a key, or None."""
        with self._transaction() as db:
            row = db.execute("SELECT file FROM uploads WHERE key = ?", (key,)).fetchone()
            return TrainingFile.model_validate_json(row[0]) if row else None

    # -- deployments ---------------------------------------------------------------------------------------------

    def intend_deployment(self, entry: DeploymentEntry) -> None:
        """Writes down, on disk, that a deployment is about to be asked for."""
        expires = entry.expires_at.isoformat() if entry.expires_at else None
        with self._transaction() as db:
            db.execute(
                "INSERT OR REPLACE INTO deployments VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (*entry[:5], int(entry.temporary), entry.intended_at.isoformat(), expires),
            )

    def record_deployment(self, deployment: Deployment, identity: str) -> None:
        """Writes down that a deployment was made."""
        with self._transaction() as db:
            db.execute(
                "UPDATE deployments SET state = ? WHERE identity = ? AND name = ?",
                (State.MADE, identity, deployment.name),
            )

    def forget_deployment(self, identity: str, name: str) -> None:
        """Lets go of a deployment that is no more, and of its holders."""
        with self._transaction() as db:
            db.execute("DELETE FROM deployments WHERE identity = ? AND name = ?", (identity, name))
            db.execute("DELETE FROM holders WHERE identity = ? AND name = ?", (identity, name))

    def deployments(self, identity: str) -> list[DeploymentEntry]:
        """Returns the deployments that ftkit asked for in an account, oldest first."""
        with self._transaction() as db:
            rows = db.execute(
                "SELECT * FROM deployments WHERE identity = ? ORDER BY intended_at", (identity,)
            ).fetchall()
            return [
                DeploymentEntry(
                    *(row["identity"], row["name"], row["provider"], row["source"]),
                    State(row["state"]),
                    bool(row["temporary"]),
                    datetime.fromisoformat(row["intended_at"]),
                    datetime.fromisoformat(row["expires_at"]) if row["expires_at"] else None,
                )
                for row in rows
            ]

    def hold(self, identity: str, name: str, holder: str) -> None:
        """Writes down that this process uses a deployment."""
        process = this_process()
        row = (identity, name, holder, process.pid, process.started, process.boot)
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO holders VALUES (?, ?, ?, ?, ?, ?)", row)

    def release(self, identity: str, name: str, holder: str) -> None:
        """Writes down that a holder is done."""
        with self._transaction() as db:
            where = "identity = ? AND name = ? AND holder = ?"
            db.execute(f"DELETE FROM holders WHERE {where}", (identity, name, holder))  # noqa: S608 - our own text

    def holders(self, identity: str, name: str) -> int:
        """Counts the living holders of a deployment; a process that died holds nothing."""
        with self._transaction() as db:
            query = "SELECT pid, started, boot FROM holders WHERE identity = ? AND name = ?"
            rows = db.execute(query, (identity, name)).fetchall()
        return sum(is_alive(ProcessId(pid=pid, started=started, boot=boot)) for pid, started, boot in rows)

    # -- the file ------------------------------------------------------------------------------------------------

    @contextmanager
    def _transaction(self) -> Generator[sqlite3.Connection]:
        """One connection, one transaction: nothing is shared between threads, or kept over a fork."""
        self._prepare()
        try:
            db = self._connect()
            try:
                db.execute("BEGIN IMMEDIATE")
                yield db
                db.execute("COMMIT")
            finally:
                db.close()  # an open transaction is rolled back
        except (sqlite3.Error, OSError, ValueError) as error:  # the last one: a row that is not as we write them
            if isinstance(error, LedgerError):
                raise
            raise self._error(error) from error

    def _connect(self) -> sqlite3.Connection:
        # rw: a ledger that is gone is an error, and not made anew in silence, empty and for everybody to read.
        where = f"{self.path.absolute().as_uri()}?mode=rw"
        db = sqlite3.connect(where, uri=True, timeout=_BUSY_S, isolation_level=None)
        db.row_factory = sqlite3.Row
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA fullfsync = 1")  # macOS's fsync alone stops at the cache of the disk
        return db

    def _prepare(self) -> None:
        """Makes folder and tables once per Ledger."""
        if self._ready:
            return
        try:
            self._refuse_network(self.folder)
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            (self.folder / "locks").mkdir(mode=0o700, exist_ok=True)
            with FileLock(self.folder / "locks" / "schema.lock", timeout=_BUSY_S, mode=0o600):
                self._make_tables()
        except (sqlite3.Error, OSError, NotImplementedError) as error:
            if isinstance(error, LedgerError):
                raise
            raise self._error(error) from error
        self._ready = True

    def _make_tables(self) -> None:
        # SQLite gives its other files the rights of this one: it is made before SQLite sees it.
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        db = self._connect()
        try:
            version = int(db.execute("PRAGMA user_version").fetchone()[0])
            if version > SCHEMA_VERSION:
                message = f"the ledger {self.path} was written by a newer ftkit (layout {version})"
                raise LedgerError(message, hint="Upgrade ftkit. Nothing was sent.")
            if version < SCHEMA_VERSION:
                older = _FROM_1 if version == 1 else ""
                db.executescript(f"BEGIN; {_SCHEMA} {older} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
        finally:
            db.close()

    @staticmethod
    def _refuse_network(folder: Path) -> None:
        """SQLite's WAL needs shared memory and true locks, which network file systems do not give."""
        mounts = {Path(m.mountpoint): m.fstype.lower() for m in psutil.disk_partitions(all=True)}
        real = folder.resolve()
        kind = next((mounts[p] for p in (real, *real.parents) if p in mounts), "")
        if kind in _NETWORK:
            message = f"the ledger cannot live in {folder}: that is a network file system ({kind})"
            raise LedgerError(message, hint="Set FTKIT_HOME to a folder on a local disk.")

    def _error(self, error: Exception) -> LedgerError:
        message = f"the ledger {self.path} cannot be used: {error}"
        hint = "Free space or mend its permissions, or set FTKIT_HOME to another folder."
        if isinstance(error, ValueError) or type(error) is sqlite3.DatabaseError:
            hint = _BROKEN
        elif isinstance(error, Timeout) or getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
            hint = "Another process keeps it locked: see whether it hangs, or wait for it."
        return LedgerError(message, hint=hint)


def as_ledger(ledger: object) -> Ledger:
    """Returns the ledger that was given to a client, or the user's own if none was.

    Raises:
        ConfigurationError: It is something else.
    """
    if ledger is None:
        return Ledger()
    if isinstance(ledger, Ledger):
        return ledger
    message = f"ledger= takes a Ledger, not {ledger!r}"
    raise ConfigurationError(message, hint="Ledger(Path('...')), from ftkit.ledger, for a folder of your own.")
