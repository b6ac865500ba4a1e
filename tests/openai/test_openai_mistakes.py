"""What users and services get wrong with `openai` and `azure`, and what is said of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx2
import openai
import pytest
from wire_vendor import KEY, AzureWireVendor, WireVendor

from ftkit import (
    Client,
    ConfigurationError,
    ConflictError,
    DatasetError,
    NotFoundError,
    ProviderError,
    Reinforcement,
    Severity,
)
from ftkit.models import JobRequest, TrainingFile
from ftkit.providers.azure import AzureProvider
from ftkit.providers.openai import OpenAIProvider

if TYPE_CHECKING:
    from pathlib import Path

MODEL = "gpt-4o-mini-2024-07-18"


@pytest.fixture
def vendor() -> WireVendor:
    return WireVendor()


@pytest.fixture
def client(vendor: WireVendor) -> Client:
    return Client(OpenAIProvider(vendor.client()))


@pytest.fixture
def train(tmp_path: Path) -> Path:
    return written(
        tmp_path,
        [
            {"messages": [{"role": "user", "content": f"{n}?"}, {"role": "assistant", "content": f"{n}!"}]}
            for n in range(10)
        ],
    )


def written(folder: Path, rows: list[dict[str, Any]]) -> Path:
    path = folder / "train.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def answering(status: int, content: bytes, kind: str = "application/json") -> Client:
    def handle(request: httpx2.Request) -> httpx2.Response:
        headers = {"openai-organization": "acme"}
        if "/models" in request.url.path:  # whose account it is; and of a model, that it is there
            return httpx2.Response(200, json={"object": "list", "data": [], "id": "a-model"}, headers=headers)
        return httpx2.Response(status, content=content, headers={"content-type": kind})

    http = httpx2.Client(transport=httpx2.MockTransport(handle))
    return Client(OpenAIProvider(openai.OpenAI(api_key=KEY, base_url="https://api.example/v2", http_client=http)))


def asked_as_stream(content: bytes) -> list[str]:
    client = answering(200, content, "text/event-stream")
    deployment = client.deploy("ft:gpt-4o-mini-2024-07-18:acme::8xYz", name="mine")
    return [chunk.text for chunk in client.stream_chat(deployment, "Hello?")]


def test_a_wrong_address_is_told_from_a_thing_that_is_not_there(client: Client) -> None:
    with pytest.raises(NotFoundError) as elsewhere:
        answering(404, b"<html>nothing here</html>", "text/html").get_job("ftjob-1")
    assert "https://api.example/v2/fine_tuning/jobs/ftjob-1" in str(elsewhere.value.hint)
    with pytest.raises(NotFoundError) as root:  # an API, of which this is not the root
        answering(404, b'{"error": {"message": "Not Found"}}').list_jobs()
    assert "it often ends in /v1" in str(root.value.hint)
    with pytest.raises(NotFoundError, match="Could not find fine tune") as gone:
        client.get_job("ftjob-1")
    assert gone.value.hint is None


@pytest.mark.parametrize("body", [{"detail": "No such thing."}, {"title": "No such thing.", "status": 418}])
def test_the_words_of_other_services_are_read_too(body: dict[str, Any]) -> None:
    with pytest.raises(ProviderError, match=r"openai: No such thing\."):
        answering(418, json.dumps(body).encode()).get_job("ftjob-1")


def test_a_job_that_cannot_be_paused_names_the_provider_once(client: Client, vendor: WireVendor, train: Path) -> None:
    job = client.create_job(model=MODEL, training_file=client.upload(train, model=MODEL))
    vendor.set_status(job.id, "succeeded")
    with pytest.raises(ConflictError) as refused:
        client.pause_job(job)
    assert str(refused.value).count("openai:") == 1


@pytest.mark.parametrize("event", [b"[1, 2]", b"7", b'"text"'])
def test_an_event_of_a_stream_that_is_no_object_is_an_error_of_ours(event: bytes) -> None:
    with pytest.raises(ProviderError):
        asked_as_stream(b"data: " + event + b"\n\ndata: [DONE]\n\n")


def test_tokens_that_are_counted_otherwise_are_not_told() -> None:
    head: dict[str, Any] = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    events = [
        {**head, "choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": None}]},
        {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": {"seconds": 3}},
    ]
    stream = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
    assert "".join(asked_as_stream(stream.encode())) == "Hi"


def test_a_name_of_a_model_that_was_deleted_is_forgotten(client: Client, vendor: WireVendor, train: Path) -> None:
    job = client.create_job(model=MODEL, training_file=client.upload(train, model=MODEL), suffix="soup")
    vendor.set_status(job.id, "succeeded")
    job = client.get_job(job)
    assert job.suffix == "soup"
    client.deploy(job, name="mine")
    client.deploy(MODEL, name="base")
    client.delete_model(job)
    assert [deployment.name for deployment in client.list_deployments()] == ["base"]


@pytest.mark.parametrize(
    "wrong", [{"timeout_s": 0.0}, {"timeout_s": -1.0}, {"timeout_s": "ten"}, {"processing_s": 0.0}]
)
def test_a_time_that_is_none_is_refused_at_once(wrong: dict[str, Any]) -> None:
    for make in (
        lambda: OpenAIProvider(api_key=KEY, **wrong),
        lambda: AzureProvider(endpoint="https://r.openai.azure.com", api_key=KEY, **wrong),
    ):
        with pytest.raises(ConfigurationError, match=f"{next(iter(wrong))} is a number of seconds above 0"):
            make()


@pytest.mark.parametrize("vendor", [WireVendor(), AzureWireVendor()], ids=["openai", "azure"])
def test_an_option_that_nobody_knows_is_refused_by_the_provider_itself(vendor: WireVendor) -> None:
    provider = (OpenAIProvider if type(vendor) is WireVendor else AzureProvider)(vendor.client())
    file = TrainingFile(id="file-1", provider=provider.name, filename="train.jsonl")
    request = JobRequest(model=MODEL, training_file=file, provider_options={"pace": "fast"})
    with pytest.raises(ConfigurationError, match="provider_options has no option 'pace'"):
        provider.create_job(request, "key")
    assert vendor.requests["POST /fine_tuning/jobs"] == 0


def test_a_wrong_option_does_not_hide_what_is_wrong_with_the_data(client: Client, tmp_path: Path) -> None:
    path = written(tmp_path, [{"messages": [{"role": "narrator", "content": "?"}]}] * 10)
    report = client.check(path, model=MODEL, provider_options={"pace": "fast"})
    assert {"bad-option", "unknown-role"} <= {problem.code for problem in report.errors}
    assert report.rows == 10


def test_data_for_another_method_says_which(client: Client, tmp_path: Path) -> None:
    pair = {
        "input": {"messages": [{"role": "user", "content": "Hi"}]},
        "preferred_output": [{"role": "assistant", "content": "Hello!"}],
        "non_preferred_output": [{"role": "assistant", "content": "What?"}],
    }
    with pytest.raises(DatasetError, match=r"For preference records, ask for the method DPO\(\)"):
        client.upload(written(tmp_path, [pair] * 10), model=MODEL)


def test_a_file_is_not_written_over_a_folder(client: Client, train: Path, tmp_path: Path) -> None:
    file = client.upload(train, model=MODEL)
    with pytest.raises(ConfigurationError, match="is a folder"):
        client.download_file(file, tmp_path)
    with pytest.raises(ConfigurationError, match="there is no folder"):
        client.download_file(file, tmp_path / "nowhere" / "train.jsonl")


@pytest.mark.parametrize("labels", ["team", {"team": 1}, ["team"]])
def test_labels_that_are_none_are_refused_alike(client: Client, labels: Any) -> None:
    with pytest.raises(ConfigurationError, match="metadata is labels"):
        client.list_jobs(metadata=labels)


def test_a_file_of_this_machine_is_told_from_one_that_was_sent(client: Client, train: Path) -> None:
    with pytest.raises(ConfigurationError, match="is a file on this machine") as refused:
        client.create_job(model=MODEL, training_file=str(train))
    assert "client.upload(" in str(refused.value.hint)


def test_what_is_no_deployment_says_how_to_make_one(client: Client, train: Path) -> None:
    with pytest.raises(NotFoundError) as unknown:
        client.chat(MODEL, "Hello?")
    assert "client.deploy(job)" in str(unknown.value.hint)
    job: Any = client.create_job(model=MODEL, training_file=client.upload(train, model=MODEL))
    with pytest.raises(ConfigurationError, match="a job is none"):
        client.chat(job, "Hello?")
    with pytest.raises(NotFoundError, match="does not exist"):
        client.deploy("ft:nope")
    assert client.list_deployments() == []


def test_a_check_for_reinforcement_says_what_the_job_will_need(client: Client, tmp_path: Path) -> None:
    rows = [{"messages": [{"role": "user", "content": f"{n}?"}], "answer": "1"} for n in range(10)]
    report = client.check(written(tmp_path, rows), model=MODEL, method=Reinforcement(grader=SAME))
    assert report.ok
    assert "no-validation-file" in {problem.code for problem in report.problems}


@pytest.mark.parametrize("version", ["latest", "2024-10", "2024-10-21-beta"])
def test_what_is_no_version_of_azures_api_is_refused(version: str) -> None:
    with pytest.raises(ConfigurationError, match="no api-version"):
        AzureProvider(endpoint="https://r.openai.azure.com", api_key=KEY, api_version=version)


SAME = {"type": "string_check", "name": "same", "input": "{{sample.output_text}}", "operation": "eq", "reference": "1"}


@pytest.mark.parametrize(
    ("grader", "told"),
    [
        (SAME, {}),
        ({}, {"no-grader": "method.grader"}),
        ({"name": "same"}, {"bad-grader": "method.grader.type"}),
        ({**SAME, "type": "string_chek"}, {"strange-grader": "method.grader.type"}),
        ({**SAME, "operation": "equals"}, {"strange-grader": "method.grader.operation"}),
        ({k: v for k, v in SAME.items() if k != "operation"}, {"bad-grader": "method.grader.operation"}),
        (
            {"type": "multi", "name": "m", "calculate_output": "a", "graders": {"a": {**SAME, "type": None}}},
            {"bad-grader": "method.grader.graders.a.type"},
        ),
        ({"type": "multi", "name": "m", "calculate_output": "a", "graders": {"a": SAME}}, {}),
    ],
)
def test_a_grader_is_looked_into(client: Client, grader: dict[str, Any], told: dict[str, str]) -> None:
    file = TrainingFile(id="file-1", provider="openai", filename="train.jsonl")
    request = JobRequest(
        model=MODEL, training_file=file, validation_file=file, method=Reinforcement(grader=grader or None)
    )
    found = [
        problem for problem in client.provider.problems(request) if problem.code not in {"ending", "unlisted-method"}
    ]
    assert {problem.code: problem.field for problem in found} == told
    severities = {problem.code: problem.severity for problem in found}
    assert severities.get("strange-grader", Severity.WARNING) is Severity.WARNING
    assert severities.get("bad-grader", Severity.ERROR) is Severity.ERROR


def test_jobs_are_listed_by_their_labels_where_the_service_does_not_look_for_them(train: Path) -> None:
    vendor = AzureWireVendor()
    client = Client(AzureProvider(vendor.client()))
    file = client.upload(train, model=MODEL)
    made = [
        client.create_job(model=MODEL, training_file=file, seed=seed, metadata={"team": team})
        for seed, team in enumerate(("red", "blue", "blue", "red", "blue", "blue"))
    ]
    first = client.list_jobs(metadata={"team": "red"}, limit=2)
    rest = client.list_jobs(metadata={"team": "red"}, limit=2, after=first.next)
    assert [job.id for job in (*first.items, *rest.items)] == [made[3].id, made[0].id]
    assert client.list_jobs(metadata={"team": "green"}).items == ()
