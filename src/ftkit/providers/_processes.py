"""Processes that outlive us: started detached, known again after a reboot, ended with all their children.

A pid alone names nobody: it is given to somebody else after a while, and after every reboot. With the moment
the process started, and the boot it started in, it names one process for ever. POSIX only.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from ftkit.models import Noun

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_POLL_S = 0.05
_KILL_WAIT_S = 10.0
_START_TOLERANCE_S = 0.5

# Run by a short-lived interpreter between us and the process. When it exits, the process belongs to init, which
# reaps it: no zombie here, and no Popen of ours to wait for. `os._exit` spares that Popen its ResourceWarning.
_LAUNCHER = """
import os, subprocess, sys
log, *argv = sys.argv[1:]
with open(log, "ab", buffering=0) as out:
    child = subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
    )
print(child.pid, flush=True)
os._exit(0)
"""


class ProcessId(Noun):
    """One process, told apart from every other one that has had its pid or will have it.

    Attributes:
        pid: Its number.
        boot: The boot it runs in; empty where `started` is a wall-clock time, which needs none.
        started: When it started, in seconds: since boot on Linux, else since 1970.
    """

    pid: int
    boot: str
    started: float


@cache
def _boot() -> str:
    # Linux counts a process's start from boot, where the wall clock cannot move it: the boot must be told as well.
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip() if sys.platform == "linux" else ""


def _started(process: psutil.Process) -> float:
    if sys.platform != "linux":
        return process.create_time()
    # psutil adds the boot time, which moves with every correction of the clock. It is field 22, counted from 1;
    # field 2, the name of the program, is in brackets and may hold anything.
    fields = Path(f"/proc/{process.pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    return int(fields[19]) / os.sysconf("SC_CLK_TCK")


def process_of(pid: int) -> ProcessId | None:
    """Returns the identity of a process; None if it has ended (a zombie has)."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return ProcessId(pid=pid, boot=_boot(), started=_started(process))
    except (
        psutil.NoSuchProcess,
        FileNotFoundError,
        ProcessLookupError,
    ):  # the last two: it ended as we read /proc
        return None


def this_process() -> ProcessId:
    """Returns our own identity."""
    return ProcessId(pid=os.getpid(), boot=_boot(), started=_started(psutil.Process()))


def is_alive(process: ProcessId) -> bool:
    """Whether it still runs: this very process, and no later one of the same number."""
    now = process_of(process.pid)
    return now is not None and now.boot == process.boot and abs(now.started - process.started) < _START_TOLERANCE_S


def start_detached(
    argv: Sequence[str], *, log: Path, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> ProcessId | None:
    """Starts a process in a session of its own, which survives us and is not our child.

    Args:
        argv: The program and its arguments. Anyone on the machine can read them: no secrets.
        log: File that its output is added to.
        env: Its environment, if not ours.
        cwd: Its working folder, if not ours.

    Returns:
        The process, leader of its own group; None if it has ended already.

    Raises:
        OSError: It could not be started.
    """
    # -I and -S: it reads no site-packages and no user settings, and is gone in a few hundredths of a second.
    launched = subprocess.run(  # noqa: S603 - our own interpreter; argv is our caller's
        [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(log), *argv],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=None if env is None else dict(env),
        cwd=cwd,
        check=False,
    )
    if launched.returncode != 0:
        # Killed, it has no last words.
        why = (launched.stderr.strip().splitlines() or [f"the launcher ended with status {launched.returncode}"])[-1]
        message = f"could not start {argv[0]}: {why}"
        raise OSError(message)
    return process_of(int(launched.stdout))


def end_group(process: ProcessId, grace_s: float, held: Path | None = None) -> None:
    """Ends a process that leads a group, and all its group. One that has ended already is left alone.

    Args:
        process: The leader, from `start_detached`.
        grace_s: Seconds between the request to end and the end by force.
        held: File that the leader held open, and those it started may. If it has ended and one of its group still
            holds it, the group is no stranger's, and is ended as well.

    Raises:
        TimeoutError: Something in the group is still there after it was killed.
    """
    if not is_alive(process) and not (held and _is_held_in(process.pid, held)):  # its number may be a stranger's by now
        return
    for order, wait_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, _KILL_WAIT_S)):
        # Gone meanwhile; or, on macOS, all of them zombies. Either way, the wait below is what decides.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, order)
        if _is_gone(process.pid, wait_s):
            return
    message = f"process group {process.pid} did not end when it was killed"
    raise TimeoutError(message)


def _is_gone(group: int, wait_s: float) -> bool:
    deadline = time.monotonic() + wait_s
    while any(_in_group(process, group) for process in psutil.process_iter()):
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_S)
    return True


def _is_held_in(group: int, path: Path) -> bool:
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # it has ended, or is somebody else's
            if _in_group(process, group) and any(file.path == str(path.resolve()) for file in process.open_files()):
                return True
    return False


def _in_group(process: psutil.Process, group: int) -> bool:
    try:
        return os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, ProcessLookupError):
        return False
