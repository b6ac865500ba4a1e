"""Runs queries that a model wrote, in a process of its own that nobody misses. Needs nothing but the standard library.

SQLite refuses what is not allowed, and looks at the clock while it runs a query. It does not while it prepares one, and
a few lines of WITH take it hours and all memory; hence the process, with bounds that the system holds it to.

Each line of standard input is a JSON object, and each is answered by a line, which holds `error` if it went wrong:

    {"do": "describe", "script": ...}                        {"tables": [...]}
    {"do": "fill", "script": ..., "tables": [{...}, ...]}    {"tables": []}; an object for each database
    {"do": "run", "query": ..., "seconds": ...}              {"results": [rows of the first database, ...]}
"""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from typing import Any

MOST_ROWS = 10_000
MOST_BYTES = 4 * 2**20
MOST_MEMORY, MOST_HEAP = 2**29, 2**26
_PREPARING_S = 10.0
_STEPS = 1000  # of SQLite's machine, between two looks at the clock
_LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: 100_000,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 1_000_000,  # a script of the user's; that of a query is checked before
    sqlite3.SQLITE_LIMIT_COLUMN: 500,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 200,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 50,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 500,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}
_READS = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE}
_NEVER = {
    sqlite3.SQLITE_ATTACH,
    sqlite3.SQLITE_DETACH,
    sqlite3.SQLITE_CREATE_VTABLE,
    sqlite3.SQLITE_DROP_VTABLE,
}
_FORBIDDEN = {"load_extension", "readfile", "writefile", "edit", "fts3_tokenizer", "randomblob", "zeroblob"}
_WRONG = (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError, MemoryError)


def main() -> None:
    """Answers line by line, until there are no more."""
    _confine()
    databases: list[sqlite3.Connection] = []
    for line in sys.stdin.buffer:
        asked = json.loads(line)
        _allow(asked.get("seconds", _PREPARING_S))
        try:
            said = _answer(asked, databases)
        except _WRONG as error:
            said = {"error": str(error) or type(error).__name__}
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()


def _answer(asked: dict[str, Any], databases: list[sqlite3.Connection]) -> dict[str, Any]:
    match asked["do"]:
        case "describe":
            return {"tables": _described(asked["script"])}
        case "fill":
            while databases:
                databases.pop().close()
            databases += [_filled(asked["script"], tables) for tables in asked["tables"]]
            return {"tables": []}
        case _:
            return {"results": _ran(databases, asked["query"], asked["seconds"])}


def _confine() -> None:
    """Lets the system refuse more memory, and any file; Windows knows no such bounds."""
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))


def _allow(seconds: float) -> None:
    """Ends this process some time after it should have answered: whoever asked may not be there any more."""
    try:
        import resource
    except ImportError:
        return
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time() + seconds) + 10, hard))


def _opened(script: str) -> sqlite3.Connection:
    database = sqlite3.connect(":memory:", isolation_level=None)
    database.execute(f"PRAGMA hard_heap_limit = {MOST_HEAP}")  # of the whole process, which does nothing else
    database.execute("PRAGMA temp_store = MEMORY")
    database.text_factory = _decoded
    for limit, most in _LIMITS.items():
        database.setlimit(limit, most)
    database.set_authorizer(_may_build)
    _until(database, time.monotonic() + _PREPARING_S)
    database.executescript(script)
    database.set_authorizer(None)
    return database


def _decoded(raw: bytes) -> str:
    return raw.decode(errors="replace")  # what CAST makes of a blob may be no UTF-8


def _may_build(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    if action == sqlite3.SQLITE_PRAGMA:
        return sqlite3.SQLITE_IGNORE  # a dump begins with some
    is_forbidden = action in _NEVER or (action == sqlite3.SQLITE_FUNCTION and _is_forbidden(first, second))
    return sqlite3.SQLITE_DENY if is_forbidden else sqlite3.SQLITE_OK


def _may_read(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    is_allowed = action in _READS or (action == sqlite3.SQLITE_FUNCTION and not _is_forbidden(first, second))
    return sqlite3.SQLITE_OK if is_allowed else sqlite3.SQLITE_DENY


def _is_forbidden(first: str | None, second: str | None) -> bool:
    return any(name is not None and name.lower() in _FORBIDDEN for name in (first, second))


def _until(database: sqlite3.Connection, end: float) -> None:
    database.set_progress_handler(lambda: time.monotonic() > end, _STEPS)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _described(script: str) -> list[dict[str, Any]]:
    database = _opened(script)
    sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    names = [name for (name,) in database.execute(sql)]
    tables: list[dict[str, Any]] = []
    for name in names:
        found = database.execute(f"PRAGMA table_xinfo({_quoted(name)})").fetchall()
        refers = {row[3].lower() for row in database.execute(f"PRAGMA foreign_key_list({_quoted(name)})")}
        keys = sum(1 for row in found if row[5])
        columns = [
            {
                "name": row[1],
                "type": row[2].upper(),
                "is_needed": bool(row[3] or row[5]),
                "is_key": bool(row[5]) and keys == 1,
                "refers": row[1].lower() in refers,
            }
            for row in found
            if not row[6]  # generated
        ]
        has_rows = database.execute(f"SELECT EXISTS (SELECT 1 FROM {_quoted(name)})").fetchone()[0]  # noqa: S608
        tables.append({"name": name, "columns": columns, "has_rows": bool(has_rows)})
    database.close()
    return tables


def _filled(script: str, tables: list[dict[str, Any]]) -> sqlite3.Connection:
    database = _opened(script)
    database.execute("BEGIN")
    for table in tables:
        columns = ", ".join(map(_quoted, table["columns"]))
        places = ", ".join("?" * len(table["columns"]))
        # what breaks a constraint is left out: there are other rows
        sql = f"INSERT OR IGNORE INTO {_quoted(table['name'])} ({columns}) VALUES ({places})"  # noqa: S608
        database.executemany(sql, table["rows"])
    database.execute("COMMIT")
    database.set_authorizer(_may_read)
    return database


def _ran(databases: list[sqlite3.Connection], query: str, seconds: float) -> list[list[list[Any]]]:
    end, room = time.monotonic() + seconds, MOST_BYTES
    results: list[list[list[Any]]] = []
    for database in databases:
        _until(database, end)
        rows: list[list[Any]] = []
        cursor = database.execute(query)
        if cursor.description is None:
            raise ValueError("it is no query")
        for row in cursor:
            rows.append([{"hex": cell.hex()} if isinstance(cell, bytes) else cell for cell in row])
            room -= sum(8 + (len(cell) if isinstance(cell, (str, bytes)) else 0) for cell in row)
            if len(rows) > MOST_ROWS or room < 0:
                raise ValueError("it gives too many rows")
        results.append(rows)
    return results


if __name__ == "__main__":
    main()
