"""The Hub's jobs that do a job of ours: one, and another after each that was broken off."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from pydantic import ValidationError

from ftkit.errors import FtkitError, NotFoundError
from ftkit.providers._hub import prices_of
from ftkit.providers._local_jobs import JobRecord
from ftkit.providers._local_jobs.folder import JOB_ID, Want
from ftkit.providers.huggingface.kinds import NAME
from ftkit.providers.huggingface.remote.logs import log_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from decimal import Decimal

    from huggingface_hub import JobInfo

    from ftkit.providers._hub_account import HubAccount

RECORD = "FTKIT_JOB"
"""Environment variable: what was asked for, as JSON."""
NUMBER = "FTKIT_RUN"
"""Environment variable: which of the job's runs it is, from 1."""
FLAVOR = "FTKIT_FLAVOR"
"""Environment variable: the hardware it runs on."""
_JOB, _RUN, _WANT, _MODEL = "ftkit-job", "ftkit-run", "ftkit-want", "ftkit-model"
"""Labels. The Hub lets them hold letters, digits, '-' and '_', up to 100; the key itself is in the record."""
_GONE = "deleted"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_TIMEOUT = re.compile(r"(\d+(?:\.\d+)?)([smhd]?)")


@dataclass(frozen=True)
class Run:
    """One of the Hub's jobs.

    Attributes:
        id: The Hub's id of it.
        job: The id of our job.
        number: Which of its runs it is, from 1.
        stage: The Hub's word for where it stands.
        message: What the Hub says of that.
        record: What was asked for; None if that cannot be read here.
        labels: Its labels.
        created_at: When it was asked for.
        started_at: When it began.
        finished_at: When it ended.
    """

    id: str
    job: str
    number: int
    stage: str
    message: str | None
    record: JobRecord | None
    labels: Mapping[str, str]
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def want(self) -> str | None:
        """What is wanted of it: "paused", "cancelled", or nothing else than to go on."""
        return self.labels.get(_WANT)

    @property
    def has_lost_model(self) -> bool:
        """Whether the model that came of it was deleted."""
        return self.labels.get(_MODEL) == _GONE


@dataclass(frozen=True)
class Order:
    """Where a job runs, and what it is given.

    Attributes:
        flavor: The Hub's name for the hardware.
        timeout: When it is ended at the latest, such as "4h".
        image: The image.
        command: The command.
        secrets: Secret environment variables.
        environment: Others.
    """

    flavor: str
    timeout: str
    image: str
    command: Sequence[str]
    secrets: Mapping[str, str] = field(repr=False)
    environment: Mapping[str, str]


class HubRuns:
    """The runs of one account.

    Args:
        account: The account.
    """

    def __init__(self, account: HubAccount) -> None:
        self._account = account

    def of(self, job: str) -> list[Run]:
        """Returns the runs of a job, the first first.

        Raises:
            NotFoundError: There is no such job.
        """
        found = self.found(job) if JOB_ID.fullmatch(job) else []
        if not found:
            raise _no_job(job)
        return found

    def found(self, job: str) -> list[Run]:
        """Returns the runs of a job, the first first; none if there is no such job."""
        return sorted(self._listed({_JOB: job}), key=lambda run: (run.number, run.created_at))

    def all(self) -> dict[str, list[Run]]:
        """Returns the runs of all jobs, by job, the newest job first."""
        found: dict[str, list[Run]] = {}
        for run in self._listed({}):
            found.setdefault(run.job, []).append(run)
        for runs in found.values():
            runs.sort(key=lambda run: (run.number, run.created_at))
        newest = sorted(found.items(), key=lambda item: (item[1][0].created_at, item[0]), reverse=True)
        return dict(newest)

    def start(self, job: str, number: int, record: JobRecord, order: Order) -> Run:
        """Asks for a run, once."""
        account = self._account
        own = {RECORD: record.model_dump_json(exclude_none=True), NUMBER: str(number), FLAVOR: order.flavor}
        labels = {_JOB: job, _RUN: str(number), "ftkit": "1"}
        namespace = account.namespace
        with account.asked():
            info = account.api.run_job(
                image=order.image,
                command=list(order.command),
                env={**order.environment, **own},
                secrets=dict(order.secrets),
                flavor=order.flavor,
                timeout=order.timeout,
                name=f"{job}-{number}",
                labels=labels,
                namespace=namespace,
            )
            return _run(info, account.hide)

    def wish(self, run: Run, want: Want) -> None:
        """Notes on a run what is wanted of it, for all who look."""
        self._label(run, {**run.labels, _WANT: want})

    def note_deleted(self, run: Run) -> None:
        """Notes on a run that its model was deleted."""
        self._label(run, {**run.labels, _MODEL: _GONE})

    def cancel(self, run: Run) -> None:
        """Ends a run at once."""
        account = self._account
        account.insist(lambda: account.api.cancel_job(job_id=run.id, namespace=account.namespace))

    def log(self, run: Run) -> list[str]:
        """Returns what a run has printed so far; nothing if the Hub does not tell."""
        return [self._account.masked(line) for line in log_of(self._account, run.id)]

    def prices(self) -> dict[str, Decimal | None]:
        """Asks what all hardware costs, in USD an hour; nothing if the Hub does not say."""
        try:
            with self._account.asked():
                return prices_of(self._account.api.list_jobs_hardware())
        except FtkitError:  # a training that can be had is not refused for that
            return {}

    def _label(self, run: Run, labels: Mapping[str, str]) -> None:
        account, api = self._account, self._account.api
        account.insist(lambda: api.update_job_labels(job_id=run.id, labels=dict(labels), namespace=account.namespace))

    def _listed(self, labels: Mapping[str, str]) -> list[Run]:
        """Lists the runs that bear labels. The Hub filters, and is not believed: the run of another job is not ours."""
        account = self._account
        namespace = account.namespace
        with account.asked():
            listed = account.api.list_jobs(labels={"ftkit": "1", **labels}, namespace=namespace)
            ours = [_run(info, account.hide) for info in listed if _is_ours(info)]
        return [run for run in ours if labels.items() <= run.labels.items()]


def seconds_of(timeout: str) -> float | None:
    """Returns the seconds of a timeout as the Hub writes it ("30m", "2h", "5400"); None if it is none."""
    match = _TIMEOUT.fullmatch(timeout)
    return float(match[1]) * _UNITS[match[2] or "s"] if match and float(match[1]) > 0 else None


def _is_ours(info: JobInfo) -> bool:
    labels = info.labels or {}
    return bool(JOB_ID.fullmatch(labels.get(_JOB, ""))) and labels.get(_RUN, "").isdecimal()


def _run(info: JobInfo, hide: Callable[[str], str]) -> Run:
    labels = dict(info.labels or {})
    stage = cast("str", getattr(info.status.stage, "value", info.status.stage))
    return Run(
        id=info.id,
        job=labels[_JOB],
        number=int(labels[_RUN]),
        stage=stage,
        message=hide(info.status.message) if info.status.message else None,
        record=_record(info.environment or {}),
        labels=labels,
        created_at=info.created_at or datetime.fromtimestamp(0, UTC),
        started_at=info.started_at,
        finished_at=info.finished_at,
    )


def _record(environment: Mapping[str, Any]) -> JobRecord | None:
    try:
        return JobRecord.model_validate(json.loads(environment[RECORD]))
    except (KeyError, ValueError, TypeError, ValidationError, FtkitError):  # of a newer ftkit, or another's method
        return None


def _no_job(job: str) -> NotFoundError:
    message = f"there is no job {job[:80]!r}".replace("\0", "")
    return NotFoundError(message, provider=NAME, hint="client.list_jobs() names those there are.")
