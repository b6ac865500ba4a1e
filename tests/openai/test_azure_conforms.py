"""The conformance kit, on the provider `azure` in both dialects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from arm_vendor import ArmVendor
from test_openai_conforms import WireWitness
from wire_vendor import AzureWireVendor

from ftkit import DeploymentStatus, JobRequest, Supervised, TrainingFile
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
from ftkit.providers.azure import AzureProvider
from ftkit.testing import ProviderConformance

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from ftkit.provider import Provider


CONTROL_REFUSALS: dict[str, type[FtkitError]] = {
    "307 Moved": ProviderError,  # sent on to an address that holds the message: no redirect is followed
    "400 InvalidResourceProperties": ProviderError,
    "400 InsufficientQuota": QuotaError,
    "400 DeploymentQuotaExceeded": QuotaError,
    "401 AuthenticationFailed": CredentialsError,
    "403 AuthorizationFailed": ProviderError,
    "403 QuotaExceeded": QuotaError,
    "404 ResourceNotFound": NotFoundError,
    "408 RequestTimeout": ProviderUnavailableError,
    "409 ResourceExists": ConflictError,  # other codes of a 409 say that the account is busy: those are waited out
    "429 TooManyRequests": RateLimitError,
    "500 InternalServerError": ProviderUnavailableError,
    "503 ServiceUnavailable": ProviderUnavailableError,
}
"""Those of the control plane, where deployments are made: a status and a code."""


DEPLOYMENT_WORDS = {
    "Accepted": DeploymentStatus.CREATING,
    "Creating": DeploymentStatus.CREATING,
    "Moving": DeploymentStatus.CREATING,
    "Succeeded": DeploymentStatus.RUNNING,
    "Deleting": DeploymentStatus.DELETING,
    "Failed": DeploymentStatus.FAILED,
    "Canceled": DeploymentStatus.FAILED,
    "Disabled": DeploymentStatus.PAUSED,
}
"""The provisioning states of a deployment (ARM's reference of the resource)."""


class AzureWitness(WireWitness):
    """Looks at both stand-ins."""

    def __init__(self, vendor: AzureWireVendor, arm: ArmVendor) -> None:
        super().__init__(vendor)
        self._arm = arm

    def known_deployment_words(self) -> Mapping[str, DeploymentStatus]:
        return DEPLOYMENT_WORDS

    def set_deployment(self, name: str, word: str) -> None:
        self._arm.states[name] = word

    def known_deployment_refusals(self) -> Mapping[str, type[FtkitError]]:
        return CONTROL_REFUSALS

    def refuse_deployment(self, word: str, message: str, request_id: str) -> None:
        status, _, code = word.partition(" ")
        self._arm.refuse(int(status), code, message, request_id)


class AzureKit(ProviderConformance):
    dated = False

    @pytest.fixture
    def provider(self) -> Generator[Provider]:
        provider = self.make_provider()
        yield provider
        self.arm.stop()

    def make_provider(self) -> AzureProvider:
        self.vendor, self.arm = AzureWireVendor(), ArmVendor()
        self.vendor.deployed = self.arm.deployments.__contains__
        return AzureProvider(
            self.vendor.dated_client() if self.dated else self.vendor.client(),
            management=self.arm.client(),
            resource_group="group",
            poll_s=0.05,
            servable_s=1.0,
        )

    def make_witness(self, provider: Provider) -> AzureWitness:
        del provider
        return AzureWitness(self.vendor, self.arm)

    def request(self, training_file: TrainingFile) -> JobRequest:
        return JobRequest(
            model="gpt-4o-mini-2024-07-18", training_file=training_file, method=Supervised(n_epochs=2), suffix="kit"
        )

    def impossible_requests(self, training_file: TrainingFile) -> Sequence[JobRequest]:
        good = self.request(training_file)
        return [
            good.model_copy(update={"suffix": "x" * 19}),
            good.model_copy(update={"suffix": "with space"}),
            good.model_copy(update={"provider_options": {"training_type": "Whatever"}}),
        ]


class TestAzure(AzureKit):
    pass


class TestAzureDated(AzureKit):
    dated = True
