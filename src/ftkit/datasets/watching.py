"""What looks at every good record besides the rules: for what is no error, and worth knowing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ftkit.models import Problem, RecordKind


class Watch(Protocol):
    """Sees every record that has no error, in the order of the file, and says what it noticed."""

    def see(self, line: int, kind: RecordKind, record: Mapping[str, Any]) -> Iterable[Problem]:
        """Takes one canonical record.

        Args:
            line: Its line, or its row of the table, counted from 1.
            kind: Its kind.
            record: The record. It is not changed.

        Returns:
            What is to be said of it at once, without source and line.
        """
        ...

    def end(self) -> Iterable[Problem]:
        """Returns what can be said only of the whole, without the source."""
        ...
