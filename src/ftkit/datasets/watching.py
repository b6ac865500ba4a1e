"""What looks at every good record besides the rules: for what is no error, and worth knowing."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

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


@runtime_checkable
class Portable(Protocol):
    """Can be made again in another process."""

    def portable(self) -> tuple[str, dict[str, Any]] | None:
        """Returns what makes it, as "module:name", and with which arguments, which JSON must have a form for.

        None if it cannot be made elsewhere.
        """
        ...


@runtime_checkable
class Shares(Portable, Protocol):
    """A watch whose work several processes can share: each sees a part of the rows."""

    def told(self) -> dict[str, Any]:
        """Returns what it noticed and has not said, for another process; JSON must have a form for it."""
        ...

    def take(self, told: Mapping[str, Any], lines: int) -> None:
        """Takes what another process noticed of the rows that come next.

        Args:
            told: What it told.
            lines: How many lines there are before that part of the file, in which lines are counted from 1.
        """
        ...


def carried(thing: object) -> tuple[str, dict[str, Any]] | None:
    """Returns what makes a thing in another process, or None if nothing does."""
    return thing.portable() if isinstance(thing, Portable) else None


def made(what: tuple[str, dict[str, Any]]) -> Any:  # noqa: ANN401 - whatever it is
    """Makes what `carried` told."""
    where, arguments = what
    module, _, name = where.partition(":")
    return getattr(import_module(module), name)(**arguments)
