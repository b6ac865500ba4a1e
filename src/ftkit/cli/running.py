"""`ftkit run`: a whole fine-tuning, in one command."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

import typer

from ftkit.cli._app import app
from ftkit.cli._jobs import Display, client_of, hinted, stopped, tell_outcome
from ftkit.cli._names import Provider  # noqa: TC001 - Typer reads it
from ftkit.cli._output import Json, print_json
from ftkit.cli._pairs import Columns, Epochs, Labels, MethodName, Option, Set, labels_of, method_of
from ftkit.cli._told import taken_up_again, told


@app.command("run")
def run(
    recipe: Annotated[
        str | None,
        typer.Argument(help="A recipe, YAML or TOML: the keywords of Client.fine_tune; or one of AutoTrain's."),
    ] = None,
    train: Annotated[str | None, typer.Option(help="The data to train on.")] = None,
    validation: Annotated[str | None, typer.Option(help="The data to validate on.")] = None,
    model: Annotated[str | None, typer.Option(help="The base model, by the provider's name, or a role.")] = None,
    method: MethodName = None,
    n_epochs: Epochs = None,
    set_: Set = None,
    option: Option = None,
    suffix: Annotated[str | None, typer.Option(help="A word that becomes part of the tuned model's name.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of all randomness.")] = None,
    budget: Annotated[float | None, typer.Option(min=0, help="The most that the job may cost.")] = None,
    metadata: Labels = None,
    columns: Columns = None,
    key: Annotated[
        str | None, typer.Option(help="Any word: makes a deliberate second job of the same request.")
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option(help="A key of AutoTrain's recipe to leave out, such as params.block_size. Several are fine."),
    ] = None,
    wait: Annotated[bool, typer.Option(help="Wait for the end of the job.")] = True,  # noqa: FBT002
    retry_failed: Annotated[  # noqa: FBT002
        bool, typer.Option("--retry-failed", help="Makes a new attempt if the job failed or was cancelled.")
    ] = False,
    provider: Provider = None,
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Fine-tunes: checks the data, sends it, makes the job, and waits for its end. The same again is the same job.

    What is asked for is said by a recipe, or by options, or both: options win over the recipe's keys.
    """
    from ftkit import recipes
    from ftkit.checkup import columns_of, options_of
    from ftkit.profiles import chosen_name

    with told(as_json=as_json), taken_up_again():
        given: dict[str, Any] = {
            "train": train,
            "validation": validation,
            "model": model,
            "method": method_of(method, n_epochs, set_ or ()),
            "provider_options": options_of(option or ()),
            "suffix": suffix,
            "seed": seed,
            "budget": None if budget is None else Decimal(str(budget)),
            "metadata": labels_of(metadata or ()),
            "columns": columns_of(columns or ()),
            "key": key,
        }
        asked = recipes.read(recipe, given, without=without or ())
        name = provider or asked.provider
        client = client_of(provider) if provider or name is None else None  # a recipe's own comes with its settings
        display, account = Display(shown=not as_json), chosen_name(name)
        with stopped(display, account), hinted(account):
            job = recipes.run(asked, client, wait=wait, retry_failed=retry_failed, progress=display)
    if as_json:
        print_json([job])
        return
    tell_outcome(job)
    if not job.status.is_terminal:
        typer.echo("The same command again waits for it.")
