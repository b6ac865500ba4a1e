"""AutoTrain on Spaces keeps the whole contract, against a stand-in for the Hub that sees all that is sent.

In place of AutoTrain, which takes ten seconds to start, is one that makes the same requests (see test_spaces.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hub_standin import RESET, TOKEN
from hubs.wire import online
from spaces_tools import MODEL, quick_python, spaces_of, standing

from ftkit import DPO, Supervised
from ftkit.models import JobRequest, JobStatus, TrainingFile
from ftkit.testing import ProviderConformance

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence
    from pathlib import Path

    from hub_standin import HubStandIn

    from ftkit.provider import Provider
    from ftkit.providers.autotrain.spaces import AutoTrainSpaces

WORDS = {
    "BUILDING": JobStatus.QUEUED,
    "APP_STARTING": JobStatus.QUEUED,
    "RUNNING": JobStatus.RUNNING,
    "RUNNING_BUILDING": JobStatus.RUNNING,
    "RUNNING_APP_STARTING": JobStatus.RUNNING,
    "PAUSED": JobStatus.SUCCEEDED,  # as the witness pauses it: with a model
    "NO_APP_FILE": JobStatus.FAILED,
    "BUILD_ERROR": JobStatus.FAILED,
    "CONFIG_ERROR": JobStatus.FAILED,
    "RUNTIME_ERROR": JobStatus.FAILED,
    "STOPPED": JobStatus.FAILED,
    "SLEEPING": JobStatus.FAILED,
    "DELETING": JobStatus.FAILED,
}


class HubWitness:
    """Looks at the stand-in itself."""

    def __init__(self, hub: HubStandIn) -> None:
        self._hub = hub

    def jobs(self) -> int:
        return len(self._hub.spaces())

    def creates(self) -> int:
        return self._hub.creates

    def requests(self) -> int:
        return len(self._hub.requests)

    def set_status(self, job_id: str, word: str) -> None:
        if word == "PAUSED":
            self._hub.end(job_id, succeeded=True)
        else:
            self._hub.set_stage(job_id, word)

    def known_status_words(self) -> Mapping[str, JobStatus]:
        return WORDS

    def secrets(self) -> Sequence[str]:
        return [TOKEN]

    def lose_replies(self, n: int) -> None:
        self._hub.losing["POST create space"] += [RESET] * n

    def add_event(self, job_id: str, message: str) -> None:
        self._hub.space(job_id).logs["run"].append(message)


class TestAutoTrainSpaces(ProviderConformance):
    hub: HubStandIn
    folder: Path

    @pytest.fixture
    def provider(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Provider]:
        online(monkeypatch, tmp_path / "hf")
        self.folder = tmp_path / "spaces"
        with standing() as self.hub:
            yield self.make_provider()

    def make_provider(self) -> AutoTrainSpaces:
        return spaces_of(self.hub, quick_python(self.folder / "bin"), jobs_folder=self.folder / "jobs")

    def make_witness(self, provider: Provider) -> HubWitness:
        del provider
        return HubWitness(self.hub)

    def request(self, training_file: TrainingFile) -> JobRequest:
        return JobRequest(model=MODEL, training_file=training_file, method=Supervised(n_epochs=2))

    def impossible_requests(self, training_file: TrainingFile) -> Sequence[JobRequest]:
        good = self.request(training_file)
        return [
            good.model_copy(update={"model": "ftkit/small"}),
            good.model_copy(update={"model": "."}),
            good.model_copy(update={"method": DPO(beta=0.1, learning_rate=1e-5, learning_rate_multiplier=2.0)}),
            good.model_copy(update={"provider_options": {"push_to_hub": "me/model"}}),
            good.model_copy(update={"provider_options": {"quantization": "int4"}}),
        ]
