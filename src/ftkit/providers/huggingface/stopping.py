"""How a training is asked to end: by SIGTERM, and what is wanted is in the job's folder."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

    from ftkit.providers._local_jobs import Reporter

_TERMINATED = 128 + signal.SIGTERM


class StoppedError(Exception):
    """We were asked to end, and all that is worth keeping is kept."""


class Stop:
    """Whether we were asked to end.

    Args:
        reporter: Knows why.
    """

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self.requested = False

    def listen(self) -> None:
        """Begins to heed SIGTERM."""
        signal.signal(signal.SIGTERM, self._on_signal)

    def check(self) -> None:
        """Ends the training here if that was asked for.

        Raises:
            StoppedError: It was.
        """
        if self.requested:
            raise StoppedError

    def _on_signal(self, _: int, __: FrameType | None) -> None:
        if self._reporter.want() == "cancelled":
            os._exit(_TERMINATED)  # nothing of it is wanted any more
        self.requested = True
