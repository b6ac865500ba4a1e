"""`ftkit run`: a whole fine-tuning, in one command."""

from __future__ import annotations

from typing import Annotated

import typer

from ftkit.cli._app import app
from ftkit.cli._told import taken_up_again, told


@app.command("run")
def run_recipe(
    recipe: Annotated[str, typer.Argument(help="A recipe of AutoTrain's: its YAML file for a language model.")],
    provider: Annotated[
        str | None, typer.Option(help="Name of the provider, or of a profile; the recipe's own if left out.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Another base model, by the provider's name, or a role.")] = None,
    without: Annotated[
        list[str] | None,
        typer.Option(help="A key of the recipe to leave out, such as params.block_size. May be given several times."),
    ] = None,
    wait: Annotated[bool, typer.Option(help="Wait for the end of the job.")] = True,  # noqa: FBT002
    retry_failed: Annotated[  # noqa: FBT002
        bool, typer.Option("--retry-failed", help="Makes a new attempt if the recipe's job failed or was cancelled.")
    ] = False,
) -> None:
    """Fine-tunes as a recipe of AutoTrain's says, with any provider."""
    from ftkit import recipes
    from ftkit.client import Client

    with told(), taken_up_again():
        read = recipes.load(recipe, without=without or ())
        job = recipes.run(
            read, Client(provider) if provider else None, model=model, wait=wait, retry_failed=retry_failed
        )
    typer.echo(f"job: {job.id}")
    typer.echo(f"status: {job.status.value}")
    typer.echo(f"model: {job.fine_tuned_model or '-'}")
    if not job.status.is_terminal:
        typer.echo("The same command again waits for it.")
