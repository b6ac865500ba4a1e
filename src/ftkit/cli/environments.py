"""The environments of their own that AutoTrain and vLLM need."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from ftkit.cli._app import app
from ftkit.cli._exits import Status
from ftkit.cli._output import Json, print_json
from ftkit.cli._told import told, whole
from ftkit.errors import FtkitError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ftkit.doctor import Finding
    from ftkit.providers._environments import OwnEnvironment

autotrain = typer.Typer(no_args_is_help=True, help="The environment of its own that AutoTrain needs.")
app.add_typer(autotrain, name="autotrain")
vllm = typer.Typer(no_args_is_help=True, help="The environment of its own that vLLM needs, to serve on an NVIDIA GPU.")
app.add_typer(vllm, name="vllm")

Remove = Annotated[bool, typer.Option("--remove", help="Removes it, and those of earlier versions.")]
TorchBackend = Annotated[str | None, typer.Option(help="Which build of torch, in uv's words: cpu, cu128, auto.")]


@autotrain.command("setup")
def setup_autotrain(
    remove: Remove = False,  # noqa: FBT002
    torch_backend: TorchBackend = None,
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Builds AutoTrain's environment (about 2 GB), or goes on where an earlier attempt stopped."""
    from ftkit.providers.autotrain import environment

    _set_up(environment.own(), torch_backend, remove=remove, as_json=as_json)


@autotrain.command("doctor")
def examine_autotrain(as_json: Json = False) -> None:  # noqa: FBT002
    """Tells which environment is used, and what is in it. Ends with status 1 if AutoTrain cannot train with it."""
    from ftkit.providers.autotrain import environment

    _tell(_found_in(environment.own()), "AutoTrain can train with it.", as_json=as_json)


@vllm.command("setup")
def setup_vllm(
    remove: Remove = False,  # noqa: FBT002
    torch_backend: TorchBackend = None,
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Builds vLLM's environment (about 9 GB), or goes on where an earlier attempt stopped."""
    from ftkit.providers.huggingface.vllm import OWN

    _set_up(OWN, torch_backend, remove=remove, as_json=as_json)


@vllm.command("doctor")
def examine_vllm(as_json: Json = False) -> None:  # noqa: FBT002
    """Tells which environment is used, what is in it, and the GPU. Ends with status 1 if vLLM cannot serve with it."""
    from ftkit.doctor import Finding
    from ftkit.providers.huggingface.vllm import OWN, gpu

    def findings() -> Iterator[Finding]:
        yield Finding(what="GPU", told=gpu())
        yield from _found_in(OWN)

    _tell(findings(), "vLLM can serve with it.", as_json=as_json)


def _set_up(own: OwnEnvironment, torch_backend: str | None, *, remove: bool, as_json: bool) -> None:
    """Builds an environment, or removes it. How far it is goes to stderr if there is JSON on stdout."""
    from ftkit.cli._nouns import Place

    with told(as_json=as_json):
        if remove:
            places = [Place(path=str(path), state="removed") for path in own.remove()]
        else:
            say = partial(typer.echo, err=as_json)
            places = [Place(path=str(own.setup(say, torch_backend).python), state="ready")]
    if as_json:
        print_json(places)
        return
    for place in places:
        typer.echo(f"removed: {place.path}" if remove else place.path)


def _found_in(own: OwnEnvironment) -> Iterator[Finding]:
    """Yields what is in an environment, and whether that will do.

    Raises:
        ConfigurationError: It will not.
    """
    from ftkit.doctor import Finding

    found = own.required()
    yield Finding(what="interpreter", told=str(found.python))
    for name, version in own.versions(found).items():
        yield Finding(what=name, ok=version is not None, told=version or "missing")
    own.check(found)


def _tell(findings: Iterator[Finding], well: str, *, as_json: bool) -> None:
    """Prints what is found, and that all is well; or up to what is wrong, and ends with status 1 then."""
    from ftkit.doctor import Finding

    try:
        for finding in findings:
            if as_json:
                print_json([finding])
            else:
                typer.echo(f"{finding.what}: {finding.told}")
    except FtkitError as error:
        if as_json:
            print_json([Finding(what="environment", ok=False, told=error.message, fix=error.hint)])
        else:
            typer.echo(f"error: {whole(error)}", err=True)
        raise typer.Exit(Status.NO) from error
    if as_json:
        print_json([Finding(what="environment", told=well)])
    else:
        typer.echo(well)
