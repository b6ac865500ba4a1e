"""AutoTrain on this machine keeps the whole contract. Its jobs are processes that train nothing, to be quick."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from autotrain_tools import HF_TOKEN
from local_witness import IDLE_TRAINER, FolderWitness

from ftkit import DPO, LoRA, Supervised
from ftkit.models import JobRequest, JobStatus, TrainingFile
from ftkit.providers.autotrain import AutoTrainProvider
from ftkit.testing import ProviderConformance

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence
    from pathlib import Path

    from ftkit.provider import Provider

pytestmark = pytest.mark.slow

WORDS = {
    "queued": JobStatus.QUEUED,
    "running": JobStatus.RUNNING,
    "cancelling": JobStatus.CANCELLING,
    "succeeded": JobStatus.SUCCEEDED,
    "failed": JobStatus.FAILED,
    "cancelled": JobStatus.CANCELLED,
}


class Quick(AutoTrainProvider):
    _trainer: ClassVar[tuple[str, ...]] = (sys.executable, "-I", "-S", str(IDLE_TRAINER))


class TestAutoTrain(ProviderConformance):
    folder: Path
    base: Path

    @pytest.fixture(autouse=True)
    def _places(self, tmp_path: Path, model: Path) -> None:
        self.folder, self.base = tmp_path / "jobs", model

    @pytest.fixture
    def provider(self) -> Generator[AutoTrainProvider]:
        made = self.make_provider()
        yield made
        for deployment in made.list_deployments():
            made.delete_deployment(deployment.name)
        for job in made.list_jobs(None, 100).items:
            made.cancel_job(job.id)

    def make_provider(self) -> AutoTrainProvider:
        return Quick(jobs_folder=self.folder, slots=20, python=sys.executable)

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
            {"method": Supervised(learning_rate=1e-3, learning_rate_multiplier=2.0)},
            {"method": DPO(lora=LoRA()), "provider_options": {"trainer": "sft"}},
            {"provider_options": {"quantization": "int4"}},
            {"provider_options": {"block_size": 1}},
            {"suffix": "no spaces"},
        ]
        return [good.model_copy(update=change) for change in changes]

    def deploy_options(self) -> Mapping[str, Any]:
        return {"threads": 1}
