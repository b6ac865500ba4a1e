"""A provider that plays a job, look by look; and, as a program, a process that sends it and may be killed half-way."""

from __future__ import annotations

import math
import os
import signal
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ftkit import Client, trackers
from ftkit.methods import LoRA, Supervised
from ftkit.models import FineTuningJob, JobEvent, JobStatus, Metrics, Page
from ftkit.plugin import page_of
from ftkit.testing import MemoryProvider, MemoryVendor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ftkit.trackers import Tracker

BEGAN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

LOOKS = (
    [Metrics(step=1, epoch=0.25, train_loss=2.0, learning_rate=1e-4, extra={"grad norm@1": 0.5})],
    [Metrics(step=3, train_loss=math.nan, extra={"reward": -math.inf}), Metrics(step=2, train_loss=1.5)],
    [Metrics(step=4, train_loss=1.25, train_mean_token_accuracy=0.75), Metrics(step=4, valid_loss=1.75)],
)
"""What each look at the job brings, in a row's order of arrival: one comes late, one has two halves."""

RESULTS = (
    Metrics(step=2, train_loss=1.5, valid_mean_token_accuracy=0.5),
    Metrics(step=4, train_loss=1.25, full_valid_loss=1.625),
)
"""The table at the end: some of it was told before, some was not."""

POINTS = {
    ("epoch", 1): 0.25,
    ("train/loss", 1): 2.0,
    ("learning_rate", 1): 1e-4,
    ("extra/grad norm_40_1", 1): 0.5,
    ("train/loss", 3): math.nan,
    ("extra/reward", 3): -math.inf,
    ("train/loss", 2): 1.5,
    ("train/loss", 4): 1.25,
    ("train/accuracy", 4): 0.75,
    ("valid/loss", 4): 1.75,
    ("valid/accuracy", 2): 0.5,
    ("full_valid/loss", 4): 1.625,
}
"""What all of that comes to."""


class Playing(MemoryProvider):
    """Plays one job: each look at it brings the next events, and the look after the last ones its end."""

    def __init__(
        self,
        looks: Sequence[Sequence[Metrics]] = LOOKS,
        results: Sequence[Metrics] = RESULTS,
        ends: JobStatus = JobStatus.SUCCEEDED,
    ) -> None:
        super().__init__(MemoryVendor(account="tests"))
        self.looks = [*looks]
        self.ends = ends
        self._results = results
        self._events: list[JobEvent] = []

    def get_job(self, job_id: str) -> FineTuningJob:
        over = not self.looks
        for row in [] if over else self.looks.pop(0):
            number = len(self._events)
            event = JobEvent(id=f"e{number}", job_id=job_id, created_at=BEGAN, message=f"{row.step}", metrics=row)
            self._events.append(event)
        status = self.ends if over else JobStatus.RUNNING
        return FineTuningJob(
            id=job_id,
            provider=self.name,
            identity=self.identity(),
            status=status,
            model="acme/base",
            fine_tuned_model="ft:base" if status is JobStatus.SUCCEEDED else None,
            error="the training diverged" if status is JobStatus.FAILED else None,
            method=Supervised(n_epochs=2, lora=LoRA(r=8)),
            suffix="cooks",
            seed=7,
            metadata={"team": "a", "api_key": "of-no-concern"},
            created_at=BEGAN,
            step=4 if over else None,
        )

    def list_events(self, job_id: str, after: str | None, limit: int) -> Page[JobEvent]:
        del job_id
        return page_of(self._events, after, limit)

    def results(self, job_id: str) -> list[Metrics]:
        del job_id
        return [*self._results]


def made(name: str, place: str) -> Tracker:
    """Makes a tracker that keeps what it gets in a place of its own: a folder, a database, or a project."""
    if name == "tensorboard":
        return trackers.TensorBoard(place)
    if name == "wandb":
        return trackers.WandB(folder=place)
    return trackers.MLflow(place) if name == "mlflow" else trackers.Trackio(place)


def main(name: str, place: str, kill_at: str) -> None:
    """Sends the job, and dies at the event of that step as a machine does that is switched off."""

    def die(event: JobEvent) -> None:
        if event.message == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    trackers.send(Client(Playing()), "job-1", made(name, place), on_event=die, poll_s=0.01)


if __name__ == "__main__":
    main(*sys.argv[1:])
