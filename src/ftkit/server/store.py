"""The server's database: records of a few kinds, each a JSON document, in one table of SQLite.

Every write is on disk before it is answered (WAL with `synchronous=FULL`, as in `ftkit.ledger`). One connection is
shared by all threads, behind a lock: a read takes some ten microseconds, and one server has one disk.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from ftkit.errors import ConfigurationError
from ftkit.server.records import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
    from pathlib import Path

R = TypeVar("R", bound=Record)

SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, id TEXT NOT NULL, under TEXT NOT NULL,
    document TEXT NOT NULL, UNIQUE (kind, id)
);
CREATE INDEX IF NOT EXISTS records_by_kind ON records (kind, seq);
CREATE INDEX IF NOT EXISTS records_by_under ON records (kind, under, seq);
"""
_ADD = "INSERT INTO records (kind, id, under, document) VALUES (?, ?, ?, ?)"
_HAS_LABEL = " AND EXISTS (SELECT 1 FROM json_each(document, '$.metadata') WHERE key = ? AND value = ?)"
_NO_LABELS = " AND json_extract(document, '$.metadata') IS NULL"
_IS_DUE = " AND json_extract(document, '$.expires_at') <= ?"
_SHOWN = " AND json_extract(document, '$.hidden') IS NOT 1"


class Slice(NamedTuple):
    """What part of a list is wanted.

    Attributes:
        limit: Most records.
        after: Id of the record that the part begins after; None for the beginning.
        newest_first: The order.
    """

    limit: int
    after: str | None = None
    newest_first: bool = True


ALL = Slice(limit=-1, newest_first=False)
"""The whole of a list, oldest first."""


class Filter(NamedTuple):
    """Which records of a list are wanted.

    Attributes:
        under: What they are listed under; None for all.
        labels: Metadata that they must have.
        unlabelled: They must have no metadata.
        shown: They must not be hidden.
        due: They must have an end (`expires_at`), at this moment or before.
    """

    under: str | None = None
    labels: Mapping[str, str] | None = None
    unlabelled: bool = False
    shown: bool = False
    due: int | None = None


class UnknownCursorError(LookupError):
    """A list was to begin after a record that is not in it."""


class Store:
    """All records. Safe to share between threads; one process at a time writes.

    Args:
        path: The database; made if it is not there.

    Raises:
        ConfigurationError: A newer ftkit wrote it.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=60)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")
        version = int(self._database.execute("PRAGMA user_version").fetchone()[0])
        if version > SCHEMA_VERSION:
            self._database.close()
            raise ConfigurationError(f"{path} was written by a newer ftkit", hint="Use that one, or another --home.")
        self._database.executescript(f"{_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION};")

    def close(self) -> None:
        """Closes the database."""
        with self._lock:
            self._database.close()

    @contextmanager
    def transaction(self) -> Generator[None]:
        """Makes all that is read and written within happen at one moment, or not at all."""
        with self._lock:
            if self._database.in_transaction:
                yield
                return
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")

    def add(self, *records: Record) -> None:
        """Adds new records, all or none.

        Raises:
            sqlite3.IntegrityError: One of them is there already.
        """
        with self.transaction():
            rows = [(r.kind, r.id, r.under, r.model_dump_json(exclude_none=True)) for r in records]
            self._database.executemany(_ADD, rows)

    def add_new(self, records: Iterable[Record]) -> None:
        """Adds the records that are not there yet."""
        with self.transaction():
            self.add(*(record for record in records if self.find(type(record), record.id) is None))

    def find(self, kind: type[R], record_id: str) -> R | None:
        """Returns a record, or None."""
        found = self._rows("SELECT document FROM records WHERE kind = ? AND id = ?", [kind.kind, record_id])
        return kind.model_validate_json(found[0][0]) if found else None

    def change(self, kind: type[R], record_id: str, change: Callable[[R], R]) -> R:
        """Replaces a record by what `change` makes of it, at one moment.

        Raises:
            KeyError: There is none.
        """
        with self.transaction():
            record = self.find(kind, record_id)
            if record is None:
                raise KeyError(record_id)
            changed = change(record)
            if changed != record:
                row = [changed.under, changed.model_dump_json(exclude_none=True), kind.kind, record_id]
                self._database.execute("UPDATE records SET under = ?, document = ? WHERE kind = ? AND id = ?", row)
            return changed

    def delete(self, kind: type[Record], record_id: str) -> bool:
        """Deletes a record; returns whether it was there."""
        with self.transaction():
            done = self._database.execute("DELETE FROM records WHERE kind = ? AND id = ?", [kind.kind, record_id])
            return done.rowcount > 0

    def delete_under(self, kind: type[Record], under: str) -> None:
        """Deletes all records of a kind that are listed under something."""
        with self.transaction():
            self._database.execute("DELETE FROM records WHERE kind = ? AND under = ?", [kind.kind, under])

    def everything(self, kind: type[R], under: str | None = None) -> list[R]:
        """Returns all records of a kind, oldest first."""
        return self.page(kind, ALL, Filter(under=under))[0]

    def count(self, kind: type[Record]) -> int:
        """Returns how many records of a kind there are."""
        return int(self._rows("SELECT count(*) FROM records WHERE kind = ?", [kind.kind])[0][0])

    def page(self, kind: type[R], part: Slice, which: Filter = Filter()) -> tuple[list[R], bool]:  # noqa: B008 - frozen
        """Returns part of a list, and whether more follows.

        Raises:
            UnknownCursorError: There is no such record to begin after.
        """
        where, values = "kind = ?", list[str | int]([kind.kind])
        if which.under is not None:
            where, values = f"{where} AND under = ?", [*values, which.under]
        for label in (which.labels or {}).items():
            where, values = where + _HAS_LABEL, [*values, *label]
        where += (_NO_LABELS if which.unlabelled else "") + (_SHOWN if which.shown else "")
        if which.due is not None:
            where, values = where + _IS_DUE, [*values, which.due]
        if part.after is not None:
            where = f"{where} AND seq {'<' if part.newest_first else '>'} ?"
            values = [*values, self._seq(kind, part.after, which.under)]
        order = "DESC" if part.newest_first else "ASC"
        limit = part.limit + 1 if part.limit >= 0 else -1
        query = f"SELECT document FROM records WHERE {where} ORDER BY seq {order} LIMIT {limit:d}"  # noqa: S608 - no user's word
        found = [kind.model_validate_json(row[0]) for row in self._rows(query, values)]
        return (found[: part.limit], len(found) > part.limit) if part.limit >= 0 else (found, False)

    def _seq(self, kind: type[Record], record_id: str, under: str | None) -> int:
        query, values = "SELECT seq FROM records WHERE kind = ? AND id = ?", list[str | int]([kind.kind, record_id])
        if under is not None:
            query, values = f"{query} AND under = ?", [*values, under]
        found = self._rows(query, values)
        if not found:
            raise UnknownCursorError(record_id)
        return int(found[0][0])

    def _rows(self, query: str, values: Sequence[str | int]) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._database.execute(query, values).fetchall()
