"""Providers that train on this machine, with jobs that have ended, paused, and were never trained."""

from __future__ import annotations

import json
import shutil
import sys
from typing import TYPE_CHECKING, ClassVar

from local_conformance import IDLE
from local_witness import FolderWitness, end_all_below

from ftkit import Supervised
from ftkit.models import JobRequest
from ftkit.providers.autotrain import AutoTrainProvider
from ftkit.providers.huggingface import checkpoints
from ftkit.providers.huggingface.local import LocalHuggingFace

if TYPE_CHECKING:
    from pathlib import Path

    from ftkit.providers._local_jobs.provider import LocalProvider

STEP = 5


class IdleHuggingFace(LocalHuggingFace):
    _trainer: ClassVar[tuple[str, ...]] = IDLE


class IdleAutoTrain(AutoTrainProvider):
    _trainer: ClassVar[tuple[str, ...]] = IDLE


def provider_of(name: str, jobs: Path) -> LocalProvider:
    if name == "huggingface":
        return IdleHuggingFace(jobs_folder=jobs)
    return IdleAutoTrain(jobs_folder=jobs, python=sys.executable)


def build_model(folder: Path) -> Path:
    """A model as far as names go. Nobody loads it."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def build_jobs(name: str, folder: Path) -> tuple[str, str]:
    """Fills a jobs folder, and returns the id of a job that has succeeded, and of one that was interrupted."""
    model = build_model(folder.with_name(f"{folder.name}-model"))
    provider = provider_of(name, folder)
    data = folder.with_name("train.jsonl")
    data.write_text('{"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}]}\n')
    file = provider.upload(data, "file")
    request = JobRequest(model=str(model), training_file=file, method=Supervised(n_epochs=1), suffix="tea")
    witness = FolderWitness(folder, model, {})
    made: list[str] = []
    for word in ("succeeded", "interrupted"):
        job = provider.create_job(request, word)
        witness.add_event(job.id, "Step 1")
        _check_point(folder / job.id)
        witness.set_status(job.id, word)
        made.append(job.id)
    (folder / made[0] / "adapter").mkdir()
    end_all_below(folder)
    return made[0], made[1]


def _check_point(job: Path) -> None:
    place = job / checkpoints.FOLDER / f"checkpoint-{STEP}"
    place.mkdir(parents=True)
    (place / "model.safetensors").write_bytes(b"weights")
    (place / "config.json").write_text("{}")
    checkpoints.seal(place)


def copy_of(jobs: Path, target: Path) -> Path:
    """A jobs folder of a test's own, with the identity that goes with it."""
    shutil.copytree(jobs, target, symlinks=True)
    for note in [*target.glob("*/request.json"), *target.glob("files/*.json")]:
        note.write_text(note.read_text().replace(json.dumps(str(jobs))[1:-1], str(target)))
    return target
