"""Pages of events that are numbered from 1."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from ftkit.errors import NotFoundError
from ftkit.models import Page

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ftkit.models import JobEvent

_LONGEST_NUMBER = 100


def number_of(after: str | None, job: str, provider: str) -> int:
    """Returns the number of an event by its id; 0 for None.

    By number, not by place: the event itself may have been taken back when the job went on.

    Raises:
        NotFoundError: It is no id of an event.
    """
    if after is None:
        return 0
    if not after.isascii() or not after.isdigit() or len(after) > _LONGEST_NUMBER:
        raise NotFoundError(f"no event '{after[:80]}' in job '{job}'", provider=provider)
    return int(after)


def events_page(events: Iterable[JobEvent], limit: int) -> Page[JobEvent]:
    """Returns the first of them as a page.

    Args:
        events: All that follow, oldest first.
        limit: Most events on the page.
    """
    found = list(islice(events, limit + 1))
    page = tuple(found[:limit])
    return Page(items=page, next=page[-1].id if len(found) > limit else None)
