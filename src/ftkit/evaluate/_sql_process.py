"""The process in which queries are run (`_sql_child`): started when it is needed, and ended when it takes too long."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from ftkit.datasets._arrow_process import child_environment

_CHILD = Path(__file__).with_name("_sql_child.py")
_PREPARING_S = 30.0
_GRACE_S = 1.0
_LONGEST_LINE = 2**27


class QueryError(Exception):
    """A query, or a script, cannot be run: SQLite's words, or what became of the process."""


class Sandbox:
    """Runs queries in a process that may neither write files nor take much memory. Not to be shared by threads."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._end: weakref.finalize[Any, Any] | None = None

    def describe(self, script: str) -> list[dict[str, Any]]:
        """Returns the tables that a script makes: name, columns, and whether it has_rows.

        Raises:
            QueryError: The script does not run.
        """
        said = self._ask(self._ready(), {"do": "describe", "script": script}, _PREPARING_S)
        return cast("list[dict[str, Any]]", said["tables"])

    def fill(self, script: str, tables: list[list[dict[str, Any]]]) -> None:
        """Makes databases: for each, the script is run, and then name, columns and rows of its tables are put in.

        Raises:
            QueryError: The script does not run.
        """
        self._ask(self._ready(), {"do": "fill", "script": script, "tables": tables}, _PREPARING_S)

    def run(self, query: str, seconds: float) -> list[list[list[Any]]]:
        """Runs a query in every database that was filled last; returns the rows of each.

        Args:
            query: The query.
            seconds: How long it may take, in all of them together.

        Raises:
            QueryError: It does not run, or not that fast. If the process had to be ended, nothing is filled any more.
        """
        if self._child is None:
            raise QueryError("nothing is filled")
        said = self._ask(self._child, {"do": "run", "query": query, "seconds": seconds}, seconds + _GRACE_S)
        return cast("list[list[list[Any]]]", said["results"])

    def _ask(self, child: subprocess.Popen[bytes], order: dict[str, Any], seconds: float) -> dict[str, Any]:
        clock = threading.Timer(seconds, child.kill)
        clock.daemon = True
        clock.start()
        try:
            line = _exchanged(child, json.dumps(order).encode() + b"\n")
        except BaseException:  # Ctrl-C: its answer would be taken for that to the next question
            self._stop()
            raise
        finally:
            clock.cancel()
        if not line.endswith(b"\n"):
            self._stop()
            raise QueryError("it takes too much time or memory")
        said = cast("dict[str, Any]", json.loads(line))
        if "error" in said:
            raise QueryError(str(said["error"]))
        return said

    def _ready(self) -> subprocess.Popen[bytes]:
        if self._child is not None and self._child.poll() is not None:  # somebody else ended it
            self._stop()
        return self._child or self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        # in a session of its own, so that Ctrl-C ends it through us
        self._child = child = subprocess.Popen(  # noqa: S603 - it is our own
            [sys.executable, "-I", "-S", str(_CHILD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=child_environment(),
            start_new_session=True,
        )
        self._end = weakref.finalize(self, _ended, child)
        return child

    def _stop(self) -> None:
        if self._end is not None:
            self._end()
        self._child = None


def _exchanged(child: subprocess.Popen[bytes], line: bytes) -> bytes:
    """Sends a line, and returns the one that answers it; an empty one if the process ended before."""
    if child.stdin is None or child.stdout is None:  # never: it was started with both
        return b""
    try:
        child.stdin.write(line)
        child.stdin.flush()
    except OSError:
        return b""
    return child.stdout.readline(_LONGEST_LINE)


def _ended(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.wait()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            with suppress(OSError):  # there may be something left that it never read
                pipe.close()
