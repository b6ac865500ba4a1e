"""Reads from a provider that may lack what is asked for, or be away: what cannot be read is told, and is no end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeVar

from ftkit.archive._disk import is_of_disk
from ftkit.archive.layout import Missing
from ftkit.errors import (
    NotFoundError,
    ProviderError,
    ProviderUnavailableError,
    RateLimitError,
    UnsupportedError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ftkit.models import Page

T = TypeVar("T")
What = Literal["job", "events", "checkpoints", "results", "file"]

MOST_IN_A_ROW = 6
"""So many reads without an answer, each tried for a minute, and the provider is taken to be away: one more than a job
has parts, so that a part of its service that is away for long is no reason to leave the others unread."""
_AWAY = (ProviderUnavailableError, RateLimitError)


class Trying:
    """The reads of one export."""

    def __init__(self) -> None:
        self._in_a_row = 0

    def read(self, what: What, thing_id: str, call: Callable[[], T]) -> T | Missing:
        """Reads something, or says why it could not be read.

        Args:
            what: What is read.
            thing_id: Id of the file; else of the job.
            call: Reads it.

        Raises:
            FtkitError: The credentials are refused, say, or the disk is full: whatever is not about this one thing.
        """
        if self._in_a_row >= MOST_IN_A_ROW:
            reason = f"not asked for, since the provider had not answered {MOST_IN_A_ROW} times in a row"
            return Missing(what=what, id=thing_id, reason=reason, later=True)
        try:
            found = call()
        except (UnsupportedError, NotFoundError) as error:
            self._in_a_row = 0
            return Missing(what=what, id=thing_id, reason=error.message, later=False)
        except ProviderError as error:
            if is_of_disk(error):
                raise
            self._in_a_row = self._in_a_row + 1 if isinstance(error, _AWAY) else 0
            return Missing(what=what, id=thing_id, reason=error.message, later=True)
        self._in_a_row = 0
        return found


def walk(page_after: Callable[[str | None], Page[T]]) -> Iterator[T]:
    """Yields what is on all pages of a list; each page is asked for when it is needed.

    Raises:
        ProviderError: The list begins anew: its end would never come.
    """
    after: str | None = None
    seen = set[str]()
    while True:
        page = page_after(after)
        yield from page.items
        after = page.next
        if after is None:
            return
        if after in seen:
            raise ProviderError(f"the list has no end: it goes on after {after[:80]!r} twice")
        seen.add(after)
