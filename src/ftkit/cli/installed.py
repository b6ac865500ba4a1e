"""What is installed, and whether it would work: providers, doctor, new-provider."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ftkit.cli import _completing
from ftkit.cli._app import app
from ftkit.cli._exits import Status
from ftkit.cli._output import Json, print_json
from ftkit.cli._told import told


@app.command("providers")
def list_providers(
    as_json: Json = False,  # noqa: FBT002
    table: Annotated[bool, typer.Option("--table", help="Prints what each can do as a Markdown table.")] = False,  # noqa: FBT002
) -> None:
    """Lists the providers that are installed: from which package, what each can do, what it still needs.

    Nothing is sent. Status 1: one of them is broken.
    """
    from ftkit import installed

    found = installed.installed()
    if as_json:
        print_json([found])
    elif table:
        typer.echo(installed.table(found), nl=False)
    else:
        typer.echo(installed.render(found))
    for package in found.unreadable:
        typer.echo(f"error: the metadata of the package '{package}' cannot be read", err=True)
    if not found.ok:
        raise typer.Exit(Status.NO)


@app.command()
def doctor(
    name: Annotated[
        str | None,
        typer.Argument(
            help="Name of a provider, or of a profile; the default profile if left out.",
            autocompletion=_completing.accounts,
        ),
    ] = None,
    ask: Annotated[bool, typer.Option(help="Ask the provider, by requests that only read.")] = True,  # noqa: FBT002
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Looks over whether a job could be made with a name as it stands. Spends nothing. Status 1: something is wrong."""
    from ftkit.doctor import examine

    well = True
    for finding in examine(name, ask=ask):
        well = well and finding.ok is not False
        typer.echo(finding.model_dump_json() if as_json else str(finding))
    if not well:
        raise typer.Exit(Status.NO)


@app.command("new-provider")
def make_package(
    name: Annotated[str, typer.Argument(help="Name of the provider: a plain lower-case word, as in Client(NAME).")],
    folder: Annotated[Path, typer.Option(help="Where the package's own folder is made.")] = Path(),
    class_name: Annotated[
        str | None, typer.Option(help="Name of the provider's class; NovaProvider for nova if left out.")
    ] = None,
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Writes a package with a provider of your own: it works, passes the kit, and is yours to change and publish."""
    from ftkit.cli._nouns import WrittenPackage
    from ftkit.new_provider import new_provider, next_steps

    with told(as_json=as_json):
        made = new_provider(name, folder, class_name=class_name)
    steps = next_steps(made).splitlines()
    if as_json:
        print_json([WrittenPackage(folder=str(made), next=tuple(steps))])
        return
    typer.echo(f"Made {made}: a provider that works, and passes the kit. Next:")
    for step in steps:
        typer.echo(f"  {step}")
