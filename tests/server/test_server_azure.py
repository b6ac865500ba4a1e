"""Azure's dialects and its control plane, where they differ from OpenAI's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import openai as sdk
import pytest
from live import MODEL, Live, until

from ftkit.testing import MemoryVendor

if TYPE_CHECKING:
    from collections.abc import Callable

    from openai import AzureOpenAI

_ACCOUNT = "/subscriptions/s/resourceGroups/g/providers/Microsoft.CognitiveServices/accounts/a"
_VERSION = {"api-version": "2025-09-01"}


def begin(client: AzureOpenAI, rows: bytes, **asked: Any) -> Any:
    file = client.files.create(file=("tea.jsonl", rows), purpose="fine-tune")
    return client.fine_tuning.jobs.create(
        model=MODEL, training_file=file.id, extra_body={"trainingType": "GlobalStandard"}, **asked
    )


def put(server: Live, name: str, model: str, **more: Any) -> Any:
    body = {"sku": {"name": "Standard", "capacity": 1}, "properties": {"model": {"format": "OpenAI", "name": model}}}
    with server.http() as client:
        return client.put(f"{_ACCOUNT}/deployments/{name}", params=_VERSION, json={**body, **more})


def get(server: Live, path: str) -> Any:
    with server.http() as client:
        return client.get(f"{_ACCOUNT}/deployments{path}", params=_VERSION)


def test_what_is_made_is_201_with_its_address(server: Live, azure: AzureOpenAI, rows: bytes) -> None:
    made = azure.files.with_raw_response.create(file=("tea.jsonl", rows), purpose="fine-tune")
    file = made.parse()
    assert made.status_code == 201
    assert made.headers["location"] == f"{server.url}/openai/files/{file.id}"
    assert file.status == "pending"
    assert azure.files.wait_for_processing(file.id).status == "processed"
    job = azure.fine_tuning.jobs.with_raw_response.create(model=MODEL, training_file=file.id)
    assert job.status_code == 201
    assert job.headers["location"].startswith(f"{server.url}/openai/fine_tuning/jobs/ftjob-")


def test_a_job_has_azures_words_and_nulls(start: Callable[..., Live], rows: bytes) -> None:
    server = start(vendor=MemoryVendor(finish_after=None))
    with server.azure() as azure:
        job = begin(azure, rows, suffix="tea")
        assert job.status == "pending"
        assert job.organization_id is None
        assert job.result_files is None
        assert (job.hyperparameters.n_epochs, job.hyperparameters.batch_size) == (-1, -1)
        assert job.trainingType == "GlobalStandard"
        server.vendor.advance(server.vendor_job().id, "succeeded")
        until(lambda: azure.fine_tuning.jobs.retrieve(job.id).status == "succeeded")
        done = azure.fine_tuning.jobs.retrieve(job.id)
        assert done.fine_tuned_model == f"{MODEL}.ft-{job.id.removeprefix('ftjob-')}-tea"
        with server.openai() as openai:
            assert str(openai.fine_tuning.jobs.retrieve(job.id).fine_tuned_model).startswith(f"ft:{MODEL}:ftkit:tea:")


def test_a_job_that_has_ended_can_be_deleted_and_its_model_stays(server: Live, azure: AzureOpenAI, rows: bytes) -> None:
    job = begin(azure, rows)
    with server.http() as client:
        path = f"/openai/fine_tuning/jobs/{job.id}?api-version=2024-10-21"
        until(lambda: azure.fine_tuning.jobs.retrieve(job.id).status == "succeeded")
        model = str(azure.fine_tuning.jobs.retrieve(job.id).fine_tuned_model)
        gone = client.delete(path)
        assert (gone.status_code, gone.content) == (204, b"")
        assert client.delete(path).status_code == 404
    assert list(azure.fine_tuning.jobs.list()) == []
    assert azure.models.retrieve(model).id == model


def test_the_dated_form_needs_its_version(server: Live) -> None:
    with server.http() as client:
        answer = client.get("/openai/models")
        assert answer.status_code == 404
        assert answer.json()["error"].keys() == {"code", "message"}


def test_files_are_paged_though_the_dated_list_has_no_cursor(azure: AzureOpenAI, rows: bytes) -> None:
    made = [azure.files.create(file=("tea.jsonl", rows), purpose="fine-tune").id for _ in range(3)]
    assert [file.id for file in azure.files.list(limit=2)] == made[::-1]


def test_a_chat_names_a_deployment_that_arm_has_made(server: Live, azure: AzureOpenAI, rows: bytes) -> None:
    job = begin(azure, rows)
    until(lambda: azure.fine_tuning.jobs.retrieve(job.id).status == "succeeded")
    model = str(azure.fine_tuning.jobs.retrieve(job.id).fine_tuned_model)
    question: Any = [{"role": "user", "content": "Hello?"}]
    with pytest.raises(sdk.NotFoundError) as missing:
        azure.chat.completions.create(model="mine", messages=question)
    assert missing.value.code == "DeploymentNotFound"
    made = put(server, "mine", model)
    assert made.status_code == 201
    assert made.json()["properties"]["provisioningState"] == "Creating"
    assert made.headers["azure-asyncoperation"].startswith(f"{server.url}/subscriptions/s/")
    with server.http() as client:
        until(lambda: client.get(made.headers["azure-asyncoperation"]).json()["status"] == "Succeeded")
    assert get(server, "/mine").json()["properties"]["provisioningState"] == "Succeeded"
    assert "Hello?" in str(azure.chat.completions.create(model="mine", messages=question).choices[0].message.content)
    with server.azure_v1() as v1:
        assert "Hello?" in str(v1.chat.completions.create(model="mine", messages=question).choices[0].message.content)
        with pytest.raises(sdk.NotFoundError, match="deployment"):
            v1.chat.completions.create(model=model, messages=question)
        with pytest.raises(sdk.ConflictError, match="'mine' serves"):
            v1.models.delete(model)


def test_deployments_are_listed_changed_and_deleted(server: Live) -> None:
    put(server, "one", MODEL)
    until(lambda: get(server, "/one").json()["properties"]["provisioningState"] == "Succeeded")
    scaled = put(server, "one", MODEL, sku={"name": "Standard", "capacity": 5})
    assert scaled.status_code == 200
    assert scaled.json()["sku"]["capacity"] == 5
    assert scaled.json()["etag"] != get(server, "/two").headers.get("etag")
    assert server.vendor.calls["create_deployment"] == 1, "nothing is deployed anew for that"
    assert [each["name"] for each in get(server, "").json()["value"]] == ["one"]
    with server.http() as client:
        gone = client.delete(f"{_ACCOUNT}/deployments/one", params=_VERSION)
        assert gone.status_code == 202
        until(lambda: client.get(gone.headers["azure-asyncoperation"]).json()["status"] == "Succeeded")
        assert client.delete(f"{_ACCOUNT}/deployments/one", params=_VERSION).status_code == 204
    assert server.vendor.list_deployments() == []
    missing = get(server, "/one")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "NotFound")


def test_a_deployment_that_fails_says_why(server: Live) -> None:
    server.vendor.create_deployment("taken", "somebody-elses")
    made = put(server, "taken", MODEL)
    with server.http() as client:
        until(lambda: client.get(made.headers["azure-asyncoperation"]).json()["status"] == "Failed")
        told = client.get(made.headers["azure-asyncoperation"]).json()["error"]
    assert "there is a deployment 'taken'" in told["message"]
    refused = put(server, "none", "gpt-5")
    assert refused.status_code == 404
    assert "does not exist" in refused.json()["error"]["message"]


def test_a_deployment_that_was_under_way_when_the_server_died_is_made_by_the_next(start: Callable[..., Live]) -> None:
    from ftkit.server.records import DeploymentRecord

    server = start()
    server.stop()
    again = start(vendor=server.vendor)
    again.office.store.add(DeploymentRecord(id="late", created_at=1, model=MODEL, stamp="0"))
    again.stop()
    third = start(vendor=server.vendor)
    until(lambda: get(third, "/late").json()["properties"]["provisioningState"] == "Succeeded")
