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
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ftkit.datasets._arrow_process import child_environment
from ftkit.datasets._locating import Format
from ftkit.datasets.layouts import layout_named
from ftkit.datasets.watching import Shares, carried

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from ftkit.datasets._locating import Located
    from ftkit.datasets._passing import Pass
    from ftkit.datasets.watching import Watch
    from ftkit.models import DatasetRules

logger = logging.getLogger("ftkit")

_HEAD = 1 << 20
"""Bytes that are looked at here, to see of what kind the rows are."""
_RANGE = 16 << 20
"""Bytes of a range: some tens of milliseconds of work where only errors are looked for."""
_WORTH_IT = 48 << 20
"""Bytes of such work that are worth the start of a child, which takes some tenths of a second."""
_DEARER = 8
"""How many times as long, at least, a row takes whose tokens are counted, or that somebody watches."""


def share_of(
    source: Located,
    rules: DatasetRules,
    processes: int | None,
    watches: Sequence[Watch],
    count_tokens: object | None,
) -> Share | None:
    """Returns how a file is shared among processes; None if that cannot be, or is not worth it.

    Args:
        source: The file.
        rules: What is asked of it. A layout of a plug-in may not be known in another process.
        processes: How many may be used; as many as there are cores if None.
        watches: Who looks at its records.
        count_tokens: What counts their tokens.
    """
    if source.format is not Format.JSONL or source.packing or not layout_named(rules.layout).is_canonical:
        return None
    carried_watches = [carried(watch) if isinstance(watch, Shares) else None for watch in watches]
    counter = carried(count_tokens)
    if None in carried_watches or (counter is None and count_tokens is not None):
        return None
    size, dearer = source.path.stat().st_size, _DEARER if watches or count_tokens else 1
    children = min(processes or _cores(), size * dearer // _WORTH_IT)
    order = {
        "name": source.name,
        "path": os.fspath(source.path),
        "rules": rules.model_dump(mode="json"),
        "watches": carried_watches,
        "count_tokens": counter,
    }
    return Share(source, size, children, _RANGE // dearer, order) if children > 1 else None


def _cores() -> int:
    """Returns how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class Share:
    """How one file is shared.

    Attributes:
        source: The file.
        size: Its bytes.
        children: How many processes there are.
        range: The bytes of a range.
        order: What each of them is told.
    """

    source: Located
    size: int
    children: int
    range: int
    order: Mapping[str, object]

    def run(self, whole: Pass) -> None:
        """Goes through the file.

        Args:
            whole: What all that is found goes into.
        """
        start = 0
        while whole.kind is None and start < self.size:
            whole.run(whole.lines_of(self.source, start, start + _HEAD))
            start += _HEAD
        ranges = [(at, min(at + self.range, self.size)) for at in range(start, self.size, self.range)]
        with closing(self._answers(ranges, {"kind": whole.kind, "measures": whole.measures})) as answers:
            for (at, end), told in zip(ranges, answers, strict=True):
                if told is None:  # its child has died: of memory, say, or since it could not be started
                    whole.run(whole.lines_of(self.source, at, end))
                else:
                    whole.take(told)
                    whole.advance(end - at)

    def _answers(self, ranges: list[tuple[int, int]], more: Mapping[str, object]) -> Generator[dict[str, Any] | None]:
        """Yields what the children say of each range, in order; None where one could not say it."""
        children = [_Child({**self.order, **more}) for _ in range(self.children)]
        own, free = threading.local(), iter(children)

        def asked(piece: tuple[int, int]) -> dict[str, Any] | None:
            found: dict[str, Any] | None = own.child.ask(*piece)
            return found

        pool = ThreadPoolExecutor(self.children, "ftkit-range", lambda: setattr(own, "child", next(free)))
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
