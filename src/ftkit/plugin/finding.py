"""Looking for what was made before: the half of "exactly once" that a provider has."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

from ftkit.errors import NotFoundError, UnclearOutcomeError
from ftkit.models import Page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from ftkit.models import FineTuningJob


class _HasId(Protocol):
    @property
    def id(self) -> str: ...


T = TypeVar("T")
Listed = TypeVar("Listed", bound=_HasId)

_PAGE = 100
_SEEDS = 2**31 - 1
_DIGITS = 1e-6
"""How far a number may be from what was asked for: as far as one that is kept in 32 bits."""


def walk(ask: Callable[[str | None, int], Page[T]], page: int = _PAGE) -> Iterator[T]:
    """Yields the items of a list, page by page.

    Args:
        ask: What returns a page, by `after` and `limit`: a provider's own `list_jobs`, say.
        page: Most items that are asked for at once.
    """
    after: str | None = None
    while True:
        found = ask(after, page)
        if after is not None and found.next == after:  # of a service that pays no heed to it: the same page again
            return
        yield from found.items
        if found.next is None:
            return
        after = found.next


def page_of(items: Sequence[Listed], after: str | None, limit: int) -> Page[Listed]:
    """Returns one page of a list that the vendor tells as a whole.

    Args:
        items: All of them, in the order in which they are listed.
        after: The id of the item before the page; None for the first page.
        limit: Most items on it.

    Raises:
        NotFoundError: No item has that id any more: nobody knows what follows it.
    """
    ids = [item.id for item in items]
    if after is not None and after not in ids:
        raise NotFoundError(f"the list cannot be continued: there is no {after[:80]!r} in it")
    start = 0 if after is None else ids.index(after) + 1
    page = tuple(items[start : start + limit])
    return Page(items=page, next=page[-1].id if page and start + limit < len(ids) else None)


def read_on(ask: Callable[[str | None], tuple[Sequence[T], str | None]], after: str | None) -> Page[T]:
    """Returns the next page of a list that has something on it: the contract has no empty page that others follow.

    Args:
        ask: Reads a page of the vendor's: returns its items, and the cursor of the next, or None.
        after: Where to begin.
    """
    while True:
        items, cursor = ask(after)
        if items or cursor in {None, "", after}:  # the last of a service that pays no heed to cursors
            return Page(items=tuple(items), next=cursor or None if items else None)
        after = cursor


def made_since(
    ask: Callable[[str | None, int], Page[FineTuningJob]], since: datetime, page: int = _PAGE
) -> Iterator[FineTuningJob]:
    """Yields the jobs of a list, newest first, back to the moment `since`. One whose age is not told counts as new.

    Args:
        ask: A provider's own `list_jobs`.
        since: How far to look back.
        page: Most items that are asked for at once.
    """
    oldest = since.replace(microsecond=0)  # many a vendor tells whole seconds
    for job in walk(ask, page):
        if job.created_at is not None and job.created_at < oldest:
            return
        yield job


def the_one(found: Sequence[FineTuningJob], key: str, provider: str) -> FineTuningJob | None:
    """Returns the job that was found, or None.

    Args:
        found: The jobs that could be it.
        key: The key that was looked for.
        provider: Name of the provider.

    Raises:
        UnclearOutcomeError: There are several: which one is it?
    """
    if len(found) > 1:
        message = f"{len(found)} jobs could be the one that was asked for"
        raise UnclearOutcomeError(message, provider=provider, key=key, candidates=[job.id for job in found])
    return found[0] if found else None


def fits(wanted: object, told: object) -> bool:
    """Whether what a vendor tells of a job is what it was ordered with, where it keeps no key.

    What it does not tell speaks neither for nor against, and what was not asked for is not looked at. Numbers may have
    lost a few digits: to take another job for this one is looked after by its seed and its files, and to miss it would
    be paid for.

    Args:
        wanted: The order, or a part of it.
        told: What the vendor tells under the same names.
    """
    if isinstance(wanted, Mapping) and isinstance(told, Mapping):
        asked, known = cast("Mapping[str, object]", wanted), cast("Mapping[str, object]", told)
        return all(fits(value, known.get(name)) for name, value in asked.items())
    if isinstance(wanted, float) and isinstance(told, int | float):
        return math.isclose(wanted, told, rel_tol=_DIGITS)
    return told is None or wanted == told


def seed_of(key: str) -> int:
    """Returns a seed that comes from a key, 0 up to 2**31 - 2.

    Where a vendor keeps no key, a request without a seed of its own is sent with this one: it tells two jobs apart that
    are alike in everything else.
    """
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) % _SEEDS


def word_of(key: str, length: int = 40) -> str:
    """Returns letters and digits that stand for a key, where a vendor takes no colon, or not so many characters.

    Args:
        key: The key.
        length: How many, up to 64; each is worth four bits.
    """
    return hashlib.sha256(key.encode()).hexdigest()[:length]
