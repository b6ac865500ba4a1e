"""The process of one job: `python -m ftkit.providers.autotrain.train FOLDER`.

It is what the runner of `ftkit.providers._local_jobs` becomes. It writes AutoTrain's recipe and data, starts
`inside/runner.py` in AutoTrain's environment, and turns what that tells into status and events. Both are in one process
group, and the inner one ends when this one has gone. A job has succeeded when its training was finished and its weights
are on disk, and not before.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, cast

from ftkit.errors import FtkitError, ProviderError
from ftkit.models import EventLevel
from ftkit.plugin.disk import take
from ftkit.providers._local_jobs import Reporter
from ftkit.providers._local_jobs.names import MODEL, TRAINING, model_name
from ftkit.providers._trainer_logs import training_metrics
from ftkit.providers.autotrain import hub
from ftkit.providers.autotrain.environment import NOT_PASSED_ON
from ftkit.providers.autotrain.options import AutoTrainOptions
from ftkit.providers.autotrain.recipe import DATA, PROJECT, config_of, kind_of
from ftkit.providers.huggingface.resolve import resolve_model
from ftkit.providers.huggingface.small import NAME as SMALL
from ftkit.providers.huggingface.weights import read_numbers_only

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_INSIDE = Path(__file__).with_name("inside") / "runner.py"
_WORK = "work"
_LOGS = "runs"
_LEFT_OUT = ("autotrain-data", _LOGS, "training_args.bin")
"""What AutoTrain leaves in a project that is no part of a model; the last is a pickle."""
_MOST_SHOWN = 500


def main(path: Path) -> int:
    """Trains the job in a folder, and returns the exit status."""
    reporter = Reporter(path)
    signal.signal(signal.SIGTERM, _leave)
    try:
        _train(reporter)
    except BaseException as error:  # noqa: BLE001 - whatever it is, it ends the job, which says so
        traceback.print_exc()
        shutil.rmtree(path / _WORK, ignore_errors=True)
        if reporter.want() != "cancelled":  # that is written down by whoever cancels it
            message = _in_a_sentence(error)
            reporter.event(f"The job failed: {message}", EventLevel.ERROR)
            reporter.status("failed", error=message)
        return 1
    return 0


def _leave(number: int, frame: object) -> NoReturn:
    """Ends the process by way of `main`, which tidies up."""
    del frame
    raise SystemExit(128 + number)


def _in_a_sentence(error: BaseException) -> str:
    if isinstance(error, FtkitError):
        return str(error)
    if isinstance(error, SystemExit):
        return "its process was asked to end (SIGTERM)"
    return f"{type(error).__name__}: {error}"


def _train(reporter: Reporter) -> None:
    record, place = reporter.record, reporter.folder.path
    work = place / _WORK
    _prepare(work, place / TRAINING, reporter)
    for told in _told_inside(work, Path(record.extra["python"])):
        _pass_on(told, reporter)
    name = model_name(record.request, reporter.folder.id)
    _keep_model(work / PROJECT, place)
    shutil.rmtree(work)
    _push(reporter)
    reporter.event("The job succeeded")
    reporter.status("succeeded", fine_tuned_model=name, step=reporter.state.total_steps)


def _prepare(work: Path, training: Path, reporter: Reporter) -> None:
    """Writes what AutoTrain reads: a recipe, and a folder with the one file of data that it is to find."""
    shutil.rmtree(work, ignore_errors=True)
    (work / DATA).mkdir(parents=True)
    take(training, work / DATA / "train.jsonl")
    with training.open(encoding="utf-8") as lines:
        kind = kind_of(json.loads(next(lines)))
    request, extra = reporter.record.request, reporter.record.extra
    config = config_of(request, _loadable(extra["model"], reporter), kind)
    if extra.get("reference"):
        config["params"]["model_ref"] = _loadable(extra["reference"], reporter)
    (work / "config.yml").write_text(json.dumps(config, indent=2), encoding="utf-8")  # JSON is YAML, too
    options = AutoTrainOptions(**request.provider_options)
    asked = {"block_size_is_ours": options.block_size is None}
    (work / "asked.json").write_text(json.dumps(asked), encoding="utf-8")


def _loadable(model: str, reporter: Reporter) -> str:
    """Returns what AutoTrain can load: it knows the Hub and folders, and not what ftkit builds."""
    if model != SMALL:
        return model
    reporter.event("Looking for ftkit/small, which is built the first time")
    return str(resolve_model(model))


def _told_inside(work: Path, python: Path) -> Iterator[dict[str, Any]]:
    """Runs AutoTrain, and yields what it tells, until it has finished.

    Raises:
        ProviderError: It failed; in its own words.
    """
    ours, theirs = os.pipe()
    command = [str(python), str(_INSIDE), "config.yml", str(theirs)]
    with (
        os.fdopen(ours, encoding="utf-8") as lines,
        subprocess.Popen(  # noqa: S603 - AutoTrain's interpreter, and our own script
            command, cwd=work, env=_environment(python), stdin=subprocess.PIPE, pass_fds=[theirs]
        ) as process,
    ):
        os.close(theirs)
        finished = False
        for line in lines:
            told = cast("dict[str, Any]", json.loads(line))
            if told["kind"] == "failed":
                raise ProviderError(_shortened(str(told["error"])), provider="autotrain")
            finished = finished or told["kind"] == "done"
            yield told
        status = process.wait()
    if not finished:
        raise ProviderError(f"AutoTrain's process ended with status {status}, and said no more", provider="autotrain")


def _environment(python: Path) -> dict[str, str]:
    env = {name: value for name, value in os.environ.items() if name not in NOT_PASSED_ON}
    ours = {
        "PATH": f"{python.parent}{os.pathsep}{env.get('PATH', '')}",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        # One process trains; of several GPUs, transformers would take all, in a way that nobody recommends.
        "CUDA_VISIBLE_DEVICES": env.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0],
        # AutoTrain's own default runs whatever code a model of the Hub brings along.
        "ALLOW_REMOTE_CODE": env.get("ALLOW_REMOTE_CODE", "false"),
    }
    read_numbers_only(env)
    return env | ours


def _pass_on(told: Mapping[str, Any], reporter: Reporter) -> None:
    match told["kind"]:
        case "event":
            reporter.event(told["message"], EventLevel(told["level"]))
        case "step":
            if reporter.state.total_steps is None:
                reporter.event(f"Training started: {told['total']} steps")
            reporter.status(step=told["step"], total_steps=told["total"])
        case "metrics" if "loss" in told["values"]:
            metrics = training_metrics(told["step"], told["values"])
            where = f"Step {told['step']}/{reporter.state.total_steps}"
            reporter.event(f"{where}: training loss={metrics.train_loss:.2f}", metrics=metrics)
        case _:
            pass


def _keep_model(project: Path, place: Path) -> None:
    """Takes the model out of AutoTrain's project, and leaves the rest.

    Raises:
        ProviderError: There are no weights, whatever AutoTrain said.
    """
    if not any(project.glob("*.safetensors")):
        raise ProviderError("AutoTrain finished, and left no weights", provider="autotrain")
    if (project / _LOGS).is_dir():
        (project / _LOGS).rename(place / _LOGS)
    for name in _LEFT_OUT:
        with suppress(FileNotFoundError):
            unwanted = project / name
            shutil.rmtree(unwanted) if unwanted.is_dir() else unwanted.unlink()
    project.rename(place / MODEL)


def _push(reporter: Reporter) -> None:
    """Pushes the model where that was asked for. The training is not lost when the Hub is not to be had."""
    repo = AutoTrainOptions(**reporter.record.request.provider_options).push_to_hub
    if repo is None:
        return
    try:
        url = hub.push(reporter.folder.path / MODEL, repo)
    except FtkitError as error:
        reporter.event(f"The model could not be pushed to {repo}: {error}", EventLevel.ERROR)
    else:
        reporter.event(f"The model is at {url}")


def _shortened(error: str) -> str:
    """Returns an error as it can be read: some of transformers' list all models there are."""
    return error if len(error) <= _MOST_SHOWN else f"{error[:_MOST_SHOWN].rstrip()} ... (the rest is in log.txt)"


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
