"""The way from AutoTrain's environment back to ftkit: lines of JSON on a file descriptor."""

from __future__ import annotations

import json
import os
from typing import Any


class Report:
    """Tells what happens. One line is one write, so that lines of threads do not mix.

    Args:
        fd: The file descriptor.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def tell(self, kind: str, **fields: Any) -> None:
        """Tells one thing.

        Raises:
            BrokenPipeError: Nobody listens any more.
        """
        line = json.dumps({"kind": kind, **fields}, default=str)
        os.write(self._fd, line.encode() + b"\n")

    def warn(self, message: str) -> None:
        """Tells what the user should know."""
        self.tell("event", level="warning", message=message)
