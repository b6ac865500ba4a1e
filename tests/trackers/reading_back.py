"""Reads a tracker's folder or database again, with the package's own reader."""

from __future__ import annotations

import json
import math
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from playing import made

if TYPE_CHECKING:
    from ftkit.trackers import Tracker

Points = list[tuple[str, int, float]]


class There(NamedTuple):
    """A tracker, and how to make it again and to look into it."""

    name: str
    place: str

    def make(self) -> Tracker:
        return made(self.name, self.place)

    def read(self) -> tuple[Points, dict[str, str]]:
        """Returns all points that the package's own reader finds, and what it tells of the job; there is one run."""
        return READERS[self.name](self.place)


def of_tensorboard(place: str) -> tuple[Points, dict[str, str]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    (folder,) = Path(place).iterdir()
    kept = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    kept.Reload()
    texts, points = {}, []
    for tag in kept.Tags()["tensors"]:
        for event in kept.Tensors(tag):
            value = make_ndarray(event.tensor_proto)
            if kept.SummaryMetadata(tag).plugin_data.plugin_name == "text":
                lines = [line.strip("| ").split(" | ") for line in value.item().decode().splitlines()[2:]]
                texts |= {pair[0]: pair[1] for pair in lines}
            elif not tag.startswith("_hparams_"):
                points.append((tag, event.step, value.item()))
    return points, texts


def of_wandb(place: str) -> tuple[Points, dict[str, str]]:
    """Reads the logs of the run: logs of one id are one run for W&B, and `_step` is a row's place in all of them."""
    logs = sorted(Path(place).glob("wandb/offline-run-*/run-*.wandb"))
    assert len({log.name for log in logs}) == 1
    records = [record for log in logs for record in records_of(log)]
    rows = [record["history"]["item"] for record in records if record["type"] == "history"]
    assert [row["_step"] for row in rows] == [*range(len(rows))]
    own = {"_step", "_runtime", "_timestamp", "step"}
    special = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
    points = [
        (key, row["step"], special.get(value, value)) for row in rows for key, value in row.items() if key not in own
    ]
    told: dict[str, Any] = {}
    for record in records:
        if record["type"] in {"config", "summary"}:
            told |= record[record["type"]].get("update", {})
    return points, {name: str(value) for name, value in told.items()}


def records_of(log: Path) -> list[dict[str, Any]]:
    """Reads a log with W&B's own reader: what `wandb leet inspect --json` calls."""
    from wandb.util import get_core_path

    place = ["--run-file", str(log), str(log.parents[1])]
    command = [get_core_path(), "leet", "inspect", "--no-observability", "--json", *place]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def of_mlflow(place: str) -> tuple[Points, dict[str, str]]:
    from mlflow import MlflowClient

    client = MlflowClient(place)
    experiment = client.get_experiment_by_name("ftkit")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    histories = [point for name in run.data.metrics for point in client.get_metric_history(run.info.run_id, name)]
    mended = {math.copysign(1.7976931348623157e308, sign): sign * math.inf for sign in (1, -1)}  # MLflow's own, in SQL
    points = [(point.key, point.step, mended.get(point.value, point.value)) for point in histories]
    tags = {name.removeprefix("ftkit."): text for name, text in run.data.tags.items()}
    return points, {**tags, **run.data.params, "run": run.info.status}


def of_trackio(place: str) -> tuple[Points, dict[str, str]]:
    import trackio
    from trackio.sqlite_storage import SQLiteStorage

    (run,) = trackio.Api().runs(place)
    own = {"timestamp", "step"}
    rows = SQLiteStorage.get_logs(place, run.name)
    points = [(name, row["step"], value) for row in rows for name, value in row.items() if name not in own]
    return points, {name: str(value) for name, value in (run.config or {}).items()}


READERS = {"tensorboard": of_tensorboard, "wandb": of_wandb, "mlflow": of_mlflow, "trackio": of_trackio}
