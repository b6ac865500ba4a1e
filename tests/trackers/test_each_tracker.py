"""What holds for all trackers, with the real packages, read back by the packages' own readers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playing import LOOKS, POINTS, Playing

from ftkit import Client, trackers
from ftkit.models import JobEvent, JobStatus

if TYPE_CHECKING:
    from reading_back import There


def once(points: list[tuple[str, int, float]]) -> dict[tuple[str, int], float]:
    """Returns points by name and step, none of which is there twice."""
    found = {(name, step): value for name, step, value in points}
    assert len(found) == len(points)
    return found


def is_whole(there: There) -> dict[str, str]:
    """Fails unless a tracker has each point once; returns what it tells of the job."""
    points, told = there.read()
    assert once(points) == pytest.approx(POINTS, rel=1e-6, nan_ok=True)
    return told


def test_all_that_is_measured_arrives_and_what_the_job_was(there: There) -> None:
    job = trackers.send(Client(Playing()), "job-1", there.make(), poll_s=0.0)
    told = is_whole(there)
    assert job.status is JobStatus.SUCCEEDED
    assert {name: told[name] for name in ("status", "fine_tuned_model", "job", "provider", "method", "seed")} == {
        "status": "succeeded",
        "fine_tuned_model": "ft:base",
        "job": "job-1",
        "provider": "memory",
        "method": "supervised",
        "seed": "7",
    }
    assert (told["hyperparameters/lora/r"], told["metadata/team"], told["metadata/api_key"]) == ("8", "a", "***")


def test_sent_again_it_is_one_run_with_each_point_once(there: There) -> None:
    for _ in range(2):
        trackers.send(Client(Playing()), "job-1", there.make(), poll_s=0.0)
    assert is_whole(there)["status"] == "succeeded"


def test_after_a_kill_nothing_is_missing_and_nothing_doubled(there: There) -> None:
    command = [sys.executable, str(Path(__file__).with_name("playing.py")), there.name, there.place, "4"]
    own = {name: value for name, value in os.environ.items() if name != "WANDB_SERVICE"}  # a core that dies with it
    killed = subprocess.run(command, env=own, check=False, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    trackers.send(Client(Playing()), "job-1", there.make(), poll_s=0.0)
    assert is_whole(there)["status"] == "succeeded"


def test_after_ctrl_c_the_rows_so_far_are_there_and_it_is_taken_up_again(there: There) -> None:
    def stop(event: JobEvent) -> None:
        if event.message == "2":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trackers.send(Client(Playing()), "job-1", there.make(), on_event=stop, poll_s=0.0)
    points = once(there.read()[0])
    assert {step for _, step in points} == {1, 3}
    trackers.send(Client(Playing()), "job-1", there.make(), poll_s=0.0)
    assert is_whole(there)["status"] == "succeeded"


def test_a_job_that_fails_is_told_as_failed(there: There) -> None:
    failing = Playing(looks=LOOKS[:1], results=(), ends=JobStatus.FAILED)
    job = trackers.send(Client(failing), "job-1", there.make(), poll_s=0.0)
    points, told = there.read()
    assert job.error == "the training diverged"
    assert {step for _, step in once(points)} == {1}
    assert (told["status"], told["error"]) == ("failed", "the training diverged")
