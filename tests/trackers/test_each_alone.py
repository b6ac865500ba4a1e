"""What one tracker alone has."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import pytest
from playing import LOOKS, POINTS, Playing
from reading_back import of_mlflow, of_tensorboard

from ftkit import Client, trackers
from ftkit.errors import ConfigurationError
from ftkit.models import JobStatus

if TYPE_CHECKING:
    from pathlib import Path

    from reading_back import There


def needs(name: str) -> pytest.MarkDecorator:
    missing = importlib.util.find_spec(name) is None
    return pytest.mark.skipif(missing, reason=f"{name} is not installed (it is in the extra `{name}`)")


@needs("tensorboard")
def test_a_cut_off_event_file_loses_only_what_was_cut_and_that_is_sent_again(tmp_path: Path) -> None:
    trackers.send(Client(Playing()), "job-1", trackers.TensorBoard(tmp_path / "runs"), poll_s=0.0)
    (file,) = tmp_path.rglob("events.*")
    content = file.read_bytes()
    file.write_bytes(content[: content.index(b"valid/loss") + 12])  # in the middle of a record
    assert 0 < len(of_tensorboard(str(tmp_path / "runs"))[0]) < len(POINTS)
    trackers.send(Client(Playing()), "job-1", trackers.TensorBoard(tmp_path / "runs"), poll_s=0.0)
    points = of_tensorboard(str(tmp_path / "runs"))[0]
    assert {(name, step) for name, step, _ in points} == set(POINTS)
    assert len(points) == len(POINTS)


@needs("tensorboard")
def test_a_job_that_is_wholly_there_gets_no_new_file(tmp_path: Path) -> None:
    trackers.send(Client(Playing()), "job-1", trackers.TensorBoard(tmp_path / "runs"), poll_s=0.0)
    before = [(path, path.stat().st_size) for path in sorted(tmp_path.rglob("events.*"))]
    trackers.send(Client(Playing()), "job-1", trackers.TensorBoard(tmp_path / "runs"), poll_s=0.0)
    assert [(path, path.stat().st_size) for path in sorted(tmp_path.rglob("events.*"))] == before


@needs("tensorboard")
def test_two_jobs_are_two_folders(tmp_path: Path) -> None:
    for job in ("job-1", "job-2"):
        trackers.send(Client(Playing()), job, trackers.TensorBoard(tmp_path / "runs"), poll_s=0.0)
    assert len([*(tmp_path / "runs").iterdir()]) == 2


@pytest.mark.parametrize("there", ["mlflow"], indirect=True)
def test_runs_of_mlflow_end_as_the_job_did(there: There) -> None:
    for status, ended in (
        (JobStatus.PAUSED, "RUNNING"),
        (JobStatus.FAILED, "FAILED"),
        (JobStatus.SUCCEEDED, "FINISHED"),
    ):
        trackers.send(Client(Playing(LOOKS[:1], (), status)), "job-1", there.make(), poll_s=0.0)
        assert of_mlflow(there.place)[1]["run"] == ended


@needs("mlflow")
def test_a_server_that_cannot_be_reached_is_told_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    away = trackers.MLflow("http://cook:open-sesame@127.0.0.1:9")
    with pytest.raises(trackers.TrackingError) as caught:
        trackers.send(Client(Playing()), "job-1", away, trackers.TensorBoard(tmp_path / "runs"), poll_s=0.0)
    assert [*caught.value.failures] == ["mlflow"]
    assert "127.0.0.1" in str(caught.value)
    assert "open-sesame" not in str(caught.value)
    assert len(of_tensorboard(str(tmp_path / "runs"))[0]) == len(POINTS)


@needs("trackio")
def test_a_trackio_elsewhere_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKIO_SPACE_ID", "acme/board")
    with pytest.raises(ConfigurationError, match="TRACKIO_SPACE_ID names another place"):
        trackers.make_tracker("trackio")


@needs("trackio")
def test_a_run_of_the_callers_goes_on_in_trackio(tmp_path: Path) -> None:
    import trackio

    mine = trackio.init(project=f"mine-{tmp_path.name}", name="mine", auto_log_cpu=False, auto_log_gpu=False)
    trackers.send(Client(Playing()), "job-1", trackers.Trackio(tmp_path.name), poll_s=0.0)
    assert trackio.context_vars.current_run.get() is mine
    assert not mine._stop_flag.is_set(), "Trackio's own `init` ends the run before"
    trackio.log({"loss": 1.0})
    trackio.finish()
    assert [run.name for run in trackio.Api().runs(f"mine-{tmp_path.name}")] == ["mine"]
