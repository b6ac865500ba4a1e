"""Metrics as a table, with their losses drawn above it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ftkit.displays import html

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ftkit.displays.html import Html
    from ftkit.models import Metrics

_MOST_ROWS = 20
_MOST_POINTS = 400
_WIDTH, _HEIGHT, _MARGIN, _LEFT = 420, 120, 14, 44
_DASHES = ' stroke-dasharray="5 3"'

Points = list[tuple[int, float]]


def metrics_html(rows: Sequence[Metrics]) -> Html:
    """Returns metrics as HTML: a drawing of the losses, and a table of the first step, the last, and some between."""
    if not rows:
        return html.page(html.head(html.text("Metrics")), html.note("nothing was measured so far"))
    shown = _thinned(rows)
    fields = [name for name in type(rows[0]).model_fields if name != "extra"]
    fields = [name for name in fields if any(getattr(row, name) is not None for row in rows)]
    extra = list(dict.fromkeys(name for row in rows for name in row.extra))
    cells = (
        [_cell(getattr(row, name)) for name in fields] + [_cell(row.extra.get(name)) for name in extra] for row in shown
    )
    parts = [html.head(html.text("Metrics"), html.text(f"of {len(rows):,} step{'s' if len(rows) > 1 else ''}"))]
    drawing = _drawing(rows)
    parts += [drawing] if drawing else []
    parts.append(html.table([*fields, *extra], cells))
    if len(shown) < len(rows):
        parts.append(html.note(f"{len(shown)} of {len(rows):,} rows: the first, the last, and about evenly between"))
    return html.page(*parts)


def _spread(count: int, most: int) -> list[int]:
    """Returns which of so many are shown: all, or the first, the last, and about evenly between."""
    if count <= most:
        return [*range(count)]
    return [round(n * (count - 1) / (most - 1)) for n in range(most)]


def _thinned(rows: Sequence[Metrics]) -> Sequence[Metrics]:
    """Returns the rows that are shown: of those near an even place the fullest, since validation is rare."""
    places = _spread(len(rows), _MOST_ROWS)
    if len(places) == len(rows):
        return rows
    reach = (len(rows) - 1) // (_MOST_ROWS - 1) // 2
    near = ([rows[place + n] for n in sorted(range(-reach, reach + 1), key=abs)] for place in places[1:-1])
    return [rows[0], *(max(some, key=_fullness) for some in near), rows[-1]]


def _fullness(row: Metrics) -> int:
    return sum(value is not None for _, value in row) + len(row.extra)


def _cell(value: float | None) -> Html:
    if value is None:
        return html.text("")
    return html.text(f"{value:,}" if isinstance(value, int) else f"{value:.6g}")


# -- the drawing -------------------------------------------------------------------------------------------------------


def _drawing(rows: Sequence[Metrics]) -> Html | None:
    """Draws the losses, training as a line and validation dashed; None if there are not two points of either."""
    ordered = sorted(rows, key=lambda row: row.step)
    full, batches = _points(ordered, "full_valid_loss"), _points(ordered, "valid_loss")
    curves = [
        (_points(ordered, "train_loss"), "training", ""),
        (full if len(full) > 1 else batches, "validation", _DASHES),
    ]
    curves = [curve for curve in curves if len(curve[0]) > 1]
    if not curves:
        return None
    points = [point for curve, _, _ in curves for point in curve]
    steps, losses = [step for step, _ in points], [loss for _, loss in points]
    box = _Box(min(steps), max(steps), min(0.0, *losses), max(losses))
    lines = [box.line(curve, dashes) for curve, _, dashes in curves]
    keys = [box.key(n, name, dashes) for n, (_, name, dashes) in enumerate(curves)]
    about = f"Loss over {box.first:,} to {box.last:,} steps: {' and '.join(name for _, name, _ in curves)}"
    opening = (
        f'<svg role="img" aria-label="{html.text(about)}" viewBox="0 0 {_WIDTH} {_HEIGHT + 2 * _MARGIN}" '
        f'style="width:100%;max-width:{_WIDTH}px;height:auto;display:block" fill="currentColor" font-size="10">'
    )
    return html.Html(f"{opening}{box.frame()}{''.join(lines)}{''.join(keys)}</svg>")


def _points(rows: Sequence[Metrics], field: str) -> Points:
    pairs = ((row.step, getattr(row, field)) for row in rows)
    found = [(step, value) for step, value in pairs if value is not None and math.isfinite(value)]
    return [found[n] for n in _spread(len(found), _MOST_POINTS)]


class _Box:
    """Where steps and losses lie in the drawing."""

    def __init__(self, first: int, last: int, low: float, high: float) -> None:
        self.first, self.last, self.low, self.high = first, last, low, high if high > low else low + 1

    def at(self, step: int, loss: float) -> tuple[float, float]:
        """Returns where a point lies, in the drawing's own units, from its upper left corner."""
        across = (step - self.first) / max(self.last - self.first, 1)
        upwards = loss / 2 - self.low / 2  # by halves: the difference of two huge numbers may be none
        height = upwards / (self.high / 2 - self.low / 2)
        return _LEFT + across * (_WIDTH - _LEFT - _MARGIN), _MARGIN + (1 - height) * (_HEIGHT - _MARGIN)

    def line(self, points: Points, dashes: str) -> str:
        """Returns a curve."""
        places = " ".join(f"{x:.1f},{y:.1f}" for x, y in (self.at(*point) for point in points))
        return f'<polyline points="{places}" fill="none" stroke="currentColor" stroke-width="1.5"{dashes}/>'

    def key(self, number: int, name: str, dashes: str) -> str:
        """Returns which curve is what."""
        x, y = _WIDTH - 100, _MARGIN + 4 + 13 * number
        line = f'<line x1="{x}" y1="{y}" x2="{x + 24}" y2="{y}" stroke="currentColor" stroke-width="1.5"{dashes}/>'
        return f'{line}<text x="{x + 30}" y="{y + 3}">{html.text(name)}</text>'

    def frame(self) -> str:
        """Returns the axes, with the numbers at their ends."""
        (left, bottom), (right, top) = self.at(self.first, self.low), self.at(self.last, self.high)
        path = f"M{left:.1f},{top:.1f}V{bottom:.1f}H{right:.1f}"
        marks = (
            (left - 4, top + 4, "end", f"{self.high:.3g}"),
            (left - 4, bottom, "end", f"{self.low:.3g}"),
            (left, bottom + 12, "start", f"{self.first:,}"),
            (right, bottom + 12, "end", f"{self.last:,}"),
            ((left + right) / 2, bottom + 12, "middle", "step"),
            (left - 4, (top + bottom) / 2, "end", "loss"),
        )
        words = "".join(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{word}</text>' for x, y, anchor, word in marks
        )
        return f'<path d="{path}" fill="none" stroke="currentColor" stroke-opacity=".5"/>{words}'
