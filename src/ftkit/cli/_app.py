"""The command `ftkit` itself, which the modules beside this one add their commands to."""

from __future__ import annotations

import sys
from importlib import metadata
from typing import Annotated

import typer

from ftkit.cli._output import Json, print_json

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,  # older versions of Typer show them, and there may be a key among them
    help="One interface for fine-tuning language models.",
)


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Shows the version.")] = False,  # noqa: FBT002
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """One interface for fine-tuning language models."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")  # as stderr is: a sign that it does not have is no reason to end
    if version:
        found = metadata.version("ftkit")
        if as_json:
            from ftkit.cli._nouns import Version

            print_json([Version(version=found)])
        else:
            typer.echo(f"ftkit {found}")
        raise typer.Exit
    if as_json:
        raise typer.BadParameter("write it behind the command: ftkit jobs --json", context, param_hint="--json")
