"""The environments of their own that AutoTrain and vLLM need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ftkit.cli._app import app
from ftkit.cli._told import told

if TYPE_CHECKING:
    from ftkit.providers._environments import OwnEnvironment

autotrain = typer.Typer(no_args_is_help=True, help="The environment of its own that AutoTrain needs.")
app.add_typer(autotrain, name="autotrain")
vllm = typer.Typer(no_args_is_help=True, help="The environment of its own that vLLM needs, to serve on an NVIDIA GPU.")
app.add_typer(vllm, name="vllm")

Remove = Annotated[bool, typer.Option("--remove", help="Removes it, and those of earlier versions.")]
TorchBackend = Annotated[str | None, typer.Option(help="Which build of torch, in uv's words: cpu, cu128, auto.")]


@autotrain.command("setup")
def setup_autotrain(remove: Remove = False, torch_backend: TorchBackend = None) -> None:  # noqa: FBT002
    """Builds AutoTrain's environment (about 2 GB), or goes on where an earlier attempt stopped."""
    from ftkit.providers.autotrain import environment

    _set_up(environment.own(), torch_backend, remove=remove)


@autotrain.command("doctor")
def examine_autotrain() -> None:
    """Tells which environment is used, and what is in it. Ends with status 1 if AutoTrain cannot train with it."""
    from ftkit.providers.autotrain import environment

    with told():
        _examine(environment.own())
        typer.echo("AutoTrain can train with it.")


@vllm.command("setup")
def setup_vllm(remove: Remove = False, torch_backend: TorchBackend = None) -> None:  # noqa: FBT002
    """Builds vLLM's environment (about 9 GB), or goes on where an earlier attempt stopped."""
    from ftkit.providers.huggingface.vllm import OWN

    _set_up(OWN, torch_backend, remove=remove)


@vllm.command("doctor")
def examine_vllm() -> None:
    """Tells which environment is used, what is in it, and the GPU. Ends with status 1 if vLLM cannot serve with it."""
    from ftkit.providers.huggingface.vllm import OWN, gpu

    with told():
        typer.echo(f"GPU: {gpu()}")
        _examine(OWN)
        typer.echo("vLLM can serve with it.")


def _set_up(own: OwnEnvironment, torch_backend: str | None, *, remove: bool) -> None:
    with told():
        if remove:
            for path in own.remove():
                typer.echo(f"removed: {path}")
        else:
            typer.echo(own.setup(typer.echo, torch_backend).python)


def _examine(own: OwnEnvironment) -> None:
    found = own.required()
    typer.echo(f"interpreter: {found.python}")
    for name, version in own.versions(found).items():
        typer.echo(f"{name}: {version or 'missing'}")
    own.check(found)
