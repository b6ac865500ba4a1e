"""The conformance kit, on the provider `azure` in both dialects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from arm_vendor import ArmVendor
from test_openai_conforms import WireWitness
from wire_vendor import AzureWireVendor

from ftkit import JobRequest, Supervised, TrainingFile
from ftkit.providers.azure import AzureProvider
from ftkit.testing import ProviderConformance

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from ftkit.provider import Provider


class AzureKit(ProviderConformance):
    dated = False

    @pytest.fixture
    def provider(self) -> Generator[Provider]:
        provider = self.make_provider()
        yield provider
        self.arm.stop()

    def make_provider(self) -> AzureProvider:
        self.vendor, self.arm = AzureWireVendor(), ArmVendor()
        return AzureProvider(
            self.vendor.dated_client() if self.dated else self.vendor.client(),
            management=self.arm.client(),
            resource_group="group",
            poll_s=0.05,
            servable_s=1.0,
        )

    def make_witness(self, provider: Provider) -> WireWitness:
        del provider
        return WireWitness(self.vendor)

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
