"""The process in which a table is decoded (`_arrow_child`): started, watched, and ended with whoever reads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import psutil

from ftkit.datasets import _limits
from ftkit.methods import names_secret

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from ftkit.datasets._locating import Located

_CHILD = Path(__file__).with_name("_arrow_child.py")
_BROKEN, _TOO_LONG = 3, b"row-too-long"  # what the child says; its file is not imported here, for it imports pyarrow
_LOOK_EVERY_S = 0.02
_TO_END_S = 5.0
_LONGEST_MESSAGE = 2000


class BrokenError(Exception):
    """A table cannot be read, or not any further.

    Attributes:
        fix: How to mend it.
    """

    def __init__(self, message: str, fix: str = "Write the file again.") -> None:
        super().__init__(message)
        self.fix = fix


def child_environment() -> dict[str, str]:
    """Returns the environment of a process that looks at data: where modules are found, and no keys."""
    environment = {name: value for name, value in os.environ.items() if not names_secret(name)}
    return {**environment, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def decoded(source: Located, arrow: Any) -> Iterator[Any]:  # noqa: ANN401 - pyarrow has no types
    """Yields the batches of a table; None in place of a row that is too long.

    Args:
        source: The table.
        arrow: The module pyarrow.

    Raises:
        BrokenError: It cannot be read any further; it says why.
    """
    with _process(source) as (child, said, is_too_big):
        torn: Exception | None = None
        try:
            with arrow.ipc.open_stream(child.stdout) as stream:
                while True:
                    batch, note = stream.read_next_batch_with_custom_metadata()
                    yield None if note is not None and _TOO_LONG in note else batch
        except StopIteration:
            pass  # the end, if the child says so as well
        except (arrow.ArrowException, OSError) as error:
            torn = error
        code = _ended(child)
        if is_too_big.is_set():
            fix = "Write it in smaller pieces, such as with row_group_size=100."
            raise BrokenError(f"it takes more than {_limits.MOST_TABLE_MEMORY:,} bytes of memory", fix)
        if code == _BROKEN:
            said.seek(0)
            raise BrokenError(said.read(_LONGEST_MESSAGE).decode(errors="replace"))
        if code:
            raise BrokenError(f"it is damaged, and what decodes it ended with {code}")
        if torn is not None:
            raise BrokenError(str(torn)) from torn


def _ended(child: subprocess.Popen[bytes]) -> int:
    """Returns the exit code of a child that has no more to say; one that does not end by itself is ended."""
    try:
        return child.wait(_TO_END_S)
    except subprocess.TimeoutExpired:
        child.kill()
        return child.wait()


@contextmanager
def _process(source: Located) -> Generator[tuple[subprocess.Popen[bytes], IO[bytes], threading.Event]]:
    """Starts the child, and ends it; with what it says on standard error, and whether it took too much memory."""
    size = sum(file.stat().st_size for file in source.files)
    order = {
        "format": source.format.value,
        "files": list(map(str, source.files)),
        "longest": _limits.LONGEST_ROW,
        "most": _limits.MOST_UNFOLDED + _limits.TIMES_ITS_SIZE * size,
    }
    is_done, is_too_big = threading.Event(), threading.Event()
    with tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as said:
        asked.write(json.dumps(order).encode())
        asked.seek(0)
        command = [sys.executable, "-P", str(_CHILD)]
        with subprocess.Popen(  # noqa: S603 - it is our own
            command, stdin=asked, stdout=subprocess.PIPE, stderr=said, env=child_environment()
        ) as child:
            watch = threading.Thread(target=_watch, args=(child, is_done, is_too_big), daemon=True)
            watch.start()
            try:
                yield child, said, is_too_big
            finally:  # also where only the first rows are wanted
                is_done.set()
                child.kill()
                watch.join()


def _watch(child: subprocess.Popen[bytes], is_done: threading.Event, is_too_big: threading.Event) -> None:
    try:
        process = psutil.Process(child.pid)
        while not is_done.wait(_LOOK_EVERY_S):
            memory = process.memory_info()
            if memory.rss - getattr(memory, "shared", 0) > _limits.MOST_TABLE_MEMORY:
                is_too_big.set()
                child.kill()
    except psutil.Error:
        return  # it has ended
