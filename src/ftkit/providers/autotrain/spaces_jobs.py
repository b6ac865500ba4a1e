"""A Space as a job: where it stands, what it is for, and what happened in it.

What was asked for is kept on this machine, since nothing at the Hub tells it. What became of it is told by the Hub: the
Space is paused after a success and after a failure, so the weights, and what AutoTrain wrote, tell the two apart.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from ftkit.errors import FtkitError
from ftkit.models import FineTuningJob, JobRequest, JobStatus
from ftkit.plugin.asked import asked_of
from ftkit.providers.autotrain.backends import NAME
from ftkit.providers.autotrain.spaces_log import events_of, last_error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ftkit.models import JobEvent
    from ftkit.plugin.notes import Notes
    from ftkit.providers.autotrain.spaces_hub import Space, SpacesHub

_GOING = {
    "BUILDING": JobStatus.QUEUED,
    "APP_STARTING": JobStatus.QUEUED,
    "RUNNING": JobStatus.RUNNING,
    "RUNNING_BUILDING": JobStatus.RUNNING,
    "RUNNING_APP_STARTING": JobStatus.RUNNING,
}
_ERRORS = {"BUILD_ERROR", "CONFIG_ERROR", "RUNTIME_ERROR"}
_STOPPED = {"PAUSED", "SLEEPING", "STOPPED", "DELETING"}
_EMPTY = "NO_APP_FILE"
_FILLED_WITHIN = timedelta(minutes=15)
"""How long a Space without a Dockerfile is taken for one that is just being made: it is made empty, and then filled."""


class SpaceJobs:
    """The jobs of one account.

    Args:
        hub: The Hub.
        notes: What was asked for, and what we did, by project.
        identity: The account, for our nouns.
    """

    def __init__(self, hub: SpacesHub, notes: Notes, identity: str) -> None:
        self._hub = hub
        self._notes = notes
        self._identity = identity

    def note(self, project: str, **told: object) -> None:
        """Remembers something of a project."""
        with self._notes.change() as notes:
            notes[project] = {**notes.get(project, {}), **told}

    def job(self, space: Space, *, with_log: bool) -> FineTuningJob:
        """Tells a Space as a job.

        Args:
            space: The Space.
            with_log: Whether the log is read, if need be, to say why a job failed.
        """
        note = self._noted(space.project)
        request = _request_in(note)
        status, error, finished = self._state(space, note, with_log=with_log)
        asked: dict[str, Any] = {"model": "unknown"} if request is None else asked_of(request)
        return FineTuningJob(
            id=space.project,
            provider=NAME,
            identity=self._identity,
            status=status,
            provider_status=space.stage,
            fine_tuned_model=self._hub.model_id(space.project) if status is JobStatus.SUCCEEDED else None,
            key=note.get("key"),
            created_at=space.created_at,
            finished_at=finished,
            error=error,
            **asked,
        )

    def events(self, space: Space) -> list[JobEvent]:
        """Reads what was printed in a Space; where nothing ran, what was printed when it was built."""
        lines = self._hub.log(space.project)
        if not lines and space.stage in _ERRORS:
            lines = self._hub.log(space.project, build=True)
        request = _request_in(self._noted(space.project))
        every = int(request.provider_options.get("logging_steps") or 1) if request is not None else 1
        return events_of(lines, space.project, space.created_at, every)

    def _noted(self, project: str) -> dict[str, Any]:
        found: dict[str, Any] = self._notes.read().get(project, {})
        return found

    def _state(
        self, space: Space, note: Mapping[str, Any], *, with_log: bool
    ) -> tuple[JobStatus, str | None, datetime | None]:
        """Returns where a job stands, why it failed, and when it ended, as far as that is known."""
        is_young = space.stage == _EMPTY and datetime.now(UTC) - space.created_at < _FILLED_WITHIN
        if is_young or space.stage in _GOING:
            status = JobStatus.QUEUED if is_young else _GOING[space.stage]
            return JobStatus.CANCELLING if note.get("cancelled") else status, None, None
        if space.stage not in {*_ERRORS, *_STOPPED, _EMPTY}:
            return JobStatus.UNKNOWN, None, None
        verdict = self._hub.verdict(space.project)
        ended = verdict.at if verdict is not None else None
        says_so = note.get("deleted") or (verdict is not None and verdict.succeeded)  # of a model that is gone since
        if says_so or self._hub.has_weights(space.project):
            return JobStatus.SUCCEEDED, None, ended
        if note.get("cancelled"):
            return JobStatus.CANCELLED, None, ended
        why = [verdict.title if verdict is not None else _why(space.stage)]
        why += filter(None, [self._last_words(space)] if with_log else [])
        return JobStatus.FAILED, ": ".join(why), ended

    def _last_words(self, space: Space) -> str | None:
        with suppress(FtkitError):  # that the job failed is known without them
            return last_error(self.events(space))
        return None


def _request_in(note: Mapping[str, Any]) -> JobRequest | None:
    try:
        return JobRequest.model_validate(note["request"])
    except (KeyError, ValidationError, FtkitError):  # made elsewhere; or of a method that is not installed here
        return None


def _why(stage: str) -> str:
    if stage == _EMPTY:
        return "the Space was made and never filled: its making broke off"
    return f"the Space is {stage}, and left no model"
