"""Those who train a job together die; all of them are started again, as long as that helps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftkit.errors import FtkitError
from ftkit.models import EventLevel
from ftkit.providers.huggingface import checkpoints

if TYPE_CHECKING:
    from pathlib import Path

    from ftkit.providers._local_jobs import Reporter

_FRUITLESS = 2
"""How often they are started again where they came to no new checkpoint."""


class GroupDiedError(FtkitError):
    """Those who train died, again and again."""


class Restarts:
    """Counts the starts in a row that came to no new checkpoint.

    Args:
        path: The job's folder.
        who: Who is started, such as "2 processes".
    """

    def __init__(self, path: Path, who: str) -> None:
        self._path = path
        self._who = who
        self._reached = 0
        self._fruitless = 0

    def begin(self) -> None:
        """Notes where they start from."""
        self._reached = checkpoints.newest_step(self._path)

    def again(self, reporter: Reporter, died: str, *, helps: bool = True, is_planned: bool = False) -> None:
        """Tells that they are started again.

        Args:
            reporter: Takes what is told.
            died: How they ended, in a sentence.
            helps: Whether another start may help at all.
            is_planned: Whether their machines were taken away as announced, which says nothing of the training.

        Raises:
            GroupDiedError: It helps no more.
        """
        now = checkpoints.newest_step(self._path)
        self._fruitless = 0 if now > self._reached or is_planned else self._fruitless + 1
        if not helps or self._fruitless > _FRUITLESS:
            times = f"{max(1, self._fruitless)} times at the same place"
            raise GroupDiedError(f"{died}, {times}{reporter.folder.tail()}")
        where = f"from step {now}" if now else "from the beginning"
        reporter.event(f"{died}: all {self._who} are started again, {where}", EventLevel.WARNING)
