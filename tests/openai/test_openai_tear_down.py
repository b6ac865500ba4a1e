"""What a job left behind at OpenAI and Azure is taken down, by the official packages; what stands has its price."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from arm_vendor import ArmVendor
from wire_vendor import AzureWireVendor, WireVendor

from ftkit import Client, TornDown
from ftkit.providers.azure import AzureProvider
from ftkit.providers.openai import OpenAIProvider

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from ftkit import FineTuningJob

BASE = "gpt-4o-mini-2024-07-18"


@pytest.fixture
def arm() -> Generator[ArmVendor]:
    vendor = ArmVendor()
    yield vendor
    vendor.stop()


def tuned(client: Client, vendor: WireVendor, folder: Path) -> FineTuningJob:
    said = [{"role": "user", "content": "Hello?"}, {"role": "assistant", "content": "Hello."}]
    train = folder / "train.jsonl"
    train.write_text((json.dumps({"messages": said}) + "\n") * 12)
    job = client.fine_tune(BASE, train, wait=False)
    vendor.set_status(job.id, "succeeded")
    return client.get_job(job)


def test_at_openai_a_name_and_the_file_go(tmp_path: Path) -> None:
    vendor = WireVendor()
    client = Client(OpenAIProvider(vendor.client()))
    job = tuned(client, vendor, tmp_path)
    names = {client.deploy(job).name, client.deploy(client.list_checkpoints(job)[0]).name}
    assert {each.price_per_hour for each in client.list_deployments()} == {0}, "a name costs nothing"
    done = client.tear_down(job)
    assert ({*done.deployments}, done.files) == (names, (job.training_file,))
    assert job.training_file not in vendor.files
    assert client.list_deployments() == []
    assert client.tear_down(job) == TornDown(job_id=job.id)


def test_at_azure_what_costs_by_the_hour_goes_and_what_serves_the_base_model_stays(
    tmp_path: Path, arm: ArmVendor, caplog: pytest.LogCaptureFixture
) -> None:
    wire = AzureWireVendor()
    given = {"management": arm.client(), "resource_group": "g", "poll_s": 0.05, "servable_s": 0.3}
    client = Client(AzureProvider(wire.dated_client(), **given))
    job = tuned(client, wire, tmp_path)
    client.deploy(job, name="mine")
    client.deploy(client.list_checkpoints(job)[0], name="of-a-checkpoint")
    client.deploy(BASE, name="of-the-base-model")
    assert "'of-the-base-model' (Standard) at a price that ftkit does not know" in caplog.text
    prices = {each.name: each.price_per_hour for each in client.list_deployments()}
    assert str(prices["mine"]) == str(prices["of-a-checkpoint"]) == "1.70"
    assert prices["of-the-base-model"] is None, "it is paid by the token, and not by the hour"
    done = client.tear_down(job)
    assert ({*done.deployments}, done.files) == ({"mine", "of-a-checkpoint"}, (job.training_file,))
    assert {*arm.deployments} == {"of-the-base-model"}
    assert job.training_file not in wire.files
    assert client.tear_down(job) == TornDown(job_id=job.id)
