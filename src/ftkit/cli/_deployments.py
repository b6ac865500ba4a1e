"""What the commands about deployments have in common: what is deployed, how it is shown, what an error says."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from ftkit.cli._jobs import command
from ftkit.cli._names import reference
from ftkit.cli._text import one_line
from ftkit.cli._times import span
from ftkit.errors import ConfigurationError, FtkitError, NotFoundError, ProviderUnavailableError, UnclearOutcomeError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from typing import Any

    from ftkit.cli._jobs import Named
    from ftkit.deploying import Target
    from ftkit.models import Deployment

IsModel = Annotated[bool, typer.Option("--model", help="TARGET is the name of a model, or a role, and no job.")]
OfJob = Annotated[
    str | None, typer.Option("--checkpoint", metavar="ID", help="Deploys this checkpoint of the job: its id or model.")
]
_MINUTE = timedelta(minutes=1)
_OURS = {"target": "TARGET", "name": "--name", "ttl_s": "--ttl-s"}


def target_of(it: Named, checkpoint: str | None, *, is_model: bool) -> Target:
    """Returns what is to be deployed.

    Args:
        it: A job's id; or a model, if that is said.
        checkpoint: A checkpoint of the job.
        is_model: Whether it is the name of a model, or a role.

    Raises:
        ConfigurationError: It is a model, and a checkpoint of it was named; or there is no such checkpoint.
        NotFoundError: There is no such job.
    """
    if is_model and checkpoint is not None:
        raise ConfigurationError("a model has no checkpoints.", hint="Leave out --model, and name the job.")
    if is_model:
        return it.client.resolve_model(it.id)
    try:
        job = it.client.get_job(it.id)
    except NotFoundError as error:
        listed = command("jobs", "-p", it.account)
        error.hint = f"`{listed}` lists those there are. If '{it.id}' is the name of a model, or a role, add --model."
        raise
    if checkpoint is None:
        return job
    found = it.client.list_checkpoints(job)
    for each in found:
        if checkpoint in {each.id, each.model}:
            return each
    known = ", ".join(each.id for each in found) or "none"
    raise ConfigurationError(f"the job {it.id} has no checkpoint '{checkpoint}'.", hint=f"It has: {known}.")


def options_for(words: Iterable[str]) -> dict[str, Any]:
    """Reads options of the provider's own for a deployment.

    Raises:
        ConfigurationError: One has no name, or no = after it; or it is what an option of the command says.
    """
    from ftkit.checkup import options_of

    found = options_of(words)
    for name in found:
        if name in _OURS:
            raise ConfigurationError(f"--option {name}=... is no option of the provider.", hint=f"Say {_OURS[name]}.")
    return found


# -- how it is shown ---------------------------------------------------------------------------------------------------


def price(deployment: Deployment) -> str:
    """Returns what a deployment costs while it stands."""
    if deployment.price_per_hour is None:
        return "price unknown"
    return f"{deployment.price_per_hour:f} {deployment.currency}/h"


def may_cost(deployment: Deployment) -> bool:
    """Whether a deployment costs by the hour, as far as anybody knows."""
    return deployment.price_per_hour is None or deployment.price_per_hour > 0


def end(deployment: Deployment) -> str:
    """Returns when a deployment is due, by this machine's clock."""
    now, ends = datetime.now(UTC), deployment.expires_at
    if ends is None:
        return "no end"
    return f"in {age(ends - now)}" if ends > now else f"due for {age(now - ends)}"


def age(time: timedelta) -> str:
    """Returns how long a deployment stands: in minutes at least, since it is by the hour that it costs."""
    return span(time) if time >= _MINUTE else f"0m {span(time)}"


def render(deployment: Deployment, account: str, *, can_chat: bool) -> str:
    """Returns a deployment as text: what stands there, and what to do next.

    Args:
        deployment: The deployment.
        account: Name of the profile or provider that it was made with.
        can_chat: Whether the provider can be asked.
    """
    name = reference(account, deployment.name)
    ends = end(deployment)
    facts = {
        "deployment": name,
        "status": deployment.status.value,
        "error": deployment.error,
        "price": price(deployment),
        "ends": ends
        if deployment.expires_at is None
        else f"{ends}: `ftkit reap` deletes it then, and nothing else does",
        "serves": deployment.source or deployment.model,
        "url": deployment.url,
    }
    width = max(map(len, facts)) + 3
    lines = [f"{what + ':':<{width}}{one_line(told)}" for what, told in facts.items() if told]
    steps = [*([command("chat", name)] if can_chat else []), command("undeploy", name)]
    return "\n".join([*lines, "", "next:", *(f"  {step}" for step in steps)])


# -- errors ------------------------------------------------------------------------------------------------------------


@contextmanager
def hinted(account: str) -> Generator[None]:
    """Lets an error that leaves open whether there is a deployment name the commands that look for it, and end it.

    Args:
        account: Name of the profile or provider.
    """
    with left(account):
        try:
            yield
        except (ProviderUnavailableError, UnclearOutcomeError) as error:
            error.add_note(f"It may come up yet, and cost. {_look(account)}")
            raise


@contextmanager
def left(account: str) -> Generator[None]:
    """Lets an error whose notes name a deployment, by lines of Python, name the commands as well."""
    try:
        yield
    except FtkitError as error:
        if any("client." in note for note in getattr(error, "__notes__", ())):
            error.add_note(_look(account))
        raise


def _look(account: str) -> str:
    listed, reaped = command("deployments", account), command("reap", account)
    return f"`{listed}` tells what stands; `{reaped}` deletes what is due, or left over."


@contextmanager
def found(account: str) -> Generator[None]:
    """Lets the error about a deployment that is not there name the commands that list and make one."""
    try:
        yield
    except NotFoundError as error:
        listed = command("deployments", account)
        error.hint = f"`{listed}` lists those there are; `{command('deploy')} PROFILE:JOB` makes one."
        raise


@contextmanager
def busy(text: str, *, shown: bool = True) -> Generator[None]:
    """Shows on a terminal that something is being done, and for how long.

    Args:
        text: What it is.
        shown: Whether to show anything.
    """
    if not (shown and sys.stderr.isatty()):
        yield
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as shows:
        shows.add_task(one_line(text), total=None)
        yield
