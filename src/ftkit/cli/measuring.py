"""What was measured of a job: its metrics, and its checkpoints."""

from __future__ import annotations

import csv
import shutil
import sys
from pathlib import Path  # noqa: TC003 - Typer reads it
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from ftkit.cli._app import app
from ftkit.cli._jobs import Job, Jobs, named
from ftkit.cli._names import Provider  # noqa: TC001 - Typer reads it
from ftkit.cli._output import Json, print_json, print_table
from ftkit.cli._text import one_line
from ftkit.cli._times import NOTHING, age
from ftkit.cli._told import told
from ftkit.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import TextIO

    from ftkit.cli._jobs import Named
    from ftkit.models import Checkpoint, Metrics

_STDOUT = "-"
_NARROWEST, _WIDEST = 30, 120
"""Columns of a drawing."""


# -- checkpoints -------------------------------------------------------------------------------------------------------


@app.command()
def checkpoints(job: Job, provider: Provider = None, as_json: Json = False) -> None:  # noqa: FBT002
    """Lists the checkpoints of a job, newest first: id, step, model, training and validation loss, age."""
    with told(as_json=as_json):
        it = named(job, provider)
        found = it.client.list_checkpoints(it.id)
    if as_json:
        print_json(found)
    elif found:
        columns = ("checkpoint", "step", "model", "train loss", "valid loss", "age")
        print_table(columns, map(_checkpoint_row, found))
    else:
        typer.echo(f"{it.reference}: no checkpoints so far", err=True)


def _checkpoint_row(checkpoint: Checkpoint) -> list[str]:
    metrics = checkpoint.metrics
    train, valid = (None, None) if metrics is None else (metrics.train_loss, _valid_loss(metrics))
    words = [checkpoint.id, str(checkpoint.step), checkpoint.model, _number(train), _number(valid)]
    return [*map(one_line, words), age(checkpoint.created_at)]


def _valid_loss(metrics: Metrics) -> float | None:
    return metrics.valid_loss if metrics.full_valid_loss is None else metrics.full_valid_loss


def _number(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.6g}"


# -- metrics -----------------------------------------------------------------------------------------------------------


class Measured(NamedTuple):
    """The metrics of a job."""

    it: Named
    rows: list[Metrics]


@app.command()
def metrics(
    jobs: Jobs,
    plot: Annotated[bool, typer.Option("--plot", help="Draws the losses, of all jobs in one plot.")] = False,  # noqa: FBT002
    png: Annotated[Path | None, typer.Option(help="Saves that drawing as a picture.")] = None,
    csv_file: Annotated[
        str | None, typer.Option("--csv", metavar="FILE", help="Writes the table to this file; - prints it.")
    ] = None,
    provider: Provider = None,
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Shows what was measured at each step of jobs: a column for each figure that there is."""
    with told(as_json=as_json):
        _refuse(jobs, as_json=as_json, printed=[plot, csv_file == _STDOUT, as_json])
        its = [named(job, provider) for job in jobs]
        if plot or png is not None:
            _draw(its, png, plot=plot)
        if as_json or csv_file is not None or not (plot or png is not None):
            found = [Measured(it, it.client.results(it.id)) for it in its]
            if csv_file is not None:
                _write(found, csv_file)
            if as_json:
                print_json(found[0].rows)
            elif csv_file is None:
                _print(found)


def _refuse(jobs: Sequence[str], *, as_json: bool, printed: Sequence[bool]) -> None:
    if as_json and len(jobs) > 1:
        hint = "Ask for one after the other, or for --csv, which names the job in each row."
        raise ConfigurationError("--json prints the metrics of one job: a line does not say whose it is.", hint=hint)
    if sum(printed) > 1:
        raise ConfigurationError("--plot, --csv - and --json each print something else.", hint="Leave one of them.")


def _draw(its: Sequence[Named], png: Path | None, *, plot: bool) -> None:
    from ftkit.plots import Run, draw, save

    runs = [Run.of(it.client, it.id) for it in its]
    if plot:
        columns = shutil.get_terminal_size().columns
        typer.echo(draw(*runs, width=max(_NARROWEST, min(columns, _WIDEST)), color=sys.stdout.isatty()))
    if png is not None:
        save(png, *runs)
        typer.echo(f"wrote {png}", err=True)


def _print(found: Sequence[Measured]) -> None:
    head, *rows = _table(found)
    if rows:
        columns = [str(name).replace("_mean_token", "").replace("_", " ") for name in head]
        print_table(columns, [[_cell(value) for value in row] for row in rows])
    for it, measured in found:
        if not measured:
            typer.echo(f"{it.reference}: nothing was measured so far", err=True)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return _number(value)
    return NOTHING if value is None else one_line(str(value))


def _write(found: Sequence[Measured], path: str) -> None:
    """Writes the table as CSV.

    Raises:
        ConfigurationError: The file cannot be written.
    """
    if path == _STDOUT:
        _write_to(sys.stdout, found)
        return
    try:
        with open(path, "w", encoding="utf-8", newline="") as file:  # noqa: PTH123 - the path as it was written
            _write_to(file, found)
    except OSError as error:
        raise ConfigurationError(f"'{path}' cannot be written: {error}") from error
    typer.echo(f"wrote {path}", err=True)


def _write_to(file: TextIO, found: Sequence[Measured]) -> None:
    csv.writer(file, lineterminator="\n").writerows(_table(found))


def _table(found: Sequence[Measured]) -> list[list[object]]:
    """Returns a head and rows: a column for each figure that is set anywhere, and one for the job of several."""
    from ftkit.models import Metrics

    everything = [row for _, rows in found for row in rows]
    fields = [name for name in Metrics.model_fields if name != "extra" and _any(everything, name)]
    extra = list(dict.fromkeys(name for row in everything for name in row.extra))
    several = len(found) > 1
    table: list[list[object]] = [[*(["job"] if several else []), *fields, *extra]]
    for it, rows in found:
        for row in rows:
            figures: list[object] = [*(getattr(row, name) for name in fields), *map(row.extra.get, extra)]
            table.append([it.reference, *figures] if several else figures)
    return table


def _any(rows: Iterable[Metrics], name: str) -> bool:
    return any(getattr(row, name) is not None for row in rows)
