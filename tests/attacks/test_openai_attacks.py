"""The attacks, on the providers `openai` and `azure`."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import pytest
from arm_vendor import ArmVendor
from served_vendor import ServedVendor, azure_at, dated_azure_at, openai_at
from test_openai_conforms import OpenAIHooks, WireWitness
from wire_vendor import AzureWireVendor, WireVendor

from ftkit.testing import ProviderAttacks

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from ftkit.provider import Provider
    from ftkit.providers._openai_wire.provider import OpenAIWire


class OpenAIUnderAttack(OpenAIHooks, ProviderAttacks):
    vendor_made: ClassVar[type[WireVendor]] = WireVendor
    made_at: ClassVar[Callable[..., OpenAIWire]] = staticmethod(openai_at)
    orders = 6
    deploy_sample = 4  # nothing is made at OpenAI's: a tuned model answers as it is

    @contextmanager
    def standing(self) -> Generator[OpenAIWire]:
        self.served = ServedVendor(self.vendor_made())
        provider = self.made_at(self.served.url)
        try:
            yield provider
        finally:
            provider._line.client.close()
            self.served.stop()

    @pytest.fixture
    def provider(self) -> Generator[Provider]:
        with self.standing() as provider:
            yield provider

    def make_witness(self, provider: Provider) -> WireWitness:
        del provider
        return WireWitness(self.served.vendor)

    def vendor_url(self) -> str:
        return self.served.url

    def elsewhere(self, url: str | None) -> Callable[[], Provider]:
        return partial(self.made_at, url or "")


class TestOpenAI(OpenAIUnderAttack):
    pass


class AzureUnderAttack(OpenAIUnderAttack):
    vendor_made = AzureWireVendor

    @contextmanager
    def standing(self) -> Generator[OpenAIWire]:
        self.arm = ArmVendor()
        try:
            with super().standing():
                provider = self.made_at(self.served.url, self.arm.url)
                yield provider
                provider._line.client.close()
        finally:
            self.arm.stop()

    def make_witness(self, provider: Provider) -> AzureWitness:
        del provider
        return AzureWitness(self.served.vendor, self.arm)

    def elsewhere(self, url: str | None) -> Callable[[], Provider]:
        return partial(self.made_at, url or "", self.arm.url)


class AzureWitness(WireWitness):
    """Looks at the stand-in for the control plane as well."""

    def __init__(self, vendor: WireVendor, arm: ArmVendor) -> None:
        super().__init__(vendor)
        self._arm = arm

    def deployments(self) -> int:
        return len(self._arm.deployments)


@pytest.mark.full  # in the dialect that keeps labels it does what `openai` does
class TestAzure(AzureUnderAttack):
    made_at = staticmethod(azure_at)


class TestAzureDated(AzureUnderAttack):
    """In the dated dialect nothing can be written on a job: it is known by what was asked for."""

    called = "azure, dated dialect"
    only_full: ClassVar = {"test_killed_while_deploying", "test_lost_replies", "test_storms"}
    made_at = staticmethod(dated_azure_at)
    sample = 6
