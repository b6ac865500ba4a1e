"""Whether two queries gave the same rows. Nobody is bound to an order that the wanted query leaves open."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    Row = tuple[Any, ...]


def as_rows(found: Iterable[Sequence[Any]]) -> list[Row]:
    """Returns rows that can be compared: 1 is 1.0, and the last digits of a sum depend on the order of its terms."""
    return [tuple(map(_cell, row)) for row in found]


def _cell(value: Any) -> Any:  # noqa: ANN401 - whatever SQLite has
    if isinstance(value, dict):
        return ("blob", *value.values())
    return float(f"{value:.9e}") if isinstance(value, float) else value


def same_rows(one: Sequence[Row], other: Sequence[Row]) -> bool:
    """Whether there are the same rows, in any order."""
    return len(one) == len(other) and Counter(one) == Counter(other)


def tied(upwards: Sequence[Row], downwards: Sequence[Row]) -> Iterator[list[Row]]:
    """Yields the rows group by group: those of one group may come in any order.

    Args:
        upwards: All rows in their order, and those that tie in the order of their columns.
        downwards: The same, and those that tie the other way round. A group ends where both have had the same rows.
    """
    open_rows: Counter[Row] = Counter()
    group: list[Row] = []
    for one, other in zip(upwards, downwards, strict=True):
        group.append(one)
        for row, by in ((one, 1), (other, -1)):
            open_rows[row] += by
            if not open_rows[row]:
                del open_rows[row]
        if not open_rows:
            yield group
            group = []


def fits(rows: Sequence[Row], groups: Iterable[list[Row]], offset: int) -> bool:
    """Whether some rows are those of the groups, in their order, from the one after `offset` on."""
    start, end = 0, offset + len(rows)
    for group in groups:
        first, last = max(start, offset), min(start + len(group), end)
        if first < last and Counter(rows[first - offset : last - offset]) - Counter(group):
            return False
        start += len(group)
    return not rows or start >= end
