"""`ftkit migrate`: a tuned model moves to another provider."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ftkit.cli._app import app
from ftkit.cli._exits import Status
from ftkit.cli._jobs import Display, Job, account_of, client_of, command, hinted, stopped
from ftkit.cli._names import Provider, demand_account, reference
from ftkit.cli._output import Json, print_json
from ftkit.cli._pairs import Epochs, MethodName, Option, Set, method_of
from ftkit.cli._told import taken_up_again, told
from ftkit.cli.evaluating import AtOnce, MaxTokens, Metric, Output  # noqa: TC001 - Typer reads it
from ftkit.errors import ConfigurationError, CredentialsError, ProviderUnavailableError

if TYPE_CHECKING:
    from collections.abc import Generator

    from ftkit.migrate import Move, Source


@app.command()
def migrate(
    job: Job,
    to: Annotated[str, typer.Option("--to", help="The new provider, or a profile of it.")],
    model: Annotated[str, typer.Option(help="The base model there, or a role such as small.")],
    archive: Annotated[
        Path | None, typer.Option(help="Reads the old job from this archive (`ftkit export`), and asks nobody.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Where files and answers go; one that is made from the job's id if left out.")
    ] = None,
    method: MethodName = None,
    n_epochs: Epochs = None,
    set_: Set = None,
    option: Option = None,
    train: Annotated[str | None, typer.Option(help="The training file, if the old provider has it no more.")] = None,
    validation: Annotated[str | None, typer.Option(help="Likewise, the validation file.")] = None,
    drop_errors: Annotated[  # noqa: FBT002
        bool, typer.Option("--drop-errors", help="Leaves out the rows that the new provider refuses.")
    ] = False,
    budget: Annotated[float | None, typer.Option(min=0, help="The most that the new job may cost.")] = None,
    compare: Annotated[bool, typer.Option(help="Compare old and new.")] = True,  # noqa: FBT002
    test: Annotated[
        str | None, typer.Option(help="The rows to compare them on; the old job's validation file if left out.")
    ] = None,
    metric: Metric = None,
    limit: Annotated[int, typer.Option(min=1, help="The most rows to compare them on.")] = 100,
    max_tokens: MaxTokens = None,
    at_once: AtOnce = 4,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Says what would be done, and sends nothing.")] = False,  # noqa: FBT002
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Does not ask before it trains.")] = False,  # noqa: FBT002
    output: Output = None,
    provider: Provider = None,
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Moves a tuned model to another provider: reads the old job, trains it anew there, and compares the two.

    Before anything is sent it says what is carried over, what is lost, and what the new job costs. The same command
    again is the same job.
    """
    from ftkit.checkup import options_of
    from ftkit.evaluate import metric_named
    from ftkit.evaluate.telling import check_target
    from ftkit.migrate import Comparison, plan, run

    with (
        told(as_json=as_json),
        taken_up_again("What was fetched, trained and answered is kept: the same command goes on."),
    ):
        if output is not None:
            check_target(output)
        account, job_id = _old_name(job, provider)
        source = _source(account, archive)
        client, display = client_of(to), Display(shown=not as_json)
        place = folder or Path("ftkit-migrations") / f"{_plain(job_id)}-to-{_plain(to)}"
        with _or_from_an_archive(archive):
            move = plan(
                source,
                job_id,
                client,
                model=model,
                folder=place,
                hyperparameters=method_of(method, n_epochs, set_ or ()),
                provider_options=options_of(option or ()),
                train=train,
                validation=validation,
                drop_errors=drop_errors,
            )
        compares = _compares(move, test, limit, archive) if compare else "nothing: --no-compare"
        if dry_run:
            _print_move(move, compares, as_json=as_json)
            if not move.report.ok:
                raise typer.Exit(Status.NO)
            return
        _confirm(move, compares, yes=yes, as_json=as_json)
        comparison = Comparison(
            rows=test,
            metric=None if metric is None else metric_named(metric),
            limit=limit,
            max_tokens=max_tokens,
            at_once=at_once,
        )
        with hinted(to), stopped(display, to):
            moved = run(
                move,
                source,
                client,
                folder=place,
                budget=budget,
                comparison=comparison if compare else None,
                progress=display,
            )
        if output is not None and moved.evaluation is not None:
            moved.evaluation.save(output)
    if as_json:
        print_json([moved])
    else:
        typer.echo(str(moved))
        typer.echo(f"\nTo let it answer: {command('deploy', reference(to, moved.job.id))}")


def _old_name(job: str, provider: str | None) -> tuple[str, str]:
    """Returns the profile or provider of the old job, and its id: the provider need not be there any more."""
    demand_account(job, provider)
    account = account_of(job, provider)
    return account, job if provider is not None else job.removeprefix(f"{account}:")


def _source(account: str, archive: Path | None) -> Source:
    from ftkit.archive import Archive
    from ftkit.client import Client
    from ftkit.profiles import resolve_profile

    if archive is None:
        return Client(account)
    found = Archive(archive)
    if account not in {each.provider for each in found.accounts}:
        resolve_profile(account, {})  # a name that is none is a mistake, though nobody is asked by it
    return found


@contextmanager
def _or_from_an_archive(archive: Path | None) -> Generator[None]:
    """Where the old provider does not answer any more, it is said that an archive will do."""
    try:
        yield
    except (CredentialsError, ProviderUnavailableError) as error:
        if archive is None:
            error.add_note("--archive FOLDER reads the old job from what `ftkit export` saved, and asks nobody.")
        raise


def _plain(name: str) -> str:
    """Returns a name that a folder may have."""
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in name).lstrip(".") or "job"


def _compares(move: Move, test: str | None, limit: int, archive: Path | None) -> str:
    """Says what old and new will be compared on, and who is asked."""
    rows = test or move.validation
    if rows is None:
        return "nothing, since the old job had no validation file: name rows with --test FILE"
    who = "the archive" if archive is not None else f"{move.job.provider}, at its price"
    return f"at most {limit:,} rows of {rows}; the old model's answers come from {who}"


def _print_move(move: Move, compares: str, *, as_json: bool) -> None:
    if as_json:
        print_json([move])
    else:
        typer.echo(f"{move}\ncompared on: {compares}")


def _confirm(move: Move, compares: str, *, yes: bool, as_json: bool) -> None:
    """Says what would be done, and asks whether to.

    Raises:
        ConfigurationError: Nobody is there to be asked.
        Exit: The answer is no.
        KeyboardInterrupt: The answer is Ctrl-C.
    """
    if not as_json:
        typer.echo(f"{move}\ncompared on: {compares}\n", err=True)
    if yes:
        return
    if not sys.stdin.isatty():
        hint = "--yes goes on; --dry-run only says what would be done."
        raise ConfigurationError("it was not said that it may train, and nobody is there to be asked", hint=hint)
    try:
        goes_on = typer.confirm("Train it there?", err=True)
    except typer.Abort as error:
        raise KeyboardInterrupt from error
    if not goes_on:
        typer.echo("Nothing was sent.", err=True)
        raise typer.Exit(Status.NO)
