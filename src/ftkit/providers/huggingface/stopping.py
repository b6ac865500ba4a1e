"""How a training is asked to end: by SIGTERM, and what is wanted is in the job's folder."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from ftkit.errors import FtkitError
from ftkit.providers.huggingface.crew import Alone

if TYPE_CHECKING:
    from types import FrameType

    from ftkit.providers._local_jobs import Reporter
    from ftkit.providers.huggingface.crew import Crew

_TERMINATED = 128 + signal.SIGTERM


class StoppedError(Exception):
    """We were asked to end, and all that is worth keeping is kept."""


class LostError(FtkitError):
    """What the training needs is gone for now; the job can go on later from where it stood."""


class Stop:
    """Whether we were asked to end.

    Args:
        reporter: Knows why.
        crew: All who have to end together.

    Attributes:
        requested: Whether this process was asked to.
        agreed: Whether all of them know, as of the last time that they asked each other.
    """

    def __init__(self, reporter: Reporter, crew: Crew | None = None) -> None:
        self._reporter = reporter
        self._crew = crew or Alone()
        self.requested = False
        self.agreed = False

    def listen(self) -> None:
        """Begins to heed SIGTERM."""
        signal.signal(signal.SIGTERM, self._on_signal)

    def agree(self) -> bool:
        """Returns whether to end. All who train together must ask at the same point, and get the same answer."""
        self.agreed = self._crew.agree(self.requested)
        return self.agreed

    def check(self) -> None:
        """Ends the training here if that was asked for, in all processes alike.

        Raises:
            StoppedError: It was.
        """
        if self.agree():
            raise StoppedError

    def _on_signal(self, _: int, __: FrameType | None) -> None:
        if self._reporter.want() == "cancelled":
            os._exit(_TERMINATED)  # nothing of it is wanted any more
        self.requested = True
