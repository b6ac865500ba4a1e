"""What answers, and costs by the hour: to list it, to reap it, to tear it down."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from ftkit.cli._app import app
from ftkit.cli._exits import Status
from ftkit.cli._told import told, whole

if TYPE_CHECKING:
    from ftkit.models import Deployment

_NOBODY_ASKED = "no account is known here, so none was asked: `ftkit deployments PROVIDER` asks one"


@app.command("deployments")
def list_deployments(
    provider: Annotated[
        str | None, typer.Argument(help="Name of a provider, or of a profile, whose account is asked in any case.")
    ] = None,
) -> None:
    """Lists what answers, and costs, in all accounts known here: status, age, price by the hour, end, what is served.

    What is due is deleted by `ftkit reap`, and by nothing else. Age and end are told by this machine's clock.
    """
    from ftkit.upkeep import Upkeep

    with told():
        found = Upkeep().deployments(provider)
    for each in found.deployments:
        typer.echo("\t".join(_row(each)))
    if not found.deployments:
        asked = "no deployments" if found.asked or found.troubles else _NOBODY_ASKED
        typer.echo(asked)
    for account, trouble in found.troubles.items():
        typer.echo(f"not asked: {account}: {whole(trouble)}", err=True)
    if not found.is_whole:
        raise typer.Exit(Status.NO)


@app.command()
def reap(
    provider: Annotated[
        str | None, typer.Argument(help="Name of a provider, or of a profile; all accounts known here if left out.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only names what would be deleted.")] = False,  # noqa: FBT002
) -> None:
    """Deletes deployments that are past their time to live, or that a dead process left. Status 1: some are left."""
    from ftkit.upkeep import Upkeep

    with told():
        reaped = Upkeep().reap(provider, dry_run=dry_run)
    for account, names in reaped.names.items():
        for name in names:
            typer.echo(f"{'would delete' if dry_run else 'deleted'}\t{name}\t{account}")
    for account, trouble in reaped.troubles.items():
        typer.echo(f"error: {account}: {whole(trouble)}", err=True)
    if reaped.troubles:
        raise typer.Exit(Status.NO)
    if not any(reaped.names.values()):
        typer.echo("nothing is due")


@app.command()
def teardown(
    job: Annotated[str, typer.Argument(help="Id of a job that has ended.")],
    provider: Annotated[
        str | None, typer.Option(help="Name of its provider, or of a profile; the default profile if left out.")
    ] = None,
) -> None:
    """Deletes the deployments and the files that ftkit made for a job. The job and its model stay."""
    from ftkit.client import Client

    with told():
        done = Client(provider).tear_down(job)
    for name in done.deployments:
        typer.echo(f"deleted\tdeployment\t{name}")
    for file_id in done.files:
        typer.echo(f"deleted\tfile\t{file_id}")
    for each in done.kept:
        typer.echo(f"kept\t{each.kind}\t{each.name}\t{each.reason}")
    if not (done.deployments or done.files or done.kept):
        typer.echo("nothing to delete: no deployment and no file of it is left")


def _age(time: timedelta) -> str:
    """Writes a time as a person would say it: its two largest units."""
    seconds = max(0, int(time.total_seconds()))
    days, hours, minutes = seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60
    if days:
        return f"{days}d {hours}h"
    return f"{hours}h {minutes}m" if hours else f"{minutes}m {seconds % 60}s"


def _row(deployment: Deployment) -> list[str]:
    """Writes a deployment for a table: the columns of `ftkit deployments`."""
    from ftkit.models import DeploymentStatus

    now, made, ends = datetime.now(UTC), deployment.created_at, deployment.expires_at
    status = deployment.status.value
    if deployment.status is DeploymentStatus.UNKNOWN:
        status = deployment.provider_status or status
    price = deployment.price_per_hour
    costs = "price unknown" if price is None else f"{price:f} {deployment.currency}/h"
    end = "no end" if ends is None else f"in {_age(ends - now)}" if ends > now else f"due for {_age(now - ends)}"
    age, served = _age(now - made) if made is not None else "?", deployment.source or deployment.model
    return [deployment.name, status, age, costs, end, served, deployment.identity or deployment.provider]
