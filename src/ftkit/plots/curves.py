"""What of runs can be drawn, as numbers: curves, their panels, and what must be said beside them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ftkit.models import counted
from ftkit.plots.runs import labels

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ftkit.models import Metrics
    from ftkit.plots.runs import Run

TRAINING, VALIDATION, BATCHES = "training", "validation", "validation (batches)"

_LONG = 200
"""Points of a curve, from which on it is smoothed as well."""
_PARTS = 50
_WIDEST = 501
_MOST_MEANS = 1000
"""Means of a curve: more would not be seen."""
_MEASURED = ("loss", "mean_token_accuracy")
_LARGEST = 1e30
"""What is larger is a training that went astray, and would leave nothing to be seen of the rest."""


@dataclass(frozen=True)
class Curve:
    """One curve of one run.

    Attributes:
        series: What it shows: TRAINING, VALIDATION, or BATCHES where validation is only known of batches.
        steps: Its steps, in order.
        values: What was measured at each.
        window: How many neighbouring values the means are of; 0 for a short curve, which has none.
        mean_steps: Their steps.
        means: The means.
    """

    series: str
    steps: tuple[int, ...]
    values: tuple[float, ...]
    window: int = 0
    mean_steps: tuple[int, ...] = ()
    means: tuple[float, ...] = ()


@dataclass(frozen=True)
class Panel:
    """What is measured in one unit.

    Attributes:
        label: Of its axis, with the unit.
        curves: Of each run, by its number; the training before the validation.
        low: Where the axis begins.
        high: Where it ends.
    """

    label: str
    curves: tuple[tuple[int, Curve], ...]
    low: float
    high: float


@dataclass(frozen=True)
class Content:
    """All that is drawn.

    Attributes:
        names: Of the runs, no two alike.
        panels: Loss and accuracy, if they were measured.
        checkpoints: Steps of the checkpoints of each run.
        first: The step that the axes begin with.
        last: The step that they end with.
        notes: What has to be said besides.
    """

    names: tuple[str, ...]
    panels: tuple[Panel, ...]
    checkpoints: tuple[tuple[int, ...], ...]
    first: int
    last: int
    notes: tuple[str, ...]


def content_of(runs: Sequence[Run]) -> Content:
    """Returns what is drawn of runs."""
    names = labels(runs)
    panels = [
        _panel("loss (nats per token)", runs, _MEASURED[0], most=math.inf),
        _panel("accuracy (share of tokens)", runs, _MEASURED[1], most=1.0),
    ]
    drawn = [panel for panel in panels if panel.curves]
    checkpoints = [sorted({checkpoint.step for checkpoint in run.checkpoints}) for run in runs]
    steps = [step for panel in drawn for _, curve in panel.curves for step in (curve.steps[0], curve.steps[-1])]
    steps += [step for mine in checkpoints for step in mine]
    first, last = min(steps, default=0), max(steps, default=0)
    seen = {number for panel in drawn for number, _ in panel.curves}
    notes = [note for n, run in enumerate(runs) for note in _notes(names[n], run, is_drawn=n in seen)]
    return Content(
        names=tuple(names),
        panels=tuple(drawn),
        checkpoints=tuple(map(tuple, checkpoints)),
        first=first if first > last / 2 and first < last else 0,
        last=max(last, 1),
        notes=tuple(notes),
    )


def _panel(label: str, runs: Sequence[Run], field: str, *, most: float) -> Panel:
    curves = [(number, curve) for number, run in enumerate(runs) for curve in _curves(run, field)]
    values = [value for _, curve in curves for value in curve.values]
    low, high = min(values, default=0.0), max(values, default=0.0)
    if most == math.inf:  # a loss is seen against zero
        low = min(low, 0.0)
    margin = (high - low) * 0.05 or 0.05 * abs(high) or 0.05
    least = 0.0 if low >= 0 else -math.inf
    return Panel(label, tuple(curves), max(low - margin, least), min(high + margin, max(most, high)))


def _curves(run: Run, field: str) -> Iterator[Curve]:
    rows = sorted(run.metrics, key=lambda row: row.step)
    full, batches = _points(rows, f"full_valid_{field}"), _points(rows, f"valid_{field}")
    is_full = len(full) > 1 or not batches  # a single point, at the end, is no curve where there is one
    valid = (VALIDATION, full) if is_full else (BATCHES, batches)
    for series, points in ((TRAINING, _points(rows, f"train_{field}")), valid):
        if points:
            steps, values = zip(*points, strict=True)
            yield _smoothed(series, steps, values)


def _points(rows: Sequence[Metrics], field: str) -> list[tuple[int, float]]:
    pairs = ((row.step, getattr(row, field)) for row in rows)
    return [(step, value) for step, value in pairs if value is not None and _is_drawn(value)]


def _is_drawn(value: float) -> bool:
    return math.isfinite(value) and abs(value) <= _LARGEST


def _smoothed(series: str, steps: tuple[int, ...], values: tuple[float, ...]) -> Curve:
    count = len(values)
    if count <= _LONG:
        return Curve(series, steps, values)
    half = min(_WIDEST, max(9, count // _PARTS)) // 2
    chosen = sorted({*range(0, count, math.ceil(count / _MOST_MEANS)), count - 1})
    parts = (values[max(0, n - half) : n + half + 1] for n in chosen)  # at the ends, what there is
    means = tuple(math.fsum(part) / len(part) for part in parts)
    return Curve(series, steps, values, 2 * half + 1, tuple(steps[n] for n in chosen), means)


def _notes(name: str, run: Run, *, is_drawn: bool) -> Iterator[str]:
    if not is_drawn:
        yield f"{name}: nothing was measured so far"
    fields = [f"{of}_{what}" for what in _MEASURED for of in ("train", "valid", "full_valid")]
    values = ((row.step, getattr(row, field)) for row in run.metrics for field in fields)
    left = [step for step, value in values if value is not None and not _is_drawn(value)]
    if left:
        why = "no number, or beyond all bounds"
        yield f"{name}: {counted(len(left), 'value')} left out, from step {min(left):,} on: {why}"


def thinned(steps: Sequence[int], values: Sequence[float], most: int) -> tuple[list[int], list[float]]:
    """Returns about `most` points that look like all of them: of each stretch the first, the least and the highest.

    Args:
        steps: The steps of a curve.
        values: Its values.
        most: Points that are wanted, 3 or more.
    """
    count = len(steps)
    if count <= most:
        return [*steps], [*values]
    stretch = math.ceil(count / (most // 3))
    kept = {count - 1}
    for begin in range(0, count, stretch):
        part = range(begin, min(begin + stretch, count))
        kept |= {begin, min(part, key=values.__getitem__), max(part, key=values.__getitem__)}
    chosen = sorted(kept)
    return [steps[n] for n in chosen], [values[n] for n in chosen]
