"""Bearer keys: made by us, shown once, kept as hashes, known by a name, and revoked by it."""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import TYPE_CHECKING

from ftkit.errors import ConfigurationError, ConflictError, NotFoundError
from ftkit.server.records import KeyRecord, now

if TYPE_CHECKING:
    from ftkit.server.store import Store

FIRST = "default"
_PREFIX = "sk-ftkit-"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


class Keys:
    """The keys of a server. A key that is revoked, by whatever process, opens nothing from that moment on.

    Args:
        store: Where they are kept.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def create(self, name: str) -> str:
        """Makes a key and returns it: the only time that it can be seen.

        Raises:
            ConfigurationError: That cannot be a name.
            ConflictError: There is a key of that name.
        """
        if not _NAME.fullmatch(name):
            hint = "Use 1 to 63 letters, digits, '.', '_' and '-', the first a letter or digit."
            raise ConfigurationError(f"{name!r} cannot be the name of a key", hint=hint)
        key = _PREFIX + secrets.token_urlsafe(32)
        with self._store.transaction():
            if self._store.find(KeyRecord, name) is not None:
                raise ConflictError(f"there is a key '{name}' already", hint="Revoke it first, or choose another name.")
            self._store.add(KeyRecord(id=name, digest=_digest(key), created_at=now()))
        return key

    def names(self) -> list[KeyRecord]:
        """Returns all keys, oldest first, without the keys themselves."""
        return self._store.everything(KeyRecord)

    def revoke(self, name: str) -> None:
        """Makes a key worthless.

        Raises:
            NotFoundError: There is none of that name.
        """
        if not self._store.delete(KeyRecord, name):
            known = ", ".join(key.id for key in self.names()) or "none"
            raise NotFoundError(f"there is no key '{name}'", hint=f"There are: {known}.")

    def name_of(self, key: str) -> str | None:
        """Returns the name of a key; None if it opens nothing.

        It is looked up by its hash, so that the time this takes tells nothing of the keys that there are.
        """
        found = self._store.everything(KeyRecord, under=_digest(key))
        return found[0].id if found else None


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()
