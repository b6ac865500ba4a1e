"""The local provider keeps the whole contract."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from hf_tools import HF_TOKEN
from local_conformance import IDLE, LocalConformance, LocalHooks, LocalUnderAttack

from ftkit import DPO, LoRA, Supervised
from ftkit.models import JobStatus
from ftkit.providers.huggingface.local import LocalHuggingFace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ftkit.models import JobRequest, TrainingFile

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("hf-conforms")]


class Quick(LocalHuggingFace):
    _trainer: ClassVar[tuple[str, ...]] = IDLE


class HuggingFaceHooks(LocalHooks):
    token = HF_TOKEN
    words: ClassVar = {
        "queued": JobStatus.QUEUED,
        "validating": JobStatus.VALIDATING,
        "running": JobStatus.RUNNING,
        "pausing": JobStatus.RUNNING,
        "paused": JobStatus.PAUSED,
        "interrupted": JobStatus.PAUSED,
        "cancelling": JobStatus.CANCELLING,
        "succeeded": JobStatus.SUCCEEDED,
        "failed": JobStatus.FAILED,
        "cancelled": JobStatus.CANCELLED,
    }

    def make_provider(self) -> LocalHuggingFace:
        return Quick(jobs_folder=self.folder, slots=20)

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


class TestLocal(HuggingFaceHooks, LocalConformance):
    pass


class TestLocalUnderAttack(HuggingFaceHooks, LocalUnderAttack):
    def elsewhere(self, url: str | None) -> Callable[[], LocalHuggingFace]:
        del url
        return partial(Quick, jobs_folder=self.folder, slots=20)
