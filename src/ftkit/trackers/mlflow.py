"""MLflow: a run for each job, known by its tag `ftkit.job`. Needs the extra `mlflow`, which brings mlflow-skinny."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ftkit.models import JobStatus
from ftkit.trackers.naming import config_of, named, outcome_of, run_id, run_name
from ftkit.trackers.table import needs

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from ftkit.models import FineTuningJob, Metrics

TAG = "ftkit.job"

_ENDS: Mapping[JobStatus, str] = {
    JobStatus.SUCCEEDED: "FINISHED",
    JobStatus.FAILED: "FAILED",
    JobStatus.CANCELLED: "KILLED",
}


class MLflow:
    """Sends the metrics of a job to an MLflow server, or into a database on this machine.

    Args:
        tracking_uri: Where; None for MLFLOW_TRACKING_URI, or MLflow's own default (sqlite:///mlflow.db).
        experiment: Name of the experiment; it is made if there is none.

    Raises:
        MissingExtraError: mlflow is not installed.
    """

    def __init__(self, tracking_uri: str | None = None, *, experiment: str = "ftkit") -> None:
        needs("Sending to MLflow", "mlflow", "mlflow")
        self._uri = tracking_uri
        self._experiment = experiment
        self._client: Any = None  # mlflow is typed in part
        self._run = ""

    def begin(self, job: FineTuningJob) -> list[tuple[str, int]]:
        """Finds the job's run by its tag, or makes it; and reads which points it has."""
        from mlflow import MlflowClient

        self._client = MlflowClient(tracking_uri=self._uri)
        self._run = self._found(job) or self._made(job)
        self._client.update_run(self._run, status="RUNNING")
        run = self._client.get_run(self._run)
        self._describe(job)
        return [(name, point.step) for name in run.data.metrics for point in self._history(name)]

    def log(self, metrics: Metrics) -> None:
        """Sends a row."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        points = [Metric(name, value, now, metrics.step) for name, value in named(metrics).items()]
        self._client.log_batch(self._run, metrics=points)

    def end(self, job: FineTuningJob) -> None:
        """Sends what became of the job. The run of one that has not ended goes on running."""
        from mlflow.entities import RunTag

        self._describe(job)
        tags = [RunTag(f"ftkit.{name}", text) for name, text in outcome_of(job).items()]
        self._client.log_batch(self._run, tags=tags)
        status = _ENDS.get(job.status)
        if status is not None:
            self._client.set_terminated(self._run, status=status, end_time=_milliseconds(job.finished_at))

    def _found(self, job: FineTuningJob) -> str | None:
        experiment = self._client.get_experiment_by_name(self._experiment)
        if experiment is None:
            return None
        wanted = f"tags.`{TAG}` = '{run_id(job)}'"
        order = ["attributes.start_time ASC"]
        runs = self._client.search_runs([experiment.experiment_id], wanted, max_results=1, order_by=order)
        return str(runs[0].info.run_id) if runs else None

    def _made(self, job: FineTuningJob) -> str:
        experiment = self._client.get_experiment_by_name(self._experiment)
        place = experiment.experiment_id if experiment else self._client.create_experiment(self._experiment)
        tags = {TAG: run_id(job)}
        started = _milliseconds(job.started_at or job.created_at)
        run = self._client.create_run(place, start_time=started, tags=tags, run_name=run_name(job))
        return str(run.info.run_id)

    def _describe(self, job: FineTuningJob) -> None:
        """Sends the configuration. A parameter is never changed in MLflow: what became of it is a tag."""
        from mlflow.entities import Param, RunTag

        told = {name: str(value) for name, value in config_of(job).items()}
        there = self._client.get_run(self._run).data.params
        params = [Param(name, value) for name, value in told.items() if name not in there]
        changed = [RunTag(f"ftkit.{name}", value) for name, value in told.items() if there.get(name, value) != value]
        self._client.log_batch(self._run, params=params, tags=changed)

    def _history(self, name: str) -> list[Any]:
        found: list[Any] = self._client.get_metric_history(self._run, name)
        return found


def _milliseconds(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp() * 1000)
