"""To follow a job: its events as they happen, and its metrics on to trackers."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ftkit.cli._app import app
from ftkit.cli._jobs import Job, PollS, command, named, outcome_error
from ftkit.cli._names import Provider  # noqa: TC001 - Typer reads it
from ftkit.cli._output import Json, print_json
from ftkit.cli._text import one_line
from ftkit.cli._times import at
from ftkit.cli._told import taken_up_again, told

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ftkit.cli._jobs import Named
    from ftkit.errors import FtkitError
    from ftkit.models import JobEvent


@app.command()
def follow(
    job: Job,
    after: Annotated[str | None, typer.Option(help="Id of the last event that is known already.")] = None,
    poll_s: PollS = None,
    track: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Sends the metrics on: tensorboard, wandb, mlflow, trackio. Several are fine."
        ),
    ] = None,
    provider: Provider = None,
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Prints the events of a job as they happen, oldest first, until it ends: time, level, message.

    Status 3: it failed; 4: it was cancelled; 5: it stands still, and can be resumed.
    """
    again = ["follow", job, *(("-p", provider) if provider else ())]
    again += [word for name in track or () for word in ("--track", name)]
    with told(as_json=as_json):
        it = named(job, provider)
        shown = _Shown(it, after, poll_s, as_json=as_json)
        trouble: FtkitError | None = None
        try:
            if track:
                trouble = _track(shown, track)
            else:
                shown.print_all()
        except KeyboardInterrupt:
            line = command(*again, *(("--after", shown.last) if shown.last else ()))
            with taken_up_again(f"The job goes on. To follow on:\n  {line}"):
                raise
        error = outcome_error(it, it.client.get_job(it.id))
        if error is not None and trouble is not None:
            error.add_note(str(trouble))
        error = error or trouble
        if error is not None:
            raise error


class _Shown:
    """The events of a job, on their way to whoever looks on.

    Args:
        it: The job.
        after: Id of the last event that is known already.
        poll_s: Seconds between looks.
        as_json: Whether they are printed as JSON.

    Attributes:
        it: The job.
        last: Id of the last event that was printed, or is known.
        poll_s: Seconds between looks.
    """

    def __init__(self, it: Named, after: str | None, poll_s: float | None, *, as_json: bool) -> None:
        self.it = it
        self.last = after
        self.poll_s = poll_s
        self._as_json = as_json
        self._is_known = after is not None

    def print_all(self) -> None:
        """Prints events until the job ends."""
        for event in self.it.client.follow(self.it.id, after=self.last, poll_s=self.poll_s):
            self._print(event)

    def print_new(self, event: JobEvent) -> None:
        """Prints an event, one of all from the first on, unless it is known already."""
        if not self._is_known:
            self._print(event)
        elif event.id == self.last:
            self._is_known = False

    def _print(self, event: JobEvent) -> None:
        print_event(event, as_json=self._as_json)
        self.last = event.id


def _track(shown: _Shown, names: Sequence[str]) -> FtkitError | None:
    """Sends metrics on while events are printed. Returns what kept some of them from a tracker; the job goes on."""
    from ftkit.trackers import TrackingError, make_tracker, send

    trackers = [make_tracker(name) for name in names]  # a wrong name is told before anything is printed
    try:
        send(shown.it.client, shown.it.id, *trackers, on_event=shown.print_new, poll_s=shown.poll_s)
    except TrackingError as error:
        shown.print_all()  # with no tracker left, it has stopped before the end
        return error
    return None


def print_event(event: JobEvent, *, as_json: bool) -> None:
    """Prints an event, at once: for people, for `cut`, or for programs."""
    if as_json:
        print_json([event])
        return
    level, message = event.level.value, one_line(event.message)
    cells = [at(event.created_at), level, message]
    typer.echo("  ".join([cells[0], f"{level:<7}", message]) if sys.stdout.isatty() else "\t".join(cells))
