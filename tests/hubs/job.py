"""A job of the stand-in: what was posted, the process that runs it, and how the Hub shows it."""

from __future__ import annotations

import secrets
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import psutil

from hubs.wire import USER, stamp

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SCHEDULING, RUNNING, COMPLETED, CANCELED, ERROR = "SCHEDULING", "RUNNING", "COMPLETED", "CANCELED", "ERROR"
TERMINAL = {COMPLETED, CANCELED, ERROR, "DELETED"}
KILLED = "Job failed with exit code: 137"
DEFAULT_TIMEOUT_S = 1800
PATIENCE_S = 10.0


@dataclass(eq=False)
class Job:
    """A job.

    Attributes:
        posted: What was posted, secrets and all.
        lines: Its log, each line with the time it was written.
        pinned: A test has set its stage: what its process does changes it no more.
        is_over: Its process has ended, and all that it started; its log gets no more lines.
        has_logs: False once its log is gone.
    """

    namespace: str
    posted: dict[str, Any]
    id: str = field(default_factory=lambda: secrets.token_hex(12))
    stage: str = SCHEDULING
    message: str | None = None
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    started_at: datetime | None = None
    finished_at: datetime | None = None
    lines: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    pinned: bool = False
    is_over: bool = False
    has_logs: bool = True
    process: subprocess.Popen[bytes] | None = None

    @property
    def labels(self) -> dict[str, str]:
        return self.posted.get("labels") or {}

    @property
    def timeout_s(self) -> float:
        return self.posted.get("timeoutSeconds") or DEFAULT_TIMEOUT_S

    def move(self, stage: str, message: str | None = None) -> None:
        now = datetime.now(UTC)
        self.stage, self.message = stage, message
        if stage not in TERMINAL | {SCHEDULING}:
            self.started_at = self.started_at or now
        self.finished_at = (self.finished_at or now) if stage in TERMINAL else None

    def write(self, line: str) -> None:
        if self.has_logs:
            self.lines.append((stamp(datetime.now(UTC)), line))

    def shown(self) -> dict[str, Any]:
        owner = {"id": f"id-of-{self.namespace}", "name": self.namespace}
        return {
            "id": self.id,
            "createdAt": stamp(self.created_at),
            "startedAt": self.started_at and stamp(self.started_at),
            "finishedAt": self.finished_at and stamp(self.finished_at),
            "dockerImage": self.posted.get("dockerImage"),
            "spaceId": self.posted.get("spaceId"),
            "command": self.posted["command"],
            "arguments": self.posted.get("arguments", []),
            "environment": self.posted.get("environment", {}),
            "secrets": dict.fromkeys(self.posted.get("secrets", {}), "*****"),
            "flavor": self.posted["flavor"],
            "labels": self.labels,
            "status": {"stage": self.stage, "message": self.message},
            "durations": self._durations(),
            "owner": {**owner, "type": "user" if self.namespace == USER else "org"},
            "initiator": {"type": "user", "id": f"id-of-{USER}", "name": USER},
            "retry": 0,
        }

    def _durations(self) -> dict[str, int | None]:
        end = self.finished_at or datetime.now(UTC)
        known = self.started_at is not None
        return {
            "schedulingSecs": seconds(self.created_at, self.started_at or end) if known else None,
            "runningSecs": seconds(self.started_at or end, end) if known else None,
            "totalSecs": seconds(self.created_at, end),
        }


def seconds(begin: datetime, end: datetime) -> int:
    return int((end - begin).total_seconds())


def start(job: Job, folder: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes] | None:
    """Starts the process of a job in a session of its own; None if there is no such program, as its log then says."""
    home, work = folder / "home", folder / "work"
    home.mkdir(parents=True)
    work.mkdir()
    own = {**job.posted.get("environment", {}), **job.posted.get("secrets", {})}
    command = [*job.posted["command"], *job.posted.get("arguments", [])]
    try:
        return subprocess.Popen(
            command,
            cwd=work,
            env={**environment, "HOME": str(home), **own},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        job.write(f'exec: "{command[0]}": {error.strerror}')
        return None


def sweep(process: subprocess.Popen[bytes], folder: Path) -> None:
    """Kills a process and all that it has started, until none is left, whatever session or parent they have by now."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        left = _those_of(process.pid, folder)
        for each in left:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        process.poll()
        if not left:
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"cannot kill {left}")
        time.sleep(0.01)


def _those_of(pid: int, folder: Path) -> list[psutil.Process]:
    found: dict[int, psutil.Process] = {}
    with suppress(psutil.NoSuchProcess):
        main = psutil.Process(pid)
        found = {each.pid: each for each in (main, *main.children(recursive=True))}
    for each in psutil.process_iter():
        # One whose parent has gone is known by its place: a job's folder is nobody else's.
        with suppress(psutil.Error):
            if each.environ().get("HOME") == str(folder / "home") or each.cwd().startswith(f"{folder}/"):
                found[each.pid] = each
    return [each for each in found.values() if _lives(each)]


def _lives(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.status() != psutil.STATUS_ZOMBIE
    return False
