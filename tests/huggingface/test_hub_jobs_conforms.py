"""Training on the Hub's machines keeps the whole contract, against a stand-in that sees all that is sent.

What a carrier would leave at the Hub the witness leaves there: no job is run.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import huggingface_hub
import pytest
from hub_tools import METHOD, MODEL, TOKEN, USER, a_hub, event_line, leave, put_model, repository
from hubs.endpoints import EndpointsStandIn
from hubs.standin import RESET, error
from huggingface_hub import HfApi

from ftkit import DPO
from ftkit.errors import (
    ConflictError,
    CredentialsError,
    FtkitError,
    NotFoundError,
    ProviderError,
    ProviderUnavailableError,
    QuotaError,
    RateLimitError,
)
from ftkit.models import DeploymentStatus, JobRequest, JobStatus, TrainingFile
from ftkit.providers.huggingface.remote.provider import JobsHuggingFace
from ftkit.testing import ProviderAttacks, ProviderConformance, ProviderHooks

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence
    from pathlib import Path

    from hub_tools import HubStandIn
    from hubs.wire import Answer

    from ftkit.provider import Provider

WORDS = {
    "SCHEDULING": JobStatus.QUEUED,
    "RUNNING": JobStatus.RUNNING,
    "COMPLETED": JobStatus.SUCCEEDED,  # as the witness leaves it: with a model
    "ERROR": JobStatus.FAILED,
    "CANCELED": JobStatus.CANCELLED,
    "DELETED": JobStatus.FAILED,
}


REFUSALS: dict[str, type[FtkitError]] = {
    "400": ProviderError,
    "401": CredentialsError,
    "402": QuotaError,
    "403": ProviderError,
    "404": NotFoundError,
    "408": ProviderUnavailableError,
    "409": ConflictError,
    "422": ProviderError,
    "429": RateLimitError,
    "500": ProviderUnavailableError,
    "502": ProviderUnavailableError,
    "503": ProviderUnavailableError,
    "504": ProviderUnavailableError,
}


DEPLOYMENT_WORDS = {
    "pending": DeploymentStatus.CREATING,
    "initializing": DeploymentStatus.CREATING,
    "updating": DeploymentStatus.CREATING,
    "running": DeploymentStatus.RUNNING,
    "scaledToZero": DeploymentStatus.RUNNING,
    "paused": DeploymentStatus.PAUSED,
    "failed": DeploymentStatus.FAILED,
    "updateFailed": DeploymentStatus.FAILED,
}
"""The states of an endpoint that huggingface_hub names (`InferenceEndpointStatus`)."""


class HubWitness:
    """Looks at the stand-in itself."""

    def __init__(self, hub: HubStandIn, endpoints: EndpointsStandIn) -> None:
        self._hub = hub
        self._endpoints = endpoints

    def jobs(self) -> int:
        return len(self._hub.jobs)

    def creates(self) -> int:
        return self._hub.calls.count("POST job")

    def requests(self) -> int:
        return len(self._hub.requests)

    def set_status(self, job_id: str, word: str) -> None:
        if word == "COMPLETED":
            leave(self._hub, repository(self._hub, job_id), word="succeeded", step=4, total_steps=4)
        self._hub.set_stage(self._run(job_id).id, word)

    def known_status_words(self) -> Mapping[str, JobStatus]:
        return WORDS

    def known_refusals(self) -> Mapping[str, type[FtkitError]]:
        return REFUSALS

    def refuse(self, word: str, message: str, request_id: str) -> None:
        self._hub.once.append(({"GET jobs", "POST job"}, refused(word, message, request_id)))

    def known_deployment_words(self) -> Mapping[str, DeploymentStatus]:
        return DEPLOYMENT_WORDS

    def set_deployment(self, name: str, word: str) -> None:
        self._endpoints.set(name, word, readyReplica=0)

    def known_deployment_refusals(self) -> Mapping[str, type[FtkitError]]:
        return REFUSALS

    def refuse_deployment(self, word: str, message: str, request_id: str) -> None:
        self._endpoints.once.append(({"GET endpoint", "POST endpoint"}, refused(word, message, request_id)))

    def secrets(self) -> Sequence[str]:
        return [TOKEN]

    def lose_replies(self, n: int) -> None:
        self._hub.losing["POST job"] += [RESET] * n

    def add_event(self, job_id: str, message: str) -> None:
        run = self._run(job_id)
        if run.stage == "SCHEDULING":
            self._hub.set_stage(run.id, "RUNNING")
        run.write(event_line(len(run.lines) + 1, message))

    def _run(self, job_id: str):  # noqa: ANN202 - a job of the stand-in
        return next(run for run in self._hub.jobs.values() if run.labels["ftkit-job"] == job_id)


def refused(word: str, message: str, request_id: str) -> Answer:
    status, told, headers = error(int(word), message)
    return status, told, {**headers, "x-request-id": request_id}


def jobs_at(url: str, endpoints: str = "") -> JobsHuggingFace:
    """Makes the provider for a stand-in at an address; to be pickled by its name."""
    if endpoints:
        huggingface_hub.constants.INFERENCE_ENDPOINTS_ENDPOINT = endpoints
    made = JobsHuggingFace(hub=HfApi(endpoint=url, token=TOKEN), flavor="cpu-basic", namespace=USER)
    made.settle_s = 0.1
    made._endpoints._poll_s = 0.02
    return made


class JobsHooks(ProviderHooks):
    hub: HubStandIn
    endpoints: EndpointsStandIn

    @pytest.fixture
    def provider(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Provider]:
        self.endpoints = EndpointsStandIn()
        monkeypatch.setattr("huggingface_hub.constants.INFERENCE_ENDPOINTS_ENDPOINT", f"{self.endpoints.url}/v2")
        # huggingface_hub tries some reads again, at first after a second.
        monkeypatch.setitem(huggingface_hub.utils.http_backoff.__kwdefaults__, "base_wait_time", 0.02)
        with a_hub(monkeypatch, tmp_path) as self.hub:
            self.hub.hold = True
            self.hub.keep_alive_s = 0.2
            yield self.make_provider()
        self.endpoints.stop()

    def make_provider(self) -> JobsHuggingFace:
        return jobs_at(self.hub.url)

    def make_witness(self, provider: Provider) -> HubWitness:
        del provider
        return HubWitness(self.hub, self.endpoints)

    def request(self, training_file: TrainingFile) -> JobRequest:
        return JobRequest(model=MODEL, training_file=training_file, method=METHOD)

    def impossible_requests(self, training_file: TrainingFile) -> Sequence[JobRequest]:
        good = self.request(training_file)
        return [
            good.model_copy(update={"model": "."}),
            good.model_copy(update={"model": "no model/at all"}),
            good.model_copy(update={"method": DPO(beta=0.1, learning_rate=1e-5, learning_rate_multiplier=2.0)}),
            good.model_copy(update={"provider_options": {"processes": 3}}),
            good.model_copy(update={"suffix": "no suffix!"}),
        ]


class TestHuggingFaceJobs(JobsHooks, ProviderConformance):
    def test_a_list_that_is_not_there_is_no_absence(self, provider: Provider, witness: HubWitness) -> None:
        """A job is known by its label: a 404 is not about it, but about who owns it."""
        key = "v1:" + "0" * 64
        request = self.request(TrainingFile(id="me/data", provider="huggingface", filename="train.jsonl"))
        assert provider.find_job(key, request, datetime.now(UTC)) is None
        witness.refuse("404", "there is no such owner", "req-1")
        with pytest.raises(NotFoundError, match="there is no such owner"):
            provider.find_job(key, request, datetime.now(UTC))


class TestHuggingFaceJobsUnderAttack(JobsHooks, ProviderAttacks):
    called: ClassVar[str] = "huggingface, jobs"
    only_full: ClassVar = {"test_killed_while_deploying", "test_lost_replies", "test_storms", "test_many_at_once"}
    sample: ClassVar[int] = 6
    orders: ClassVar[int] = 5
    deploy_sample: ClassVar[int] = 2

    @pytest.fixture(autouse=True)
    def _base(self, provider: Provider, model: Path) -> None:
        del provider  # it has set up the Hub
        put_model(self.hub, model)

    def vendor_url(self) -> str:
        return self.hub.url

    def elsewhere(self, url: str | None) -> Callable[[], JobsHuggingFace]:
        return partial(jobs_at, url or "", f"{self.endpoints.url}/v2")

    def creates(self, method: str, path: str, body: bytes) -> bool:
        del body
        return method == "POST" and path == f"/api/jobs/{USER}"
