"""Weights & Biases: a run for each job, whose id comes from the job's. Needs the extra `wandb`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ftkit.errors import FtkitError
from ftkit.models import JobStatus
from ftkit.trackers.naming import config_of, named, outcome_of, run_id, run_name
from ftkit.trackers.table import needs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ftkit.models import FineTuningJob, Metrics

_STEP = "step"
_QUIET: dict[str, Any] = {
    "silent": True,
    "console": "off",  # what this process prints is not the job's
    "disable_code": True,
    "disable_git": True,
    "disable_job_creation": True,
    "x_disable_machine_info": True,  # nor is this machine
    "x_disable_meta": True,
    "x_disable_stats": True,
    "x_save_requirements": False,
}


class WandB:
    """Sends the metrics of a job to Weights & Biases; offline (WANDB_MODE=offline), into files for `wandb sync`.

    The x axis of its charts is the metric "step", so that rows may come in any order. What W&B tells of the machine,
    the console and the code is switched off: the job did not run here.

    Args:
        project: Name of the project.
        entity: User or team; the default one if None.
        folder: Where W&B puts its folder `wandb`; WANDB_DIR or the working folder if None.
        mode: "online" or "offline"; WANDB_MODE, or online, if None.

    Raises:
        MissingExtraError: wandb is not installed.
    """

    def __init__(
        self,
        project: str = "ftkit",
        *,
        entity: str | None = None,
        folder: str | os.PathLike[str] | None = None,
        mode: Literal["online", "offline"] | None = None,
    ) -> None:
        needs("Sending to Weights & Biases", "wandb", "wandb")
        self._where: dict[str, Any] = {"project": project, "entity": entity, "dir": folder, "mode": mode}
        self._run: Any = None  # wandb is typed in part
        self._next: int | None = None

    def begin(self, job: FineTuningJob) -> set[tuple[str, int]]:
        """Takes up the run of that id, or begins it; and reads which points it has, from W&B and from the files."""
        import wandb

        if self._where["dir"] is not None:
            Path(self._where["dir"]).mkdir(parents=True, exist_ok=True)
        named_so: dict[str, Any] = {"id": run_id(job), "name": run_name(job), "resume": "allow", "reinit": "create_new"}
        self._run = wandb.init(settings=wandb.Settings(**_QUIET), **named_so, **self._where)
        self._run.define_metric(_STEP, hidden=True)
        self._run.define_metric("*", step_metric=_STEP)
        self._run.config.update(config_of(job), allow_val_change=True)
        rows = [row for path in self._files() for row in _rows_of(path)]
        self._next = len(rows) if self._run.offline else None
        return _points([*rows, *self._rows_there()])

    def log(self, metrics: Metrics) -> None:
        """Sends a row."""
        self._run.log({_STEP: metrics.step, **named(metrics)}, step=self._next, commit=True)
        self._next = None if self._next is None else self._next + 1

    def end(self, job: FineTuningJob) -> None:
        """Sends what became of the job, and waits until all has arrived."""
        self._run.config.update(config_of(job), allow_val_change=True)
        self._run.summary.update(outcome_of(job))
        self._run.finish(exit_code=int(job.status in {JobStatus.FAILED, JobStatus.CANCELLED}))

    def _files(self) -> list[Path]:
        """Returns the logs of earlier runs of that id, oldest first: those that W&B does not have from the run itself.

        Offline nothing can be asked of W&B, and what was sent online from here stands in files as well.
        """
        settings = self._run.settings
        modes = ("offline-run", "run") if self._run.offline else ("offline-run",)
        found = [path for mode in modes for path in Path(settings.wandb_dir).glob(f"{mode}-*-{self._run.id}/*.wandb")]
        return sorted(path for path in found if path.resolve() != Path(settings.sync_file).resolve())

    def _rows_there(self) -> Iterable[dict[str, Any]]:
        """Reads from W&B the rows of a run that was taken up again."""
        import wandb

        if not self._run.resumed:
            return []
        path = f"{self._run.entity}/{self._run.project}/{self._run.id}"
        run: Any = wandb.Api().run(path)
        rows: Iterable[dict[str, Any]] = run.scan_history(use_cache=False)
        return rows


def _points(rows: Iterable[dict[str, Any]]) -> set[tuple[str, int]]:
    return {
        (name, int(row[_STEP]))
        for row in rows
        if row.get(_STEP) is not None
        for name, value in row.items()
        if value is not None and name != _STEP
    }


def _rows_of(path: Path) -> Iterator[dict[str, Any]]:
    """Reads the rows of a run's log with W&B's own reader, which is a program. A cut-off end is no error to it.

    Raises:
        FtkitError: It could not.
    """
    command = [sys.executable, "-P", "-m", "wandb", "leet", "inspect", "--json", str(path)]
    quiet = {"WANDB_MODE": "offline", "WANDB_ERROR_REPORTING": "false"}  # it reads a file: nobody need be told
    done = subprocess.run(command, env=os.environ | quiet, capture_output=True, text=True, check=False)  # noqa: S603 - wandb's own
    if done.returncode != 0:
        raise FtkitError(f"W&B cannot read '{path}': {done.stderr.strip()[:500]}")
    for line in done.stdout.splitlines():
        record = json.loads(line)
        if record["type"] == "history":
            yield record["history"]["item"]
