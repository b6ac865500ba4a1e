"""Commands for training data: they send nothing."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - Typer reads it
from typing import Annotated

import typer

from ftkit.cli import _completing
from ftkit.cli._app import app
from ftkit.cli._exits import Status
from ftkit.cli._output import Json, print_json
from ftkit.cli._told import told
from ftkit.errors import ConfigurationError


@app.command()
def check(
    file: Annotated[str, typer.Argument(help="The data: .jsonl, .json, .csv, .parquet, or a folder of `datasets`.")],
    provider: Annotated[
        str | None,
        typer.Option(
            "--provider",
            "-p",
            help="Name of a provider, or of a profile; without, what all of them would refuse.",
            autocompletion=_completing.accounts,
        ),
    ] = None,
    model: Annotated[str | None, typer.Option(help="The base model, or a role. It goes with --provider.")] = None,
    method: Annotated[
        str | None,
        typer.Option(help="supervised, dpo, reinforcement, orpo, reward, ...", autocompletion=_completing.methods),
    ] = None,
    n_epochs: Annotated[
        int | None, typer.Option(min=1, help="With --provider: the epochs, which the price depends on.")
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(help="NAME=VALUE of the provider's own, such as training_type=GlobalStandard. Several are fine."),
    ] = None,
    validation: Annotated[
        str | None, typer.Option(help="The validation file: it is looked over too, and compared with.")
    ] = None,
    columns: Annotated[
        list[str] | None, typer.Option(help="OWN=FIELD: which column is which field. May be given several times.")
    ] = None,
    warnings: Annotated[
        str, typer.Option(help="default, all, none, or names with commas between; see docs/data.md.")
    ] = "default",
    prompt: Annotated[
        Path | None,
        typer.Option(help="The whole prompt of a typical call today, as text or JSON messages: does the training pay?"),
    ] = None,
    calls_per_day: Annotated[float | None, typer.Option(min=0, help="With --prompt: calls a day.")] = None,
    cached: Annotated[
        float, typer.Option(min=0, max=1, help="With --prompt: the share of it that the provider has in its cache.")
    ] = 0.0,
    as_json: Json = False,  # noqa: FBT002
    fix: Annotated[Path | None, typer.Option(help="Writes a copy, mended where that is safe, to this file.")] = None,
    drop: Annotated[
        list[str] | None,
        typer.Option(help="With --fix, leaves out: duplicates, errors, columns. May be given several times."),
    ] = None,
) -> None:
    """Looks training data over. Sends nothing, and needs no account. Status 1: there are errors; 2: wrong arguments."""
    from ftkit import checkup, reports

    with told(as_json=as_json):
        whose = checkup.Whose(provider, model, method, n_epochs, checkup.options_of(option or ()))
        how: checkup.How = {
            "validation": validation,
            "columns": checkup.columns_of(columns or ()),
            "warnings": warnings.split(","),
        }
        if fix is not None:
            mended = checkup.mend(file, fix, whose, drop=drop or (), **how)
            report, said = mended.report, mended.model_dump_json() if as_json else reports.render_mended(mended)
        elif drop:
            raise ConfigurationError("--drop leaves rows out of a copy.", hint="Name the copy: --fix mended.jsonl")
        else:
            today = checkup.today_of(prompt, calls_per_day, cached)
            report = checkup.examine(file, whose, **how, today=today)
            said = report.model_dump_json() if as_json else reports.render(report)
    typer.echo(said)
    if not report.ok:
        raise typer.Exit(Status.NO)


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(help="The data: a file, or a folder saved by datasets.save_to_disk.")],
    target: Annotated[Path, typer.Argument(help="The file to write: .jsonl, .json, .csv or .parquet.")],
    to: Annotated[
        str,
        typer.Option(
            help="The layout: chat, sharegpt, alpaca, trl-preference, ...", autocompletion=_completing.layouts
        ),
    ],
    columns: Annotated[
        list[str] | None,
        typer.Option(help="OWN=FIELD: which column is which field. May be given several times."),
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option(help="A column that may be lost, such as id. May be given several times.")
    ] = None,
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Writes training data in another layout and format. Status 1: something would be lost, and nothing is written."""
    from ftkit.checkup import columns_of
    from ftkit.datasets import transcribe

    with told(as_json=as_json):
        mapped = columns_of(columns or ())
        report = transcribe(source, target, to=to, columns=mapped, without=without or (), progress=True)
    if as_json:
        print_json([report])
        return
    for problem in report.problems:
        typer.echo(str(problem), err=True)
    typer.echo(f"{target}: {report.rows:,} row{'' if report.rows == 1 else 's'} of {report.kind}, written as {to}")
