"""The local provider keeps the whole contract. Its jobs are real processes that train nothing, to be quick."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from hf_tools import HERE, HF_TOKEN, until

from ftkit import DPO, LoRA, Supervised
from ftkit.models import JobRequest, JobStatus, TrainingFile
from ftkit.providers._processes import ProcessId, is_alive
from ftkit.providers.huggingface.local import LocalHuggingFace
from ftkit.testing import ProviderConformance

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence
    from pathlib import Path

    from ftkit.provider import Provider

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("hf-conforms")]


class Quick(LocalHuggingFace):
    _trainer: ClassVar[tuple[str, ...]] = (sys.executable, "-I", "-S", str(HERE / "idle_trainer.py"))


class FolderWitness:
    """Reads and writes the folders of jobs by hand, as the page on local jobs describes them."""

    def __init__(self, folder: Path, model: Path) -> None:
        self._folder = folder
        self._model = model

    def jobs(self) -> int:
        return len(list(self._folder.glob("ftjob-*")))

    def creates(self) -> int:
        return self.jobs()

    def set_status(self, job_id: str, word: str) -> None:
        place = self._folder / job_id
        until(lambda: self._status(place)["word"] == "running", "its process does not begin")
        state = self._status(place)
        if word in {"pausing", "cancelling"}:
            want = {"pausing": "paused", "cancelling": "cancelled"}[word]
            (place / "control.json").write_text(json.dumps({"want": want, "run": state["run"]}))
            return
        if word not in {"queued", "running"}:
            os.killpg(state["runner"]["pid"], signal.SIGKILL)  # and what it started, which would hold its lock
        state["word"] = "running" if word == "interrupted" else word
        if word in {"succeeded", "failed", "cancelled"}:
            state["finished_at"] = datetime.now(UTC).isoformat()
        if word == "succeeded":
            state["fine_tuned_model"] = f"ftkit:tiny:{job_id.removeprefix('ftjob-')}"
            shutil.copytree(self._model, place / "model")
        (place / "status.json").write_text(json.dumps(state))
        if word == "interrupted":
            # A process that is being killed has lost its /proc/PID/exe some time before it has ended.
            until(lambda: not is_alive(ProcessId(**state["runner"])), "its process does not end")

    def known_status_words(self) -> Mapping[str, JobStatus]:
        return {
            "queued": JobStatus.QUEUED,
            "running": JobStatus.RUNNING,
            "pausing": JobStatus.RUNNING,
            "paused": JobStatus.PAUSED,
            "interrupted": JobStatus.PAUSED,
            "cancelling": JobStatus.CANCELLING,
            "succeeded": JobStatus.SUCCEEDED,
            "failed": JobStatus.FAILED,
            "cancelled": JobStatus.CANCELLED,
        }

    def secrets(self) -> Sequence[str]:
        return [HF_TOKEN]

    def add_event(self, job_id: str, message: str) -> None:
        path = self._folder / job_id / "events.jsonl"
        number = len(path.read_text().splitlines()) + 1 if path.exists() else 1
        line: dict[str, Any] = {
            "id": f"{number:08}",
            "created_at": datetime.now(UTC).isoformat(),
            "level": "info",
            "message": message,
        }
        with path.open("a") as file:
            file.write(json.dumps(line) + "\n")

    @staticmethod
    def _status(place: Path) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((place / "status.json").read_text())
        return found


class TestLocal(ProviderConformance):
    folder: Path
    base: Path

    @pytest.fixture(autouse=True)
    def _places(self, tmp_path: Path, model: Path) -> None:
        self.folder, self.base = tmp_path / "jobs", model

    @pytest.fixture
    def provider(self) -> Generator[LocalHuggingFace]:
        made = self.make_provider()
        yield made
        for deployment in made.list_deployments():
            made.delete_deployment(deployment.name)

    def make_provider(self) -> LocalHuggingFace:
        return Quick(jobs_folder=self.folder, slots=20)

    def make_witness(self, provider: Provider) -> FolderWitness:
        del provider
        return FolderWitness(self.folder, self.base)

    def request(self, training_file: TrainingFile) -> JobRequest:
        return JobRequest(
            model=str(self.base), training_file=training_file, method=Supervised(n_epochs=2), suffix="kit"
        )

    def impossible_requests(self, training_file: TrainingFile) -> Sequence[JobRequest]:
        good = self.request(training_file)
        changes: list[dict[str, Any]] = [
            {"model": "no/such/model"},
            {"model": "/no/such/folder"},
            {"method": Supervised(learning_rate=1e-3, learning_rate_multiplier=2.0)},
            {"method": DPO(lora=LoRA()), "provider_options": {"packing": True}},
            {"provider_options": {"max_length": 1}},
            {"suffix": "no spaces"},
        ]
        return [good.model_copy(update=change) for change in changes]

    def deploy_options(self) -> Mapping[str, Any]:
        return {"threads": 1}
