"""What a command prints: the nouns as JSON, or a table for people, or the same table for `cut` and `awk`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pydantic import BaseModel

Json = Annotated[
    bool, typer.Option("--json", help="Prints JSON: a noun of ftkit's on each line (docs/command-line.md).")
]


def print_json(nouns: Iterable[BaseModel]) -> None:
    """Prints nouns as JSON Lines: each of them can be read again by its class."""
    for noun in nouns:
        typer.echo(noun.model_dump_json())


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Prints rows: as a table with a head in a terminal; elsewhere with a tab between cells, without a head.

    No cell is cut short or broken: an id that is not whole is no id, and one on two lines cannot be copied. Rows that
    are wider than the terminal go on in a line below.
    """
    rows = list(rows)
    if not sys.stdout.isatty():
        for row in rows:
            typer.echo("\t".join(row))
        return
    from rich.cells import cell_len
    from rich.console import Console
    from rich.text import Text

    console = Console()
    widths = [max(map(cell_len, cells)) for cells in zip(columns, *rows, strict=True)]
    lines = _packed(widths, console.width)
    for n, row in enumerate([columns, *rows]):
        for m, line in enumerate(lines):
            cells = (row[column] + " " * (widths[column] - cell_len(row[column])) for column in line)
            text = Text((_INDENT * (m > 0) + _GAP.join(cells)).rstrip(), style="" if n else "bold")
            console.print(text, soft_wrap=True)  # text, and no markup: a vendor's words may hold brackets


_GAP, _INDENT = "  ", "    "


def _packed(widths: Sequence[int], most: int) -> list[list[int]]:
    """Returns which columns go into which line, so that no line is wider than it may be, if it has several columns."""
    lines: list[list[int]] = [[]]
    used = 0
    for column, width in enumerate(widths):
        gap = len(_GAP) if lines[-1] else 0
        if lines[-1] and used + gap + width > most:
            lines.append([])
            used, gap = len(_INDENT), 0
        lines[-1].append(column)
        used += gap + width
    return lines
