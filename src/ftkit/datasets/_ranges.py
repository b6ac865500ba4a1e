"""A large file of lines, looked at by several processes, a range of bytes each. What they find is put together.

Each process is a child that is asked for one range after the other (`_range_child`). It is no fork, which threads do
not survive, and none of `multiprocessing`, which runs the user's script again.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

from ftkit.datasets._arrow_process import child_environment
from ftkit.datasets.layouts import layout_named

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from ftkit.datasets._locating import Located
    from ftkit.datasets._passing import Pass, Records
    from ftkit.models import DatasetRules

logger = logging.getLogger("ftkit")

_HEAD = 1 << 20
"""Bytes that are looked at here, to see of what kind the rows are."""
_RANGE = 16 << 20
"""Bytes of a range: some tens of milliseconds of work."""
_WORTH_IT = 48 << 20
"""Bytes of work that are worth the start of a child, which takes some tenths of a second."""


def worth_sharing(size: int, rules: DatasetRules, processes: int | None) -> bool:
    """Whether a file is so large that several processes are faster, and can do it.

    Args:
        size: Its bytes.
        rules: What is asked of it. A layout of a plug-in may not be known in another process.
        processes: How many may be used; as many as there are cores if None.
    """
    return _children(size, processes) > 1 and layout_named(rules.layout).is_canonical


def _children(size: int, processes: int | None) -> int:
    return min(processes or _cores(), size // _WORTH_IT)


def _cores() -> int:
    """Returns how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Ranges:
    """The ranges of one file.

    Args:
        source: The file.
        rules: What is asked of it.
        whole: What all that is found goes into.
        processes: How many processes may be used.
    """

    def __init__(self, source: Located, rules: DatasetRules, whole: Pass, processes: int | None) -> None:
        self._source = source
        self._rules = rules
        self._whole = whole
        self._size = source.path.stat().st_size
        self._count = _children(self._size, processes)

    def records(self) -> Records:
        """Goes through the file. Nobody wants its records, so that none is yielded."""
        start = 0
        while self._whole.kind is None and start < self._size:
            yield from self._whole.lines_of(self._source, start, start + _HEAD)
            start += _HEAD
        ranges = [(at, min(at + _RANGE, self._size)) for at in range(start, self._size, _RANGE)]
        with closing(self._asked(ranges)) as answers:
            for (at, end), told in zip(ranges, answers, strict=True):
                if told is None:  # its child has died: of memory, say, or since it could not be started
                    yield from self._whole.lines_of(self._source, at, end)
                else:
                    self._whole.take(told)
                    self._whole.advance(end - at)

    def _asked(self, ranges: list[tuple[int, int]]) -> Generator[dict[str, Any] | None]:
        """Yields what the children say of each range, in order; None where one could not say it."""
        order = {
            "name": self._source.name,
            "path": os.fspath(self._source.path),
            "rules": self._rules.model_dump(mode="json"),
            "kind": self._whole.kind,
            "measures": self._whole.measures,
        }
        children = [_Child(order) for _ in range(self._count)]
        own, free = threading.local(), iter(children)

        def asked(piece: tuple[int, int]) -> dict[str, Any] | None:
            found: dict[str, Any] | None = own.child.ask(*piece)
            return found

        pool = ThreadPoolExecutor(self._count, "ftkit-range", lambda: setattr(own, "child", next(free)))
        try:
            yield from pool.map(asked, ranges)
        finally:  # also after Ctrl-C
            for child in children:
                child.end()
            pool.shutdown(cancel_futures=True)
            for child in children:
                child.close()


class _Child:
    """A process that looks at ranges.

    Args:
        order: What it has to know.
    """

    def __init__(self, order: Mapping[str, object]) -> None:
        self._order = order
        self._process: subprocess.Popen[bytes] | None = None
        self._is_ended = False

    def ask(self, start: int, end: int) -> dict[str, Any] | None:
        """Returns what there is between two places, as `Pass.told` has it; None if the process has died."""
        try:
            process = self._process or self._started()
            said = self._exchange(process, f"{start} {end}")
        except OSError as error:
            said, why = b"", str(error)
        else:
            why = "" if said else f"it ended with {process.wait()}"
        if said:
            found: dict[str, Any] = json.loads(said)
            return found
        if not self._is_ended:
            logger.warning("a process that helped to check a file is gone (%s); its part is checked without it", why)
        return None

    def end(self) -> None:
        """Ends it, whatever it is doing."""
        self._is_ended = True
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        """Lets go of it, when nobody asks it any more."""
        if self._process is not None and self._process.stdin and self._process.stdout:
            self._process.stdout.close()
            with suppress(BrokenPipeError):  # it died with a question on its way
                self._process.stdin.close()

    def _started(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-P", "-m", "ftkit.datasets._range_child"]
        self._process = subprocess.Popen(  # noqa: S603 - it is our own
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=child_environment(),
            start_new_session=True,  # Ctrl-C is for us; we end it
        )
        self._write(self._process, json.dumps(self._order))
        return self._process

    def _exchange(self, process: subprocess.Popen[bytes], question: str) -> bytes:
        self._write(process, question)
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        return process.stdout.readline()

    @staticmethod
    def _write(process: subprocess.Popen[bytes], line: str) -> None:
        assert process.stdin is not None  # noqa: S101 - it is a pipe
        process.stdin.write(f"{line}\n".encode())
        process.stdin.flush()
