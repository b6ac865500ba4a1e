"""Making a client of the `openai` package."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import httpx2
import openai

from ftkit.errors import ConfigurationError, CredentialsError
from ftkit.plugin.http_errors import plain
from ftkit.plugin.secrets import split_address

if TYPE_CHECKING:
    from collections.abc import Callable


class _Client(openai.DefaultHttpxClient):
    """The package's HTTP client, which ends its connections with itself, as the one does that the package makes."""

    def __del__(self) -> None:
        with suppress(Exception):
            self.close()


def opened(
    make: Callable[[str | None, httpx2.Client | None], openai.OpenAI], address: str | None, provider: str, hint: str
) -> openai.OpenAI:
    """Makes a client.

    A user and a password in the address go along with each request as before, but not in its address: that is logged.

    Args:
        make: Makes one of an address and an HTTP client; None stands for the package's own.
        address: The address that was given, if any.
        provider: Name of the provider, for errors.
        hint: What to do where there is no key.

    Raises:
        CredentialsError: There is no key.
        ConfigurationError: The address, or that of a proxy in the environment, is none.
    """
    plain_address, login = split_address(address) if address else (None, None)
    failure: Exception
    if "@" in (plain_address or ""):
        hint = "What is no letter, digit, '-', '.', '_' or '~' in them is written as %2F and the like."
        raise ConfigurationError(
            f"{provider}: user and password cannot be told from the rest of the address", hint=hint
        )
    try:
        return make(plain_address, _Client(auth=httpx2.BasicAuth(*login)) if login else None)
    except openai.OpenAIError as error:
        failure = CredentialsError(f"{provider}: {plain(str(error), ())}", hint=hint)
    except (httpx2.InvalidURL, ValueError):  # which says why, and with it a part of a password, perhaps
        message = f"{provider}: the address of the service, or of a proxy in the environment, cannot be one"
        failure = ConfigurationError(message, hint="See base_url or endpoint, and HTTPS_PROXY and the like.")
    raise failure
