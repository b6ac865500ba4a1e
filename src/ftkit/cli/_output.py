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

    No cell is cut short: an id that is not whole is no id.
    """
    rows = list(rows)
    if not sys.stdout.isatty():
        for row in rows:
            typer.echo("\t".join(row))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))  # text, and no markup: a vendor's words may hold brackets
    Console().print(table)
