"""Fine-tuning jobs: to list them, to look at one, to stop it and let it go on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from ftkit.cli._app import app
from ftkit.cli._jobs import Job, client_of, command, named, steps_of
from ftkit.cli._names import Provider, reference
from ftkit.cli._output import Json, print_json, print_table
from ftkit.cli._pairs import Labels, labels_of
from ftkit.cli._showing import render
from ftkit.cli._text import one_line
from ftkit.cli._times import NOTHING, age
from ftkit.cli._told import told
from ftkit.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ftkit.client import Client
    from ftkit.models import FineTuningJob

jobs = typer.Typer(help="Lists jobs, newest first; and settles what nobody knows the outcome of.")
app.add_typer(jobs, name="jobs")

COLUMNS = ("job", "status", "model", "tuned model", "steps", "age")


@jobs.callback(invoke_without_command=True)
def list_jobs(
    context: typer.Context,
    provider: Provider = None,
    limit: Annotated[int, typer.Option(min=1, help="Most jobs to list.")] = 20,
    after: Annotated[str | None, typer.Option(help="Where the list before ended, as it said.")] = None,
    metadata: Labels = None,
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Lists jobs, newest first: name, status, model, tuned model, steps, age. The name goes into other commands."""
    context.obj = provider
    if context.invoked_subcommand is not None:
        return
    from ftkit.profiles import chosen_name

    with told(as_json=as_json):
        client, account = client_of(provider), chosen_name(provider)
        page = client.list_jobs(metadata=labels_of(metadata or ()), after=after, limit=limit)
    if as_json:
        print_json(page.items)
    else:
        print_table(COLUMNS, [_row(job, account) for job in page.items])
    if page.next is not None:
        labels = [word for label in metadata or () for word in ("--metadata", label)]
        more = command("jobs", "-p", account, *labels, "--limit", str(limit), "--after", page.next)
        typer.echo(json.dumps({"next": page.next}) if as_json else f"There are more: {more}", err=True)
    elif not (page.items or as_json):
        typer.echo("no jobs", err=True)


def _row(job: FineTuningJob, account: str) -> list[str]:
    tuned = one_line(job.fine_tuned_model or NOTHING)
    steps = steps_of(job) or NOTHING
    name = reference(account, job.id)
    return [name, job.status.value, one_line(job.model), tuned, steps, age(job.created_at)]


@jobs.command("unclear")
def list_unclear(
    context: typer.Context,
    provider: Provider = None,
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Lists the requests of an account whose outcome nobody has seen: when, attempt, model, key. See `jobs resolve`."""
    from ftkit.cli.history import print_asked
    from ftkit.ledger import Ledger

    with told(as_json=as_json):
        open_keys = {entry.key for entry in client_of(provider or context.obj).unclear()}
        print_asked([each for each in Ledger().asked() if each.key in open_keys], as_json=as_json)
    if not (open_keys or as_json):
        typer.echo("nothing is unclear", err=True)


@jobs.command("resolve")
def resolve(
    context: typer.Context,
    key: Annotated[str, typer.Argument(help="The key that the error named; `ftkit jobs unclear` lists them.")],
    job: Annotated[str | None, typer.Option(help="Id of the job that the request became.")] = None,
    none: Annotated[bool, typer.Option("--none", help="There surely is no job of it.")] = False,  # noqa: FBT002
    provider: Provider = None,
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Settles an unclear outcome, after a look at the provider's own list of jobs. Prints the job, if there is one."""
    with told(as_json=as_json):
        if (job is None) != none:
            raise ConfigurationError(
                "what came of it?", hint="Name the job: --job ID; or say that there is none: --none"
            )
        account = provider or context.obj
        job_id = None if job is None else job.removeprefix(f"{account}:")
        settled = client_of(account).resolve(key, job_id=job_id)
    if as_json:
        print_json([settled] if settled is not None else [])
    elif settled is None:
        typer.echo("Settled: no job was made. The same request again makes one.")
    else:
        typer.echo(f"Settled: the request became the job {settled.id}, which is {settled.status.value}.")


@app.command()
def show(job: Job, provider: Provider = None, as_json: Json = False) -> None:  # noqa: FBT002
    """Shows all that is known of a job, and what to do next."""
    with told(as_json=as_json):
        it = named(job, provider)
        found = it.client.get_job(it.id)
    if as_json:
        print_json([found])
    else:
        typer.echo(render(found, it.account, it.client.abilities))


@app.command()
def cancel(job: Job, provider: Provider = None, as_json: Json = False) -> None:  # noqa: FBT002
    """Asks for the end of a job, and prints its status; one that has ended stays as it is."""
    _change(lambda client, job_id: client.cancel_job(job_id), job, provider, as_json=as_json)


@app.command()
def pause(job: Job, provider: Provider = None, as_json: Json = False) -> None:  # noqa: FBT002
    """Asks a running job to stop where it can go on later, and prints its status."""
    _change(lambda client, job_id: client.pause_job(job_id), job, provider, as_json=as_json)


@app.command()
def resume(job: Job, provider: Provider = None, as_json: Json = False) -> None:  # noqa: FBT002
    """Lets a paused job go on, and prints its status."""
    _change(lambda client, job_id: client.resume_job(job_id), job, provider, as_json=as_json)


def _change(verb: Callable[[Client, str], FineTuningJob], job: str, provider: str | None, *, as_json: bool) -> None:
    with told(as_json=as_json):
        it = named(job, provider)
        changed = verb(it.client, it.id)
    if as_json:
        print_json([changed])
    else:
        typer.echo(changed.status.value)
