"""What the canary's tests share: keys, a tour through all verbs, and a storm of bad answers."""

from __future__ import annotations

import json
import os
import random
import secrets
import signal
import time
from typing import TYPE_CHECKING, Any

import tenacity
from parrot import RESET, STATUSES, another, elsewhere, half, nonsense, repeating

from ftkit import FineTuningJob, TrainingFile, retrying
from ftkit.testing.tally import ALL, Tally, record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import pytest
    from parrot import Mimic, Parrot, Words

    from ftkit import Client
    from ftkit.testing import Canary

WORDS = {
    **{str(status): repeating(status) for status in STATUSES},
    **{each.__name__: each for each in (nonsense, half, another, elsewhere)},
    RESET: RESET,
}
"""What a server may answer, by name."""
MORE_THAN_ANYBODY_ASKS = 30
SAMPLE = 12
"""How many pairs of a call and an answer a storm drives, where not all are asked for."""


def a_key(name: str) -> str:
    """Makes a key. It holds letters that are written in another way in an address, and looks like no vendor's."""
    return f"{name}-{secrets.token_hex(10)}%+/={secrets.token_hex(10)}"


def impatient(patch: pytest.MonkeyPatch) -> None:
    """Lets what is tried again be tried again at once, and less often."""
    patch.setattr(retrying, "_BACKOFF", tenacity.wait_none())
    patch.setattr(retrying, "ATTEMPTS", 2)


def training_file(folder: Path) -> Path:
    rows = [[{"role": "user", "content": f"{n}?"}, {"role": "assistant", "content": f"{n}!"}] for n in range(12)]
    path = folder / "train.jsonl"
    path.write_text("".join(json.dumps({"messages": messages}) + "\n" for messages in rows))
    return path


def tour(
    canary: Canary,
    client: Client,
    train: Path,
    model: str,
    *,
    finish: Callable[[FineTuningJob], object],
    deploys: bool = True,
) -> FineTuningJob:
    """Drives all verbs, from the check to the deletion of all that there is."""
    drives = canary.drives
    drives("client", lambda: client)
    drives("identity", client.identity)
    drives("check", client.check, train, model=model)
    file = drives("upload", client.upload, train, model=model)
    assert isinstance(file, TrainingFile), file
    cancelled = drives("create to cancel", client.create_job, model=model, training_file=file, key="second")
    drives("cancel", client.cancel_job, cancelled)
    job = drives("create", client.create_job, model=model, training_file=file)
    assert isinstance(job, FineTuningJob), job
    finish(job)
    drives("create again", client.create_job, model=model, training_file=file)
    drives("wait", client.wait, job, poll_s=0.01, timeout_s=60.0)
    drives("wait without a bar", client.wait, job, progress=False)
    job = drives("get", client.get_job, job)
    assert isinstance(job, FineTuningJob), job
    drives("list", client.list_jobs)
    for name, verb in (("events", client.list_events), ("checkpoints", client.list_checkpoints)):
        drives(name, verb, job)
    drives("results", client.results, job)
    drives("follow", lambda: list(client.follow(job)))
    drives("file", client.get_file, file)
    drives("files", client.list_files)
    drives("download", client.download_file, file, train.with_name("back.jsonl"))
    if deploys:
        tour_of_deployment(canary, client, job)
    drives("delete model", client.delete_model, str(job.fine_tuned_model))
    drives("delete file", client.delete_file, file)
    drives("client, used", lambda: client)
    return job


def tour_of_deployment(canary: Canary, client: Client, target: object, **options: Any) -> None:
    drives = canary.drives
    deployment = drives("deploy", client.deploy, target, name="nightingale", **options)
    drives("deployments", client.list_deployments)
    drives("deployment", client.get_deployment, "nightingale")
    drives("chat", client.chat, deployment, "Hello?")
    drives("stream", lambda: list(client.stream_chat(deployment, "Hello?")))
    drives("reap", client.reap)
    drives("delete deployment", client.delete_deployment, "nightingale")


def storm(
    canary: Canary,
    parrot: Parrot | Mimic,
    calls: Mapping[str, Callable[[], object]],
    words: Mapping[str, str | Callable[[Mapping[str, str]], Words]] = WORDS,
    only: str = "",
) -> None:
    """Drives each call against each of the words, or a sample of that.

    Args:
        canary: The canary.
        parrot: What answers.
        calls: What is called, by name.
        words: What is answered, by name.
        only: To which requests: those whose "METHOD path" begins with this.
    """
    parrot.only = only
    pairs = [(what, name) for what in words for name in calls]
    random.Random(4711).shuffle(pairs)  # noqa: S311 - the same sample each time
    chosen = pairs if os.environ.get(ALL) == "all" else pairs[:SAMPLE]
    for what, name in chosen:
        parrot.faults.extend([words[what]] * MORE_THAN_ANYBODY_ASKS)
        canary.drives(f"{name}, answered with {what}", calls[name])
        parrot.faults.clear()
    parrot.only = ""


def interrupt(canary: Canary, parrot: Parrot | Mimic, calls: Mapping[str, Callable[[], object]]) -> None:
    """Presses Ctrl-C while the first answer to each call is awaited."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever a runner of tests makes of it
    try:
        for name, call in calls.items():
            parrot.faults.append(_interrupting)
            ended = canary.drives(f"{name}, and Ctrl-C", call)
            assert isinstance(ended, KeyboardInterrupt), ended
            parrot.faults.clear()
    finally:
        signal.signal(signal.SIGINT, before)


def _interrupting(headers: Mapping[str, str]) -> Words:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.2)
    return nonsense(headers)


def tell(canary: Canary, provider: str) -> None:
    """Checks that nothing was seen, and writes down what was tried."""
    seen = [*canary.sightings, *canary.vendors]
    assert not seen, "\n".join(f"{form}: {where}" for where, form in seen)
    record(Tally("canary secret", provider, tries=len(canary.paths), secrets=len(canary.sightings)))
