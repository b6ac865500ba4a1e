"""What a tracker is: three methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ftkit.models import FineTuningJob, Metrics

Held: TypeAlias = "Iterable[tuple[str, int]]"
"""Points that are there already: names of metrics (see `ftkit.trackers.named`) and steps."""


@runtime_checkable
class Tracker(Protocol):
    """Takes the metrics of one job at a time. Whatever one of its methods raises ends the sending to it, and is told.

    `ftkit.trackers` has what its methods need: `run_id(job)` and `run_name(job)`, which are the same each time,
    `config_of(job)`, `named(metrics)` and `outcome_of(job)`.
    """

    def begin(self, job: FineTuningJob) -> Held:
        """Opens the run of a job: the one that is there, or a new one.

        Returns:
            The points that the run has. They are not sent again.
        """
        ...

    def log(self, metrics: Metrics) -> None:
        """Takes what was measured at a step, each point once; steps come in any order, and more than once."""
        ...

    def end(self, job: FineTuningJob) -> None:
        """Closes the run. The job has not ended if the sending was stopped; then the run is taken up again later."""
        ...
