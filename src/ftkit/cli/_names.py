"""What a command is given to name a thing: `profile:id`, or an id alone and `--provider`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ftkit.cli import _completing
from ftkit.errors import ConfigurationError, UnknownProviderError

if TYPE_CHECKING:
    from ftkit.client import Client

Provider = Annotated[
    str | None,
    typer.Option(
        "--provider",
        "-p",
        help="Name of a provider, or of a profile; the default profile if left out.",
        autocompletion=_completing.accounts,
    ),
]


def opened(name: str, provider: str | None = None) -> tuple[Client, str]:
    """Returns a client for the account that a name leads to, and the id of the thing there.

    Args:
        name: `profile:id`, where the profile may be a provider's name too; or an id alone, which is one of `provider`.
        provider: What `--provider` says. With it the whole name is the id, colons and all.

    Raises:
        UnknownProviderError: What stands before the colon is neither a provider nor a profile.
        ConfigurationError: It is an id alone, and there is no default profile.
    """
    from ftkit.client import Client

    demand_account(name, provider)
    head, colon, rest = name.partition(":")
    if provider is not None or not colon:
        return Client(provider), name
    try:
        return Client(head), rest
    except UnknownProviderError as error:
        error.hint = f"{error.hint or ''} Write profile:id, or the id alone and --provider.".strip()
        raise


def demand_account(name: str, provider: str | None) -> None:
    """Sees that a name says whose thing it is, or that something else does.

    Raises:
        ConfigurationError: It is an id alone, and there is no default profile.
    """
    from ftkit.profiles import default_name

    if ":" not in name and not (provider or default_name()):
        hint = "Write profile:id, or the id alone and --provider; or name a default profile (docs/profiles.md)."
        raise ConfigurationError(f"'{name}' does not say whose it is, and there is no default profile", hint=hint)


def reference(client_name: str | None, thing_id: str) -> str:
    """Returns the `profile:id` that `opened` takes; the id alone where no name was given."""
    return f"{client_name}:{thing_id}" if client_name else thing_id
