"""AutoTrain on Spaces keeps the whole contract, against a stand-in for the Hub that sees all that is sent.

In place of AutoTrain, which takes ten seconds to start, is one that makes the same requests (see test_spaces.py).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

import pytest
from hub_standin import RESET, TOKEN, USER, error
from hubs.wire import online
from huggingface_hub import HfApi
from spaces_tools import MODEL, quick_python, standing

from ftkit import DPO, Supervised
from ftkit.errors import (
    CredentialsError,
    FtkitError,
    NotFoundError,
    ProviderError,
    ProviderUnavailableError,
    QuotaError,
    RateLimitError,
)
from ftkit.models import JobRequest, JobStatus, TrainingFile
from ftkit.providers.autotrain.spaces import AutoTrainSpaces
from ftkit.testing import ProviderAttacks, ProviderConformance, ProviderHooks

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence
    from pathlib import Path

    from hub_standin import HubStandIn

    from ftkit.provider import Provider

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


REFUSALS: dict[str, type[FtkitError]] = {
    "400": ProviderError,
    "401": CredentialsError,
    "402": QuotaError,
    "403": ProviderError,
    "404": NotFoundError,
    "408": ProviderUnavailableError,
    "422": ProviderError,
    "429": RateLimitError,
    "500": ProviderUnavailableError,
    "502": ProviderUnavailableError,
    "503": ProviderUnavailableError,
    "504": ProviderUnavailableError,
}
"""No 409: of a Space it says that it is there already, which is no refusal."""


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

    def known_refusals(self) -> Mapping[str, type[FtkitError]]:
        return REFUSALS

    def refuse(self, word: str, message: str, request_id: str) -> None:
        status, told, headers = error(int(word), message)
        refused = (status, told, {**headers, "x-request-id": request_id})
        self._hub.once.append(({"GET runtime", "GET list", "POST create space"}, refused))

    def secrets(self) -> Sequence[str]:
        return [TOKEN]

    def lose_replies(self, n: int) -> None:
        self._hub.losing["POST create space"] += [RESET] * n

    def add_event(self, job_id: str, message: str) -> None:
        self._hub.space(job_id).logs["run"].append(message)


def spaces_at(url: str, python: Path, jobs_folder: Path) -> AutoTrainSpaces:
    """Makes the provider for a stand-in at an address; to be pickled by its name."""
    hub = HfApi(endpoint=url, token=TOKEN)
    return AutoTrainSpaces(backend="spaces-t4-small", username=USER, hub=hub, python=python, jobs_folder=jobs_folder)


class SpacesHooks(ProviderHooks):
    hub: HubStandIn
    folder: Path

    @pytest.fixture
    def provider(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Provider]:
        online(monkeypatch, tmp_path / "hf")
        self.folder = tmp_path / "spaces"
        with standing() as self.hub:
            yield self.make_provider()

    def make_provider(self) -> AutoTrainSpaces:
        return spaces_at(self.hub.url, quick_python(self.folder / "bin"), self.folder / "jobs")

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


class TestAutoTrainSpaces(SpacesHooks, ProviderConformance):
    pass


class TestAutoTrainSpacesUnderAttack(SpacesHooks, ProviderAttacks):
    called: ClassVar[str] = "autotrain, spaces"
    only_full: ClassVar = {"test_lost_replies", "test_storms", "test_many_at_once", "test_any_order"}
    sample: ClassVar[int] = 6
    orders: ClassVar[int] = 2

    def vendor_url(self) -> str:
        return self.hub.url

    def elsewhere(self, url: str | None) -> Callable[[], AutoTrainSpaces]:
        return partial(spaces_at, url or "", self.folder / "bin" / "python", self.folder / "jobs")

    def creates(self, method: str, path: str, body: bytes) -> bool:
        return (method, path) == ("POST", "/api/repos/create") and b'"space"' in body
