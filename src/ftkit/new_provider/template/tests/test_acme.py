"""The provider keeps ftkit's contract: the whole kit, and the attacks that a vendor in memory allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
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
from ftkit.methods import Supervised
from ftkit.models import DeploymentStatus, JobRequest, JobStatus, TrainingFile
from ftkit.testing import ProviderAttacks, ProviderConformance, ProviderHooks
from vendor import AcmeVendor

from ftkit_acme import LABEL, AcmeProvider

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ftkit.provider import Provider

KEY = "acme-key-for-tests"

REFUSALS: Mapping[str, type[FtkitError]] = {
    "400": ProviderError,
    "401": CredentialsError,
    "402": QuotaError,
    "404": NotFoundError,
    "409": ConflictError,
    "429": RateLimitError,
    "500": ProviderUnavailableError,
    "503": ProviderUnavailableError,
}
"""Every refusal that the API documents. TODO: the API's."""


class AcmeWitness:
    """Looks at the vendor's side past the provider, which could agree with itself and be wrong."""

    def __init__(self, vendor: AcmeVendor) -> None:
        self.vendor = vendor

    def jobs(self) -> int:
        return len(self.vendor.jobs)

    def creates(self) -> int:
        return self.vendor.calls["POST /jobs"]

    def set_status(self, job_id: str, word: str) -> None:
        self.vendor.move(job_id, word)

    def known_status_words(self) -> Mapping[str, JobStatus]:
        return {  # TODO: from the API's documents, and not from the provider
            "queued": JobStatus.QUEUED,
            "running": JobStatus.RUNNING,
            "stopping": JobStatus.CANCELLING,
            "succeeded": JobStatus.SUCCEEDED,
            "failed": JobStatus.FAILED,
            "stopped": JobStatus.CANCELLED,
        }

    def secrets(self) -> Sequence[str]:
        return [KEY]

    # What a witness may have besides: the kit sees more with each.

    def lose_replies(self, n: int) -> None:
        self.vendor.lose_replies = n

    def requests(self) -> int:
        return self.vendor.calls.total()

    def add_event(self, job_id: str, message: str) -> None:
        self.vendor.tell(job_id, message)

    def uploads(self) -> int:
        return len(self.vendor.files)

    def deployments(self) -> int:
        return len(self.vendor.deployments)

    def known_refusals(self) -> Mapping[str, type[FtkitError]]:
        return REFUSALS

    def refuse(self, word: str, message: str, request_id: str) -> None:
        self.vendor.refuse(int(word), message, request_id)

    def known_deployment_refusals(self) -> Mapping[str, type[FtkitError]]:
        return {word: kind for word, kind in REFUSALS.items() if word != "409"}  # which says that the name is taken

    def refuse_deployment(self, word: str, message: str, request_id: str) -> None:
        self.refuse(word, message, request_id)

    def order(self, job_id: str) -> object:
        return self.vendor.orders[job_id]

    def known_breaks(self) -> Mapping[str, str]:
        return {"timeout": "did not answer in time", "html": "what it sent is no job"}

    def break_line(self, way: str) -> None:
        self.vendor.breaks.append(way)

    def known_deployment_words(self) -> Mapping[str, DeploymentStatus]:
        return {  # TODO: likewise
            "starting": DeploymentStatus.CREATING,
            "running": DeploymentStatus.RUNNING,
            "failed": DeploymentStatus.FAILED,
        }

    def set_deployment(self, name: str, word: str) -> None:
        self.vendor.deployments[name]["status"] = word


class AcmeHooks(ProviderHooks):
    """What the kit and the attacks are given."""

    def make_provider(self) -> AcmeProvider:
        self.vendor = AcmeVendor(KEY)  # a new one for each check, without jobs
        provider = AcmeProvider(self.vendor.client(), api_key=KEY)
        provider.settle_s = 0.0  # this vendor's list does not lag
        return provider

    def make_witness(self, provider: Provider) -> AcmeWitness:
        del provider
        return AcmeWitness(self.vendor)

    def request(self, training_file: TrainingFile) -> JobRequest:
        return JobRequest(model="any-model", training_file=training_file, method=Supervised(n_epochs=2), suffix="kit")

    def impossible_requests(self, training_file: TrainingFile) -> Sequence[JobRequest]:
        request = self.request(training_file)
        return [
            request.model_copy(update={"metadata": {LABEL: "mine"}}),
            request.model_copy(update={"provider_options": {"priority": "at once"}}),
        ]


class TestAcme(AcmeHooks, ProviderConformance):
    """The contract."""


class TestAcmeUnderAttack(AcmeHooks, ProviderAttacks):
    """That nothing is paid twice. The attacks that are skipped need a vendor that is a server: see `-ra`."""


def test_without_a_key_it_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ACME_API_KEY", raising=False)
    with pytest.raises(CredentialsError, match="ACME_API_KEY"):
        AcmeProvider()
