"""Sends errands to other processes, and strikes at one of them where it is told to.

The processes are forked from one that has loaded everything already (multiprocessing's forkserver), so that a try
costs a fraction of a second. A strike is strace's injection, in the main thread of the process: it dies, or stops, or
is told of an error of the disk, as it enters a call of the system. Linux only, and strace must be installed.
"""

from __future__ import annotations

import ctypes
import json
import multiprocessing
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ftkit.testing.attacks.errand import Errand, Outcome, carry_out

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence
    from multiprocessing.context import ForkServerContext, ForkServerProcess
    from multiprocessing.synchronize import Barrier

PATIENCE_S = 120.0
"""How long an errand may take."""
_PRELOADED = ("ftkit.client", "ftkit.testing.attacks.errand", "pytest", "openai")
"""What is loaded once, if it is there. Not what reads the environment as it is loaded: each errand has its own."""
_PR_SET_PTRACER = 0x59616D61
_ANYBODY = ctypes.c_ulong(-1)
_MOMENT_S = 0.002

WRITING = (
    *("write", "pwrite64", "writev", "pwritev", "ftruncate", "fsync", "fdatasync", "sync_file_range"),
    *("rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat"),
    *("unlink", "unlinkat", "mkdir", "mkdirat", "rmdir"),
)
"""The calls that change a disk."""
TALKING = ("sendto", "sendmsg", "recvfrom", "recvmsg", "connect", "vfork", "fork", "clone", "clone3")
"""The calls that reach somebody else: a server, or a new process."""


@dataclass(frozen=True, slots=True)
class Point:
    """A moment in the life of a process: just before its n-th call of one name.

    Attributes:
        call: Name of the call of the system.
        n: Which of them, counted from 1.
        text: The call as strace shows it, to tell a person where that is.
    """

    call: str
    n: int
    text: str = ""

    def strike(self, what: str) -> list[str]:
        """Returns strace's arguments that do something there: "signal=SIGKILL", "error=EIO"."""
        return ["-e", f"trace={self.call}", "-e", f"inject={self.call}:{what}:when={self.n}"]


def can_strike() -> str | None:
    """Returns why no process can be struck here, or None if it can."""
    if sys.platform != "linux":
        return "strace's injection is there on Linux only"
    return None if shutil.which("strace") else "strace is not installed (Debian: apt install strace)"


class Process:
    """An errand under way."""

    def __init__(self, errand: Errand, *, watched: bool = False, barrier: Barrier | None = None) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="ftkit-errand-"))
        self._told = self._folder / "told.json"
        # Pickled by us: what it names is to be imported in the errand's environment, which is not the forkserver's.
        arguments = (pickle.dumps(errand), self._told, dict(os.environ), watched, barrier)
        self._process: ForkServerProcess = _context().Process(target=_body, args=arguments)
        self._process.start()

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid or 0

    def stopped(self) -> bool:
        """Whether it stands still, by a signal."""
        try:
            status = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8")
        except OSError:
            return False
        return status.rpartition(")")[2].split()[0] in {"T", "t"}

    def alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.is_alive()

    def kill(self) -> None:
        """Kills it, as kill -9 does, unless it has ended already."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def end(self) -> Outcome:
        """Waits for its end, and returns what became of it."""
        self._process.join(PATIENCE_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
            return Outcome(error=f"it did not end within {PATIENCE_S:.0f} s", kind="TimeoutError")
        try:
            told = json.loads(self._told.read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):  # it died before, or while, it wrote that down
            return Outcome(killed=self._process.exitcode == -signal.SIGKILL, error=f"exit {self._process.exitcode}")
        finally:
            shutil.rmtree(self._folder)
        return Outcome(**told)


def run(errand: Errand) -> Outcome:
    """Runs an errand in another process, undisturbed."""
    return Process(errand).end()


def run_together(errands: Sequence[Errand]) -> list[Outcome]:
    """Runs errands in processes of their own that begin at the same moment."""
    barrier = _context().Barrier(len(errands))
    processes = [Process(errand, barrier=barrier) for errand in errands]
    return [process.end() for process in processes]


def run_struck(errand: Errand, point: Point, what: str) -> Outcome:
    """Runs an errand that is struck at a point."""
    process = Process(errand, watched=True)
    with _strace(process.pid, point.strike(what)):
        return process.end()


@contextmanager
def stopped_at(errand: Errand, point: Point) -> Generator[Process]:
    """Runs an errand until it comes to a point, and stands still there; it is killed at the end."""
    process = Process(errand, watched=True)
    with _strace(process.pid, point.strike("signal=SIGSTOP")):
        deadline = time.monotonic() + PATIENCE_S
        while process.alive() and not process.stopped() and time.monotonic() < deadline:
            time.sleep(_MOMENT_S)
        try:
            yield process
        finally:
            if process.alive():
                process.kill()
            process.end()


def points_of(errand: Errand, calls: Sequence[str] = WRITING + TALKING) -> tuple[list[Point], Outcome]:
    """Runs an errand to its end, and returns every point of it, in order, and what became of it."""
    process = Process(errand, watched=True)
    with tempfile.TemporaryDirectory(prefix="ftkit-strace-") as folder:
        log = Path(folder) / "log"
        with _strace(process.pid, ["-y", "-o", str(log), "-e", f"trace={','.join(f'?{call}' for call in calls)}"]):
            outcome = process.end()
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    seen: Counter[str] = Counter()
    found: list[Point] = []
    for line in lines:
        match = re.match(r"(\w+)\(", line)
        if match is not None:
            seen[match[1]] += 1
            found.append(Point(match[1], seen[match[1]], line[:120]))
    return found, outcome


def _context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(_PRELOADED))
    return context


@contextmanager
def _strace(pid: int, arguments: Sequence[str]) -> Generator[None]:
    command = ["strace", "-qq", *arguments, "-p", str(pid)]
    if "-o" not in arguments:
        command[1:1] = ["-o", os.devnull]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as tracer:  # noqa: S603 - our own arguments
        try:
            yield
        finally:
            _, said = tracer.communicate(timeout=PATIENCE_S)
    if tracer.returncode:
        raise OSError(f"strace ended with {tracer.returncode}: {said.decode(errors='replace')[:500]}")


def _body(
    pickled: bytes,
    told: Path,
    environment: Mapping[str, str],
    watched: bool,  # noqa: FBT001 - a process takes its arguments by position
    barrier: Barrier | None,
) -> None:
    def ready() -> None:
        if watched:
            _await_tracer()
        if barrier is not None:
            barrier.wait(PATIENCE_S)

    os.environ.clear()
    os.environ.update(environment)
    errand: Errand = pickle.loads(pickled)  # noqa: S301 - made by `Process`, in the process that started this one
    carry_out(errand, told, ready)


def _await_tracer() -> None:
    """Waits until strace has hold of this process. Where only parents may trace, it is allowed to first (Yama)."""
    ctypes.CDLL(None).prctl(_PR_SET_PTRACER, _ANYBODY, 0, 0, 0)
    deadline = time.monotonic() + PATIENCE_S
    while "\nTracerPid:\t0\n" in Path("/proc/self/status").read_text(encoding="utf-8"):
        if time.monotonic() >= deadline:
            raise TimeoutError("nobody traces this process")
        time.sleep(_MOMENT_S)
