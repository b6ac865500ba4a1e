"""The foreman: looks after every job that has not ended, and has each that is due moved on by one step.

One thread looks, a few workers move. No job is with two workers at once, so that nothing of a job happens twice. A
step that fails is tried again, ever more slowly, and told in the job's events.
"""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ftkit.server.logs import logged
from ftkit.server.records import JobRecord, JobWord
from ftkit.waiting import Pace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ftkit.server.moving import Mover
    from ftkit.server.settings import Settings
    from ftkit.server.store import Store

logger = logging.getLogger("ftkit.server")

_WORKERS = 4
_TICK_S = 0.5
_SHORTEST_REST_S = 0.01
_CHORES_S = 10.0
_LONGEST_PAUSE_S = 60.0


@dataclass(slots=True)
class _Care:
    """What the foreman keeps in mind of a job."""

    since: float = field(default_factory=time.monotonic)
    due: float = 0.0
    busy: bool = False
    waits: bool = False
    nudged: bool = False
    failures: int = 0
    lost_at: float | None = None


class Foreman:
    """Has jobs moved on.

    Args:
        mover: Moves a job on by one step.
        store: Where the jobs are.
        settings: How many may be at work, and how often to look.
        chores: What else is to be done every ten seconds.
    """

    def __init__(self, mover: Mover, store: Store, settings: Settings, *chores: Callable[[], object]) -> None:
        self._mover = mover
        self._store = store
        self._slots = settings.slots
        self._pace = Pace(poll_s=settings.poll_s)
        self._patience_s = settings.patience_s
        self._chores = chores
        self._chores_due = 0.0
        self._open: dict[str, _Care] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._workers = ThreadPoolExecutor(_WORKERS, thread_name_prefix="ftkit-worker")
        self._thread = threading.Thread(target=self._work, name="ftkit-foreman", daemon=True)

    def start(self) -> None:
        """Takes up the jobs that have not ended, and begins."""
        self._open = {job.id: _Care() for job in self._store.everything(JobRecord) if not job.word.is_terminal}
        self._thread.start()

    def stop(self) -> None:
        """Stops looking. Jobs go on at the provider, and are taken up at the next start."""
        self._stopping.set()
        self._wake.set()
        self._thread.join()
        self._workers.shutdown()

    @property
    def is_well(self) -> bool:
        """Whether anybody looks after the jobs."""
        return self._thread.is_alive()

    def nudge(self, job_id: str) -> None:
        """Says that there is something to do about a job."""
        with self._lock:
            care = self._open.setdefault(job_id, _Care())
            care.due, care.nudged = 0.0, True
        self._wake.set()

    def _work(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                self._round()
            except Exception:  # whatever it was, it is in the log, and the other jobs must be looked after
                logger.exception("a round of the foreman failed")
            self._wake.wait(self._rest())

    def _rest(self) -> float:
        """Seconds until something is due."""
        with self._lock:
            due = [care.due for care in self._open.values() if not (care.busy or care.waits)]
        return min(max(min(due, default=_TICK_S) - time.monotonic(), _SHORTEST_REST_S), _TICK_S)

    def _round(self) -> None:
        moment = time.monotonic()
        for job_id, care in self._due(moment):
            self._workers.submit(logged, self._step, job_id, care)
        if moment >= self._chores_due:
            self._chores_due = moment + _CHORES_S
            for chore in self._chores:
                self._workers.submit(logged, chore)

    def _due(self, moment: float) -> Iterator[tuple[str, _Care]]:
        """Yields the jobs that something can be done about, oldest first; each is busy from then on."""
        with self._lock:
            open_ = dict(self._open)
        jobs = {job_id: self._store.find(JobRecord, job_id) for job_id in open_}
        taken = [job for job_id, job in jobs.items() if job is not None and _takes_a_slot(job, open_[job_id])]
        free = self._slots - len(taken)
        for job_id, care in open_.items():
            job = jobs[job_id]
            if job is not None and job.word is JobWord.VALIDATING and not care.failures:
                free = 0  # it came first, and is about to wait for a slot itself
            if care.busy:
                continue
            if job is None or job.word.is_terminal:
                with self._lock:
                    self._open.pop(job_id)
                continue
            # A job that waits keeps its place, whenever it was looked at last; one that failed lets others go first.
            care.waits = job.waits_for_a_slot and free < 1
            if care.waits or (care.due > moment and (care.failures or not job.waits_for_a_slot)):
                continue
            free -= job.waits_for_a_slot
            care.busy = True
            yield job_id, care

    def _step(self, job_id: str, care: _Care) -> None:
        care.nudged = False
        try:
            self._mover.move(job_id)
            care.failures, care.lost_at = 0, None
            care.due = time.monotonic() + self._pace.delay(time.monotonic() - care.since)
        except Exception as error:  # noqa: BLE001 - told in the job's events and in the log, and tried again
            care.failures += 1
            care.due = time.monotonic() + min(_TICK_S * 2**care.failures, _LONGEST_PAUSE_S)
            care.lost_at = care.lost_at or time.monotonic()
            if care.failures == 1:
                self._mover.tell_trouble(job_id, error)
            elif time.monotonic() - care.lost_at > self._patience_s:
                self._mover.give_up(job_id, error)
        finally:
            care.due = 0.0 if care.nudged else care.due  # what came meanwhile may have come too late for this step
            care.busy = False
            self._wake.set()


def _takes_a_slot(job: JobRecord, care: _Care) -> bool:
    return job.is_at_work or (care.busy and job.waits_for_a_slot)  # the latter is just being set to work
