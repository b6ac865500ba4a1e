"""The kit for providers that train on this machine. Their jobs are processes that train nothing, to be quick."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar

import pytest
from local_witness import IDLE_TRAINER, FolderWitness, end_all_below

from ftkit import Supervised
from ftkit.models import JobRequest, JobStatus, TrainingFile
from ftkit.testing import ProviderAttacks, ProviderConformance, ProviderHooks

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from pathlib import Path

    from ftkit.provider import Provider
    from ftkit.providers._local_jobs.provider import LocalProvider

IDLE = (sys.executable, "-I", "-S", str(IDLE_TRAINER))
"""A trainer in place of the provider's own."""


@contextmanager
def a_quiet_machine(token: str) -> Generator[None]:
    """One thread, no GPU, no network: in our process, and so in all that it starts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("CUDA_VISIBLE_DEVICES", "")
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setenv("HF_TOKEN", token)
        yield


class LocalHooks(ProviderHooks):
    """A subclass has `make_provider`, `impossible_requests`, and a fixture `model` beside it."""

    words: ClassVar[Mapping[str, JobStatus]]
    token: ClassVar[str]
    folder: Path
    base: Path

    @pytest.fixture(autouse=True)
    def _places(self, tmp_path: Path, model: Path) -> None:
        self.folder, self.base = tmp_path / "jobs", model

    @pytest.fixture
    def provider(self) -> Generator[LocalProvider]:
        made = self.make_provider()
        yield made
        for deployment in made.list_deployments():
            made.delete_deployment(deployment.name)

    def make_provider(self) -> LocalProvider:
        raise NotImplementedError

    def make_witness(self, provider: Provider) -> FolderWitness:
        del provider
        return FolderWitness(self.folder, self.base, self.words, [self.token])

    def request(self, training_file: TrainingFile) -> JobRequest:
        return JobRequest(
            model=str(self.base), training_file=training_file, method=Supervised(n_epochs=2), suffix="kit"
        )

    def deploy_options(self) -> Mapping[str, object]:
        return {"threads": 1}


class LocalConformance(LocalHooks, ProviderConformance):
    """The kit."""

    threads: ClassVar[int] = 4  # each makes a job, which is a process


class LocalUnderAttack(LocalHooks, ProviderAttacks):
    """The attacks. There is no line to break: what a create reaches is a folder, and a process that it starts."""

    sample = 10
    deploy_sample = 2  # each starts a server that loads a model
    orders = 5  # each job is a process
    only_full: ClassVar = {"test_killed_while_deploying"}

    def tidy(self, provider: Provider, job_id: str) -> None:
        del provider
        end_all_below(self.folder / job_id)
