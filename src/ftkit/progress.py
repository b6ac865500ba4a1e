"""What a person sees while a job runs: a bar in a terminal or notebook, lines in a log file, or nothing."""

from __future__ import annotations

import importlib.util
import logging
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Protocol

from ftkit.models import JobStatus

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


def as_progress(progress: bool | Progress, jobs: int = 1) -> Progress:  # noqa: FBT001 - what users pass as progress=...
    """Chooses the display that fits: none, the caller's own, a bar (terminal, notebook), or lines (a log file)."""
    if not isinstance(progress, bool):
        return progress
    if not progress:
        return NoProgress()
    if in_notebook() or sys.stderr.isatty():
        return BarProgress() if jobs == 1 else CountProgress(jobs)
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
            self._bar = _bar_class()(
                desc=job.id[:20], unit="step", initial=job.step or 0, total=job.total_steps, dynamic_ncols=True
            )
        if events:
            self._shown = headline(job, events)
        elif not self._shown.startswith(job.status.value):
            self._shown = job.status.value
        if job.total_steps is not None and job.total_steps != self._bar.total:
            self._bar.reset(total=job.total_steps)  # a mere assignment would not reach the bar of a notebook
        if job.status is not JobStatus.RUNNING:
            self._bar.unpause()  # the time in a queue says nothing of the time that is left
        self._bar.n = job.step or 0
        self._bar.set_postfix_str(self._shown)

    def say(self, text: str) -> None:
        """Writes a line above the bar."""
        bar = _bar_class() if self._bar is None else self._bar  # a bar without a total has no truth value
        bar.write(text, file=sys.stderr)

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


class CountProgress(BarProgress):
    """A bar for many jobs: how many have ended, and how the others stand.

    Args:
        jobs: How many there are.
    """

    def __init__(self, jobs: int) -> None:
        super().__init__()
        self._jobs = jobs
        self._status: dict[str, JobStatus] = {}

    def update(self, job: FineTuningJob, events: Sequence[JobEvent]) -> None:
        """Moves the bar."""
        del events
        if self._bar is None:
            self._bar = _bar_class()(desc="jobs", unit="job", total=self._jobs, dynamic_ncols=True)
        if self._status.get(job.id) is job.status:
            return
        self._status[job.id] = job.status
        counts = Counter(status.value for status in self._status.values())
        self._bar.n = sum(status.is_terminal for status in self._status.values())
        self._bar.set_postfix_str(", ".join(f"{count} {word}" for word, count in counts.items()))


class LineProgress:
    """Lines on stderr: at each change of state and each event that is not a mere number, else now and then."""

    def __init__(self) -> None:
        self._last: dict[str, FineTuningJob] = {}
        self._line_at: dict[str, float] = {}

    def update(self, job: FineTuningJob, events: Sequence[JobEvent]) -> None:
        """Writes what is new."""
        for event in events:
            if event.metrics is None:  # without the step: it may have happened long before that
                self.say(f"{job.id}: {event.message}")
        numbers = [event for event in events if event.metrics is not None]
        before = self._last.get(job.id)
        turned = before is None or job.status is not before.status
        moved = bool(numbers) or before is None or job.step != before.step
        due = time.monotonic() - self._line_at.get(job.id, float("-inf")) >= _LINE_EVERY_S * len(self._last)
        if turned or (moved and due):
            self._write(job, headline(job, numbers))
            self._line_at[job.id] = time.monotonic()
        self._last[job.id] = job

    def say(self, text: str) -> None:
        """Writes a line."""
        print(text, file=sys.stderr, flush=True)  # noqa: T201 - this is the display

    def close(self) -> None:
        """Does nothing: every line is complete."""

    def _write(self, job: FineTuningJob, text: str) -> None:
        steps = f" step {job.step}/{job.total_steps}" if job.step is not None and job.total_steps else ""
        self.say(f"{job.id}{steps}: {text}")
