"""What is drawn: a name, and what was measured under it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from ftkit.client import Client
from ftkit.errors import ConfigurationError, without_keys
from ftkit.models import Checkpoint, FineTuningJob, Metrics

if TYPE_CHECKING:
    from collections.abc import Iterable

_TAIL = 6
"""Letters of a job's id that tell it from others of the same suffix."""
_LONGEST = 40
"""Letters of a name that are shown."""


@dataclass(frozen=True)
class Run:
    """What was measured of a job, under a name.

    Attributes:
        name: What it is called in the legend.
        metrics: A row a step, as `client.results(job)` returns them.
        checkpoints: Its checkpoints, in any order.
    """

    name: str
    metrics: Sequence[Metrics]
    checkpoints: Sequence[Checkpoint] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "metrics", _all(self.name, Metrics, self.metrics))
        object.__setattr__(self, "checkpoints", _all(self.name, Checkpoint, self.checkpoints))

    @classmethod
    def of(cls, client: Client, job: FineTuningJob | str) -> Self:
        """Reads what was measured of a job, and its checkpoints where the provider has some.

        Args:
            client: The client of the job's account.
            job: The job, or its id. Its name is its suffix with the end of its id, or the id alone.

        Raises:
            UnsupportedError: The provider has no metrics.
            NotFoundError: It has no such job.
            ConfigurationError: `client` is none, or the job belongs to another account.
        """
        if not isinstance(client, Client):  # pyright: ignore[reportUnnecessaryIsInstance]  # an AsyncClient, say
            hint = "With an AsyncClient: Run(name=..., metrics=await client.results(job))."
            raise ConfigurationError(f"Run.of takes a Client, and was given a {type(client).__name__}", hint=hint)
        if isinstance(job, str):
            job = client.get_job(job)
        keeps = "ListsCheckpoints" in client.abilities
        return cls(_name(job), client.results(job), client.list_checkpoints(job) if keeps else ())


def _name(job: FineTuningJob) -> str:
    return f"{job.suffix} (..{job.id[-_TAIL:]})" if job.suffix else job.id


def _all(name: str, kind: type[Metrics | Checkpoint], given: Iterable[object]) -> tuple[object, ...]:
    """Returns what was given, if all of it is of a kind.

    Raises:
        ConfigurationError: It is not.
    """
    found = tuple(given) if isinstance(given, Sequence) and not isinstance(given, str) else (given,)
    wrong = next((each for each in found if not isinstance(each, kind)), None)
    if wrong is None:
        return found
    source = "client.results(job)" if kind is Metrics else "client.list_checkpoints(job)"
    message = f"the run {name!r:.80} is given a {type(wrong).__name__} in place of {kind.__name__}"
    raise ConfigurationError(message, hint=f"{source} returns them; Run.of(client, job) reads all there is.")


def checked(runs: Sequence[Run], verb: str) -> Sequence[Run]:
    """Returns the runs that a verb was given.

    Raises:
        ConfigurationError: There are none, or they are something else.
    """
    wrong = next((each for each in runs if not isinstance(each, Run)), None)  # pyright: ignore[reportUnnecessaryIsInstance]
    if wrong is None and runs:
        return runs
    got = "nothing" if not runs else f"a {type(wrong).__name__}"
    raise ConfigurationError(f"{verb} takes runs, and was given {got}", hint="Run.of(client, job) makes one of a job.")


def labels(runs: Sequence[Run]) -> list[str]:
    """Returns the names of runs as they are shown: on one line, not too long, and no two alike."""
    shown: list[str] = []
    for run in runs:
        name = label = _shortened(" ".join(printable(run.name).split())) or "run"
        number = 1
        while label in shown:
            number += 1
            label = f"{name} ({number})"
        shown.append(label)
    return shown


def printable(words: str) -> str:
    """Returns words as they may be shown: without what looks like a key, or steers a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in without_keys(words))


def _shortened(words: str) -> str:
    half = (_LONGEST - 2) // 2
    return words if len(words) <= _LONGEST else f"{words[:half]}..{words[-half:]}"
