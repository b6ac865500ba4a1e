"""The log of a server: one JSON object a line, so that a machine can read it as well."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger("ftkit.server")

FIELDS = "fields"
"""What a record carries besides its message: `logger.info("...", extra={FIELDS: {...}})`."""


class JsonLines(logging.Formatter):
    """Writes a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, FIELDS, {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def logged(call: Callable[..., object], *arguments: object) -> None:
    """Calls something for a worker, whose exceptions nobody else would hear of."""
    try:
        call(*arguments)
    except Exception:  # it is in the log, and whoever gave the work looks at what has come of it
        logger.exception("work of the server failed")


def log_to_stderr() -> None:
    """Sends everything from level INFO on to the standard error output."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # our own questions to the models that answer
