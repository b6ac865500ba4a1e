"""Tokens, counted while records go by: who counts may work in batches, and answers in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from ftkit.errors import FtkitError
from ftkit.models import Problem

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Sequence

    from ftkit.datasets.records import Record
    from ftkit.errors import DatasetError

Records: TypeAlias = Iterator[tuple[int, dict[str, Any]]]
"""Good records, in the kind that is written, each with its line."""
CountTokens: TypeAlias = Callable[[Iterator[Mapping[str, Any]]], Iterator[tuple[int, int]]]
"""Yields (tokens, tokens learnt from) of each record, in order."""


def in_lockstep(records: Records, waiting: deque[int], count_tokens: CountTokens) -> Iterator[tuple[int, int, int]]:
    """Yields line, tokens, and tokens learnt from, of each record.

    Args:
        records: The records.
        waiting: Holds the lines that the counter has, and has not answered.
        count_tokens: Counts.

    Raises:
        FtkitError: There is not one answer for each record.
    """

    def handed_out() -> Iterator[Record]:
        for line, record in records:
            waiting.append(line)
            yield record

    for tokens, trained in count_tokens(handed_out()):
        if not waiting:
            raise FtkitError("the token counter answered for more records than it was given.")
        yield waiting.popleft(), tokens, trained
    if waiting or next(records, None) is not None:
        raise FtkitError("the token counter answered for fewer records than it was given.")


def cannot_be_learnt(source: str, waiting: Sequence[int], error: DatasetError) -> Problem:
    """Returns the problem of a record that the counter refused, going by the lines that it had not answered."""
    line = waiting[0] if len(waiting) == 1 else None
    where = f"in one of the lines {waiting[0]} to {waiting[-1]}: " if len(waiting) > 1 else ""
    message, fix = f"{where}{error.message}", "Mend the row, or leave it out. No tokens were counted after it."
    return Problem(source=source, line=line, code="cannot-be-learnt", message=message, fix=fix)
