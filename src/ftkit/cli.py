"""The command line. It reads arguments, calls the library, and prints; it decides nothing itself."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ftkit.errors import ConfigurationError, FtkitError

if TYPE_CHECKING:
    from collections.abc import Generator

    from ftkit.models import Deployment
    from ftkit.providers._environments import OwnEnvironment
    from ftkit.server.keys import Keys

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,  # older versions of Typer show them, and there may be a key among them
    help="One interface for fine-tuning language models.",
)
keys = typer.Typer(no_args_is_help=True, help="The keys of a server that `ftkit serve` runs.")
app.add_typer(keys, name="keys")
autotrain = typer.Typer(no_args_is_help=True, help="The environment of its own that AutoTrain needs.")
app.add_typer(autotrain, name="autotrain")
vllm = typer.Typer(no_args_is_help=True, help="The environment of its own that vLLM needs, to serve on an NVIDIA GPU.")
app.add_typer(vllm, name="vllm")

_INTERRUPTED = 130
"""The exit status of what Ctrl-C ended: 128 and the number of SIGINT, as shells count."""

Home = Annotated[Path | None, typer.Option(help="The server's folder; one of the user's own if left out.")]
_NOBODY_ASKED = "no account is known here, so none was asked: `ftkit deployments PROVIDER` asks one"
Name = Annotated[str, typer.Argument(help="What the key is called.")]
Remove = Annotated[bool, typer.Option("--remove", help="Removes it, and those of earlier versions.")]
TorchBackend = Annotated[str | None, typer.Option(help="Which build of torch, in uv's words: cpu, cu128, auto.")]


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Shows the version.")] = False) -> None:  # noqa: FBT002
    """One interface for fine-tuning language models."""
    if version:
        typer.echo(f"ftkit {metadata.version('ftkit')}")
        raise typer.Exit


@app.command()
def serve(
    provider: Annotated[str, typer.Option(help="Name of the provider, or of a profile.")] = "huggingface",
    model: Annotated[
        list[str] | None,
        typer.Option(help="NAME=MODEL: the provider's model that stands for a name. May be given several times."),
    ] = None,
    default_model: Annotated[
        str | None, typer.Option(help="The provider's model, or role, for every other name.")
    ] = None,
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes one that is free.")] = 8000,
    slots: Annotated[int, typer.Option(min=1, help="Jobs at work at once; others queue.")] = 1,
    served: Annotated[int, typer.Option(min=1, help="Models that answer at once.")] = 2,
    idle_s: Annotated[float, typer.Option(min=1, help="Seconds after which an idle model is let go.")] = 900.0,
    auth: Annotated[bool, typer.Option(help="Ask for a key; without, for this machine only.")] = True,  # noqa: FBT002
    home: Home = None,
) -> None:
    """Serves OpenAI's and Azure's fine-tuning API in front of a provider."""
    from ftkit.client import Client
    from ftkit.server import running
    from ftkit.server.logs import log_to_stderr
    from ftkit.server.settings import ModelMap, Settings

    log_to_stderr()
    with _told():
        folder = (home or running.default_home()).expanduser().resolve()
        running.live_in(folder, slots)
        client = Client(provider)
        models = ModelMap.parse(model or [], default_model, client)
        settings = Settings(
            home=folder,
            models=models.names,
            default_model=models.default,
            slots=slots,
            served=served,
            idle_s=idle_s,
            auth=auth,
        )
        running.serve(client, settings, running.Address(host, port), typer.echo)


@app.command("run")
def run_recipe(
    recipe: Annotated[str, typer.Argument(help="A recipe of AutoTrain's: its YAML file for a language model.")],
    provider: Annotated[
        str | None, typer.Option(help="Name of the provider, or of a profile; the recipe's own if left out.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Another base model, by the provider's name, or a role.")] = None,
    without: Annotated[
        list[str] | None,
        typer.Option(help="A key of the recipe to leave out, such as params.block_size. May be given several times."),
    ] = None,
    wait: Annotated[bool, typer.Option(help="Wait for the end of the job.")] = True,  # noqa: FBT002
    retry_failed: Annotated[  # noqa: FBT002
        bool, typer.Option("--retry-failed", help="Makes a new attempt if the recipe's job failed or was cancelled.")
    ] = False,
) -> None:
    """Fine-tunes as a recipe of AutoTrain's says, with any provider."""
    from ftkit import recipes
    from ftkit.client import Client

    with _told(), _taken_up_again():
        read = recipes.load(recipe, without=without or ())
        job = recipes.run(
            read, Client(provider) if provider else None, model=model, wait=wait, retry_failed=retry_failed
        )
    typer.echo(f"job: {job.id}")
    typer.echo(f"status: {job.status.value}")
    typer.echo(f"model: {job.fine_tuned_model or '-'}")
    if not job.status.is_terminal:
        typer.echo("The same command again waits for it.")


@app.command()
def check(
    file: Annotated[str, typer.Argument(help="The data: .jsonl, .json, .csv, .parquet, or a folder of `datasets`.")],
    provider: Annotated[
        str | None, typer.Option(help="Name of a provider, or of a profile; without, what all of them would refuse.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="The base model, or a role. It goes with --provider.")] = None,
    method: Annotated[str | None, typer.Option(help="supervised, dpo, reinforcement, orpo, reward, ...")] = None,
    n_epochs: Annotated[
        int | None, typer.Option(min=1, help="With --provider: the epochs, which the price depends on.")
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(help="NAME=VALUE of the provider's own, such as training_type=GlobalStandard. Several are fine."),
    ] = None,
    validation: Annotated[
        str | None, typer.Option(help="The validation file: it is looked over too, and compared with.")
    ] = None,
    columns: Annotated[
        list[str] | None, typer.Option(help="OWN=FIELD: which column is which field. May be given several times.")
    ] = None,
    warnings: Annotated[
        str, typer.Option(help="default, all, none, or names with commas between; see docs/data.md.")
    ] = "default",
    prompt: Annotated[
        Path | None,
        typer.Option(help="The whole prompt of a typical call today, as text or JSON messages: does the training pay?"),
    ] = None,
    calls_per_day: Annotated[float | None, typer.Option(min=0, help="With --prompt: calls a day.")] = None,
    cached: Annotated[
        float, typer.Option(min=0, max=1, help="With --prompt: the share of it that the provider has in its cache.")
    ] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="Prints the report as JSON.")] = False,  # noqa: FBT002
    fix: Annotated[Path | None, typer.Option(help="Writes a copy, mended where that is safe, to this file.")] = None,
    drop: Annotated[
        list[str] | None,
        typer.Option(help="With --fix, leaves out: duplicates, errors, columns. May be given several times."),
    ] = None,
) -> None:
    """Looks training data over. Sends nothing, and needs no account. Status 1: there are errors; 2: wrong arguments."""
    from ftkit import checkup, reports

    with _told(status=2):
        whose = checkup.Whose(provider, model, method, n_epochs, checkup.options_of(option or ()))
        how: checkup.How = {
            "validation": validation,
            "columns": checkup.columns_of(columns or ()),
            "warnings": warnings.split(","),
        }
        if fix is not None:
            mended = checkup.mend(file, fix, whose, drop=drop or (), **how)
            report, said = mended.report, mended.model_dump_json() if as_json else reports.render_mended(mended)
        elif drop:
            raise ConfigurationError("--drop leaves rows out of a copy.", hint="Name the copy: --fix mended.jsonl")
        else:
            today = checkup.today_of(prompt, calls_per_day, cached)
            report = checkup.examine(file, whose, **how, today=today)
            said = report.model_dump_json() if as_json else reports.render(report)
    typer.echo(said)
    if not report.ok:
        raise typer.Exit(1)


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(help="The data: a file, or a folder saved by datasets.save_to_disk.")],
    target: Annotated[Path, typer.Argument(help="The file to write: .jsonl, .json, .csv or .parquet.")],
    to: Annotated[str, typer.Option(help="The layout: chat, sharegpt, alpaca, trl-preference, ...")],
    columns: Annotated[
        list[str] | None,
        typer.Option(help="OWN=FIELD: which column is which field. May be given several times."),
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option(help="A column that may be lost, such as id. May be given several times.")
    ] = None,
) -> None:
    """Writes training data in another layout and format. Status 1: something would be lost, and nothing is written."""
    from ftkit.checkup import columns_of
    from ftkit.datasets import transcribe

    with _told():
        mapped = columns_of(columns or ())
        report = transcribe(source, target, to=to, columns=mapped, without=without or (), progress=True)
    for problem in report.problems:
        typer.echo(str(problem), err=True)
    typer.echo(f"{target}: {report.rows:,} row{'' if report.rows == 1 else 's'} of {report.kind}, written as {to}")


@app.command("providers")
def list_providers(
    as_json: Annotated[bool, typer.Option("--json", help="Prints them as JSON.")] = False,  # noqa: FBT002
    table: Annotated[bool, typer.Option("--table", help="Prints what each can do as a Markdown table.")] = False,  # noqa: FBT002
) -> None:
    """Lists the providers that are installed: from which package, what each can do, what it still needs.

    Nothing is sent. Status 1: one of them is broken.
    """
    from ftkit import installed

    found = installed.installed()
    if as_json:
        typer.echo(found.model_dump_json())
    elif table:
        typer.echo(installed.table(found), nl=False)
    else:
        typer.echo(installed.render(found))
    for package in found.unreadable:
        typer.echo(f"error: the metadata of the package '{package}' cannot be read", err=True)
    if not found.ok:
        raise typer.Exit(1)


@app.command()
def doctor(
    name: Annotated[
        str | None, typer.Argument(help="Name of a provider, or of a profile; the default profile if left out.")
    ] = None,
    ask: Annotated[bool, typer.Option(help="Ask the provider, by requests that only read.")] = True,  # noqa: FBT002
    as_json: Annotated[bool, typer.Option("--json", help="Prints a line of JSON for each finding.")] = False,  # noqa: FBT002
) -> None:
    """Looks over whether a job could be made with a name as it stands. Spends nothing. Status 1: something is wrong."""
    from ftkit.doctor import examine

    well = True
    for finding in examine(name, ask=ask):
        well = well and finding.ok is not False
        typer.echo(finding.model_dump_json() if as_json else str(finding))
    if not well:
        raise typer.Exit(1)


@app.command("new-provider")
def make_package(
    name: Annotated[str, typer.Argument(help="Name of the provider: a plain lower-case word, as in Client(NAME).")],
    folder: Annotated[Path, typer.Option(help="Where the package's own folder is made.")] = Path(),
    class_name: Annotated[
        str | None, typer.Option(help="Name of the provider's class; NovaProvider for nova if left out.")
    ] = None,
) -> None:
    """Writes a package with a provider of your own: it works, passes the kit, and is yours to change and publish."""
    from ftkit.new_provider import new_provider, next_steps

    with _told():
        made = new_provider(name, folder, class_name=class_name)
    typer.echo(f"Made {made}: a provider that works, and passes the kit. Next:")
    for step in next_steps(made).splitlines():
        typer.echo(f"  {step}")


@app.command("deployments")
def list_deployments(
    provider: Annotated[
        str | None, typer.Argument(help="Name of a provider, or of a profile, whose account is asked in any case.")
    ] = None,
) -> None:
    """Lists what answers, and costs, in all accounts known here: status, age, price by the hour, end, what is served.

    What is due is deleted by `ftkit reap`, and by nothing else. Age and end are told by this machine's clock.
    """
    from ftkit.upkeep import Upkeep

    with _told():
        found = Upkeep().deployments(provider)
    for each in found.deployments:
        typer.echo("\t".join(_row(each)))
    if not found.deployments:
        asked = "no deployments" if found.asked or found.troubles else _NOBODY_ASKED
        typer.echo(asked)
    for account, trouble in found.troubles.items():
        typer.echo(f"not asked: {account}: {_whole(trouble)}", err=True)
    if not found.is_whole:
        raise typer.Exit(1)


@app.command()
def reap(
    provider: Annotated[
        str | None, typer.Argument(help="Name of a provider, or of a profile; all accounts known here if left out.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only names what would be deleted.")] = False,  # noqa: FBT002
) -> None:
    """Deletes deployments that are past their time to live, or that a dead process left. Status 1: some are left."""
    from ftkit.upkeep import Upkeep

    with _told():
        reaped = Upkeep().reap(provider, dry_run=dry_run)
    for account, names in reaped.names.items():
        for name in names:
            typer.echo(f"{'would delete' if dry_run else 'deleted'}\t{name}\t{account}")
    for account, trouble in reaped.troubles.items():
        typer.echo(f"error: {account}: {_whole(trouble)}", err=True)
    if reaped.troubles:
        raise typer.Exit(1)
    if not any(reaped.names.values()):
        typer.echo("nothing is due")


@app.command()
def teardown(
    job: Annotated[str, typer.Argument(help="Id of a job that has ended.")],
    provider: Annotated[
        str | None, typer.Option(help="Name of its provider, or of a profile; the default profile if left out.")
    ] = None,
) -> None:
    """Deletes the deployments and the files that ftkit made for a job. The job and its model stay."""
    from ftkit.client import Client

    with _told():
        done = Client(provider).tear_down(job)
    for name in done.deployments:
        typer.echo(f"deleted\tdeployment\t{name}")
    for file_id in done.files:
        typer.echo(f"deleted\tfile\t{file_id}")
    for each in done.kept:
        typer.echo(f"kept\t{each.kind}\t{each.name}\t{each.reason}")
    if not (done.deployments or done.files or done.kept):
        typer.echo("nothing to delete: no deployment and no file of it is left")


@keys.command("create")
def create_key(name: Name, home: Home = None) -> None:
    """Makes a key, and shows it this once."""
    with _keys(home) as ring:
        typer.echo(ring.create(name))


@keys.command("list")
def list_keys(home: Home = None) -> None:
    """Lists the names of all keys."""
    with _keys(home) as ring:
        for key in ring.names():
            typer.echo(f"{key.id}\t{datetime.fromtimestamp(key.created_at, UTC):%Y-%m-%d %H:%M} UTC")


@keys.command("revoke")
def revoke_key(name: Name, home: Home = None) -> None:
    """Makes a key worthless, at once."""
    with _keys(home) as ring:
        ring.revoke(name)
    typer.echo(f"revoked: {name}")


@autotrain.command("setup")
def setup_autotrain(remove: Remove = False, torch_backend: TorchBackend = None) -> None:  # noqa: FBT002
    """Builds AutoTrain's environment (about 2 GB), or goes on where an earlier attempt stopped."""
    from ftkit.providers.autotrain import environment

    _set_up(environment.own(), torch_backend, remove=remove)


@autotrain.command("doctor")
def examine_autotrain() -> None:
    """Tells which environment is used, and what is in it. Ends with status 1 if AutoTrain cannot train with it."""
    from ftkit.providers.autotrain import environment

    with _told():
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

    with _told():
        typer.echo(f"GPU: {gpu()}")
        _examine(OWN)
        typer.echo("vLLM can serve with it.")


def main() -> None:
    """Runs a command."""
    try:
        app()
    except KeyboardInterrupt:  # before the command had begun, or as it ended
        raise SystemExit(_INTERRUPTED) from None


def _age(time: timedelta) -> str:
    """Writes a time as a person would say it: its two largest units."""
    seconds = max(0, int(time.total_seconds()))
    days, hours, minutes = seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60
    if days:
        return f"{days}d {hours}h"
    return f"{hours}h {minutes}m" if hours else f"{minutes}m {seconds % 60}s"


@contextmanager
def _told(status: int = 1) -> Generator[None]:
    """Ends the program with the one line that says what is wrong; with a status of its own if it is the arguments."""
    try:
        yield
    except FtkitError as error:
        typer.echo(f"error: {_whole(error)}", err=True)
        raise typer.Exit(status if isinstance(error, ConfigurationError) else 1) from error


@contextmanager
def _taken_up_again() -> Generator[None]:
    """Ctrl-C is no error to be traced: it is said how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("Stopped. A job that was made goes on; the same command again takes it up.", err=True)
        raise typer.Exit(_INTERRUPTED) from None


def _whole(error: FtkitError) -> str:
    """Returns an error with its notes, which name what was done nevertheless."""
    return "\n".join([str(error), *(f"  {note}" for note in getattr(error, "__notes__", ()))])


def _row(deployment: Deployment) -> list[str]:
    """Writes a deployment for a table: the columns of `ftkit deployments`."""
    from ftkit.models import DeploymentStatus

    now, made, ends = datetime.now(UTC), deployment.created_at, deployment.expires_at
    status = deployment.status.value
    if deployment.status is DeploymentStatus.UNKNOWN:
        status = deployment.provider_status or status
    price = deployment.price_per_hour
    costs = "price unknown" if price is None else f"{price:f} {deployment.currency}/h"
    end = "no end" if ends is None else f"in {_age(ends - now)}" if ends > now else f"due for {_age(now - ends)}"
    age, served = _age(now - made) if made is not None else "?", deployment.source or deployment.model
    return [deployment.name, status, age, costs, end, served, deployment.identity or deployment.provider]


def _set_up(own: OwnEnvironment, torch_backend: str | None, *, remove: bool) -> None:
    with _told():
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


@contextmanager
def _keys(home: Path | None) -> Generator[Keys]:
    from ftkit.server.keys import Keys
    from ftkit.server.office import has_store, open_store
    from ftkit.server.running import default_home

    with _told():
        folder = (home or default_home()).expanduser().resolve()
        if not has_store(folder):
            hint = "Start one with `ftkit serve`, or name its folder with --home."
            raise ConfigurationError(f"there is no server in {folder}", hint=hint)
        typer.echo(f"server: {folder}", err=True)
        store = open_store(folder)
        try:
            yield Keys(store)
        finally:
            store.close()


if __name__ == "__main__":
    main()
