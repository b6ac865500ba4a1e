"""Deployments at Azure: through the real management package, against a control plane that is busy, full or slow."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from arm_vendor import ArmVendor
from azure.mgmt.cognitiveservices import models
from wire_vendor import AzureWireVendor

from ftkit import Client, ConfigurationError, ConflictError, NotFoundError, ProviderUnavailableError, QuotaError
from ftkit.providers import _azure_deployments
from ftkit.providers.azure import AzureProvider

if TYPE_CHECKING:
    from collections.abc import Generator

    from arm_vendor import Answer

MODEL = "gpt-4o-mini-2024-07-18.ft-4711"


@pytest.fixture
def arm() -> Generator[ArmVendor]:
    vendor = ArmVendor()
    yield vendor
    vendor.stop()


@pytest.fixture
def wire() -> AzureWireVendor:
    return AzureWireVendor()


@pytest.fixture
def client(arm: ArmVendor, wire: AzureWireVendor, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setattr(_azure_deployments, "_BUSY_PAUSE_S", 0.05)
    management = arm.client()
    provider = AzureProvider(wire.client(), management=management, resource_group="g", poll_s=0.05, servable_s=0.3)
    return Client(provider)


def refusal(status: int, code: str, message: str) -> Answer:
    return status, {"error": {"code": code, "message": message}}, {}


def busy() -> Answer:
    return refusal(409, "RequestConflict", "Another operation is being performed on the parent resource.")


def test_a_deployment_is_waited_for_and_its_price_is_told_before(
    client: Client, arm: ArmVendor, caplog: pytest.LogCaptureFixture
) -> None:
    arm.creating_s = 0.3
    with caplog.at_level(logging.WARNING, "ftkit"):
        deployment = client.deploy(MODEL, name="mine", sku="GlobalStandard", capacity=3)
    assert deployment.provider_status == "Succeeded"
    assert deployment.source == MODEL
    assert str(deployment.price_per_hour) == "1.70"
    assert "$1.70 an hour, used or not" in caplog.text
    assert "15 days" in caplog.text
    assert arm.deployments["mine"]["sku"] == {"name": "GlobalStandard", "capacity": 3}
    assert arm.deployments["mine"]["properties"]["model"] == {"format": "OpenAI", "name": MODEL, "version": "1"}


def test_a_busy_account_is_waited_out(client: Client, arm: ArmVendor) -> None:
    arm.faults = [busy, busy]
    client.deploy(MODEL, name="mine")
    assert arm.requests["PUT"] == 3
    arm.faults = [busy]
    client.delete_deployment("mine")
    assert client.list_deployments() == []


def test_an_account_that_stays_busy_is_given_up_in_time(client: Client, arm: ArmVendor) -> None:
    arm.faults = [busy] * 1000
    with pytest.raises(ConflictError, match="RequestConflict"):
        client.deploy(MODEL, name="mine", wait_s=0.5)
    assert arm.requests["PUT"] < 20


def test_a_quota_that_is_used_up_says_what_to_do(client: Client, arm: ArmVendor) -> None:
    message = "This operation require 240 new capacity in quota Tokens Per Minute (thousands)"
    arm.faults = [lambda: refusal(400, "InsufficientQuota", message)]
    with pytest.raises(QuotaError, match="240 new capacity") as full:
        client.deploy(MODEL, name="mine")
    assert "smaller capacity" in str(full.value.hint)
    assert full.value.__cause__ is full.value.__context__ is None, "the package's holds the request, and its token"
    assert arm.requests["PUT"] == 1


def test_a_deployment_that_does_not_come_in_time_says_that_it_may_still_come(client: Client, arm: ArmVendor) -> None:
    arm.creating_s = 60
    with pytest.raises(ProviderUnavailableError, match="may still come"):
        client.deploy(MODEL, name="mine", wait_s=0.3)
    assert client.list_deployments()[0].status.value == "creating"


def test_a_name_that_is_taken_and_an_option_that_is_none(client: Client) -> None:
    client.deploy(MODEL, name="mine")
    with pytest.raises(ConflictError, match=r"of gpt-4o-mini-2024-07-18\.ft-4711"):
        client.deploy("another", name="mine")
    with pytest.raises(ConfigurationError, match="capacity"):
        client.deploy(MODEL, name="two", capacitty=3)


@pytest.mark.parametrize("how", ["whole", "streamed"])
def test_a_model_that_is_not_servable_yet_is_given_its_time_and_no_more(
    client: Client, wire: AzureWireVendor, how: str
) -> None:
    def ask() -> str:
        if how == "whole":
            return client.chat(deployment, "Hello?").text
        return "".join(chunk.text for chunk in client.stream_chat(deployment, "Hello?")).strip()

    deployment = client.deploy(MODEL, name="mine")
    wire.not_servable = 2
    assert ask() == "echo: Hello?"
    assert wire.requests["POST /chat/completions"] == 3
    wire.not_servable = 1000
    with pytest.raises(NotFoundError, match="DeploymentNotFound"):
        ask()
    assert wire.requests["POST /chat/completions"] < 20


def test_what_goes_to_the_control_plane_is_what_the_packages_own_models_say(client: Client, arm: ArmVendor) -> None:
    client.deploy(MODEL, name="mine", sku="DeveloperTier", capacity=2)
    told = arm.deployments["mine"]
    sent = {name: told[name] for name in ("sku", "properties")}
    assert unknown_to("Deployment", sent) == []
    assert unknown_to("Deployment", {**sent, "kapacity": 1, "sku": {"nam": 1}}) == ["Deployment.kapacity", "Sku.nam"]


def unknown_to(name: str, fields: dict[str, Any]) -> list[str]:
    """Returns the fields that a model of the management package does not have, at any depth."""
    known = {field["key"]: field["type"] for field in getattr(models, name)._attribute_map.values()}
    unknown = [f"{name}.{field}" for field in fields if field not in known]
    for field in [field for field in fields if hasattr(models, known.get(field, ""))]:
        unknown += unknown_to(known[field], fields[field])
    return unknown


def test_without_a_group_deploying_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_RESOURCE_GROUP", raising=False)
    bare = Client(AzureProvider(AzureWireVendor().client()))
    with pytest.raises(ConfigurationError, match="AZURE_RESOURCE_GROUP"):
        bare.deploy(MODEL, name="mine")
