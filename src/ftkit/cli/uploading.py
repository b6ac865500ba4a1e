"""To send training data."""

from __future__ import annotations

from typing import Annotated

import typer

from ftkit.cli._app import app
from ftkit.cli._jobs import client_of
from ftkit.cli._names import Provider  # noqa: TC001 - Typer reads it
from ftkit.cli._output import Json, print_json
from ftkit.cli._pairs import Columns, Epochs, MethodName, Option, Set, method_of
from ftkit.cli._told import taken_up_again, told


@app.command()
def upload(
    file: Annotated[str, typer.Argument(help="The data: .jsonl, .json, .csv, .parquet, or a folder of `datasets`.")],
    model: Annotated[str, typer.Option(help="The base model, or a role such as small.")],
    method: MethodName = None,
    n_epochs: Epochs = None,
    set_: Set = None,
    option: Option = None,
    columns: Columns = None,
    provider: Provider = None,
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Checks training data, writes it as the provider wants it, sends it, and prints its id. The same is sent once."""
    from ftkit.checkup import columns_of, options_of
    from ftkit.methods import Supervised, parse_method

    with told(as_json=as_json), taken_up_again("The same command again sends what is not sent yet."):
        wanted = method_of(method, n_epochs, set_ or ())
        sent = client_of(provider).upload(
            file,
            model=model,
            method=parse_method({"type": Supervised().type, **wanted}),
            columns=columns_of(columns or ()),
            provider_options=options_of(option or ()),
        )
    if as_json:
        print_json([sent])
    else:
        typer.echo(sent.id)
