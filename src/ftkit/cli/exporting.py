"""To save jobs and their files while their provider has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ftkit.cli import _completing
from ftkit.cli._app import app
from ftkit.cli._exits import Status
from ftkit.cli._jobs import client_of
from ftkit.cli._names import Provider, opened
from ftkit.cli._output import Json, print_json
from ftkit.cli._text import plain
from ftkit.cli._told import taken_up_again, told

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ftkit.client import Client

_ALL = {"*", ""}
_AGAIN = "What is complete is kept; the same command again goes on from there."


@app.command()
def export(
    jobs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="JOB",
            help="The jobs: profile:id each, or ids alone and --provider. All jobs of an account are 'profile:*', in "
            "quotes since a shell may read the *, or profile: with nothing behind it; and so are none at all, of "
            "--provider, or of the default profile.",
            autocompletion=_completing.jobs,
            show_default=False,
        ),
    ] = None,
    to: Annotated[str, typer.Option(metavar="FOLDER", help="The archive; several accounts can share one.")] = (
        "ftkit-archive"
    ),
    answers: Annotated[  # noqa: FBT002
        bool,
        typer.Option(
            "--answers",
            help="Asks each tuned model its validation file too, and keeps the answers. It costs what answers cost.",
        ),
    ] = False,
    test: Annotated[
        str | None, typer.Option(help="With --answers: the rows to ask, in place of each job's validation file.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="With --answers: the most rows of a file to ask.")] = 100,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="With --answers: the most tokens of an answer.")] = None,
    provider: Provider = None,
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Saves jobs with their events, checkpoints, results and files, to be read when the provider has them no more.

    The same command again goes on where it was: what is complete is not read again, and what could not be read is. Of
    each account it tells what was saved and what is missing. Training data are written as they are: only you may read
    the folder.

    With --answers, a model that is shut down later can still be compared with what replaces it: `ftkit migrate`.

    Status 1: something was not read that may be there, a job has not ended, or one that was named is not there; again
    may help.
    """
    from ftkit.archive import Exported
    from ftkit.archive import export as export_jobs
    from ftkit.archive.answering import record_answers

    with told(as_json=as_json), taken_up_again(_AGAIN):
        accounts = _accounts(jobs or (), provider)  # a wrong name is told before anything is read
        done, is_open = list[Exported](), False
        for client, ids in accounts:
            done.append(export_jobs(client, to, ids))
            asked = record_answers(client, to, ids, rows=test, limit=limit, max_tokens=max_tokens) if answers else []
            is_open = is_open or not done[-1].is_complete or any(each.later for each in asked)
            if as_json:
                print_json([done[-1], *asked])
            else:
                typer.echo(plain("\n".join(map(str, [done[-1], *asked]))))
    if is_open:
        raise typer.Exit(Status.NO)


def _accounts(names: Sequence[str], provider: str | None) -> list[tuple[Client, list[str] | None]]:
    """Returns the accounts that are named, and which jobs of each; None for all of them."""
    if not names:
        return [(client_of(provider), None)]
    clients: dict[str, Client] = {}
    chosen: dict[str, list[str]] = {}
    for name in names:
        head, colon, rest = name.partition(":")
        account, job_id = (head, rest) if colon and provider is None else ("", name)
        if account not in clients:
            clients[account], job_id = opened(name, provider)
        chosen.setdefault(account, []).append(job_id)
    return [(clients[account], None if _ALL & {*ids} else ids) for account, ids in chosen.items()]
