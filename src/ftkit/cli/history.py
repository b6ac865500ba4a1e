"""What was asked for from this machine: the ledger alone, and nobody is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ftkit.cli._app import app
from ftkit.cli._names import Provider  # noqa: TC001 - Typer reads it
from ftkit.cli._output import Json, print_json, print_table
from ftkit.cli._text import one_line
from ftkit.cli._times import NOTHING, at
from ftkit.cli._told import told

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ftkit.models import Asked

COLUMNS = ("asked", "kind", "state", "model", "id", "attempt", "provider", "account", "key")


@app.command()
def history(
    provider: Provider = None,
    limit: Annotated[int, typer.Option(min=1, help="Most requests to list.")] = 20,
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Lists what was asked for from this machine, newest first, as its ledger has it: nobody is asked, offline is fine.

    Time, kind (job or deployment), state, model, id of the job or name of the deployment, attempt, provider, account,
    key. With --provider, that provider's alone: of a profile, all accounts of its provider. A deployment that was
    deleted is forgotten.
    """
    from ftkit.ledger import Ledger
    from ftkit.profiles import resolve_profile

    with told(as_json=as_json):
        name = None if provider is None else resolve_profile(provider, {}).provider
        found = Ledger().asked(name, limit)
        print_asked(found, as_json=as_json)
    if not (found or as_json):
        typer.echo("nothing was asked for", err=True)


def print_asked(found: Sequence[Asked], *, as_json: bool) -> None:
    """Prints what was asked for."""
    if as_json:
        print_json(found)
    elif found:
        print_table(COLUMNS, map(_row, found))


def _row(asked: Asked) -> list[str]:
    attempt = NOTHING if asked.attempt is None else str(asked.attempt)
    what = [at(asked.asked_at), asked.kind, asked.state, asked.model, asked.id or NOTHING, attempt]
    return [one_line(word) for word in [*what, asked.provider, asked.identity, asked.key or NOTHING]]
