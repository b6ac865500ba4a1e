"""Makes `braille.woff`: the 256 Braille characters that curves are drawn with in a terminal.

Few fonts of one width have them, and a browser takes them from another font, of another width: the lines of a drawing
then end at different places. Here each is as wide as the letters of DejaVu Sans Mono, Menlo and Lucida Console.

    python docs/stylesheets/make_braille.py
"""

# ruff: noqa: ANN401, INP001 - fontTools has no types; a program is no part of a package
from __future__ import annotations

from pathlib import Path
from typing import Any

from fontTools.fontBuilder import FontBuilder  # type: ignore[import-untyped]
from fontTools.pens.ttGlyphPen import TTGlyphPen  # type: ignore[import-untyped]

EM = 2048
ADVANCE = 1233  # of DejaVu Sans Mono
ASCENT, DESCENT = 1901, 483  # of DejaVu Sans Mono
SPACING = 614  # between dots, from one line to the next as well: a line is 1.2 em high
RADIUS = 190
COLUMNS = (ADVANCE // 4, ADVANCE - ADVANCE // 4)
MIDDLE = (ASCENT - DESCENT) // 2
ROWS = tuple(MIDDLE + int(SPACING * step) for step in (1.5, 0.5, -0.5, -1.5))
# Bit by bit, as Unicode has them: the three upper dots of the left column, of the right one, then the lowest two.
DOTS = [*((COLUMNS[0], y) for y in ROWS[:3]), *((COLUMNS[1], y) for y in ROWS[:3]), *((x, ROWS[3]) for x in COLUMNS)]
FIRST = 0x2800


def dot() -> Any:
    """Draws a circle around the origin."""
    pen: Any = TTGlyphPen(None)
    corners = [(RADIUS, RADIUS), (RADIUS, -RADIUS), (-RADIUS, -RADIUS), (-RADIUS, RADIUS)]
    pen.qCurveTo(*corners, None)
    pen.closePath()
    return pen.glyph()


def braille(bits: int, glyphs: dict[str, Any]) -> Any:
    """Draws a character: a dot for each bit."""
    pen: Any = TTGlyphPen(glyphs)
    for bit, place in enumerate(DOTS):
        if bits >> bit & 1:
            pen.addComponent("dot", (1, 0, 0, 1, *place))
    return pen.glyph()


def main() -> None:
    """Writes the font beside this file."""
    names = {FIRST + bits: f"uni{FIRST + bits:X}" for bits in range(256)}
    glyphs: dict[str, Any] = {".notdef": TTGlyphPen(None).glyph(), "dot": dot()}
    glyphs |= {name: braille(code - FIRST, glyphs) for code, name in names.items()}
    font: Any = FontBuilder(EM)
    font.setupGlyphOrder(list(glyphs))
    font.setupCharacterMap(names)
    font.setupGlyf(glyphs)
    drawn = font.font["glyf"]
    font.setupHorizontalMetrics({name: (ADVANCE, getattr(drawn[name], "xMin", 0)) for name in glyphs})
    font.setupHorizontalHeader(ascent=ASCENT, descent=-DESCENT)
    font.setupNameTable({"familyName": "ftkit Braille", "styleName": "Regular"})
    font.setupOS2(sTypoAscender=ASCENT, sTypoDescender=-DESCENT, usWinAscent=ASCENT, usWinDescent=DESCENT)
    font.setupPost()
    font.font["head"].created = font.font["head"].modified = 0  # the same bytes each time
    font.font.flavor = "woff"
    font.font.recalcTimestamp = False
    font.save(Path(__file__).with_name("braille.woff"))


if __name__ == "__main__":
    main()
