"""The exit statuses of `ftkit`, which scripts may rely on: docs/command-line.md tells them."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from ftkit.errors import (
    BudgetError,
    ConfigurationError,
    JobCancelledError,
    JobFailedError,
    JobPausedError,
    JobTimeoutError,
    UnclearOutcomeError,
    UnsupportedError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ftkit.errors import FtkitError


class Status(IntEnum):
    """What a program that calls `ftkit` learns of how it ended.

    OK: done. NO: the answer is no (data with errors, something left undone), or the provider or this machine failed.
    WRONG: the command, the configuration or the account is wrong, or the provider cannot do that; nothing was sent.
    FAILED, CANCELLED, PAUSED: the job ended so, or stands still. TIMEOUT: the time to wait is up, and the job goes on.
    UNCLEAR: what costs may or may not have been made; look before it is asked for again. BUDGET: the job would cost
    more than it may, and was not made. INTERRUPTED: Ctrl-C, as shells count: 128 and the number of SIGINT.
    """

    OK = 0
    NO = 1
    WRONG = 2
    FAILED = 3
    CANCELLED = 4
    PAUSED = 5
    TIMEOUT = 6
    UNCLEAR = 7
    BUDGET = 8
    INTERRUPTED = 130


_OF: Mapping[type[FtkitError], Status] = {
    ConfigurationError: Status.WRONG,
    UnsupportedError: Status.WRONG,
    JobFailedError: Status.FAILED,
    JobCancelledError: Status.CANCELLED,
    JobPausedError: Status.PAUSED,
    JobTimeoutError: Status.TIMEOUT,
    UnclearOutcomeError: Status.UNCLEAR,
    BudgetError: Status.BUDGET,
}


def status_of(error: FtkitError) -> Status:
    """Returns the exit status that an error stands for; NO for one that has none of its own."""
    return next((status for kind, status in _OF.items() if isinstance(error, kind)), Status.NO)
