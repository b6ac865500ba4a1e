"""The local provider keeps the whole contract. Its jobs are real processes that train nothing, to be quick."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from hf_tools import HF_TOKEN
from local_witness import IDLE_TRAINER, FolderWitness

from ftkit import DPO, LoRA, Supervised
from ftkit.models import JobRequest, JobStatus, TrainingFile
from ftkit.providers.huggingface.local import LocalHuggingFace
from ftkit.testing import ProviderConformance

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence
    from pathlib import Path

    from ftkit.provider import Provider

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("hf-conforms")]


WORDS = {
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


class Quick(LocalHuggingFace):
    _trainer: ClassVar[tuple[str, ...]] = (sys.executable, "-I", "-S", str(IDLE_TRAINER))


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
        return FolderWitness(self.folder, self.base, WORDS, [HF_TOKEN])

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
