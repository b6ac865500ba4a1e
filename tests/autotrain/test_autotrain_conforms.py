"""AutoTrain on this machine keeps the whole contract."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from autotrain_tools import HF_TOKEN
from local_conformance import IDLE, LocalConformance, LocalHooks, LocalUnderAttack

from ftkit import DPO, LoRA, Supervised
from ftkit.models import JobStatus
from ftkit.providers.autotrain import AutoTrainProvider

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ftkit.models import JobRequest, TrainingFile

pytestmark = pytest.mark.slow


class Quick(AutoTrainProvider):
    _trainer: ClassVar[tuple[str, ...]] = IDLE


class AutoTrainHooks(LocalHooks):
    token = HF_TOKEN
    words: ClassVar = {
        "queued": JobStatus.QUEUED,
        "validating": JobStatus.VALIDATING,
        "running": JobStatus.RUNNING,
        "cancelling": JobStatus.CANCELLING,
        "succeeded": JobStatus.SUCCEEDED,
        "failed": JobStatus.FAILED,
        "cancelled": JobStatus.CANCELLED,
    }

    def make_provider(self) -> AutoTrainProvider:
        return Quick(jobs_folder=self.folder, slots=20, python=sys.executable)

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


class TestAutoTrain(AutoTrainHooks, LocalConformance):
    pass


@pytest.mark.full  # it does what `huggingface` does, whose attacks are always run
class TestAutoTrainUnderAttack(AutoTrainHooks, LocalUnderAttack):
    def elsewhere(self, url: str | None) -> Callable[[], AutoTrainProvider]:
        del url
        return partial(Quick, jobs_folder=self.folder, slots=20, python=sys.executable)
