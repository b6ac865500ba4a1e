"""The ledger: what was asked for and what came of it. SQLite, on disk before anything that costs is sent.

A row is written as INTENDED before a job is asked for, and becomes MADE when the provider's answer is in. A row that
is still INTENDED belongs to a request whose end nobody saw: the provider is asked before anything is sent again.

The database runs in WAL mode with `synchronous=FULL`, so that what was committed survives a power cut. That does
not hold on network file systems, where the ledger refuses to live (https://www.sqlite.org/wal.html, section 1).
"""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from filelock import FileLock, Timeout
from pydantic import BaseModel, ValidationError

from ftkit._ledger_file import LOCKS, Layout, LedgerFile, UnreadableError
from ftkit.errors import ConfigurationError, ConflictError, LedgerError
from ftkit.home import state_folder
from ftkit.models import Asked, JobRequest, TrainingFile
from ftkit.providers._processes import ProcessId, is_alive, this_process

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Generator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from ftkit.models import Deployment, FineTuningJob

M = TypeVar("M", bound=BaseModel)

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
_ASKED = """
SELECT 'job' AS kind, intended_at AS asked_at, provider, identity, json_extract(request, '$.model') AS model, state,
    attempt, job_id AS id, key FROM jobs
UNION ALL
SELECT 'deployment', intended_at, provider, identity, source, state, NULL, name, NULL FROM deployments
"""
_COLUMNS = "key, attempt, provider, identity, state, job_id, intended_at"
_FOREIGN = "Another version of ftkit wrote it, or one with a plug-in that is not installed here: use that."


class State(StrEnum):
    """What is known of a request.

    INTENDED: sent, perhaps. MADE: the provider has it. ABSENT: surely not made. DISMISSED: a person has looked, and
    says that it was not made. JOINED: a deployment that was there before it was asked for, and is not ours.
    """

    INTENDED = "intended"
    MADE = "made"
    ABSENT = "absent"
    DISMISSED = "dismissed"
    JOINED = "joined"


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
        self._file = LedgerFile(self.path, Layout(SCHEMA_VERSION, _SCHEMA, {1: _FROM_1}, _read_all))

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
        self._file.prepare()
        name = hashlib.sha256(key.encode()).hexdigest()[:32]
        lock = FileLock(self.folder / LOCKS / f"{name}.lock", timeout=timeout_s, mode=0o600)
        try:
            lock.acquire()
        except Timeout as error:
            message = f"another process has been busy with this request for {timeout_s:.0f} s"
            raise ConflictError(message, hint="See whether it hangs, or wait for it.") from error
        except (OSError, NotImplementedError) as error:  # the second: a file system that knows no locks
            raise self._file.error(error) from error
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
        with self._transaction(sent=True) as db:
            told = db.execute(
                "UPDATE jobs SET state = ?, job_id = ?, job = ?, updated_at = ? WHERE key = ?",
                (State.MADE, job.id, job.model_dump_json(), _now(), key),
            )
            self._demand(told, "the request")

    def record_absent(self, key: str, state: State = State.ABSENT) -> None:
        """Writes down that nothing was made for a key: surely (ABSENT), or as a person says (DISMISSED)."""
        with self._transaction(sent=True) as db:
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
            return self._parsed(JobRequest, row[0]) if row else None

    def unclear_jobs(self) -> list[JobEntry]:
        """Returns the attempts whose outcome nobody has seen, oldest first."""
        return self._jobs("WHERE state = ? ORDER BY intended_at", (State.INTENDED,))

    def jobs_with_file(self, identity: str, file_id: str) -> list[JobEntry]:
        """Returns the attempts that train or validate on a file, but for those of which surely nothing was made."""
        sent = ("request, '$.training_file.id'", "request, '$.validation_file.id'")
        told = ("job, '$.training_file'", "job, '$.validation_file'")
        ids = ", ".join(f"json_extract({each})" for each in (*sent, *told))
        where = f"WHERE identity = ? AND state IN (?, ?) AND ? IN ({ids}) ORDER BY intended_at"
        return self._jobs(where, (identity, State.INTENDED, State.MADE, file_id))

    def may_have_forgotten(self, identity: str) -> bool:
        """Whether the last thing that was asked for in an account may have been in a ledger that is gone.

        There was another one in this place, and no job of the account is in this one yet: what the account was asked
        for a moment ago may not be in the provider's list.
        """
        with self._transaction() as db:
            was_another = bool(db.execute("PRAGMA application_id").fetchone()[0])
            return was_another and not db.execute("SELECT 1 FROM jobs WHERE identity = ?", (identity,)).fetchone()

    def keys_of(self, identity: str, job_id: str) -> set[str]:
        """Returns the keys under which a job is known: one, or none, or more if one was adopted for another."""
        with self._transaction() as db:
            rows = db.execute("SELECT key FROM jobs WHERE identity = ? AND job_id = ?", (identity, job_id)).fetchall()
        return {str(row[0]) for row in rows}

    def _jobs(self, where: str, values: tuple[object, ...]) -> list[JobEntry]:
        with self._transaction() as db:
            rows = db.execute(f"SELECT {_COLUMNS} FROM jobs {where}", values).fetchall()  # noqa: S608 - our own text
            return [_job_entry(row) for row in rows]

    # -- uploads -------------------------------------------------------------------------------------------------

    def record_upload(self, key: str, file: TrainingFile, who: tuple[str, str]) -> None:
        """Writes down an upload that is done."""
        with self._transaction(sent=True) as db:
            row = (key, *who, file.model_dump_json(), _now())
            db.execute("INSERT OR REPLACE INTO uploads VALUES (?, ?, ?, ?, ?)", row)

    def upload(self, key: str) -> TrainingFile | None:
        """Returns the file that was uploaded under a key, or None."""
        with self._transaction() as db:
            row = db.execute("SELECT file FROM uploads WHERE key = ?", (key,)).fetchone()
            return self._parsed(TrainingFile, row[0]) if row else None

    def has_uploaded(self, identity: str, file_id: str) -> bool:
        """Whether a file was uploaded by ftkit, going by this ledger."""
        query = "SELECT 1 FROM uploads WHERE identity = ? AND json_extract(file, '$.id') = ?"
        with self._transaction() as db:
            return db.execute(query, (identity, file_id)).fetchone() is not None

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
        with self._transaction(sent=True) as db:
            told = db.execute(
                "UPDATE deployments SET state = ? WHERE identity = ? AND name = ?",
                (State.MADE, identity, deployment.name),
            )
            self._demand(told, "the deployment")

    def forget_deployment(self, identity: str, name: str) -> None:
        """Lets go of a deployment that is no more, and of its holders."""
        with self._transaction() as db:
            db.execute("DELETE FROM deployments WHERE identity = ? AND name = ?", (identity, name))
            db.execute("DELETE FROM holders WHERE identity = ? AND name = ?", (identity, name))

    def deployments(self, identity: str | None = None) -> list[DeploymentEntry]:
        """Returns the deployments that ftkit asked for in an account, or in all of them if None, oldest first."""
        with self._transaction() as db:
            query = "SELECT * FROM deployments WHERE ? IS NULL OR identity = ? ORDER BY intended_at"
            rows = db.execute(query, (identity, identity)).fetchall()
            return [_deployment_entry(row) for row in rows]

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
            holders = [_process(row) for row in db.execute(query, (identity, name)).fetchall()]
        return sum(map(is_alive, holders))

    # -- all of it -----------------------------------------------------------------------------------------------

    def asked(self, provider: str | None = None, limit: int | None = None) -> list[Asked]:
        """Returns what was asked for from this machine, jobs and deployments, newest first.

        Args:
            provider: Name of the provider whose requests are wanted; None for all of them.
            limit: Most requests to return; None for all of them.
        """
        query = f"SELECT * FROM ({_ASKED}) WHERE ? IS NULL OR provider = ? ORDER BY asked_at DESC LIMIT ?"  # noqa: S608 - our own text
        with self._transaction() as db:
            rows = db.execute(query, (provider, provider, -1 if limit is None else limit)).fetchall()
            return [_asked(row) for row in rows]

    # -- inside --------------------------------------------------------------------------------------------------

    def _transaction(self, *, sent: bool = False) -> AbstractContextManager[sqlite3.Connection]:
        return self._file.transaction(sent=sent)

    def _parsed(self, model: type[M], text: object) -> M:
        """Reads a document. One that is whole, and that this ftkit does not understand, is no damage."""
        document = _document(text)
        try:
            return model.model_validate_json(document)
        except ValidationError as error:
            why = error.errors(include_input=False)[0]
            message = f"the ledger {self.path} holds what this ftkit does not understand: {why['loc']}: {why['msg']}"
            raise LedgerError(message, hint=_FOREIGN) from error

    def _demand(self, told: sqlite3.Cursor, what: str) -> None:
        """Raises if there is no row to write in: this is not the ledger in which the intent was written down."""
        if told.rowcount != 1:
            message = f"the ledger {self.path} no longer knows of {what}: it is another one than a moment ago"
            raise LedgerError(message)


def _read_all(db: sqlite3.Connection) -> None:
    """Reads all that there is, as it is read when it is needed."""
    for row in db.execute("SELECT * FROM jobs"):
        _job_entry(row)
        _document(row["request"])
        _document(row["job"] or "{}")
    for row in db.execute("SELECT * FROM uploads"):
        _document(row["file"])
    for row in db.execute("SELECT * FROM deployments"):
        _deployment_entry(row)
    for row in db.execute("SELECT * FROM holders"):
        _process(row)


@contextmanager
def _reading(what: str) -> Generator[None]:
    """What fails in here, fails at what we read: it is not as we write it."""
    try:
        yield
    except (ValueError, TypeError, IndexError) as error:  # the last one: a column is missing
        message = f"{what} that cannot be read: {str(error).splitlines()[0]}"
        raise UnreadableError(message) from error


def _job_entry(row: sqlite3.Row) -> JobEntry:
    with _reading("a job"):
        return JobEntry(
            key=row["key"],
            attempt=row["attempt"],
            provider=row["provider"],
            identity=row["identity"],
            state=State(row["state"]),
            job_id=row["job_id"],
            intended_at=datetime.fromisoformat(row["intended_at"]),
        )


def _deployment_entry(row: sqlite3.Row) -> DeploymentEntry:
    with _reading("a deployment"):
        return DeploymentEntry(
            *(row["identity"], row["name"], row["provider"], row["source"]),
            State(row["state"]),
            bool(row["temporary"]),
            datetime.fromisoformat(row["intended_at"]),
            datetime.fromisoformat(row["expires_at"]) if row["expires_at"] else None,
        )


def _asked(row: sqlite3.Row) -> Asked:
    with _reading("what was asked for"):
        return Asked.model_validate(dict(row))


def _process(row: sqlite3.Row) -> ProcessId:
    with _reading("a holder"):
        return ProcessId(pid=row["pid"], started=row["started"], boot=row["boot"])


def _document(text: object) -> str:
    with _reading("a document"):
        if not isinstance(text, str):
            message = f"it is {type(text).__name__}, and no text"
            raise TypeError(message)
        json.loads(text)
        return text


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
