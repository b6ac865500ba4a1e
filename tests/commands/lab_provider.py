"""The provider `lab`: the one in memory, and it can pause, measures, and keeps labels. Nothing moves by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple

from typer.testing import CliRunner

from ftkit import Checkpoint, FineTuningJob, JobStatus, Metrics
from ftkit.cli import app
from ftkit.errors import ProviderUnavailableError
from ftkit.testing import MemoryProvider, MemoryVendor

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from ftkit import JobRequest, Page
    from ftkit.testing.vendor import VendorJob

VENDORS: dict[str, MemoryVendor] = {}
LABELS = {"team": "blue"}
"""Each job bears them whose suffix is "blue"."""
MEASURED = [
    Metrics(step=1, epoch=0.5, train_loss=2.5, extra={"grad_norm": 1.5}),
    Metrics(step=2, epoch=1.0, train_loss=2.0, full_valid_loss=2.25),
]


class Lab(MemoryProvider):
    """Has what the provider in memory lacks."""

    blind = False

    def pause_job(self, job_id: str) -> FineTuningJob:
        with self._asking():
            self.vendor.advance(job_id, "paused")
        return self.get_job(job_id)

    def resume_job(self, job_id: str) -> FineTuningJob:
        with self._asking():
            self.vendor.advance(job_id, "running")
        return self.get_job(job_id)

    def results(self, job_id: str) -> list[Metrics]:
        self.get_job(job_id)
        return MEASURED if "unmeasured" not in self.vendor.jobs[job_id].order.model else []

    def list_checkpoints(self, job_id: str) -> list[Checkpoint]:
        return [each.model_copy(update={"metrics": MEASURED[-1]}) for each in super().list_checkpoints(job_id)]

    def list_jobs_with(self, metadata: Mapping[str, str], after: str | None, limit: int) -> Page[FineTuningJob]:
        page = self.list_jobs(after, limit)
        return page.model_copy(
            update={"items": tuple(job for job in page.items if metadata.items() <= job.metadata.items())}
        )

    def find_job(self, key: str, request: JobRequest, since: datetime) -> FineTuningJob | None:
        if type(self).blind and self.vendor.jobs:
            raise ProviderUnavailableError("the list cannot be read", provider=self.name)
        return super().find_job(key, request, since)

    def _job(self, job: VendorJob) -> FineTuningJob:
        told = super()._job(job)
        labels = LABELS if job.order.suffix == "blue" else {}
        status = JobStatus.PAUSED if job.status == "paused" else told.status
        return told.model_copy(update={"status": status, "metadata": labels, "step": 3, "total_steps": 6})


class Labbook:
    """A tracker, as a package of a stranger brings one."""

    lines: ClassVar[list[str]] = []
    broken: ClassVar[bool] = False

    def begin(self, job: FineTuningJob) -> set[tuple[str, int]]:
        self.lines.append(f"begin {job.id}")
        return set()

    def log(self, metrics: Metrics) -> None:
        if type(self).broken:
            raise OSError("the page is full")
        self.lines.append(f"step {metrics.step}")

    def end(self, job: FineTuningJob) -> None:
        self.lines.append(f"end {job.status.value}")


def make(*, account: str = "lab") -> Lab:
    vendor = VENDORS.setdefault(account, MemoryVendor(account=account, finish_after=None))
    return Lab(vendor, name="lab")


class Done(NamedTuple):
    """What came of a command."""

    status: int
    output: str
    errors: str


def ftkit(*arguments: object) -> Done:
    """Runs a command in this process."""
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Done(done.exit_code, done.stdout, done.stderr)
