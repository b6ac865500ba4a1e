"""To wait for jobs."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from ftkit.cli._app import app
from ftkit.cli._exits import Status, status_of
from ftkit.cli._jobs import ENDS, Display, Jobs, PollS, command, hinted, named, outcome_error, tell_outcome
from ftkit.cli._names import Provider  # noqa: TC001 - Typer reads it
from ftkit.cli._output import Json, print_json, print_table
from ftkit.cli._text import one_line
from ftkit.cli._times import NOTHING
from ftkit.cli._told import as_document, taken_up_again, told, whole
from ftkit.errors import JobTimeoutError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ftkit.cli._jobs import Named
    from ftkit.errors import FtkitError
    from ftkit.models import FineTuningJob

_WORST = (Status.FAILED, Status.CANCELLED, Status.PAUSED, Status.TIMEOUT)
"""Of several jobs, what came of them, the worst first."""

TimeoutS = Annotated[float | None, typer.Option(min=0, help="Seconds after which to stop waiting.")]


class Seen(NamedTuple):
    """A job as it was last seen, and what is wrong with that."""

    it: Named
    job: FineTuningJob
    error: FtkitError | None


@app.command()
def wait(
    jobs: Jobs,
    timeout_s: TimeoutS = None,
    poll_s: PollS = None,
    provider: Provider = None,
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Waits for the end of jobs, of one account or of several. The status is that of the job that ended worst.

    Status 3: failed; 4: cancelled; 5: it stands still, and can be resumed; 6: the time is up, and it goes on.
    """
    again = command("wait", *jobs, *(("-p", provider) if provider else ()))
    how = f"{'The job goes' if len(jobs) == 1 else 'The jobs go'} on. To wait on:\n  {again}"
    with told(as_json=as_json), taken_up_again(how):
        its = [named(job, provider) for job in jobs]
        if len(its) == 1:
            seen = [_wait_for_one(its[0], timeout_s, poll_s, Display(shown=not as_json))]
        else:
            seen = _wait_for_all(its, timeout_s, poll_s, shown=not as_json)
    _tell(seen, as_json=as_json)


def _wait_for_one(it: Named, timeout_s: float | None, poll_s: float | None, display: Display) -> Seen:
    try:
        with hinted(it.account):
            return Seen(it, it.client.wait(it.id, timeout_s=timeout_s, poll_s=poll_s, progress=display), None)
    except ENDS as error:
        return Seen(it, error.job, error)


def _wait_for_all(its: Sequence[Named], timeout_s: float | None, poll_s: float | None, *, shown: bool) -> list[Seen]:
    """Waits for the jobs of one account after the other: whichever comes first, the wait is as long as the longest."""
    began = time.monotonic()
    found: dict[str, FineTuningJob] = {}
    for it in its:
        it.client.get_job(it.id)  # a name that is wrong is told before the wait, and not after it
    for account in dict.fromkeys(it.account for it in its):
        mine = [it for it in its if it.account == account]
        left = None if timeout_s is None else max(0.0, timeout_s - (time.monotonic() - began))
        ids, client = [it.id for it in mine], mine[0].client
        display = Display(len({*ids}), shown=shown)
        try:
            ended = client.wait_all(ids, timeout_s=left, poll_s=poll_s, progress=display)
        except JobTimeoutError:
            ended = [client.get_job(job_id) for job_id in ids]
        found |= {it.reference: job for it, job in zip(mine, ended, strict=True)}
    return [Seen(it, found[it.reference], outcome_error(it, found[it.reference])) for it in its]


def _tell(seen: Sequence[Seen], *, as_json: bool) -> None:
    """Prints the jobs, then what is wrong, and ends with the status of the worst."""
    if as_json:
        print_json(each.job for each in seen)
    elif len(seen) > 1:
        rows = [[each.it.reference, each.job.status.value, each.job.fine_tuned_model or NOTHING] for each in seen]
        print_table(("job", "status", "tuned model"), [[one_line(cell) for cell in row] for row in rows])
    elif seen[0].error is None:
        tell_outcome(seen[0].job)
    errors = [each.error for each in seen if each.error is not None]
    for error in errors:
        typer.echo(json.dumps(as_document(error)) if as_json else f"error: {whole(error)}", err=True)
    statuses = {status_of(error) for error in errors}
    if statuses:
        raise typer.Exit(next(status for status in _WORST if status in statuses))
