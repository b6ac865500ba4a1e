"""To talk with a model."""

from __future__ import annotations

import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from ftkit.cli import _completing, _names, _pairs
from ftkit.cli._app import app
from ftkit.cli._asking import Asking
from ftkit.cli._deployments import (
    IsModel,
    OfJob,
    busy,
    found,
    hinted,
    left,
    may_cost,
    options_for,
    price,
    target_of,
)
from ftkit.cli._jobs import command, named
from ftkit.cli._names import reference
from ftkit.cli._output import Json, print_json
from ftkit.cli._text import one_line
from ftkit.cli._told import taken_up_again, told
from ftkit.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from ftkit.cli._jobs import Named
    from ftkit.models import ChatMessage, Deployment


@app.command()
def chat(
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET",
            help="The deployment: profile:name, or its name alone and --provider. With --deploy, a job in its place.",
            autocompletion=_completing.answering,
            show_default=False,
        ),
    ],
    message: Annotated[
        str | None,
        typer.Argument(
            metavar="MESSAGE",
            help="What to say. If left out: a conversation in a terminal; else it is read from stdin.",
        ),
    ] = None,
    system: Annotated[str | None, typer.Option(help="The system message.")] = None,
    temperature: Annotated[float | None, typer.Option(min=0, help="0 picks the likeliest token every time.")] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Most tokens in an answer.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the draw.")] = None,
    deploy: Annotated[  # noqa: FBT002
        bool, typer.Option("--deploy", help="Deploys a job for as long as this lasts, and deletes that at the end.")
    ] = False,
    model: IsModel = False,  # noqa: FBT002
    checkpoint: OfJob = None,
    option: _pairs.Option = None,
    provider: _names.Provider = None,
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Asks a deployed model, and prints the answer as it comes; or talks with it, line by line.

    In a conversation, /help tells the commands. --model, --checkpoint and --option go with --deploy.
    """
    talks = message is None and sys.stdin.isatty() and sys.stdout.isatty()
    with told(as_json=as_json), taken_up_again(_how(target, provider, stays=not deploy)):
        if talks and as_json:
            raise ConfigurationError("--json prints one answer.", hint="Write the message behind the deployment.")
        if not deploy and (model or checkpoint or option):
            raise ConfigurationError("--model, --checkpoint and --option say how to deploy.", hint="Add --deploy.")
        said = [] if talks else _messages(system, message)
        it = named(target, provider)
        with _deployed(it, checkpoint, option, is_model=model, quiet=as_json) if deploy else _found(it) as there:
            asking = Asking(it.client, there, {"temperature": temperature, "max_tokens": max_tokens, "seed": seed})
            if talks:
                _talk(asking, reference(it.account, there.name), system, stays=not deploy)
            elif as_json:
                print_json([asking.reply(said)])
            else:
                asking.show(said)


@contextmanager
def _found(it: Named) -> Generator[Deployment]:
    """Yields a deployment that is there."""
    with found(it.account):
        there = it.client.get_deployment(it.id)
    yield there


@contextmanager
def _deployed(
    it: Named, checkpoint: str | None, option: Iterable[str] | None, *, is_model: bool, quiet: bool
) -> Generator[Deployment]:
    """Deploys for the time of a `with` block, as the library does."""
    with left(it.account), ExitStack() as stack:
        with hinted(it.account), busy(f"deploying {it.reference}", shown=not quiet):
            target = target_of(it, checkpoint, is_model=is_model)
            there = stack.enter_context(it.client.deployed(target, **options_for(option or ())))
        yield there


def _talk(asking: Asking, name: str, system: str | None, *, stays: bool) -> None:
    """Has a conversation. What goes on to cost when it is over is named, with the command that ends it."""
    from ftkit.cli._conversation import Conversation

    there = asking.deployment
    typer.echo(f"{name} serves {one_line(there.source or there.model)}. /help tells what can be done, Ctrl-D ends.")
    Conversation(asking, system).run()
    if stays and may_cost(there):
        typer.echo(f"It stays, and costs ({price(there)}) until: {command('undeploy', name)}", err=True)


def _messages(system: str | None, message: str | None) -> list[ChatMessage]:
    """Returns what is said, as messages.

    Raises:
        ConfigurationError: Nothing is said.
    """
    from ftkit.models import ChatMessage

    try:
        text = sys.stdin.read().removesuffix("\n") if message is None else message
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"what came from stdin is no text: {error}") from error
    if not text.strip():
        hint = "Write it behind the deployment, or send it to stdin. In a terminal, without it, a conversation begins."
        raise ConfigurationError("there is no message.", hint=hint)
    begin = [ChatMessage(role="system", content=system)] if system else []
    return [*begin, ChatMessage(role="user", content=text)]


def _how(target: str, provider: str | None, *, stays: bool) -> str:
    if not stays:
        return (
            "What was deployed for it alone is deleted. Was it still being made, it may come up, and cost: "
            "`ftkit deployments` lists it, `ftkit undeploy` deletes it."
        )
    return f"The deployment stays, until: {command('undeploy', target, *(('-p', provider) if provider else ()))}"
