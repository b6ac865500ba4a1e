"""The file of the ledger: a database of SQLite, opened anew for each transaction, and set aside when it is damaged.

It is never replaced in silence. A damaged one gets another name, and whoever asked is told; the next run begins a new
one, which knows that there was another.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import psutil
from filelock import FileLock, Timeout

from ftkit.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

logger = logging.getLogger("ftkit")

LOCKS = "locks"
_SCHEMA_LOCK = "schema.lock"
_BUSY_S = 60.0
"""How long one write waits for those of other processes, in seconds."""
_SUSPICIOUS = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_FORMAT}
"""Errors of SQLite that a damaged file may be behind; SQLITE_ERROR is "no such table" as well."""
_WAL_MAGIC = {b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83"}
"""How a WAL begins (https://www.sqlite.org/fileformat2.html, section 4.1)."""
_SUCCESSOR = 1
"""The database's `application_id` where there was another ledger before; a new user's first one has 0."""
_LOST = (
    "Run the same script again: it begins a new ledger, and asks the provider for each job before it makes one. Who "
    "holds which deployment, and how long it may live, is lost with the old one: look at the provider's own list "
    "(`ftkit deployments PROVIDER`), for they may cost."
)
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


class UnreadableError(Exception):
    """A row is not as we write them."""


class Layout(NamedTuple):
    """What is in the database.

    Attributes:
        version: Its number.
        make: The SQL that makes it; harmless where it is there already.
        steps: Number of an older one -> the SQL that turns it into this one.
        read: Reads all rows, and raises UnreadableError at one that is not as it should be.
    """

    version: int
    make: str
    steps: Mapping[int, str]
    read: Callable[[sqlite3.Connection], object]


class LedgerFile:
    """The file, and the folder that is its own.

    Args:
        path: The file.
        layout: What is in it.
    """

    def __init__(self, path: Path, layout: Layout) -> None:
        self.path = path
        self._layout = layout
        self._ready = False

    @contextmanager
    def transaction(self, *, sent: bool = False) -> Generator[sqlite3.Connection]:
        """One connection, one transaction: nothing is shared between threads, or kept over a fork.

        Args:
            sent: Whether what is written down has happened already, so that an error must not deny it.

        Raises:
            LedgerError: It could not be read or written; what was in it before is as it was.
        """
        self.prepare()
        try:
            inode = self.path.stat().st_ino
            with closing(self._connect()) as db:  # an open transaction is rolled back
                db.execute("BEGIN IMMEDIATE")
                self._see_that_it_is(inode)  # before anything is written into a log that may be another ledger's
                yield db
                db.execute("COMMIT")
            self._see_that_it_is(inode)
        except (sqlite3.Error, OSError, ValueError, UnreadableError) as error:  # ValueError: what is no text
            self._ready = False
            if isinstance(error, LedgerError):
                raise
            raise self._after(error, sent=sent) from error

    def prepare(self) -> None:
        """Makes folder and tables, once.

        Raises:
            LedgerError: They cannot be made; the file is damaged; or a newer ftkit wrote it.
        """
        if self._ready:
            return
        folder = self.path.parent
        try:
            _refuse_network(folder)
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            (folder / LOCKS).mkdir(mode=0o700, exist_ok=True)
            with self._alone():
                trouble = self._trouble_outside()
                if trouble:
                    raise self._set_aside(trouble, sent=False)
                self._make_tables()
        except (sqlite3.Error, OSError, NotImplementedError) as error:  # the last: a file system that knows no locks
            if isinstance(error, LedgerError):
                raise
            raise self._after(error, sent=False) from error
        self._ready = True

    def error(self, error: Exception) -> LedgerError:
        """Returns what is raised in place of an error, where the file is not damaged."""
        message = f"the ledger {self.path} cannot be used: {error}"
        hint = "Free space or mend its permissions, or set FTKIT_HOME to another folder."
        if isinstance(error, Timeout) or getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
            hint = "Another process keeps it locked: see whether it hangs, or wait for it."
        elif isinstance(error, FileNotFoundError):
            hint = f"It is no longer there. {_LOST}"
        return LedgerError(message, hint=hint)

    # -- inside --------------------------------------------------------------------------------------------------

    def _alone(self) -> FileLock:
        """Holds off all who would make or set aside the file."""
        return FileLock(self.path.parent / LOCKS / _SCHEMA_LOCK, timeout=_BUSY_S, mode=0o600)

    def _connect(self) -> sqlite3.Connection:
        try:
            return self._open("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_IOERR:
                raise
            # A full disk has no room for the file that processes share (-shm). Whoever is alone does without it, and
            # can read what is there.
            return self._open("PRAGMA locking_mode = EXCLUSIVE", "PRAGMA journal_mode = WAL")

    def _open(self, *pragmas: str, mode: str = "rw") -> sqlite3.Connection:
        # rw: a ledger that is gone is an error, and not made anew in silence, empty and for everybody to read.
        where = f"{self.path.absolute().as_uri()}?mode={mode}"
        db = sqlite3.connect(where, uri=True, timeout=_BUSY_S, isolation_level=None)
        try:
            db.row_factory = sqlite3.Row
            # macOS's fsync alone stops at the cache of the disk.
            for pragma in (*pragmas, "PRAGMA synchronous = FULL", "PRAGMA fullfsync = 1"):
                db.execute(pragma)
        except BaseException:
            db.close()
            raise
        return db

    def _see_that_it_is(self, inode: int) -> None:
        """Raises if the file was set aside while we were about to write into it."""
        if self.path.stat().st_ino != inode:
            message = f"the ledger {self.path} was replaced by another process in the middle of a write"
            raise LedgerError(message, hint="Run it again.")

    def _make_tables(self) -> None:
        if not self.path.exists() and self._had_another():
            logger.warning("A new ledger is begun: %s. The one before it is gone, or was set aside.", self.path)
        # SQLite gives its other files the rights of this one: it is made before SQLite sees it.
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        with closing(self._connect()) as db:
            version = int(db.execute("PRAGMA user_version").fetchone()[0])
            if version > self._layout.version:
                message = f"the ledger {self.path} was written by a newer ftkit (layout {version})"
                raise LedgerError(message, hint="Upgrade ftkit. Nothing was sent.")
            if version < self._layout.version:
                step = self._layout.steps.get(version, "")
                mark = f"PRAGMA application_id = {_SUCCESSOR};" if version == 0 and self._had_another() else ""
                end = f"PRAGMA user_version = {self._layout.version}; COMMIT;"
                db.executescript(f"BEGIN; {self._layout.make} {step} {mark} {end}")

    def _had_another(self) -> bool:
        """Whether there was a ledger before: a request's lock is made only where there is one, and stays."""
        return any(path.name != _SCHEMA_LOCK for path in (self.path.parent / LOCKS).glob("*.lock"))

    # -- damage --------------------------------------------------------------------------------------------------

    def _after(self, error: Exception, *, sent: bool) -> LedgerError:
        """Returns the error that an error becomes. If it may mean damage, the file is looked at, and set aside."""
        if not _is_suspicious(error):
            return self.error(error)
        try:
            with self._alone():
                trouble = self._trouble()
                if trouble:
                    return self._set_aside(trouble, sent=sent)
        except (OSError, NotImplementedError) as why:
            return self.error(why)
        message = f"the ledger {self.path} could not be used: {error}; a second look finds nothing wrong with it"
        return LedgerError(message, hint="Another process may have set aside a damaged one. Run it again.")

    def _trouble(self) -> str | None:
        """Looks at all of the file, and returns what is wrong with it."""
        outside = self._trouble_outside()
        if outside or not self.path.exists():
            return outside
        try:
            with closing(self._open(mode="ro")) as db:  # it must stay as it is: nothing is taken over from its log
                if int(db.execute("PRAGMA user_version").fetchone()[0]) > self._layout.version:
                    return None
                found = str(db.execute("PRAGMA quick_check(1)").fetchone()[0])
                if found != "ok":
                    return " ".join(found.split())[:200]
                self._layout.read(db)
        except (sqlite3.Error, UnreadableError) as error:
            return str(error) if _is_suspicious(error) else None
        return None

    def _trouble_outside(self) -> str | None:
        """Returns what is wrong as far as that is seen without SQLite, which would repair it by forgetting."""
        size = self.path.stat().st_size if self.path.exists() else 0
        head = b""
        with suppress(FileNotFoundError), self.path.with_name(f"{self.path.name}-wal").open("rb") as log:
            head = log.read(4)  # whoever leaves last takes it away: at any moment
        if not size and head:
            return "its log is there, and it is not"
        if self.path.exists() and not size and self._had_another():
            return "it is empty, and was not"
        # A log that was being begun when the power failed may hold nothing but zeros; nothing is in it then.
        return "its log is damaged" if any(head) and head not in _WAL_MAGIC else None

    def _set_aside(self, trouble: str, *, sent: bool) -> LedgerError:
        """Gives the file and SQLite's files beside it another name, and returns the error that says so.

        The file itself is the first to go: without its log, it would pass for whole, and lack what was written last.
        Called by whoever is alone with it.
        """
        stem = f"{self.path.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        names = (stem if n == 1 else f"{stem}-{n}" for n in count(1))
        name = next(name for name in names if not any(self.path.parent.glob(f"{name}*")))
        what, hint = f"the ledger {self.path} is damaged ({trouble})", _LOST if sent else f"Nothing was sent. {_LOST}"
        try:
            for end in ("", "-journal", "-wal", "-shm"):
                with suppress(FileNotFoundError):
                    self.path.with_name(f"{self.path.name}{end}").rename(self.path.with_name(f"{name}{end}"))
        except OSError as error:
            return LedgerError(f"{what}, and cannot be set aside: {error}", hint=f"Move it away, and keep it. {hint}")
        return LedgerError(f"{what}, and was set aside as {name}", hint=hint)


def _is_suspicious(error: Exception) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(error, UnreadableError) or (code is not None and code & 0xFF in _SUSPICIOUS)


def _refuse_network(folder: Path) -> None:
    """SQLite's WAL needs shared memory and true locks, which network file systems do not give."""
    mounts = {Path(m.mountpoint): m.fstype.lower() for m in psutil.disk_partitions(all=True)}
    real = folder.resolve()
    kind = next((mounts[p] for p in (real, *real.parents) if p in mounts), "")
    if kind in _NETWORK:
        message = f"the ledger cannot live in {folder}: that is a network file system ({kind})"
        raise LedgerError(message, hint="Set FTKIT_HOME to a folder on a local disk.")
