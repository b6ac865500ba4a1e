"""What the tests of training on the Hub's machines share: clients of a stand-in, and what carriers leave there."""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from hf_tools import chat, write
from hubs.standin import TOKEN, USER, HubStandIn, online, standing

from ftkit import Client, LoRA, Supervised
from ftkit.ledger import Ledger
from ftkit.providers.huggingface.remote.provider import JobsHuggingFace

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    import pytest

    from ftkit.models import FineTuningJob

MODEL = f"{USER}/tiny-llama"
METHOD = Supervised(n_epochs=30, batch_size=8, learning_rate=5e-3, lora=LoRA(r=4, alpha=8))
STEPS, SAVED = 240, 40
"""Steps in all, and between two checkpoints: many, so that there is time to lose the machine."""


@contextmanager
def a_hub(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Generator[HubStandIn]:
    """A stand-in that this process and its jobs ask. Jobs look for wishes often."""
    online(monkeypatch, folder / "hf-home")
    with standing() as hub:
        yield hub


def client_of_hub(hub: HubStandIn, folder: Path, **options: Any) -> Client:
    given = {"flavor": "cpu-basic", "timeout": "10m", "namespace": USER, **options}
    provider = JobsHuggingFace(hub=hub.api(), **given)
    provider.settle_s = 0.2
    return Client(provider, ledger=Ledger(folder / "ledger"))


def put_model(hub: HubStandIn, folder: Path) -> None:
    """Puts a base model where a job finds it, as a user would."""
    api = hub.api()
    api.create_repo(MODEL, private=True)
    api.upload_folder(repo_id=MODEL, folder_path=folder)


def rows() -> list[dict[str, Any]]:
    return [chat(f"{n}? " + "Tell me. " * 9, f"It is {n % 7}. " * 4) for n in range(64)]


def request_of(folder: Path) -> dict[str, Any]:
    """The arguments of `fine_tune`, but for the model: the same on this machine and at the Hub."""
    return {
        "train": write(folder / "train.jsonl", rows()),
        "validation": write(folder / "valid.jsonl", rows()[:9]),
        "method": METHOD,
        "suffix": "my.cookies",
        "seed": 7,
        "provider_options": {"max_length": 200, "save_steps": SAVED},
        "wait": False,
        "progress": False,
    }


def leave(hub: HubStandIn, job: FineTuningJob | str, **state: Any) -> None:
    """Leaves in a job's repository what a carrier would have left there."""
    name = job if isinstance(job, str) else repository(hub, job.id)
    process = {"pid": 1, "boot": "", "started": 0.0}
    status = {"word": "running", "run": 1, "asker": process, "runner": process, **state}
    hub.add_repo(name, {"status.json": json.dumps(status).encode()}, branch="training")


def repository(hub: HubStandIn, job_id: str) -> str:
    """The name of a job's repository, as its carrier would make it."""
    [asked, *_] = [job.posted["environment"] for job in hub.jobs.values() if job.labels.get("ftkit-job") == job_id]
    suffix = json.loads(asked["FTKIT_JOB"])["request"].get("suffix")
    return f"{USER}/{suffix.replace('.', '-')}-{job_id}" if suffix else f"{USER}/{job_id}"


def event_line(number: int, message: str) -> str:
    event = {"id": f"{number:08}", "created_at": datetime.now(UTC).isoformat(), "level": "info", "message": message}
    return f"ftkit-event: {json.dumps(event)}"


__all__ = ["METHOD", "MODEL", "SAVED", "STEPS", "TOKEN", "USER", "HubStandIn", "a_hub", "client_of_hub", "event_line"]
__all__ += ["leave", "put_model", "repository", "request_of", "rows"]
