"""Times as a person reads them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import timedelta

NOTHING = "-"
"""What stands in a cell of which nothing is known."""


def span(time: timedelta) -> str:
    """Returns a time in its two largest units: "3d 4h", "12m 5s"."""
    seconds = max(0, int(time.total_seconds()))
    days, hours, minutes = seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60
    if days:
        return f"{days}d {hours}h"
    if hours:
        return f"{hours}h {minutes}m"
    return f"{minutes}m {seconds % 60}s" if minutes else f"{seconds}s"


def age(moment: datetime | None) -> str:
    """Returns how long ago something was, by this machine's clock."""
    return NOTHING if moment is None else span(datetime.now(UTC) - moment)


def at(moment: datetime) -> str:
    """Returns a moment in UTC, to the second: "2026-10-05 02:13:45Z"."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"
