"""What `send` does whatever the tracker is, and the names that all of them get."""

from __future__ import annotations

import logging
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock
from playing import LOOKS, POINTS, RESULTS, Playing

from ftkit import Client, trackers
from ftkit.errors import ConfigurationError, ConflictError, JobFailedError, MissingExtraError, UnsupportedError
from ftkit.methods import Reinforcement
from ftkit.models import FineTuningJob, JobEvent, JobStatus, Metrics
from ftkit.trackers.table import needs

if TYPE_CHECKING:
    from pathlib import Path

KEY = "sk-" + "a1" * 20


class Notes:
    """A fifth tracker, in one class: it writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.points: dict[tuple[str, int], float] = {}

    def begin(self, job: FineTuningJob) -> trackers.Held:
        self.told.append(f"begin {job.id}")
        return self.points

    def log(self, metrics: Metrics) -> None:
        for name, value in trackers.named(metrics).items():
            assert (name, metrics.step) not in self.points
            self.points[name, metrics.step] = value
        self.told.append(f"log {metrics.step}")

    def end(self, job: FineTuningJob) -> None:
        self.told.append(f"end {job.status.value}")


class Broken(Notes):
    """Fails at one of its methods, with a key in what it says."""

    def __init__(self, at: str) -> None:
        super().__init__()
        self.at = at

    def _maybe(self, method: str) -> None:
        if method == self.at:
            raise PermissionError(f"401: {KEY} is no key, nor is pass-of-mine-1234")

    def begin(self, job: FineTuningJob) -> trackers.Held:
        self._maybe("begin")
        return super().begin(job)

    def log(self, metrics: Metrics) -> None:
        self._maybe("log")
        super().log(metrics)

    def end(self, job: FineTuningJob) -> None:
        self._maybe("end")
        super().end(job)


class OnlyResults(Playing):
    list_events = None  # type: ignore[assignment]  # how a provider says that it has no such ability


class Mute(OnlyResults):
    results = None  # type: ignore[assignment]


class NoTable(Playing):
    """Keeps no results of a job that came to nothing."""

    def results(self, job_id: str) -> list[Metrics]:
        raise ConflictError(f"{job_id} has no results")


def test_rows_arrive_while_the_job_runs() -> None:
    notes, playing = Notes(), Playing()
    left: list[tuple[str, int]] = []

    def look(event: JobEvent) -> None:
        left.append((event.message, len(playing.looks)))

    trackers.send(Client(playing), "job-1", notes, on_event=look, poll_s=0.0)
    assert notes.points == pytest.approx(POINTS, nan_ok=True)
    assert notes.told == ["begin job-1", *(f"log {n}" for n in (1, 3, 2, 4, 4)), "log 2", "log 4", "end succeeded"]
    assert left[0] == ("1", 1), "the first row came when looks were still to follow"


def test_what_a_tracker_has_is_not_sent_again() -> None:
    notes = Notes()
    trackers.send(Client(Playing(looks=LOOKS[:1], results=())), "job-1", notes, poll_s=0.0)
    notes.told.clear()
    trackers.send(Client(Playing()), "job-1", notes, poll_s=0.0)
    assert notes.told == ["begin job-1", *(f"log {n}" for n in (3, 2, 4, 4)), "log 2", "log 4", "end succeeded"]
    notes.told.clear()
    trackers.send(Client(Playing()), "job-1", notes, poll_s=0.0)
    assert notes.told == ["begin job-1", "end succeeded"]


def test_a_provider_without_events_gives_its_results() -> None:
    for ends in (JobStatus.SUCCEEDED, JobStatus.FAILED):
        notes = Notes()
        job = trackers.send(Client(OnlyResults(ends=ends)), "job-1", notes, poll_s=0.0)
        assert (job.status, notes.told) == (ends, ["begin job-1", "log 2", "log 4", f"end {ends.value}"])


def test_a_provider_that_tells_no_metrics_is_refused_before_anything_is_opened() -> None:
    notes = Notes()
    with pytest.raises(UnsupportedError, match="neither events nor results"):
        trackers.send(Client(Mute()), "job-1", notes)
    assert notes.told == []


def test_results_may_be_missing_of_a_job_that_came_to_nothing_only() -> None:
    notes = Notes()
    trackers.send(Client(NoTable(ends=JobStatus.CANCELLED)), "job-1", notes, poll_s=0.0)
    assert notes.told[-1] == "end cancelled"
    with pytest.raises(ConflictError):
        trackers.send(Client(NoTable()), "job-1", Notes(), poll_s=0.0)


@pytest.mark.parametrize("at", ["begin", "log", "end"])
def test_a_tracker_that_fails_harms_nobody_and_is_named_without_its_key(
    at: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("ACME_PASSWORD", "pass-of-mine-1234")
    notes, broken = Notes(), Broken(at)
    with caplog.at_level(logging.WARNING), pytest.raises(trackers.TrackingError) as caught:
        trackers.send(Client(Playing()), "job-1", broken, notes, poll_s=0.0)
    assert caught.value.job.status is JobStatus.SUCCEEDED
    assert caught.value.failures == {"broken": "PermissionError: 401: *** is no key, nor is ***"}
    assert "the job job-1 (succeeded) was not wholly sent: broken: PermissionError: 401" in str(caught.value)
    assert [record.message for record in caplog.records if record.name == "ftkit"] == [
        "nothing more is sent to 'broken': PermissionError: 401: *** is no key, nor is ***"
    ]
    assert caught.value.__cause__ is caught.value.__context__ is None, "which would show the key"
    assert (len(notes.points), notes.told[-1]) == (len(POINTS), "end succeeded")
    assert ("end succeeded" in broken.told) is False


def test_where_no_tracker_is_left_nobody_waits() -> None:
    with pytest.raises(trackers.TrackingError, match=r"job-1 \(running\)") as caught:
        trackers.send(Client(Playing(looks=[[]] * 1000)), "job-1", Broken("begin"), Broken("begin"), poll_s=0.0)
    assert [*caught.value.failures] == ["broken", "broken 2"]
    later = Playing(looks=[[Metrics(step=1, train_loss=1.0)], *([[]] * 1000)])
    with pytest.raises(trackers.TrackingError, match=r"job-1 \(running\)"):
        trackers.send(Client(later), "job-1", Broken("log"), poll_s=0.0)
    assert len(later.looks) > 900


def test_a_job_that_another_process_sends_is_refused(home: Path) -> None:
    job = Playing().get_job("job-1")
    (home / "trackers").mkdir(parents=True)
    notes = Notes()
    with (
        FileLock(home / "trackers" / f"{trackers.run_id(job)}-notes.lock"),
        pytest.raises(ConfigurationError, match="job-1 is being sent to 'notes' by another process"),
    ):
        trackers.send(Client(Playing()), "job-1", notes)
    assert notes.told == []
    trackers.send(Client(Playing()), "job-1", notes, poll_s=0.0)
    assert notes.told[-1] == "end succeeded"


def test_what_is_no_tracker_is_said_before_anything_is_read() -> None:
    client = Client(Playing())
    with pytest.raises(ConfigurationError, match="there is no tracker 'wandbb'; did you mean 'wandb'"):
        trackers.send(client, "job-1", "wandbb")
    with pytest.raises(ConfigurationError, match="is no tracker"):
        trackers.send(client, "job-1", Notes)  # type: ignore[arg-type]  # the class, where a tracker is wanted
    with pytest.raises(ConfigurationError, match="to which tracker"):
        trackers.send(client, "job-1")
    with pytest.raises(MissingExtraError, match=r"pip install 'ftkit\[acme\]'"):
        needs("Sending to Acme", "acme", "acme_which_nobody_has")
    assert len(client.provider.looks) == len(LOOKS)  # type: ignore[attr-defined]  # of Playing


def installed(folder: Path, name: str, value: str) -> None:
    (folder / "acme_tracks.py").write_text("from test_sending import Notes\nbroken = 1\n")
    metadata = folder / f"acme_{name}-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: acme-{name}\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text(f"[ftkit.trackers]\n{name} = {value}\n")


def test_other_packages_bring_trackers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    installed(tmp_path, "acme", "acme_tracks:Notes")
    installed(tmp_path, "mlflow", "acme_tracks:Notes")
    installed(tmp_path, "one", "acme_tracks:broken")
    assert trackers.tracker_names() == ("acme", "mlflow", "one", "tensorboard", "trackio", "wandb")
    assert type(trackers.make_tracker("acme")).__name__ == "Notes"
    with pytest.raises(ConfigurationError, match="two packages bring a tracker named 'mlflow'"):
        trackers.make_tracker("mlflow")
    with pytest.raises(ConfigurationError, match=r"'one' cannot be made .acme_tracks:broken.: TypeError"):
        trackers.make_tracker("one")


def test_names_of_what_only_one_provider_reports_are_plain_and_stay_apart() -> None:
    odd = ("a@b", "a_b", "a b", "rewards/chosen", "a//b", "../b", "ü", "a:b")
    names = trackers.named(Metrics(step=1, extra=dict.fromkeys(odd, 1.0)))
    assert [*names] == [
        "extra/a_40_b",
        "extra/a_b",
        "extra/a b",
        "extra/rewards/chosen",
        "extra/a/__/b",
        "extra/_.._/b",
        "extra/ü",
        "extra/a_3a_b",
    ]


def test_nothing_secret_is_told_of_a_job() -> None:
    grader = {"type": "http", "headers": {"Authorization": "Bearer of-mine"}, "tries": [{"api_key": "x"}, KEY]}
    method = Reinforcement(grader=grader)
    job = Playing().get_job("job-1").model_copy(update={"method": method, "error": f"{KEY} was refused"})
    told = {**trackers.config_of(job), **trackers.outcome_of(job)}
    assert told["hyperparameters/grader/headers/Authorization"] == "***"
    assert told["hyperparameters/grader/tries"] == '[{"api_key": "***"}, "***"]'
    assert told["metadata/api_key"] == "***"
    assert told["error"] == "*** was refused"
    assert "identity" not in told


def test_a_run_is_the_same_each_time_and_another_for_another_account() -> None:
    job = Playing().get_job("job-1")
    other = job.model_copy(update={"identity": "memory:others"})
    assert trackers.run_id(job) == trackers.run_id(job.model_copy(update={"status": JobStatus.FAILED}))
    assert trackers.run_id(job) == "8da11009b8711f4a16de", "it is what makes a run the same in the next version"
    assert len({trackers.run_id(job), trackers.run_id(other)}) == 2
    assert trackers.run_name(job) == "cooks-8da11009"


def test_the_client_itself_still_says_that_a_job_failed() -> None:
    assert trackers.send(Client(Playing(ends=JobStatus.FAILED)), "job-1", Notes(), poll_s=0.0).error
    with pytest.raises(JobFailedError):
        Client(Playing(ends=JobStatus.FAILED)).wait("job-1", progress=False, poll_s=0.0)


def test_rows_of_results_only_fill_gaps() -> None:
    notes = Notes()
    other = [row.model_copy(update={"train_loss": 9.0}) for row in RESULTS]
    trackers.send(Client(Playing(results=other)), "job-1", notes, poll_s=0.0)
    assert notes.points["train/loss", 4] == 1.25, "what was told first stands"


def test_looking_for_trackers_loads_none_of_their_packages() -> None:
    code = "from ftkit import trackers; trackers.tracker_names(); import sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {*done.stdout.split()} & {"mlflow", "tensorboard", "trackio", "wandb"}
