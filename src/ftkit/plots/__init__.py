"""Pictures of training: loss and accuracy, of one job or of several, in a terminal, a notebook or a file.

    from ftkit.plots import Run, draw, save

    run = Run.of(client, job)
    print(draw(run))
    save("curves.png", run)

Needs the extra `plots`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ftkit.errors import ConfigurationError, MissingExtraError
from ftkit.plots.curves import content_of
from ftkit.plots.runs import Run, checked

if TYPE_CHECKING:
    import os

    from matplotlib.figure import Figure

__all__ = ["Run", "draw", "figure", "save"]

_LEAST_WIDTH, _LEAST_HEIGHT = 30, 8


def draw(*runs: Run, width: int = 76, height: int = 16, color: bool = False) -> str:
    """Draws runs as text, for a terminal.

    The loss is drawn, and below it the accuracy, if it was measured. Of a single run, training is a line and validation
    is o; several runs have a letter each, small for training and large for validation; ^ is a checkpoint. Of a curve of
    more than 200 points the mean of neighbouring ones is drawn too, or alone where there are several runs. The text
    below says so, and which mark is what.

    Args:
        runs: One or several.
        width: Columns, 30 or more.
        height: Lines of each of the two drawings, 8 or more.
        color: Colour the curves, by the codes that terminals understand.

    Raises:
        ConfigurationError: There is no run, or no room.
        MissingExtraError: plotext is not installed.
    """
    content = content_of(checked(runs, "draw"))
    if width < _LEAST_WIDTH or height < _LEAST_HEIGHT:
        message = f"a drawing of {width} columns and {height} lines shows nothing"
        raise ConfigurationError(message, hint=f"Give it width={_LEAST_WIDTH} and height={_LEAST_HEIGHT}, or more.")
    try:
        from ftkit.plots.terminal import drawing
    except ImportError as error:
        raise MissingExtraError("Drawing in the terminal", "plots") from error
    return drawing(content, width, height, color=color)


def figure(*runs: Run, theme: Literal["light", "dark"] = "light", title: str = "") -> Figure:
    """Draws runs as a figure of matplotlib's, which shows itself in a notebook.

    The loss is drawn, and below it the accuracy, if it was measured. Each run has a colour of its own; training is a
    solid line, validation a dashed one with marks; a triangle, and a dotted line below it, is a checkpoint. Of a curve
    of more than 200 points the thin line is all of them, and the thick one the mean of neighbouring ones.

    Args:
        runs: One or several.
        theme: "light", or "dark" for a dark page.
        title: Written above.

    Raises:
        ConfigurationError: There is no run, or no such theme.
        MissingExtraError: matplotlib is not installed.
    """
    from ftkit.plots.themes import theme_named

    content, chosen = content_of(checked(runs, "figure")), theme_named(theme)
    try:
        from ftkit.plots.picture import picture
    except ImportError as error:
        raise MissingExtraError("Drawing a picture", "plots") from error
    return picture(content, chosen, title)


def save(path: str | os.PathLike[str], *runs: Run, theme: Literal["light", "dark"] = "light", title: str = "") -> None:
    """Draws runs into a file: what `figure` draws, as PNG, SVG or PDF.

    Args:
        path: The file; its suffix says of which kind.
        runs: One or several.
        theme: "light" or "dark".
        title: Written above.

    Raises:
        ConfigurationError: There is no run, no such theme or kind of file; or the file cannot be written.
        MissingExtraError: matplotlib is not installed.
    """
    from ftkit.plots.files import writable, write

    target = writable(path)
    write(figure(*runs, theme=theme, title=title), target)
