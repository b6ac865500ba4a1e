"""Trackio, on this machine: a run for each job, known by its name. Needs the extra `trackio`."""

# trackio is not among what is installed for the checks
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownMemberType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import contextvars
import os
import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

from ftkit.errors import ConfigurationError, FtkitError
from ftkit.trackers.naming import config_of, named, outcome_of, run_name
from ftkit.trackers.table import needs

if TYPE_CHECKING:
    from ftkit.models import FineTuningJob, Metrics

_REMOTE = ("TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL")
_OWN = ("timestamp", "step")
"""What Trackio adds to each row."""


class Trackio:
    """Keeps the metrics of a job in Trackio's database on this machine: `trackio show` shows them.

    From there, `trackio.sync(project="ftkit", space_id=...)` brings them to a Space of the Hugging Face Hub.

    Args:
        project: Name of the project.

    Raises:
        MissingExtraError: trackio is not installed.
        ConfigurationError: The environment sends Trackio elsewhere, where it cannot be read which points a run has.
    """

    def __init__(self, project: str = "ftkit") -> None:
        needs("Sending to Trackio", "trackio", "trackio")
        set_ = [name for name in _REMOTE if os.environ.get(name)]
        if set_:
            message = f"ftkit sends to a Trackio on this machine, and {set_[0]} names another place"
            raise ConfigurationError(message, hint=f"Unset {set_[0]}; trackio.sync(...) brings the project there.")
        self._project = project
        self._run: Any = None  # trackio is typed in part
        self._name = ""
        self._sent: set[tuple[str, int]] = set()

    def begin(self, job: FineTuningJob) -> set[tuple[str, int]]:
        """Takes up the run of that name, or begins it; and reads which points it has."""
        self._name, self._sent = run_name(job), set()
        held = self._points()
        self._open(config_of(job))
        return held

    def log(self, metrics: Metrics) -> None:
        """Hands over a row, which Trackio writes a moment later."""
        row = named(metrics)
        self._run.log(row, step=metrics.step)
        self._sent |= {(name, metrics.step) for name in row}

    def end(self, job: FineTuningJob) -> None:
        """Waits until all is written, and writes what became of the job.

        Raises:
            FtkitError: A part of it was not written, of which Trackio itself makes no error.
        """
        self._finish()
        told = {**config_of(job), **outcome_of(job)}
        if any(self._config().get(name) != value for name, value in told.items()):
            self._open(told)  # a configuration goes with the first row
            self._run.log({}, step=job.step or 0)
            self._finish()
        lost = self._sent - self._points()
        if lost:
            raise FtkitError(f"Trackio did not keep {len(lost)} of {len(self._sent)} points, such as {min(lost)}")

    def _open(self, config: dict[str, Any]) -> None:
        """Opens the run in a context of its own: Trackio would end a run of the caller's."""
        import trackio

        options: dict[str, Any] = {"auto_log_gpu": False, "auto_log_cpu": False, "embed": False, "resume": "allow"}
        with redirect_stdout(sys.stderr):
            self._run = contextvars.Context().run(
                trackio.init, project=self._project, name=self._name, config=config, **options
            )

    def _finish(self) -> None:
        with redirect_stdout(sys.stderr):
            self._run.finish()

    def _points(self) -> set[tuple[str, int]]:
        from trackio.sqlite_storage import SQLiteStorage

        rows: list[dict[str, Any]] = SQLiteStorage.get_logs(self._project, self._name)
        return {(name, int(row["step"])) for row in rows for name in row if name not in _OWN}

    def _config(self) -> dict[str, Any]:
        from trackio.sqlite_storage import SQLiteStorage

        return SQLiteStorage.get_run_config(self._project, self._name) or {}
