"""A job's folder as it is read, by anyone, at any time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import Field, NonNegativeInt, PositiveInt, ValidationError

from ftkit.errors import ProviderError
from ftkit.models import FineTuningJob, JobEvent, JobRequest, JobStatus, Noun, UtcDatetime
from ftkit.plugin.asked import asked_of
from ftkit.plugin.disk import locked, log_tail, write_atomically
from ftkit.providers._processes import ProcessId, is_alive

if TYPE_CHECKING:
    from pathlib import Path

JOB_ID = re.compile(r"ftjob-[0-9a-f]{24}")
REQUEST = "request.json"
STATUS = "status.json"
EVENTS = "events.jsonl"
LOG = "log.txt"
LOCK = "lock"
QUEUE = ("queue", "slots", "queue.lock")
"""What lies beside the jobs' folders: tickets, slots, and the lock of both."""
_CONTROL = "control.json"
_CONTROL_LOCK = "control.lock"

WORDS: Mapping[str, JobStatus] = {
    "queued": JobStatus.QUEUED,
    "validating": JobStatus.VALIDATING,
    "running": JobStatus.RUNNING,
    "pausing": JobStatus.RUNNING,
    "paused": JobStatus.PAUSED,
    "interrupted": JobStatus.PAUSED,
    "cancelling": JobStatus.CANCELLING,
    "succeeded": JobStatus.SUCCEEDED,
    "failed": JobStatus.FAILED,
    "cancelled": JobStatus.CANCELLED,
}
"""What `provider_status` may say, and what it means."""

Want = Literal["paused", "cancelled"]

_N = TypeVar("_N", bound=Noun)


class JobRecord(Noun):
    """What was asked for, in request.json. It never changes.

    Attributes:
        key: The key the job was made under.
        provider: Name of the provider.
        identity: The account.
        created_at: When it was made.
        request: What was asked for.
        command: The trainer: a program and its arguments; the folder is added as the last one.
        extra: What else the trainer needs to know. No secrets.
        can_resume: Whether the trainer can go on from where it stood.
    """

    key: str
    provider: str
    identity: str
    created_at: UtcDatetime
    request: JobRequest
    command: tuple[str, ...] = Field(min_length=1)
    extra: Mapping[str, Any] = Field(default_factory=dict[str, Any])
    can_resume: bool = False


class JobState(Noun):
    """How far a job is, in status.json.

    Attributes:
        word: One of `WORDS`.
        run: How often it was started; a job that was resumed once is in its second run.
        asker: The process that asked for this run. While it lives, the run may still begin.
        runner: The process that does it, once it holds the lock.
        started_at: When it first began to train.
        finished_at: When it ended.
        step: Steps done.
        total_steps: Steps in all.
        trained_tokens: Tokens it was trained on.
        fine_tuned_model: Name of the tuned model.
        error: Why it failed or stands still.
    """

    word: str
    run: PositiveInt = 1
    asker: ProcessId
    runner: ProcessId | None = None
    started_at: UtcDatetime | None = None
    finished_at: UtcDatetime | None = None
    step: NonNegativeInt | None = None
    total_steps: NonNegativeInt | None = None
    trained_tokens: NonNegativeInt | None = None
    fine_tuned_model: str | None = None
    error: str | None = None


class _Control(Noun):
    """What is wanted of a job, in control.json. A wish to pause is for one run only."""

    want: Want
    run: int


class _Standing(Noun):
    """Where a job stands, as derived."""

    word: str
    error: str | None = None


class JobFolder:
    """One job.

    Args:
        path: Its folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.id = path.name

    def record(self) -> JobRecord:
        """Reads what was asked for.

        Raises:
            FileNotFoundError: There is no such file.
            ProviderError: It makes no sense.
        """
        return self._read(REQUEST, JobRecord)

    def state(self) -> JobState:
        """Reads how far it is. Errors as for `record`."""
        return self._read(STATUS, JobState)

    def write_state(self, state: JobState, *, durable: bool = False) -> None:
        """Writes how far it is. For whoever holds the lock, and nobody else."""
        write_atomically(self.path / STATUS, state.model_dump_json(indent=2, exclude_none=True), durable=durable)

    def want(self, run: int) -> Want | None:
        """Returns what is wanted of the job in this run."""
        try:
            control = self._read(_CONTROL, _Control)
        except FileNotFoundError:
            return None
        return control.want if control.want == "cancelled" or control.run == run else None

    def ask(self, want: Want, run: int) -> None:
        """Says what is wanted of the job. A wish to cancel is for good: no later wish to pause takes its place."""
        with locked(self.path / _CONTROL_LOCK):
            if self.want(run) != "cancelled":
                control = _Control(want=want, run=run)
                write_atomically(self.path / _CONTROL, control.model_dump_json(), durable=True)

    def job(self) -> FineTuningJob:
        """Reads the job. Writes nothing. Errors as for `record`."""
        record = self.record()
        state, alive = self._settled_state()
        standing = self._standing(record, state, alive=alive)
        return FineTuningJob(
            id=self.id,
            provider=record.provider,
            identity=record.identity,
            status=WORDS.get(standing.word, JobStatus.UNKNOWN),
            provider_status=standing.word,
            fine_tuned_model=state.fine_tuned_model,
            key=record.key,
            created_at=record.created_at,
            started_at=state.started_at,
            finished_at=state.finished_at,
            trained_tokens=state.trained_tokens,
            step=state.step,
            total_steps=state.total_steps,
            error=standing.error,
            interrupted=standing.word == "interrupted",
            **asked_of(record.request),
        )

    def is_alive(self) -> bool:
        """Whether its process is there, or about to be."""
        return self._settled_state()[1]

    def events(self) -> list[JobEvent]:
        """Reads all events, oldest first. A line that was torn off by a crash is left out."""
        return list(self.events_after(0))

    def events_after(self, number: int) -> Iterator[JobEvent]:
        """Reads the events with higher ids, oldest first. Who follows a job asks often: the others are not made."""
        try:
            text = (self.path / EVENTS).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return
        for line in text.split("\n")[:-1]:  # what has no end is still being written, or torn
            event = self._event(line, number)
            if event is not None:
                yield event

    def tail(self) -> str:
        """Returns the end of the log, ready to be added to a message; empty if there is none."""
        return log_tail(self.path / LOG)

    def _settled_state(self) -> tuple[JobState, bool]:
        """Reads how far it is, and whether its process is there; both of the same moment."""
        state = self.state()
        while True:
            if is_alive(state.runner or state.asker):
                return state, True
            # It may have written its last word, or handed over, between our read and its end.
            now = self.state()
            if now == state:
                return state, False
            state = now

    def _standing(self, record: JobRecord, state: JobState, *, alive: bool) -> _Standing:
        status = WORDS.get(state.word, JobStatus.UNKNOWN)
        if status.is_terminal or status is JobStatus.UNKNOWN:
            return _Standing(word=state.word, error=state.error)
        want = self.want(state.run)
        if status is JobStatus.PAUSED:  # its process has nothing left to do, even if it is there for another moment
            return _Standing(word="cancelled" if want == "cancelled" else state.word, error=state.error)
        if alive:
            wished = {"cancelled": "cancelling", "paused": "pausing"}
            return _Standing(word=wished[want] if want else state.word)
        if want:
            return _Standing(word=want)
        how = "its process ended" if state.runner else "it was not started"
        if record.can_resume:
            return _Standing(word="interrupted", error=f"interrupted: {how}{self.tail()}")
        return _Standing(word="failed", error=f"{how} without a word{self.tail()}")

    def _event(self, line: str, after: int) -> JobEvent | None:
        try:
            fields = json.loads(line)
            if int(fields["id"]) <= after:
                return None
            return JobEvent.model_validate({**fields, "job_id": self.id})
        except (ValueError, TypeError, KeyError):  # a crash of the whole machine can leave anything
            return None

    def _read(self, name: str, noun: type[_N]) -> _N:
        path = self.path / name
        try:
            return noun.model_validate_json(path.read_bytes())
        except ValidationError as error:
            message = f"{path} is damaged: {error}"
            hint = f"The job cannot be read any more. Move {self.path} away, and the same request makes it anew."
            raise ProviderError(message, hint=hint) from error
        except FileNotFoundError:
            raise
        except OSError as error:
            message = f"{path} cannot be read: {error.strerror or error}"
            raise ProviderError(message, hint="See that it is a file of yours, on a disk that is there.") from error
