"""What another process is sent to do: the script of a user, in small. Run again, it goes on where it was."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, SupportsIndex

from ftkit.client import Client
from ftkit.home import HOME
from ftkit.ledger import Ledger
from ftkit.provider import Settles

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from ftkit.models import FineTuningJob, JobRequest, TrainingFile
    from ftkit.provider import Provider


@dataclass(frozen=True, slots=True)
class Errand:
    """A script that uploads and makes a job, or that deploys one.

    Attributes:
        make_provider: Makes the provider in the other process. It is pickled: a function of a module, or a
            `functools.partial` of one.
        home: The folder of its ledger.
        source: The training data.
        request: What is asked for; of its training file only the place is taken.
        ledger: The kind of ledger.
        settle_s: How long the provider is told that its list may lag, in seconds; None for what it says itself.
        hurried: Nothing is slept; the time that would have been is added to its clock.
        deploys: The job that is deployed, in place of making one.
        deploy_options: What the deployment needs.
        counts: Whether deployments are counted, and nothing is made.
    """

    make_provider: Callable[[], Provider]
    home: Path
    source: Path
    request: JobRequest
    ledger: type[Ledger] = Ledger
    settle_s: float | None = None
    hurried: bool = False
    deploys: FineTuningJob | None = None
    deploy_options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    counts: bool = False

    def run(self) -> str:
        """Does it. Returns the id of the job, the name of the deployment, or the number of deployments."""
        provider = self.make_provider()
        if self.settle_s is not None and isinstance(provider, Settles):
            provider.settle_s = self.settle_s
        client = Client(provider, ledger=self.ledger(self.home))
        if self.counts:
            return str(sum(not each.status.is_gone for each in client.list_deployments()))
        if self.deploys is not None:
            return client.deploy(self.deploys, **self.deploy_options).name
        file = uploaded(client, self.source, self.request)
        return client.create_job(training_file=file, **arguments_of(self.request)).id


def uploaded(client: Client, source: Path, request: JobRequest) -> TrainingFile:
    """Uploads training data for a request."""
    options = request.provider_options
    return client.upload(source, model=request.model, method=request.method, provider_options=options)


def arguments_of(request: JobRequest) -> dict[str, Any]:
    """Returns what `create_job` is given for a request, but for its files."""
    names = ("model", "method", "suffix", "seed", "metadata", "provider_options")
    return {name: getattr(request, name) for name in names}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an errand.

    Attributes:
        came: What `Errand.run` returned; None if it did not come to an end.
        error: The error that it ended with.
        kind: The error's class.
        seconds: How long it took, with what it would have slept.
        killed: Whether its process was killed.
    """

    came: str | None = None
    error: str | None = None
    kind: str | None = None
    seconds: float = 0.0
    killed: bool = False


def carry_out(errand: Errand, told: Path, ready: Callable[[], None]) -> None:
    """Runs an errand in this process, and writes what became of it.

    Args:
        errand: What to do.
        told: Where to write it.
        ready: Called when everything is loaded that the errand needs, just before it begins.
    """
    os.environ[HOME] = str(errand.home)
    errand.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    if errand.hurried:
        _hurry()
    ready()
    began = time.monotonic()
    try:
        outcome: dict[str, object] = {"came": errand.run()}
    except Exception as error:  # noqa: BLE001 - whatever it is, the attack is told
        outcome = {"error": str(error), "kind": type(error).__name__}
    outcome["seconds"] = time.monotonic() - began
    told.write_text(json.dumps(outcome), encoding="utf-8")


def _hurry() -> None:
    """Lets this process sleep in no time: its clock is put forward instead."""
    clock, ahead = time.monotonic, [0.0]

    def sleep(seconds: float | SupportsIndex, /) -> None:
        ahead[0] += max(0.0, float(seconds))

    time.sleep = sleep
    time.monotonic = lambda: clock() + ahead[0]
