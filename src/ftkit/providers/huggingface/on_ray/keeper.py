"""Sees to it that nothing is left of a Ray of this machine: `python -m ftkit.providers.huggingface.on_ray.keeper`.

Its arguments are the driver, as JSON; a folder to remove; and the job's folder. When the driver ends, however that was,
it ends all processes that came from it. Tried here with Ray 2.60: of a driver that was killed, the raylet goes at once
and the workers a few seconds later, but two agents stayed for good, and all heed no SIGTERM. It is in the driver's
process group and lets a SIGTERM pass, so that who cancels a job waits until all of it has gone.
"""

from __future__ import annotations

import shutil
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil

from ftkit.models import JobStatus
from ftkit.providers._local_jobs import JobFolder
from ftkit.providers._processes import ProcessId, is_alive
from ftkit.providers.huggingface.on_ray import HERE

_LOOK_S = 0.25
_GONE_S = 10.0


def keep(driver: ProcessId, session: Path, job: Path) -> None:
    """Waits for the end of the driver, and cleans up behind it."""
    family: set[psutil.Process] = set()
    while is_alive(driver):
        family |= _below(driver.pid)
        time.sleep(_LOOK_S)
    _end(family)
    _remove(session)
    if JobFolder(job).job().status is JobStatus.CANCELLED:  # else there may be a checkpoint that did not come home yet
        _remove(job / HERE)


def _below(pid: int) -> set[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return {child for child in psutil.Process(pid).children(recursive=True) if child != psutil.Process()}
    return set()


def _end(family: set[psutil.Process]) -> None:
    for process in list(family):
        with suppress(psutil.NoSuchProcess):
            family |= set(process.children(recursive=True))
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(family, timeout=_GONE_S)


def _remove(folder: Path) -> None:
    deadline = time.monotonic() + _GONE_S
    while folder.exists():
        try:
            shutil.rmtree(folder)
        except OSError:  # somebody who is about to end has written into it
            if time.monotonic() > deadline:
                raise
            time.sleep(_LOOK_S)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keep(ProcessId.model_validate_json(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
