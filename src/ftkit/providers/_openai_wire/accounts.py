"""Whose account a key opens: endpoint and owner, no secret, and the same after the key was renewed."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ftkit.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ftkit.plugin.notes import Notes

INSTALLATION = "x-ftkit-installation"
"""What `ftkit serve` says of itself, in every answer: it is one account, whatever host and port it answers at."""

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_SALT = "salt"


class Accounts:
    """Tells accounts apart.

    Args:
        provider: Name of the provider.
        notes: Where it is remembered which account a key opens; by a salted hash of the key.
        ask: Makes one read, and returns the headers of the answer.
        seal: Returns the hash of the key with a salt; the key itself has no business here.
    """

    def __init__(
        self, provider: str, notes: Notes, ask: Callable[[], Mapping[str, str]], seal: Callable[[str], str]
    ) -> None:
        self._provider = provider
        self._notes = notes
        self._ask = ask
        self._seal = seal

    def identity(self, url: str, owner: str | None) -> str:
        """Returns the account.

        Args:
            url: Where the service is.
            owner: The organisation, project or resource, where it is configured or stands in the address.

        Raises:
            ConfigurationError: It cannot be known.
        """
        host = (urlsplit(url).hostname or "").lower()
        if owner is not None and host not in _LOOPBACK:
            return f"{self._provider}:{host}:{owner}"
        mark = self._mark()
        known = self._notes.read().get(mark)
        if isinstance(known, str):
            return known
        found = self._read(host, owner)
        with self._notes.change() as notes:
            notes[mark] = found
        return found

    def _read(self, host: str, owner: str | None) -> str:
        headers = self._ask()
        installation = headers.get(INSTALLATION)
        if installation:
            return f"{self._provider}:ftkit-serve:{installation}"
        told = owner or headers.get("openai-project") or headers.get("openai-organization")
        if told is None:
            message = f"{host} does not say whose account this key opens, so a job could be paid twice"
            hint = "Name it: organization='org-...' or project='proj_...' (OPENAI_ORG_ID, OPENAI_PROJECT_ID)."
            raise ConfigurationError(message, hint=hint)
        return f"{self._provider}:{host}:{told}"

    def _mark(self) -> str:
        salt = self._notes.read().get(_SALT)
        if salt is None:
            with self._notes.change() as notes:
                salt = notes.setdefault(_SALT, secrets.token_hex(16))
        return self._seal(str(salt))
