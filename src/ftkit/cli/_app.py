"""The command `ftkit` itself, which the modules beside this one add their commands to."""

from __future__ import annotations

from importlib import metadata
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,  # older versions of Typer show them, and there may be a key among them
    help="One interface for fine-tuning language models.",
)


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Shows the version.")] = False) -> None:  # noqa: FBT002
    """One interface for fine-tuning language models."""
    if version:
        typer.echo(f"ftkit {metadata.version('ftkit')}")
        raise typer.Exit
