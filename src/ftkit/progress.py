"""What a person sees while a job runs: a bar in a terminal or notebook, lines in a log file, or nothing."""

from __future__ import annotations

import importlib.util
import logging
import sys
import time
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ftkit.models import FineTuningJob, JobEvent

logger = logging.getLogger("ftkit")

_LINE_EVERY_S = 15.0


class Progress(Protocol):
    """Shows how jobs go."""

    def update(self, job: FineTuningJob, events: Sequence[JobEvent]) -> None:
        """Shows what is new of a job."""
        ...

    def say(self, text: str) -> None:
        """Shows a line of text without disturbing the rest."""
        ...

    def close(self) -> None:
        """Ends the display."""
        ...


def as_progress(progress: bool | Progress) -> Progress:  # noqa: FBT001 - it is what users pass as progress=...
    """Chooses the display that fits: none, the caller's own, a bar (terminal, notebook), or lines (a log file)."""
    if not isinstance(progress, bool):
        return progress
    if not progress:
        return NoProgress()
    if in_notebook() or sys.stderr.isatty():
        return BarProgress()
    return LineProgress()


def in_notebook() -> bool:
    """Whether this runs in a Jupyter kernel."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return type(shell).__name__ == "ZMQInteractiveShell"


class NoProgress:
    """Shows nothing; what must be told goes to the log."""

    def update(self, job: FineTuningJob, events: Sequence[JobEvent]) -> None:
        """Does nothing."""

    def say(self, text: str) -> None:
        """Writes to the logger `ftkit`."""
        logger.warning(text)

    def close(self) -> None:
        """Does nothing."""


def headline(job: FineTuningJob, events: Sequence[JobEvent]) -> str:
    """Says in a few words where a job stands: its state, the newest loss, else the newest event."""
    losses = [e.metrics.train_loss for e in events if e.metrics is not None and e.metrics.train_loss is not None]
    parts = [job.status.value]
    if losses:
        parts.append(f"loss {losses[-1]:.4f}")
    if events and events[-1].metrics is None:
        parts.append(events[-1].message)
    return ", ".join(parts)


class BarProgress:
    """A bar: step of total, time left, loss, newest event."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._shown = ""

    def update(self, job: FineTuningJob, events: Sequence[JobEvent]) -> None:
        """Moves the bar."""
        if self._bar is None:
            self._bar = _bar_class()(desc=job.id[:20], unit="step", initial=job.step or 0, dynamic_ncols=True)
        if events:
            self._shown = headline(job, events)
        elif not self._shown.startswith(job.status.value):
            self._shown = job.status.value
        self._bar.total = job.total_steps
        self._bar.n = job.step or 0
        self._bar.set_postfix_str(self._shown)

    def say(self, text: str) -> None:
        """Writes a line above the bar."""
        (self._bar or _bar_class()).write(text, file=sys.stderr)

    def close(self) -> None:
        """Leaves the bar where it is, and ends the line."""
        if self._bar is not None:
            self._bar.close()


def _bar_class() -> Any:  # noqa: ANN401 - one of two classes of tqdm, alike in all we use
    """The notebook's bar needs ipywidgets; without them the text bar works there just as well."""
    if in_notebook() and importlib.util.find_spec("ipywidgets"):
        from tqdm.notebook import tqdm_notebook

        return tqdm_notebook
    from tqdm import tqdm

    return tqdm


class LineProgress:
    """Lines on stderr: at each change of state and each event that is not a mere number, else now and then."""

    def __init__(self) -> None:
        self._status = ""
        self._last_line = float("-inf")

    def update(self, job: FineTuningJob, events: Sequence[JobEvent]) -> None:
        """Writes what is new."""
        for event in events:
            if event.metrics is None:
                self._write(job, event.message)
        if events or job.status.value != self._status:
            due = time.monotonic() - self._last_line >= _LINE_EVERY_S
            if due or job.status.value != self._status:
                numbers = [e for e in events if e.metrics is not None]
                self._write(job, headline(job, numbers))
                self._last_line = time.monotonic()
        self._status = job.status.value

    def say(self, text: str) -> None:
        """Writes a line."""
        print(text, file=sys.stderr, flush=True)  # noqa: T201 - this is the display

    def close(self) -> None:
        """Does nothing: every line is complete."""

    def _write(self, job: FineTuningJob, text: str) -> None:
        steps = f" step {job.step}/{job.total_steps}" if job.step is not None and job.total_steps else ""
        self.say(f"{job.id[:20]}{steps}: {text}")
