"""To let a model answer, and to end that."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from ftkit.cli import _completing, _names, _pairs
from ftkit.cli._app import app
from ftkit.cli._deployments import IsModel, OfJob, busy, found, hinted, options_for, render, target_of
from ftkit.cli._exits import status_of
from ftkit.cli._jobs import named
from ftkit.cli._output import Json, print_json
from ftkit.cli._told import as_document, taken_up_again, told, whole
from ftkit.errors import FtkitError, NotFoundError

if TYPE_CHECKING:
    from ftkit.cli._jobs import Named
    from ftkit.models import Deployment


@app.command()
def deploy(
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET",
            help="The job: profile:id, or its id alone and --provider. With --model, a model in its place.",
            autocompletion=_completing.jobs,
            show_default=False,
        ),
    ],
    model: IsModel = False,  # noqa: FBT002
    checkpoint: OfJob = None,
    name: Annotated[str | None, typer.Option(help="Its name; one that is made from the target if left out.")] = None,
    ttl_s: Annotated[
        float | None,
        typer.Option(min=0, help="Seconds to live: `ftkit reap` deletes it afterwards. Nothing else does."),
    ] = None,
    option: _pairs.Option = None,
    provider: _names.Provider = None,
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Makes a job's model answer, and leaves it there until `ftkit undeploy`. The same again is the same deployment."""
    how = "It may come up, and cost: `ftkit deployments` lists it, and the same command again waits for it."
    with told(as_json=as_json), taken_up_again(how):
        it = named(target, provider)
        with hinted(it.account), busy(f"deploying {it.reference}", shown=not as_json):
            wanted = target_of(it, checkpoint, is_model=model)
            made = it.client.deploy(wanted, name=name, ttl_s=ttl_s, **options_for(option or ()))
    if as_json:
        print_json([made])
    else:
        typer.echo(render(made, it.account, can_chat="Chats" in it.client.abilities))


@app.command()
def undeploy(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="DEPLOYMENT...",
            help="The deployments: profile:name each, or names alone and --provider.",
            autocompletion=_completing.deployments,
            show_default=False,
        ),
    ],
    provider: _names.Provider = None,
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Deletes deployments: they answer no more, and cost no more. The models stay. Status 1: some are left, or unknown.

    Each is tried, whatever becomes of those before it.
    """
    errors: list[FtkitError] = []
    with told(as_json=as_json):
        its = [named(name, provider) for name in names]
    for it in its:
        try:
            with found(it.account):
                gone = _delete(it)
        except FtkitError as error:
            errors.append(error)
            typer.echo(json.dumps(as_document(error)) if as_json else f"error: {whole(error)}", err=True)
        else:
            if as_json:
                print_json([gone])
            else:
                typer.echo(f"deleted\t{it.reference}")
    if errors:
        raise typer.Exit(status_of(errors[0]))


def _delete(it: Named) -> Deployment:
    """Deletes a deployment, and returns it as it is then.

    Raises:
        NotFoundError: There is none of that name, and it was not asked for either. A name that is misspelt must not
            look as if what it should have named cost nothing any more.
    """
    from ftkit.models import DeploymentStatus

    try:
        there = it.client.get_deployment(it.id)
    except NotFoundError:
        asked_for = [each for each in it.client.list_deployments() if each.name == it.id]
        if not asked_for:
            raise
        there = asked_for[0]
    it.client.delete_deployment(it.id)
    return there.model_copy(update={"status": DeploymentStatus.DELETED, "provider_status": None})
