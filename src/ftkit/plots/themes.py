"""Colours of pictures.

Those of the runs are Okabe and Ito's (Color Universal Design, 2008), which colour-blind people tell apart; for each
background those that stand out against it, 3 to 1 or more, as WCAG 2.2 asks of graphics (success criterion 1.4.11).
"""

from __future__ import annotations

from dataclasses import dataclass

from ftkit.errors import ConfigurationError
from ftkit.methods import near


@dataclass(frozen=True)
class Theme:
    """Colours of a picture.

    Attributes:
        paper: The background.
        ink: Text and axes.
        faint: The grid.
        runs: A colour a run; the first again after the last.
    """

    paper: str
    ink: str
    faint: str
    runs: tuple[str, ...]


_BLUE, _VERMILION, _GREEN, _PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
_SKY, _ORANGE, _YELLOW = "#56B4E9", "#E69F00", "#F0E442"

THEMES = {
    "light": Theme("#FFFFFF", "#1A1A1A", "#D9D9D9", (_BLUE, _VERMILION, _GREEN, "#000000", _PURPLE)),
    "dark": Theme("#111418", "#E8E8E8", "#3A4048", (_SKY, _ORANGE, _GREEN, _YELLOW, _VERMILION, _PURPLE, "#FFFFFF")),
}


def theme_named(name: str) -> Theme:
    """Returns a theme.

    Raises:
        ConfigurationError: There is none of that name.
    """
    if name not in THEMES:
        message = f"there is no theme {name!r}{near(str(name), THEMES) or '.'}"
        raise ConfigurationError(message, hint=f"There are: {', '.join(THEMES)}.")
    return THEMES[name]
