"""To take a job that was made without ftkit into the ledger."""

from __future__ import annotations

from typing import Annotated

import typer

from ftkit.cli._app import app
from ftkit.cli._jobs import Job, named, tell_outcome
from ftkit.cli._names import Provider  # noqa: TC001 - Typer reads it
from ftkit.cli._output import Json, print_json
from ftkit.cli._pairs import Columns, Epochs, Labels, MethodName, Option, Set, labels_of, method_of
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
    method: MethodName = None,
    n_epochs: Epochs = None,
    set_: Set = None,
    option: Option = None,
    suffix: Annotated[str | None, typer.Option(help="The suffix, if the request names one.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="The seed, if the request names one.")] = None,
    metadata: Labels = None,
    columns: Columns = None,
    key: Annotated[str | None, typer.Option(help="The word of `ftkit run --key`, if the request has one.")] = None,
    provider: Provider = None,
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Takes a job that was made without ftkit into the ledger, so that the same request is this job. Sends nothing.

    With --model and --train, it is the job of `ftkit run` (and of `fine_tune`) on that model and that data, with what
    else is said here, such as --suffix, and no more. Nobody looks whether it was trained on that data. With less, the
    request that finds it must name all that the provider tells of the job, its seed and its hyperparameters too; and
    without --train the provider's own files, by their ids, as `create_job` does.
    """
    from ftkit.checkup import columns_of, options_of
    from ftkit.methods import Supervised, parse_method

    with told(as_json=as_json):
        it = named(job, provider)
        said = method_of(method, n_epochs, set_ or ())
        found = it.client.adopt(
            it.id,
            model=model,
            train=train,
            validation=validation,
            method=parse_method({"type": Supervised().type, **said}) if said else None,
            provider_options=options_of(option or ()) or None,
            suffix=suffix,
            seed=seed,
            metadata=labels_of(metadata) if metadata else None,
            columns=columns_of(columns or ()),
            key=key,
        )
    if as_json:
        print_json([found])
    else:
        tell_outcome(found)
