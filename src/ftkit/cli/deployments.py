"""What answers, and costs by the hour: to list it, to reap it, to tear it down."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from ftkit.cli import _completing, _names
from ftkit.cli._app import app
from ftkit.cli._deployments import age, end, price
from ftkit.cli._exits import Status
from ftkit.cli._jobs import Job, named
from ftkit.cli._output import Json, print_json, print_table
from ftkit.cli._text import one_line
from ftkit.cli._told import as_document, told, whole
from ftkit.errors import ConfigurationError

if TYPE_CHECKING:
    from ftkit.errors import FtkitError
    from ftkit.models import Deployment
    from ftkit.upkeep import Found

COLUMNS = ("deployment", "status", "age", "price", "end", "serves", "account")
_NOBODY_ASKED = "nothing that stands was made from here: `ftkit deployments PROVIDER` asks an account"


@app.command("deployments")
def list_deployments(
    name: Annotated[
        str | None,
        typer.Argument(
            help="Name of a provider, or of a profile, whose account is asked in any case.",
            autocompletion=_completing.accounts,
        ),
    ] = None,
    provider: _names.Provider = None,
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Lists what answers, and costs, in all accounts known here: status, age, price by the hour, end, what is served.

    What is due is deleted by `ftkit reap`, and by nothing else. Age and end are told by this machine's clock.
    """
    from ftkit.upkeep import Upkeep

    with told(as_json=as_json):
        found = Upkeep().deployments(_one_of(name, provider))
    if as_json:
        print_json(found.deployments)
    else:
        _print(found)
    for account, trouble in found.troubles.items():
        _tell("not asked", account, trouble, as_json=as_json)
    if not found.is_whole:
        raise typer.Exit(Status.NO)


@app.command()
def reap(
    name: Annotated[
        str | None,
        typer.Argument(
            help="Name of a provider, or of a profile; all accounts known here if left out.",
            autocompletion=_completing.accounts,
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only names what would be deleted.")] = False,  # noqa: FBT002
    provider: _names.Provider = None,
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Deletes deployments that are past their time to live, or that a dead process left. Status 1: some are left."""
    from ftkit.cli._nouns import ReapedDeployment
    from ftkit.upkeep import Upkeep

    with told(as_json=as_json):
        reaped = Upkeep().reap(_one_of(name, provider), dry_run=dry_run)
    for account, names in reaped.names.items():
        if as_json:
            print_json(ReapedDeployment(name=each, identity=account, deleted=not dry_run) for each in names)
        else:
            for each in names:
                typer.echo(f"{'would delete' if dry_run else 'deleted'}\t{each}\t{account}")
    for account, trouble in reaped.troubles.items():
        _tell("error", account, trouble, as_json=as_json)
    if reaped.troubles:
        raise typer.Exit(Status.NO)
    if not (as_json or any(reaped.names.values())):
        typer.echo("nothing is due")


@app.command()
def teardown(job: Job, provider: _names.Provider = None, as_json: Json = False) -> None:  # noqa: FBT002
    """Deletes the deployments and the files that ftkit made for a job that has ended. The job and its model stay."""
    with told(as_json=as_json):
        it = named(job, provider)
        done = it.client.tear_down(it.id)
    if as_json:
        print_json([done])
        return
    for name in done.deployments:
        typer.echo(f"deleted\tdeployment\t{name}")
    for file_id in done.files:
        typer.echo(f"deleted\tfile\t{file_id}")
    for each in done.kept:
        typer.echo(f"kept\t{each.kind}\t{each.name}\t{each.reason}")
    if not (done.deployments or done.files or done.kept):
        typer.echo("nothing to delete: no deployment and no file of it is left")


def _one_of(name: str | None, provider: str | None) -> str | None:
    """Returns the account that was named: here it may be an argument, since it is all that there is to name."""
    if name is not None and provider not in {None, name}:
        raise ConfigurationError(f"'{name}' and '{provider}' are both named.", hint="Name one account, or none.")
    return name or provider


def _print(found: Found) -> None:
    rows = [[one_line(cell) for cell in _row(each)] for each in found.deployments]
    if not rows:
        typer.echo("no deployments" if found.asked or found.troubles else _NOBODY_ASKED)
    elif not sys.stdout.isatty():
        print_table(COLUMNS, rows)
    else:  # what is copied into the next command comes first; the account's long name only where that does not say it
        names = [found.names.get(each.identity or "") for each in found.deployments]
        rows = [[_names.reference(name, row[0]), *row[1:]] for name, row in zip(names, rows, strict=True)]
        columns = COLUMNS[:-1] if all(names) else COLUMNS
        print_table(columns, [row[: len(columns)] for row in rows])


def _row(deployment: Deployment) -> list[str]:
    """Writes a deployment for a table: the columns of `ftkit deployments`."""
    from ftkit.models import DeploymentStatus

    made, status = deployment.created_at, deployment.status.value
    if deployment.status is DeploymentStatus.UNKNOWN:
        status = deployment.provider_status or status
    old = age(datetime.now(UTC) - made) if made is not None else "?"
    served, account = deployment.source or deployment.model, deployment.identity or deployment.provider
    return [deployment.name, status, old, price(deployment), end(deployment), served, account]


def _tell(what: str, account: str, trouble: FtkitError, *, as_json: bool) -> None:
    """Tells what is wrong with an account; the others are none the worse for it."""
    if as_json:
        document = as_document(trouble)
        document["error"]["account"] = account
        typer.echo(json.dumps(document), err=True)
    else:
        typer.echo(f"{what}: {account}: {whole(trouble)}", err=True)
