"""What the commands about jobs have in common: how a job is named, shown, and what is to be done about it."""

from __future__ import annotations

import shlex
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from ftkit.cli import _completing
from ftkit.cli._names import opened, reference
from ftkit.cli._told import taken_up_again
from ftkit.errors import (
    ConfigurationError,
    JobCancelledError,
    JobFailedError,
    JobPausedError,
    JobTimeoutError,
)
from ftkit.progress import as_progress

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from ftkit.client import Client
    from ftkit.errors import FtkitError
    from ftkit.models import FineTuningJob, JobEvent

Job = Annotated[
    str,
    typer.Argument(
        help="The job: profile:id, or its id alone and --provider.",
        autocompletion=_completing.jobs,
        show_default=False,
    ),
]
Jobs = Annotated[
    list[str],
    typer.Argument(
        metavar="JOB",
        help="The jobs: profile:id each, or ids alone and --provider.",
        autocompletion=_completing.jobs,
        show_default=False,
    ),
]


PollS = Annotated[float | None, typer.Option(min=0, help="Seconds between looks; they grow by themselves if left out.")]
ENDS = (JobFailedError, JobCancelledError, JobPausedError, JobTimeoutError)
"""The errors that say what came of a job."""


class Named(NamedTuple):
    """A job that was named on the command line.

    Attributes:
        account: Name of the profile or provider.
        client: A client of it.
        id: The job's id there.
    """

    account: str
    client: Client
    id: str

    @property
    def reference(self) -> str:
        """The name by which the job is known from anywhere."""
        return reference(self.account, self.id)


def named(name: str, provider: str | None) -> Named:
    """Finds the job of a name.

    Raises:
        ConfigurationError: The name leads to no profile and no provider.
    """
    client, job_id = opened(name, provider)
    return Named(account_of(name, provider), client, job_id)


def client_of(provider: str | None) -> Client:
    """Returns a client of what `--provider` names, else of the default profile.

    Raises:
        ConfigurationError: Neither is there.
    """
    from ftkit.client import Client
    from ftkit.profiles import default_name

    if not (provider or default_name()):
        hint = "Name one: --provider NAME; or a default profile (docs/profiles.md)."
        raise ConfigurationError("no provider was named, and there is no default profile", hint=hint)
    return Client(provider)


def account_of(name: str, provider: str | None) -> str:
    """Returns the profile or provider that the name of a job leads to."""
    from ftkit.profiles import chosen_name

    head, colon, _ = name.partition(":")
    return provider or (head if colon else chosen_name(None))


def command(*words: str) -> str:
    """Returns a command of ftkit's, to be copied."""
    return shlex.join(["ftkit", *words])


@contextmanager
def hinted(account: str) -> Generator[None]:
    """Lets an error about a job name the command that goes on, in place of the line of Python that does.

    Args:
        account: Name of the profile or provider.
    """
    try:
        yield
    except JobPausedError as error:
        error.hint = command("resume", reference(account, error.job.id))
        raise
    except JobTimeoutError as error:
        error.hint = f"The job goes on. To wait on: {command('wait', reference(account, error.job.id))}"
        raise


def outcome_error(it: Named, job: FineTuningJob) -> FtkitError | None:
    """Returns the error that stands for what came of a job; None if it has succeeded."""
    from ftkit.models import JobStatus
    from ftkit.waiting import outcome

    try:
        outcome(job, command("resume", it.reference))
    except ENDS as error:
        return error
    if job.status is JobStatus.SUCCEEDED:
        return None
    hint = f"The job goes on. To wait on: {command('wait', it.reference)}"
    return JobTimeoutError(f"stopped waiting for {job.id}; it is {job.status.value}", job, hint=hint)


class Display:
    """Shows how jobs go, as the library does it. It has no last word: how to go on after Ctrl-C, the command says.

    Args:
        jobs: How many there are.
        shown: Whether to show anything.

    Attributes:
        job_id: Id of the job that was seen last, if one was.
        has_ended: Whether that job has ended.
    """

    def __init__(self, jobs: int = 1, *, shown: bool = True) -> None:
        self._shows = as_progress(shown, jobs)
        self._is_over = False
        self.job_id: str | None = None
        self.has_ended = False

    def update(self, job: FineTuningJob, events: Sequence[JobEvent]) -> None:
        """Shows what is new of a job."""
        self.job_id, self.has_ended = job.id, job.status.is_terminal
        self._shows.update(job, events)

    def say(self, text: str) -> None:
        """Shows a line, unless it is over."""
        if not self._is_over:
            self._shows.say(text)

    def close(self) -> None:
        """Ends the display."""
        self._shows.close()
        self._is_over = True


def steps_of(job: FineTuningJob) -> str | None:
    """Returns how far a job is: "120/300"; None if nobody tells."""
    if job.step is None:
        return None
    return f"{job.step}/{job.total_steps}" if job.total_steps else str(job.step)


def tell_outcome(job: FineTuningJob) -> None:
    """Prints what came of a job, in three lines."""
    typer.echo(f"job: {job.id}")
    typer.echo(f"status: {job.status.value}")
    typer.echo(f"model: {job.fine_tuned_model or '-'}")


@contextmanager
def stopped(display: Display, account: str) -> Generator[None]:
    """Ctrl-C while a job is waited for: it is said which job goes on.

    Args:
        display: What shows the job.
        account: Name of the profile or provider.
    """
    try:
        yield
    except KeyboardInterrupt:
        if display.job_id is None or display.has_ended:
            raise
        name = reference(account, display.job_id)
        again = f"The job {name} goes on; the same command again takes it up. To look at it:\n  {command('show', name)}"
        with taken_up_again(again):
            raise
