"""What a trainer tells of itself, in the folder of its job, whose lock its process holds."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ftkit.errors import ConflictError
from ftkit.models import EventLevel, JobEvent, Metrics
from ftkit.plugin.disk import write_atomically
from ftkit.plugin.secrets import masked, surrounding
from ftkit.providers._local_jobs.folder import EVENTS, WORDS, JobFolder, JobState

if TYPE_CHECKING:
    from pathlib import Path

    from ftkit.providers._local_jobs.folder import JobRecord, Want

_ID_DIGITS = 8


class Reporter:
    """Writes events and status. One a job, in the process that holds its lock.

    Args:
        path: The job's folder.
        first_event: The lowest number that an event may get.
    """

    def __init__(self, path: Path, first_event: int = 1) -> None:
        self.folder = JobFolder(path)
        self.record: JobRecord = self.folder.record()
        self._state: JobState = self.folder.state()
        self._last_id = max(self._mend_events(), first_event - 1)

    @property
    def state(self) -> JobState:
        """How far the job is, as last written."""
        return self._state

    def want(self) -> Want | None:
        """Returns what is wanted of the job: None means to go on."""
        return self.folder.want(self._state.run)

    def event(self, message: str, level: EventLevel = EventLevel.INFO, metrics: Metrics | None = None) -> None:
        """Tells what happened, or what was measured."""
        with (self.folder.path / EVENTS).open("a", encoding="utf-8") as file:
            file.write(self._line(message, level, metrics))

    def status(self, word: str | None = None, **changes: object) -> None:
        """Writes how far the job is. What ends it is on disk, and not only with the system, on return.

        Args:
            word: One of `WORDS`; None leaves it.
            changes: Fields of `JobState`.

        Raises:
            ConflictError: The job has ended, and that never changes.
        """
        if WORDS[self._state.word].is_terminal:
            message = f"job '{self.folder.id}' is {self._state.word}: that never changes"
            raise ConflictError(message, provider=self.record.provider)
        word = word or self._state.word
        ended = WORDS[word].is_terminal
        if ended:
            changes.setdefault("finished_at", datetime.now(UTC))
        if isinstance(error := changes.get("error"), str):
            changes["error"] = _writable(error)
        fields = self._state.model_dump() | changes | {"word": word}
        self._state = JobState.model_validate(fields)
        self.folder.write_state(self._state, durable=ended)

    def go_on_from(self, step: int, message: str) -> None:
        """Takes back what was measured after a step, as it will be measured again.

        Events that stay keep their ids, and no id is ever given twice. All in one rename.
        """
        kept = [e for e in self.folder.events() if e.metrics is None or e.metrics.step <= step]
        lines = [_dump(event) for event in kept]
        lines.append(self._line(message, EventLevel.INFO, None))
        write_atomically(self.folder.path / EVENTS, "".join(lines), durable=True)
        self.status(step=step)

    def _line(self, message: str, level: EventLevel, metrics: Metrics | None) -> str:
        self._last_id += 1
        event = JobEvent(
            id=f"{self._last_id:0{_ID_DIGITS}}",
            job_id=self.folder.id,
            created_at=datetime.now(UTC),
            level=level,
            message=_writable(message),
            metrics=metrics,
        )
        return _dump(event)

    def _mend_events(self) -> int:
        """Cuts off a line that a crash left half-written, and returns the last id in use."""
        path = self.folder.path / EVENTS
        if path.exists():
            content = path.read_bytes()
            whole = content.rfind(b"\n") + 1
            if whole < len(content):
                os.truncate(path, whole)
        return max((int(event.id) for event in self.folder.events()), default=0)


class Onlooker(Reporter):
    """Reads a job and tells nothing: for those who help the process that tells.

    Args:
        path: The job's folder.
    """

    def __init__(self, path: Path) -> None:  # it does not call super: that mends the events, which another one writes
        self.folder = JobFolder(path)
        self.record = self.folder.record()
        self._state = self.folder.state()

    def event(self, message: str, level: EventLevel = EventLevel.INFO, metrics: Metrics | None = None) -> None:
        """Tells nothing."""

    def status(self, word: str | None = None, **changes: object) -> None:
        """Writes nothing."""

    def go_on_from(self, step: int, message: str) -> None:
        """Takes nothing back."""


def _writable(text: str) -> str:
    """Makes text fit for UTF-8: the name of a file, or the word of a library, may hold what is none, or a key."""
    return masked(text, surrounding()).encode(errors="replace").decode()


def _dump(event: JobEvent) -> str:
    fields = event.model_dump(mode="json", exclude={"job_id"}, exclude_none=True)
    return json.dumps(fields, ensure_ascii=False) + "\n"
