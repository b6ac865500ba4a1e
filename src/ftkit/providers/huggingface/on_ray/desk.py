"""What the workers and the driver tell each other: a small actor between them, which keeps the order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from ftkit.models import EventLevel
from ftkit.providers._local_jobs import Reporter
from ftkit.providers._local_jobs.folder import WORDS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ftkit.models import Metrics

Kind = Literal["event", "status", "go_on_from", "checkpoint", "model", "words"]


@dataclass(frozen=True, slots=True)
class Told:
    """One thing that a worker tells.

    Attributes:
        kind: A method of `Reporter`; or that a checkpoint or the model lies in the storage; or somebody's last words.
        fields: Its arguments.
    """

    kind: Kind
    fields: dict[str, Any] = field(default_factory=dict[str, Any])


class Desk:
    """The actor. One for each start of the workers."""

    def __init__(self) -> None:
        self._told: list[Told] = []
        self._before = 0
        self._stopping = False
        self._present = False

    def tell(self, told: Told) -> None:
        """Takes what a worker tells."""
        self._told.append(told)

    def take(self, after: int) -> tuple[list[Told], bool]:
        """Returns what was told after so many, which the driver has, and whether a worker was ever here."""
        del self._told[: after - self._before]
        self._before = after
        return list(self._told), self._present

    def ask_to_stop(self) -> None:
        """Lets the workers know that they are to end."""
        self._stopping = True

    def is_stopping(self) -> bool:
        """Returns, to a worker, whether it is to end."""
        self._present = True
        return self._stopping


class DeskReporter(Reporter):
    """A reporter of the first worker: what it writes into its own folder, it tells as well.

    That the job has ended it keeps to itself. The driver says so, when it has the model.

    Args:
        path: The worker's folder of the job.
        tell: Tells it to the desk, and returns when it lies there.
    """

    def __init__(self, path: Path, tell: Callable[[Told], None]) -> None:
        super().__init__(path)
        self._tell = tell

    def event(self, message: str, level: EventLevel = EventLevel.INFO, metrics: Metrics | None = None) -> None:
        """Tells what happened, or what was measured."""
        super().event(message, level, metrics)
        self._tell(Told("event", {"message": message, "level": level, "metrics": metrics}))

    def status(self, word: str | None = None, **changes: object) -> None:
        """Tells how far the job is."""
        super().status(word, **changes)
        if word is None or not WORDS[word].is_terminal:
            self._tell(Told("status", {"word": word, **changes}))

    def go_on_from(self, step: int, message: str) -> None:
        """Takes back what was measured after a step."""
        super().go_on_from(step, message)  # the `status` in it tells only what the driver will know anyway
        self._tell(Told("go_on_from", {"step": step, "message": message}))
