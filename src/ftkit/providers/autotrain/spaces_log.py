"""What AutoTrain prints in a Space, as events and measurements."""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ftkit.errors import NotFoundError
from ftkit.models import EventLevel, JobEvent, Page
from ftkit.providers._trainer_logs import training_metrics
from ftkit.providers.autotrain.backends import NAME

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ftkit.models import Metrics

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_BAR = re.compile(r"(?:[^\r|]{0,60}:)?\s*\d{1,3}%\|[^|]*\|\s*[\d.]+\w?/[\d.]+\w?\s*\[[^\]]*\]")
"""A progress bar of tqdm's, which ends with a carriage return and no line: it stands before what comes next."""
_HEAD = re.compile(
    r"(?P<level>[A-Z]{4,8}) *\| (?P<at>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) \| (?P<where>\S+) - (?P<message>.*)"
)
_SERVER = re.compile(r"(?P<level>INFO|WARNING|ERROR): {2,}(?P<message>.*)")
_LEVELS = {"WARNING": EventLevel.WARNING, "ERROR": EventLevel.ERROR, "CRITICAL": EventLevel.ERROR}
_MEASURED = re.compile(r"\{[^{}]*'loss': [^{}]*\}")
_NUMBER = re.compile(r"'(\w+)': '?(-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)\b", re.IGNORECASE)
_ID = re.compile(r".+-(\d{1,12})-[0-9a-f]{12}-\d+")


def events_of(lines: Iterable[str], job_id: str, start: datetime, every: int) -> list[JobEvent]:
    """Reads a log.

    An event has no number at the Hub, and a long log may lose its beginning. So the id of an event is made of when it
    was and what it says, and not of where it stands.

    Args:
        lines: The log.
        job_id: The job.
        start: When it began; that is the time of what comes before the first line with a time of its own.
        every: Steps between two measurements, which do not tell their own step.
    """
    events: list[JobEvent] = []
    seen: Counter[str] = Counter()
    at, level, measured = start, EventLevel.INFO, 0
    for text in _texts(lines):
        head = _HEAD.search(text)
        served = None if head else _SERVER.match(text)
        if head is not None:
            at = max(at, datetime.fromisoformat(head["at"]).replace(tzinfo=UTC))
        known = head or served
        level = _LEVELS.get(known["level"], EventLevel.INFO) if known else level  # a traceback is of its first line
        metrics = metrics_in(text, (measured + 1) * every)
        measured += metrics is not None
        mark = f"{int(at.timestamp())}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
        seen[mark] += 1
        events.append(
            JobEvent(
                id=f"{job_id}-{mark}-{seen[mark]}",
                job_id=job_id,
                created_at=at,
                level=level,
                message=known["message"] if known else text,
                metrics=metrics,
            )
        )
    return events


def metrics_in(text: str, step: int) -> Metrics | None:
    """Reads the measurement in a line, if it holds one."""
    found = _MEASURED.search(text)
    if found is None:
        return None
    numbers = {name: float(number) for name, number in _NUMBER.findall(found[0])}
    finite = {name: number for name, number in numbers.items() if math.isfinite(number)}
    return training_metrics(step, finite)


def page_of(events: Sequence[JobEvent], after: str | None, limit: int) -> Page[JobEvent]:
    """Returns the page of events after one of them; where the log no longer holds that one, after its time.

    Raises:
        NotFoundError: `after` is the id of no event.
    """
    rest = list(events)
    if after is not None:
        rest = _after(events, after)
    page = tuple(rest[:limit])
    return Page(items=page, next=page[-1].id if len(rest) > limit else None)


def last_error(events: Sequence[JobEvent]) -> str | None:
    """Returns the line that says best why a training failed: the last error, or the last line of all."""
    errors = [event.message for event in events if event.level is EventLevel.ERROR]
    if errors:
        return errors[-1]
    return events[-1].message if events else None


def _after(events: Sequence[JobEvent], after: str) -> list[JobEvent]:
    for n, event in enumerate(events):
        if event.id == after:
            return list(events[n + 1 :])
    known = _ID.fullmatch(after)
    if known is None:
        raise NotFoundError(f"there is no event {after[:80]!r}", provider=NAME)
    return [event for event in events if event.created_at.timestamp() > int(known[1]) + 1]


def _texts(lines: Iterable[str]) -> Iterator[str]:
    """Yields what is printed, without progress bars, colours and empty lines."""
    for line in lines:
        for piece in re.split(r"[\r\n]+", line):
            text = _BAR.sub("", _ANSI.sub("", piece)).rstrip()
            if text.strip():
                yield text
