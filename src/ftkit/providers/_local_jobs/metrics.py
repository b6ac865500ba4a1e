"""The table of what was measured in a job, from its events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftkit.models import Metrics

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ftkit.models import JobEvent


def table_of(events: Iterable[JobEvent]) -> list[Metrics]:
    """Returns one row a step, with what was measured on the training and the validation file.

    Args:
        events: Events of a job, oldest first.
    """
    rows: dict[int, Metrics] = {}
    for event in events:
        if event.metrics is not None:
            row = rows.get(event.metrics.step)
            rows[event.metrics.step] = event.metrics if row is None else _joined(row, event.metrics)
    return [rows[step] for step in sorted(rows)]


def _joined(one: Metrics, other: Metrics) -> Metrics:
    """What was measured at one step at two moments; of the same thing, the later."""
    return Metrics(**(one.model_dump(exclude_none=True) | other.model_dump(exclude_defaults=True)))
