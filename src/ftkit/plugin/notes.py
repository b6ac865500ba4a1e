"""What is remembered on this machine of an account: small JSON files, each changed under a lock."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from ftkit.plugin.disk import disk_errors, refuse_links, write_atomically

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

_WAIT_S = 60.0


class Notes:
    """One file of notes: names -> values.

    Args:
        path: The file; made if it is not there.
        provider: Name of the provider, for errors.
    """

    def __init__(self, path: Path, provider: str) -> None:
        self._path = path
        self._provider = provider

    def read(self) -> dict[str, Any]:
        """Returns all notes."""
        refuse_links(self._provider, self._path)
        with disk_errors(self._provider, "notes could not be read", self._path.parent):
            try:
                notes: dict[str, Any] = json.loads(self._path.read_text(encoding="utf-8"))
            except FileNotFoundError:
                return {}
            return notes

    @contextmanager
    def change(self) -> Generator[dict[str, Any]]:
        """Yields all notes to be changed, and writes them when the block is done."""
        with disk_errors(self._provider, "notes could not be written", self._path.parent):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with FileLock(self._path.with_suffix(".lock"), timeout=_WAIT_S):
                notes = self.read()
                yield notes
                write_atomically(self._path, json.dumps(notes, indent=2), durable=True)
