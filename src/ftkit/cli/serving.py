"""`ftkit serve`, and the keys of a server."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ftkit.cli import _completing
from ftkit.cli._app import app
from ftkit.cli._output import Json, print_json, print_table
from ftkit.cli._told import told
from ftkit.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Generator

    from ftkit.server.keys import Keys
    from ftkit.server.records import KeyRecord

keys = typer.Typer(no_args_is_help=True, help="The keys of a server that `ftkit serve` runs.")
app.add_typer(keys, name="keys")

Home = Annotated[Path | None, typer.Option(help="The server's folder; one of the user's own if left out.")]
Name = Annotated[str, typer.Argument(help="What the key is called.")]


@app.command()
def serve(
    provider: Annotated[
        str,
        typer.Option(
            "--provider",
            "-p",
            help="Name of the provider, or of a profile.",
            autocompletion=_completing.accounts,
        ),
    ] = "huggingface",
    model: Annotated[
        list[str] | None,
        typer.Option(help="NAME=MODEL: the provider's model that stands for a name. May be given several times."),
    ] = None,
    default_model: Annotated[
        str | None, typer.Option(help="The provider's model, or role, for every other name.")
    ] = None,
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes one that is free.")] = 8000,
    slots: Annotated[int, typer.Option(min=1, help="Jobs at work at once; others queue.")] = 1,
    served: Annotated[int, typer.Option(min=1, help="Models that answer at once.")] = 2,
    idle_s: Annotated[float, typer.Option(min=1, help="Seconds after which an idle model is let go.")] = 900.0,
    auth: Annotated[bool, typer.Option(help="Ask for a key; without, for this machine only.")] = True,  # noqa: FBT002
    home: Home = None,
) -> None:
    """Serves OpenAI's and Azure's fine-tuning API in front of a provider."""
    from ftkit.client import Client
    from ftkit.server import running
    from ftkit.server.logs import log_to_stderr
    from ftkit.server.settings import ModelMap, Settings

    log_to_stderr()
    with told():
        folder = (home or running.default_home()).expanduser().resolve()
        running.live_in(folder, slots)
        client = Client(provider)
        models = ModelMap.parse(model or [], default_model, client)
        settings = Settings(
            home=folder,
            models=models.names,
            default_model=models.default,
            slots=slots,
            served=served,
            idle_s=idle_s,
            auth=auth,
        )
        running.serve(client, settings, running.Address(host, port), typer.echo)


@keys.command("create")
def create_key(name: Name, home: Home = None, as_json: Json = False) -> None:  # noqa: FBT002
    """Makes a key, and shows it this once."""
    from ftkit.cli._nouns import ServerKey

    with _keys(home, as_json=as_json) as ring:
        key = ring.create(name)
        if as_json:
            print_json(
                [ServerKey(name=made.id, created_at=_at(made), key=key) for made in ring.names() if made.id == name]
            )
        else:
            typer.echo(key)


@keys.command("list")
def list_keys(home: Home = None, as_json: Json = False) -> None:  # noqa: FBT002
    """Lists the names of all keys, and when they were made."""
    from ftkit.cli._nouns import ServerKey

    with _keys(home, as_json=as_json) as ring:
        if as_json:
            print_json(ServerKey(name=key.id, created_at=_at(key)) for key in ring.names())
        else:
            print_table(("key", "made"), [[key.id, f"{_at(key):%Y-%m-%d %H:%M} UTC"] for key in ring.names()])


@keys.command("revoke")
def revoke_key(name: Name, home: Home = None, as_json: Json = False) -> None:  # noqa: FBT002
    """Makes a key worthless, at once."""
    from ftkit.cli._nouns import ServerKey

    with _keys(home, as_json=as_json) as ring:
        ring.revoke(name)
    if as_json:
        print_json([ServerKey(name=name, revoked=True)])
    else:
        typer.echo(f"revoked: {name}")


def _at(key: KeyRecord) -> datetime:
    return datetime.fromtimestamp(key.created_at, UTC)


@contextmanager
def _keys(home: Path | None, *, as_json: bool) -> Generator[Keys]:
    from ftkit.server.keys import Keys
    from ftkit.server.office import has_store, open_store
    from ftkit.server.running import default_home

    with told(as_json=as_json):
        folder = (home or default_home()).expanduser().resolve()
        if not has_store(folder):
            hint = "Start one with `ftkit serve`, or name its folder with --home."
            raise ConfigurationError(f"there is no server in {folder}", hint=hint)
        if not as_json:
            typer.echo(f"server: {folder}", err=True)
        store = open_store(folder)
        try:
            yield Keys(store)
        finally:
            store.close()
