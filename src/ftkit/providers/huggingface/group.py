"""Several processes that train one job: started by torchrun, and all anew when one of them has died.

torchrun can start a group again by itself; tried here on 2026-11-23, it failed three times of three, where starting
all of it anew from the last checkpoint worked. So it is given no restarts, and they are done here.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import psutil

from ftkit.errors import FtkitError
from ftkit.providers._local_jobs import Reporter
from ftkit.providers._local_jobs.folder import LOG
from ftkit.providers._local_jobs.folder import WORDS as STATUS_WORDS
from ftkit.providers._processes import this_process
from ftkit.providers.huggingface.rank import LEADER, WORDS
from ftkit.providers.huggingface.restarts import Restarts
from ftkit.providers.huggingface.stopping import StoppedError

if TYPE_CHECKING:
    from pathlib import Path

    from ftkit.providers.huggingface.stopping import Stop

_POLL_S = 0.1
_LEAVING_S = 30.0
"""How long the others may stay once one rank has left. None can go on without it."""
_ORPHANED_S = 5.0


def lead(path: Path, stop: Stop, processes: int) -> None:
    """Does a job with several processes, to its end.

    Args:
        path: The job's folder.
        stop: Whether this process was asked to end.
        processes: How many.

    Raises:
        StoppedError: It was asked to end; a checkpoint is there if one could be had.
        GroupDiedError: Its processes die, and starting again does not help.
        FtkitError: It cannot be done.
    """
    restarts = Restarts(path, f"{processes} processes")
    while True:
        _forget_words(path)
        restarts.begin()
        status, died = _run(path, stop, processes)
        reporter = Reporter(path)
        if STATUS_WORDS[reporter.state.word].is_terminal:
            return
        if stop.requested:
            raise StoppedError
        _raise_words(path)
        restarts.again(reporter, died, helps=status != 0)


def _run(path: Path, stop: Stop, processes: int) -> tuple[int, str]:
    """Runs the group once, and returns the status it ended with, and how that was, in words."""
    command = [sys.executable, "-P", "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command += ["--max-restarts=0", "--module", "ftkit.providers.huggingface.rank", str(path)]
    environment = {**os.environ, LEADER: this_process().model_dump_json()}
    log = path / LOG
    begin = log.stat().st_size if log.exists() else 0
    with subprocess.Popen(command, env=environment) as torchrun:  # noqa: S603 - our own interpreter
        ranks: set[psutil.Process] = set()
        told, missing_since = False, None
        while torchrun.poll() is None:
            here = _ranks_of(torchrun.pid)
            ranks |= here
            if stop.requested and not told and here:
                told = True
                for rank in here:
                    with suppress(psutil.NoSuchProcess):
                        rank.terminate()
            is_missing = bool(ranks) and len(here) < min(processes, len(ranks))
            missing_since = (missing_since or time.monotonic()) if is_missing else None
            if missing_since is not None and time.monotonic() - missing_since > _LEAVING_S:
                torchrun.terminate()  # it ends the ranks
            time.sleep(_POLL_S)
    _, left = psutil.wait_procs(ranks, timeout=_ORPHANED_S)  # if torchrun itself was killed, they end by themselves
    for rank in left:
        with suppress(psutil.NoSuchProcess):
            rank.kill()
    psutil.wait_procs(left)
    return torchrun.returncode, _how(log, begin, torchrun.returncode)


def _ranks_of(torchrun: int) -> set[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return {child for child in psutil.Process(torchrun).children() if child.status() != psutil.STATUS_ZOMBIE}
    return set()


def _how(log: Path, begin: int, status: int) -> str:
    """Says how a group ended, in a sentence; torchrun names the rank that went first, in what it has written since."""
    text = log.read_bytes()[begin:].decode(errors="replace") if log.exists() else ""
    first = re.findall(r"rank\s*: (\d+) \(local_rank: \d+\)\s+exitcode\s*: (-?\d+)", text)
    if status > 0 and first:
        rank, code = first[-1]
        ended = f"was killed by signal {-int(code)}" if int(code) < 0 else f"ended with status {code}"
        return f"rank {rank} {ended}"
    return f"torchrun {'was killed by signal' if status < 0 else 'ended with status'} {abs(status)}"


def _forget_words(path: Path) -> None:
    for words in path.glob(WORDS.format(rank="*")):
        words.unlink()


def _raise_words(path: Path) -> None:
    """Raises what a rank said when it failed for a reason that will not go away."""
    for words in sorted(path.glob(WORDS.format(rank="*"))):
        raise FtkitError(words.read_text(encoding="utf-8"))
