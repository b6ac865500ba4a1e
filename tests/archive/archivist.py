"""The provider in memory with what it lacks for an archive: metrics, and reads that fail when a test says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ftkit import FineTuningJob, JobStatus, Metrics
from ftkit.testing import MemoryProvider, MemoryVendor
from ftkit.testing.vendor import VendorJob, VendorOrder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from ftkit import Checkpoint, JobEvent, Page, TrainingFile

MEASURED = [
    Metrics(step=1, train_loss=2.5, extra={"grad_norm": float("inf")}),
    Metrics(step=2, train_loss=float("nan"), valid_loss=1.5),
]


def works(verb: str, thing_id: str) -> None:
    """Lets a verb work."""


class Archivist(MemoryProvider):
    """Measures, and fails as told.

    Attributes:
        fails: Called with the name of a verb and an id, before the verb; what it raises is what comes of it.
        told: What jobs tell besides, by the words of the vendor's order for a model.
    """

    def __init__(self, vendor: MemoryVendor) -> None:
        super().__init__(vendor)
        self.fails: Callable[[str, str], object] = works
        self.told: Mapping[str, Any] = {}

    def results(self, job_id: str) -> list[Metrics]:
        self.fails("results", job_id)
        self.vendor.calls["results"] += 1
        return MEASURED

    def get_job(self, job_id: str) -> FineTuningJob:
        self.fails("get_job", job_id)
        return super().get_job(job_id)

    def list_jobs(self, after: str | None, limit: int) -> Page[FineTuningJob]:
        self.fails("list_jobs", after or "")
        return super().list_jobs(after, min(limit, 2))

    def list_events(self, job_id: str, after: str | None, limit: int) -> Page[JobEvent]:
        self.fails("list_events", job_id)
        return super().list_events(job_id, after, min(limit, 2))

    def list_checkpoints(self, job_id: str) -> list[Checkpoint]:
        self.fails("list_checkpoints", job_id)
        return super().list_checkpoints(job_id)

    def get_file(self, file_id: str) -> TrainingFile:
        self.fails("get_file", file_id)
        return super().get_file(file_id)

    def download_file(self, file_id: str, path: Path) -> None:
        self.fails("download_file", file_id)
        self.vendor.calls["download_file"] += 1
        super().download_file(file_id, path)

    def _job(self, job: VendorJob) -> FineTuningJob:
        status = {"paused": JobStatus.PAUSED}.get(job.status)
        told = super()._job(job).model_copy(update=dict(self.told))
        return told if status is None else told.model_copy(update={"status": status})


def made(vendor: MemoryVendor, word: str = "succeeded", content: bytes | str | None = None, **order: Any) -> VendorJob:
    """Makes a job at the vendor's, with a file of its own, or one that is named, and puts it into a state."""
    file = content if isinstance(content, str) else vendor.create_file("train.jsonl", content or b'{"text": "a"}\n').id
    job = vendor.create_job(VendorOrder("base", file, method={"type": "supervised"}, **order))
    for n in range(3):
        vendor.add_event(job.id, f"step {n}")
    vendor.advance(job.id, word)
    return job
