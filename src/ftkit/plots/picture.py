"""Drawing a figure of matplotlib's, without a screen and without touching the user's own pyplot."""

from __future__ import annotations

import io
import textwrap
from typing import TYPE_CHECKING, Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from ftkit.plots.curves import TRAINING
from ftkit.plots.runs import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ftkit.plots.curves import Content, Curve, Panel
    from ftkit.plots.themes import Theme

_WIDTH, _PANEL, _AROUND = 8.0, 3.0, 0.9
"""Inches: of the figure, of a panel, and of what is around the panels."""
_LEGEND_LINE = 0.24
_MARGIN = 0.1
_SHARPNESS = 2
"""A notebook is given this many dots for each that it shows: screens are finer than they say."""
_MARKERS = "osD^vPX"
_DASHES = (0, (4, 2))
_LINES_FIT = 40
"""Checkpoints of a run that have a line each; more would be a curtain."""
_ABOVE, _ABOVE_NEXT, _ROWS = 0.025, 0.045, 5
"""Where triangles stand above a panel, as a share of its height: no curve is there. The next run's are higher."""
_LETTERS_A_LINE, _TITLE_LETTERS = 105, 75


class Shown(Figure):
    """A figure that shows itself in a notebook, whether or not matplotlib was made ready for that."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        picture = io.BytesIO()
        self.savefig(picture, format="png", dpi=self.get_dpi() * _SHARPNESS)  # pyright: ignore[reportUnknownMemberType]
        return picture.getvalue(), {"width": round(self.get_figwidth() * self.get_dpi())}


def picture(content: Content, theme: Theme, title: str) -> Figure:
    """Returns the figure of runs."""
    entries = [*_entries(content, theme)]
    columns = _columns([label for _, label in entries], len(content.names))
    rows = -(-len(entries) // columns) if entries else 0
    count = max(len(content.panels), 1)
    height = _AROUND + count * _PANEL + _LEGEND_LINE * (rows + len(content.notes)) + (0.3 if title else 0)
    layout = ConstrainedLayoutEngine(w_pad=_MARGIN, h_pad=_MARGIN)
    figure = Shown(figsize=(_WIDTH, height), layout=layout, facecolor=theme.paper)
    FigureCanvasAgg(figure)
    axes: Any = figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0]  # matplotlib is typed in part only
    for one, panel in zip(axes, content.panels, strict=False):
        _fill(one, panel, content, theme)
    for one in axes:
        _dress(one, theme)
    if content.panels:
        axes[-1].set_xlabel("step", color=theme.ink)
    else:
        _say_nothing(axes[0], content, theme)
    figure.align_ylabels()
    if title:
        lines = textwrap.fill(printable(title), _TITLE_LETTERS)  # matplotlib reads formulas where it breaks lines
        figure.suptitle(lines, color=theme.ink, parse_math=False)  # pyright: ignore[reportUnknownMemberType]
    if entries:
        _explain(figure, entries, columns, content, theme)
    return figure


# -- panels ------------------------------------------------------------------------------------------------------------


def _fill(axes: Any, panel: Panel, content: Content, theme: Theme) -> None:  # noqa: ANN401
    for number, curve in panel.curves:
        style = _style(number, curve, theme)
        name = f"{content.names[number]}: {curve.series}"
        if curve.window:
            axes.plot(curve.steps, curve.values, color=style["color"], linewidth=0.5, alpha=0.4, label=f"{name}, each")
            axes.plot(curve.mean_steps, curve.means, **style, label=name)
        else:
            axes.plot(curve.steps, curve.values, **style, label=name)
    for number, steps in enumerate(content.checkpoints):
        _mark(axes, number, steps, theme)
    axes.set_ylabel(panel.label, color=theme.ink)
    axes.set_ylim(panel.low, panel.high)
    margin = (content.last - content.first) * 0.02
    axes.set_xlim(content.first - margin, content.last + margin)


def _style(number: int, curve: Curve, theme: Theme) -> dict[str, Any]:
    """Returns how a curve is drawn. Where the colours begin anew, training has marks as well."""
    again = number >= len(theme.runs)
    style: dict[str, Any] = {"color": theme.runs[number % len(theme.runs)], "linewidth": 1.6}
    if curve.series != TRAINING:
        style |= {"linestyle": _DASHES}
    if curve.series != TRAINING or again or len(curve.steps) == 1:
        every = max(1, len(curve.mean_steps or curve.steps) // 25)
        style |= {"marker": _MARKERS[number % len(_MARKERS)], "markersize": 4.5, "markevery": every}
    return style


def _mark(axes: Any, number: int, steps: tuple[int, ...], theme: Theme) -> None:  # noqa: ANN401
    """Marks checkpoints: by a triangle above the panel, and a dotted line through it if they are few."""
    if not steps:
        return
    color = theme.runs[number % len(theme.runs)]
    place = axes.get_xaxis_transform()  # across as the steps, upwards as a share of the height
    if len(steps) <= _LINES_FIT:
        axes.vlines(steps, 0, 1, transform=place, color=color, linewidth=0.8, linestyle=":", alpha=0.5)
    heights = [1 + _ABOVE + _ABOVE_NEXT * (number % _ROWS)] * len(steps)
    look = {"color": color, "marker": "v", "markersize": 6, "linestyle": "", "clip_on": False}
    axes.plot(steps, heights, transform=place, label="_checkpoints", **look)


def _dress(axes: Any, theme: Theme) -> None:  # noqa: ANN401
    axes.set_facecolor(theme.paper)
    axes.grid(visible=True, color=theme.faint, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(colors=theme.ink, which="both")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=9))
    for side, spine in axes.spines.items():
        spine.set_color(theme.ink)
        spine.set_visible(side in {"left", "bottom"})


def _say_nothing(axes: Any, content: Content, theme: Theme) -> None:  # noqa: ANN401
    axes.set_axis_off()
    style: dict[str, Any] = {"ha": "center", "va": "center", "color": theme.ink, "transform": axes.transAxes}
    axes.text(0.5, 0.5, "\n".join(content.notes), parse_math=False, **style)


# -- what is which -----------------------------------------------------------------------------------------------------


def _entries(content: Content, theme: Theme) -> Iterator[tuple[Line2D, str]]:
    checkpoint = Line2D([], [], color=theme.ink, marker="v", markersize=6, linestyle=""), "checkpoint"
    for number, name in enumerate(content.names):
        curves = {curve.series: curve for panel in content.panels for which, curve in panel.curves if which == number}
        for curve in curves.values():
            mean = f" (mean of {curve.window} points; thin: each)" if curve.window else ""
            yield Line2D([], [], **_style(number, curve, theme)), f"{name}: {curve.series}{mean}"
        if number == 0 and content.panels and any(content.checkpoints):
            yield checkpoint


def _columns(labels: list[str], runs: int) -> int:
    """Returns how many columns a legend has: one a run if they fit, since it is filled column by column."""
    longest = max(map(len, labels), default=0) + 8
    fit = max(1, _LETTERS_A_LINE // longest)
    return runs if 1 < runs <= fit else min(fit, 2, len(labels) or 1) if runs > 1 else min(fit, len(labels) or 1)


def _explain(
    figure: Any,  # noqa: ANN401
    entries: list[tuple[Line2D, str]],
    columns: int,
    content: Content,
    theme: Theme,
) -> None:
    handles, labels = zip(*entries, strict=True)
    legend = figure.legend(
        handles,
        labels,
        loc="outside lower center",
        ncols=columns,
        frameon=False,
        labelcolor=theme.ink,
        fontsize="small",
        title="\n".join(content.notes) or None,
        title_fontsize="small",
    )
    for text in (*legend.get_texts(), legend.get_title()):
        text.set_parse_math(False)
    legend.get_title().set_color(theme.ink)
