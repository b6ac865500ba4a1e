"""The runs of a job, and what it has left at the Hub, as one job of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ftkit.errors import FtkitError
from ftkit.models import FineTuningJob, JobEvent, JobStatus
from ftkit.plugin.asked import asked_of
from ftkit.providers.huggingface.kinds import NAME
from ftkit.providers.huggingface.remote.results import JobRepository, events_in_log, repository_of, words_in_log

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ftkit.providers._hub_account import HubAccount
    from ftkit.providers._local_jobs import JobState
    from ftkit.providers.huggingface.remote.runs import HubRuns, Run

_GOING: Mapping[str, JobStatus] = {"SCHEDULING": JobStatus.QUEUED, "RUNNING": JobStatus.RUNNING}
_ENDED = {"COMPLETED", "ERROR", "CANCELED", "DELETED"}
_FRUITLESS = 2
"""After how many runs in a row without a new checkpoint a job is given up: each of them costs."""


class _Standing(NamedTuple):
    """Where a job stands, as derived."""

    status: JobStatus
    error: str | None = None
    state: JobState | None = None
    interrupted: bool = False


class Reader:
    """Reads jobs. What has ended is read once.

    Args:
        account: The account.
        runs: Its runs.
        identity: The account, for our nouns.
    """

    def __init__(self, account: HubAccount, runs: HubRuns, identity: str) -> None:
        self._account = account
        self._runs = runs
        self._identity = identity
        self._ended: dict[str, _Standing] = {}

    def repository(self, runs: Sequence[Run]) -> JobRepository:
        """Returns the repository of a job."""
        record = runs[0].record
        name = repository_of(self._account.namespace, runs[0].job, record.request if record else None)
        return JobRepository(self._account, name, runs[0].job)

    def job(self, runs: Sequence[Run]) -> FineTuningJob:
        """Tells the runs of a job as that job."""
        first, last = runs[0], runs[-1]
        standing = self._standing(runs)
        state, record = standing.state, first.record
        asked: dict[str, Any] = {"model": "unknown"} if record is None else asked_of(record.request)
        succeeded = standing.status is JobStatus.SUCCEEDED
        return FineTuningJob(
            id=first.job,
            provider=NAME,
            identity=self._identity,
            status=standing.status,
            provider_status=last.stage,
            fine_tuned_model=self.repository(runs).name if succeeded else None,
            key=record.key if record is not None else None,
            created_at=first.created_at,
            started_at=next((run.started_at for run in runs if run.started_at is not None), None),
            finished_at=last.finished_at if standing.status.is_terminal else None,
            trained_tokens=state.trained_tokens if state is not None else None,
            step=state.step if state is not None else None,
            total_steps=state.total_steps if state is not None else None,
            error=standing.error,
            interrupted=standing.interrupted,
            **asked,
        )

    def forget(self, run: Run) -> None:
        """Reads a run anew the next time: something was done to it."""
        self._ended.pop(run.id, None)

    def events(self, runs: Sequence[Run]) -> list[JobEvent]:
        """Returns the events of a job, oldest first: those written down, and those that its last run has told since."""
        last = runs[-1]
        if last.stage == "SCHEDULING" and len(runs) == 1:
            return []
        found = {event.id: event for event in self.repository(runs).events()}
        if not self._standing(runs).status.is_terminal or not found:
            found = {event.id: event for event in events_in_log(self._runs.log(last), last.job)} | found
        return [found[key] for key in sorted(found, key=int)]

    def _standing(self, runs: Sequence[Run]) -> _Standing:
        last = runs[-1]
        if last.stage in _GOING:
            cancelling = last.want == "cancelled"
            return _Standing(JobStatus.CANCELLING if cancelling else _GOING[last.stage])
        if last.stage not in _ENDED:
            return _Standing(JobStatus.UNKNOWN)
        known = self._ended.get(last.id)
        if known is None:
            known = self._ending(runs, self.repository(runs).state())
            self._ended[last.id] = known
        return known

    def _ending(self, runs: Sequence[Run], state: JobState | None) -> _Standing:
        """Tells how a job stands whose last run has ended."""
        last = runs[-1]
        word = state.word if state is not None else None
        if word == "succeeded" or last.has_lost_model:
            return _Standing(JobStatus.SUCCEEDED, state=state)
        if word == "failed" and state is not None:
            return _Standing(JobStatus.FAILED, state.error and self._account.masked(state.error), state)
        if last.want == "cancelled" or (last.stage == "CANCELED" and last.want != "paused"):
            return _Standing(JobStatus.CANCELLED, state=state)
        if last.want == "paused" and last.stage in {"CANCELED", "COMPLETED"}:
            return _Standing(JobStatus.PAUSED, state=state)
        why = self._why(last)
        fruitless = last.number - state.run if state is not None and state.step else _FRUITLESS
        if fruitless < _FRUITLESS:
            return _Standing(JobStatus.PAUSED, f"interrupted: {why}", state, interrupted=True)
        if state is not None and state.step:
            why = f"{_FRUITLESS} runs in a row came to no new checkpoint; the last: {why}"
        return _Standing(JobStatus.FAILED, why, state)

    def _why(self, run: Run) -> str:
        """Says why a run ended, in the Hub's words and its own last ones."""
        plain = {"DELETED": "the Hub deleted it", "COMPLETED": "it ended, and left no word of how"}
        told = run.message or plain.get(run.stage, f"the Hub's job is {run.stage}")
        try:
            words = words_in_log(self._runs.log(run))
        except FtkitError:  # that it ended is known without them
            words = []
        shown = ["the end of its log:", *words] if words else []
        return told + "".join(f"\n  {self._account.hide(line)}" for line in shown)
