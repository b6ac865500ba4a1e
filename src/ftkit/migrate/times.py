"""How long a job may take, by the jobs of the same model that came before it."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from ftkit.models import JobStatus, Noun, counted

if TYPE_CHECKING:
    from ftkit.client import Client
    from ftkit.models import FineTuningJob

_LOOKED_AT = 100


class Duration(Noun):
    """How long a training is likely to take. `str(duration)` says it in words.

    Attributes:
        seconds: The likely time from its start to its end, in seconds; None if nothing is known to tell it by.
        why: Where that comes from.
    """

    seconds: float | None = None
    why: str

    def __str__(self) -> str:
        return f"about {in_words(self.seconds)}: {self.why}" if self.seconds is not None else f"not known: {self.why}"


def in_words(seconds: float) -> str:
    """Returns a time for people: "40 s", "3.5 min", "2.1 h"."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def took(job: FineTuningJob) -> float | None:
    """Returns how long a job trained, in seconds, where its provider tells."""
    began = job.started_at or job.created_at
    if began is None or job.finished_at is None:
        return None
    return (job.finished_at - began).total_seconds()


def likely(client: Client, model: str, tokens: int | None) -> Duration:
    """Returns how long a job is likely to take.

    Args:
        client: The client of its provider, whose last hundred jobs are looked at.
        model: The base model.
        tokens: Tokens of all epochs, where they were counted.
    """
    if tokens is None:
        return Duration(why="its tokens could not be counted, or the provider chooses the number of epochs")
    known = (_rate(job, model) for job in client.list_jobs(limit=_LOOKED_AT).items)
    rates = [each for each in known if each is not None]
    if not rates:
        return Duration(why=f"no job of {model} has ended in this account, by which it could be told")
    rate = median(rates)
    why = f"at {rate:,.0f} tokens a second, as in {counted(len(rates), 'job')} of {model} before"
    return Duration(seconds=tokens / rate, why=why)


def _rate(job: FineTuningJob, model: str) -> float | None:
    """Returns the tokens a second of a job that has succeeded with that model."""
    seconds = took(job)
    if job.status is not JobStatus.SUCCEEDED or job.model != model or not (job.trained_tokens and seconds):
        return None
    return job.trained_tokens / seconds
