"""To take a job that was made without ftkit into the ledger."""

from __future__ import annotations

from typing import Annotated

import typer

from ftkit.cli._app import app
from ftkit.cli._jobs import Job, named, tell_outcome
from ftkit.cli._names import Provider  # noqa: TC001 - Typer reads it
from ftkit.cli._output import Json, print_json
from ftkit.cli._pairs import Columns  # noqa: TC001 - likewise
from ftkit.cli._told import told


@app.command()
def adopt(
    job: Job,
    train: Annotated[
        str | None, typer.Option(metavar="FILE", help="The data on this machine that it was trained on; not sent.")
    ] = None,
    validation: Annotated[
        str | None, typer.Option(metavar="FILE", help="Likewise, the data that it was validated on.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="The base model, as the request names it; as the provider does if left out.")
    ] = None,
    columns: Columns = None,
    provider: Provider = None,
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Takes a job that was made without ftkit into the ledger, so that the same request is this job. Sends nothing.

    With --model and --train, it is the job of `ftkit run` (and of `fine_tune`) on that model and that data, where
    nothing else is asked for. With less, the request that finds it must name all that the provider tells of the job:
    its seed, say, and its hyperparameters.
    """
    from ftkit.checkup import columns_of

    with told(as_json=as_json):
        it = named(job, provider)
        found = it.client.adopt(
            it.id, model=model, train=train, validation=validation, columns=columns_of(columns or ())
        )
    if as_json:
        print_json([found])
    else:
        tell_outcome(found)
