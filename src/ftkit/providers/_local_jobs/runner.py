"""The process of a job: takes its lock, waits for a slot, and becomes the trainer.

    python -m ftkit.providers._local_jobs.runner FOLDER RUN SLOTS

If somebody has the lock, or the run is not the one that was asked for, there is nothing to do.
"""

from __future__ import annotations

import os
import re
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from ftkit.plugin.disk import locked, try_lock
from ftkit.providers._local_jobs.folder import LOCK, QUEUE
from ftkit.providers._local_jobs.reporter import Reporter
from ftkit.providers._processes import is_alive, this_process

_POLL_S = 0.2
_LOCK_S = 5.0
_LOCK_POLL_S = 0.02
_TICKET = re.compile(r"(\d{12})-.+")
_FEW_CORES = 4


class _Queue:
    """First come, first served: tickets in the order of arrival, each locked by the process that waits with it."""

    def __init__(self, jobs: Path, slots: int) -> None:
        self._tickets, self._slots, self._door = (jobs / name for name in QUEUE)
        self._count = slots
        for folder in (self._tickets, self._slots):
            folder.mkdir(exist_ok=True)

    def join(self, job_id: str) -> Path:
        """Takes the next ticket; the lock on it is ours until we end."""
        with locked(self._door):
            last = max((int(ticket.name[:12]) for ticket in self._waiting()), default=0)
            ticket = self._tickets / f"{last + 1:012}-{job_id}"
            try_lock(ticket)
        return ticket

    def slot(self, ticket: Path) -> int | None:
        """Takes a slot if it is our turn and one is free, and gives the ticket back."""
        with locked(self._door):
            if any(earlier.name < ticket.name and self._is_held(earlier) for earlier in self._waiting()):
                return None
            for number in range(self._count):
                held = try_lock(self._slots / f"{number}.lock")
                if held is not None:
                    ticket.unlink()
                    return held
            return None

    def _waiting(self) -> list[Path]:
        return sorted(path for path in self._tickets.iterdir() if _TICKET.fullmatch(path.name))

    @staticmethod
    def _is_held(ticket: Path) -> bool:
        """Whether somebody waits with a ticket; one whose holder has died is thrown away."""
        handle = try_lock(ticket)
        if handle is None:
            return True
        ticket.unlink()
        os.close(handle)
        return False


def _environment() -> dict[str, str]:
    defaults = {"PYTHONUNBUFFERED": "1", "TOKENIZERS_PARALLELISM": "false"}
    if (os.cpu_count() or 1) <= _FEW_CORES:
        defaults["OMP_NUM_THREADS"] = "1"  # on few cores, threads spend their time waiting for each other
    return defaults | dict(os.environ)


def _job_lock(path: Path) -> int | None:
    """Takes the lock of a job. Whoever looks whether it is free, or closes a job, holds it for moments only."""
    deadline = time.monotonic() + _LOCK_S
    while (lock := try_lock(path / LOCK)) is None and time.monotonic() < deadline:
        time.sleep(_LOCK_POLL_S)
    return lock


def run(path: Path, run_number: int, slots: int) -> None:
    """Does one run of a job. Returns only if there is nothing to do."""
    lock = _job_lock(path)
    if lock is None:
        return
    reporter = Reporter(path)
    state = reporter.state
    if state.word != "queued" or state.run != run_number or state.runner is not None:
        return
    if not reporter.record.can_resume and not is_alive(state.asker):
        return  # readers take it for failed already, and that never changes
    queue = _Queue(path.parent, slots)
    ticket = queue.join(path.name)
    reporter.status("queued", runner=this_process())
    want = reporter.want()
    if want is not None:  # wished before there was anybody to send a signal to
        reporter.status(want)
        return
    slot = queue.slot(ticket)
    if slot is None:
        reporter.event("Waiting for another job to end")
    while slot is None:
        time.sleep(_POLL_S)
        slot = queue.slot(ticket)
    reporter.status("running", started_at=state.started_at or datetime.now(UTC))
    for handle in (lock, slot):
        os.set_inheritable(handle, True)  # noqa: FBT003 - it takes no keyword
    command = [*reporter.record.command, str(path)]
    try:
        os.execve(command[0], command, _environment())  # noqa: S606 - our provider's own command
    except OSError as error:
        reporter.status("failed", error=f"could not start {command[0]}: {error.strerror}")


if __name__ == "__main__":
    run(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
