"""Drawing in a terminal, with plotext."""

from __future__ import annotations

import math
import string
import textwrap
import threading
from typing import TYPE_CHECKING, Any

import plotext  # pyright: ignore[reportMissingTypeStubs]  # it has none

from ftkit.plots.curves import TRAINING, thinned

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ftkit.plots.curves import Content, Curve, Panel

_COLORS = (32, 166, 36, 175, 136, 245)
"""Of the 256 that terminals know, the nearest to Okabe and Ito's that are seen on white as well as on black."""
_CHECKPOINT = "^"
_LINE, _POINT, _MEAN, _LONE = "braille", "o", "*", "+"
_LINE_SHOWN = "\N{BRAILLE PATTERN DOTS-25}"
_STEPS_NAMED = 8
_LINES_AROUND, _TICK_LINES, _TICK_COLUMNS = 5, 2, 12
"""Lines of a panel that hold no curve; and how far apart numbers on the axes stand."""
_ONE_AT_A_TIME = threading.Lock()
"""plotext has one figure for the whole process."""


def drawing(content: Content, width: int, height: int, *, color: bool) -> str:
    """Returns the panels, one below the other, and the legend below them."""
    with _ONE_AT_A_TIME:
        panels = [_drawn(content, panel, width, height, color=color) for panel in content.panels]
    legend = [*_legend(content), *content.notes] if panels else content.notes
    told = [line for entry in legend for line in textwrap.wrap(entry, width, subsequent_indent="    ")]
    return "\n".join([*panels, *told])


def _drawn(content: Content, panel: Panel, width: int, height: int, *, color: bool) -> str:
    plot: Any = plotext
    plot.clear_figure()
    try:
        plot.theme("clear")
        plot.limit_size(False, False)  # noqa: FBT003 - plotext names them by their place
        plot.plot_size(width, height - 1)
        several = len(content.names) > 1
        for number, curve in panel.curves:
            _add(plot, curve, number if several else None, width, {"color": _color(number)} if color else {})
        for number, steps in enumerate(content.checkpoints):
            hue = {"color": _color(number)} if color else {}
            if steps:
                plot.scatter(list(steps), [panel.low] * len(steps), marker=_CHECKPOINT, **hue)
        plot.xlim(content.first, content.last)
        plot.ylim(panel.low, panel.high)
        plot.xticks(
            [int(step) for step in _round_numbers(content.first, content.last, width // _TICK_COLUMNS, whole=True)]
        )
        plot.xlabel("step")
        marks = _round_numbers(panel.low, panel.high, (height - _LINES_AROUND) // _TICK_LINES)
        plot.yticks(marks, [f"{mark:.6g}" for mark in marks])
        built = str(plot.build())
        lines = (built if color else str(plot.uncolorize(built))).splitlines()
        return "\n".join([panel.label, *(line.rstrip() for line in lines)])
    finally:
        plot.clear_figure()


def _add(plot: Any, curve: Curve, letter: int | None, width: int, hue: dict[str, int]) -> None:  # noqa: ANN401 - untyped
    """Draws a curve: several runs by a letter each, and smoothed where they are long, since they cover each other."""
    is_training = curve.series == TRAINING
    points = thinned(curve.steps, curve.values, 4 * width)
    means = thinned(curve.mean_steps, curve.means, 4 * width) if curve.window else None
    if letter is not None:
        draw = plot.plot if is_training else plot.scatter
        draw(*(means or points), marker=_letter(letter, curve.series), **hue)
    elif means is not None:
        plot.plot(*points, marker=_LINE, **hue)
        plot.plot(*means, marker=_MEAN if is_training else _POINT, **hue)
    elif is_training and len(curve.steps) > 1:
        plot.plot(*points, marker=_LINE, **hue)
    else:
        plot.scatter(*points, marker=_LONE if is_training else _POINT, **hue)


def _round_numbers(low: float, high: float, most: int, *, whole: bool = False) -> list[float]:
    """Returns the round numbers between two others, about `most` of them at the most."""
    rough = (high - low) / max(most, 2)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough)
    step = math.ceil(step) if whole else step
    return [n * step for n in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _letter(number: int, series: str) -> str:
    letters = string.ascii_lowercase if series == TRAINING else string.ascii_uppercase
    return letters[number % len(letters)]


def _color(number: int) -> int:
    return _COLORS[number % len(_COLORS)]


# -- what is which -----------------------------------------------------------------------------------------------------


def _legend(content: Content) -> Iterator[str]:
    """Yields a line a run: its name, and its marks."""
    for number, name in enumerate(content.names):
        curves = {curve.series: curve for panel in content.panels for which, curve in panel.curves if which == number}
        told = [_told(curve, number if len(content.names) > 1 else None) for curve in curves.values()]
        told += _checkpoints(content.checkpoints[number])
        if curves:
            yield f"{name}: {', '.join(told)}"


def _told(curve: Curve, letter: int | None) -> str:
    if letter is not None:
        mean = f" (mean of {curve.window} points)" if curve.window else ""
        return f"{_letter(letter, curve.series)} {curve.series}{mean}"
    is_training = curve.series == TRAINING
    if curve.window:
        return f"{_LINE_SHOWN} {curve.series}, {_MEAN if is_training else _POINT} mean of {curve.window} points of it"
    lone = _LONE if len(curve.steps) == 1 else _LINE_SHOWN
    return f"{lone if is_training else _POINT} {curve.series}"


def _checkpoints(steps: Sequence[int]) -> list[str]:
    if not steps:
        return []
    named = [f"{step:,}" for step in steps[:_STEPS_NAMED]]
    named += ["..."] if len(steps) > _STEPS_NAMED + 1 else []
    named += [f"{steps[-1]:,}"] if len(steps) > _STEPS_NAMED else []
    return [f"{_CHECKPOINT} checkpoint{'s' if len(steps) > 1 else ''} at {', '.join(named)}"]
