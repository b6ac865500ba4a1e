"""What is sent to AWS, and how its answers are read, past what the kit looks at."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import boto3
import pytest
from bedrock_place import BUCKET, MODEL, REGION, ROLE, SECRET, bedrock_at, session
from bedrock_vendor import BedrockVendor
from ftkit_bedrock import BedrockProvider

from ftkit import ChatMessage, ChatOptions, FineTuningJob, JobRequest, Supervised, TrainingFile
from ftkit.errors import (
    ConfigurationError,
    ConflictError,
    CredentialsError,
    NotFoundError,
    ProviderError,
    ProviderUnavailableError,
    RateLimitError,
)

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

HELLO = (ChatMessage(role="user", content="Hello"),)


@pytest.fixture
def vendor() -> Generator[BedrockVendor]:
    vendor = BedrockVendor()
    yield vendor
    vendor.stop()
    assert not vendor.misfits


@pytest.fixture
def provider(vendor: BedrockVendor) -> BedrockProvider:
    return bedrock_at(vendor.url)


@pytest.fixture
def file(provider: BedrockProvider, tmp_path: Path) -> TrainingFile:
    path = tmp_path / "train.jsonl"
    path.write_text("{}\n")
    return provider.upload(path, "v1:file")


@pytest.fixture
def tuned(provider: BedrockProvider, vendor: BedrockVendor, file: TrainingFile) -> FineTuningJob:
    job = provider.create_job(JobRequest(model=MODEL, training_file=file), "v1:job")
    vendor.set_status(job.id, "Completed")
    return provider.get_job(job.id)


def test_all_of_a_request_arrives(provider: BedrockProvider, vendor: BedrockVendor, file: TrainingFile) -> None:
    request = JobRequest(
        model=MODEL,
        training_file=file,
        validation_file=file,
        method=Supervised(n_epochs=3, learning_rate=0.00000105),
        suffix="my-cook",
        metadata={"team": "food + drink"},
        provider_options={
            "kms_key": "alias/mine",
            "hyperparameters": {"learningRateWarmupSteps": "10"},
        },
    )
    assert not provider.problems(request)
    job = provider.create_job(request, "v1:key#2")
    made = vendor.jobs[job.id]
    assert made.hyper_parameters == {"learningRateWarmupSteps": "10", "epochCount": "3", "learningRate": "0.00000105"}
    assert made.custom_model_name.startswith("my-cook-")
    assert (made.custom_model_kms_key_id, made.role_arn) == ("alias/mine", ROLE)
    assert made.job_tags == [{"key": "team", "value": "food + drink"}]
    assert made.validation_data_config == {"validators": [{"s3Uri": file.id}]}
    assert made.output_data_config == {"s3Uri": f"s3://{BUCKET}/ftkit/output/{job.id}/"}
    read = provider.get_job(job.id)
    assert (read.training_file, read.validation_file, read.model) == (file.id, file.id, MODEL)


def test_aws_makes_no_second_job_of_one_key(
    provider: BedrockProvider, vendor: BedrockVendor, file: TrainingFile
) -> None:
    request = JobRequest(model=MODEL, training_file=file)
    first, again = (provider.create_job(request, "v1:key") for _ in range(2))
    assert (first.id, len(vendor.jobs)) == (again.id, 1)
    with pytest.raises(ConflictError):  # the same key cannot stand for another request
        provider.create_job(request.model_copy(update={"suffix": "other"}), "v1:key")


@pytest.mark.parametrize("body", [b"{}", b'{"jobArn": null}', b"<html>Please sign in</html>", b""])
def test_a_create_that_is_answered_with_nothing_is_unclear(
    body: bytes, provider: BedrockProvider, vendor: BedrockVendor, file: TrainingFile
) -> None:
    vendor.breaks = [({"CreateModelCustomizationJob"}, body)]
    request = JobRequest(model=MODEL, training_file=file)
    with pytest.raises(ProviderUnavailableError):
        provider.create_job(request, "v1:key")
    found = provider.find_job("v1:key", request, datetime.now(UTC))
    assert found is not None
    assert (found.key, len(vendor.jobs)) == ("v1:key", 1)


def test_an_error_holds_no_request(provider: BedrockProvider) -> None:
    with pytest.raises(NotFoundError) as caught:
        provider.get_job("no-such-job")
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None  # boto3's frames hold credentials
    assert caught.value.request_id


def test_a_job_of_somebody_else_is_listed(provider: BedrockProvider, vendor: BedrockVendor, file: TrainingFile) -> None:
    client = session().client("bedrock", endpoint_url=vendor.url)
    client.create_model_customization_job(
        jobName="theirs",
        customModelName="theirs",
        clientRequestToken="theirs",
        roleArn=ROLE,
        baseModelIdentifier=MODEL,
        trainingDataConfig={"s3Uri": file.id},
        outputDataConfig={"s3Uri": f"s3://{BUCKET}/theirs"},
    )
    (job,) = provider.list_jobs(None, 10).items
    assert (job.id, job.key, provider.results("theirs")) == ("theirs", None, [])


def test_a_failed_job_says_why(provider: BedrockProvider, vendor: BedrockVendor, file: TrainingFile) -> None:
    job = provider.create_job(JobRequest(model=MODEL, training_file=file), "v1:key")
    assert provider.get_job(job.id).finished_at is None
    vendor.set_status(job.id, "Failed")
    failed = provider.get_job(job.id)
    assert failed.fine_tuned_model is None  # though AWS names one from the beginning
    assert failed.error == "the data is no good"
    assert failed.finished_at is not None


def test_files_are_listed_newest_first(provider: BedrockProvider, vendor: BedrockVendor, tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text("{}\n")
    made = [provider.upload(path, f"v1:{n}").id for n in range(4)]
    vendor.date({uri.removeprefix(f"s3://{BUCKET}/"): datetime(2026, 1, n + 1) for n, uri in enumerate(made)})  # noqa: DTZ001 - as moto has them
    for limit in (1, 3, 4, 100):
        listed: list[str] = []
        page = provider.list_files(None, limit)
        while page.next is not None:
            listed += [file.id for file in page.items]
            page = provider.list_files(page.next, limit)
        assert [*listed, *(file.id for file in page.items)] == made[::-1]


def test_nothing_but_files_of_ftkit_is_shown_or_deleted(provider: BedrockProvider, vendor: BedrockVendor) -> None:
    for key in ("theirs.jsonl", "ftkit/theirs.jsonl", "ftkit/output/x/table.csv", "ftkit/files/../theirs.jsonl"):
        vendor.put(key, b"theirs")
        for verb in (provider.get_file, provider.delete_file):
            with pytest.raises(NotFoundError):
                verb(f"s3://{BUCKET}/{key}")
    word = "0" * 40
    with pytest.raises(NotFoundError):
        provider.get_file(f"s3://another-bucket/ftkit/files/{word}.jsonl")
    with pytest.raises(NotFoundError):
        provider.delete_file(f"s3://{BUCKET}/ftkit/files/{word}.jsonl")


def test_a_model_is_deleted(provider: BedrockProvider, vendor: BedrockVendor, tuned: FineTuningJob) -> None:
    assert tuned.fine_tuned_model is not None
    provider.delete_model(tuned.fine_tuned_model)
    assert not vendor.models
    with pytest.raises(NotFoundError):
        provider.delete_model(tuned.fine_tuned_model)


def test_a_deployment_can_be_made_again(provider: BedrockProvider, tuned: FineTuningJob) -> None:
    first = provider.deploy(tuned, "mine", {})
    provider.delete_deployment("mine")
    again = provider.deploy(tuned, "mine", {})
    assert (again.source, again.model == first.model) == (tuned.fine_tuned_model, False)
    assert [each.name for each in provider.list_deployments()] == ["mine"]


def test_many_deployments_are_listed(provider: BedrockProvider, tuned: FineTuningJob) -> None:
    for n in range(5):  # pages hold two
        provider.deploy(tuned, f"mine-{n}", {})
    assert sorted(each.name for each in provider.list_deployments()) == [f"mine-{n}" for n in range(5)]


def test_a_name_that_aws_does_not_take(provider: BedrockProvider, tuned: FineTuningJob) -> None:
    for target, name in ((tuned, "no spaces"), (tuned, "double--dash"), ("no-arn", "mine")):
        with pytest.raises(ConfigurationError):
            provider.deploy(target, name, {})


def test_a_stream_that_breaks_off(provider: BedrockProvider, tuned: FineTuningJob) -> None:
    deployment = provider.deploy(tuned, "mine", {})
    pieces: list[str] = []
    with pytest.raises(ProviderUnavailableError, match="broke off"):
        pieces += [piece.text for piece in provider.stream_chat(deployment, _says("breaks off"), ChatOptions())]
    with pytest.raises(RateLimitError, match="too fast"):
        pieces += [piece.text for piece in provider.stream_chat(deployment, _says("throttle"), ChatOptions())]


def test_a_stream_that_is_left(provider: BedrockProvider, tuned: FineTuningJob) -> None:
    pieces = provider.stream_chat(provider.deploy(tuned, "mine", {}), HELLO, ChatOptions())
    assert next(pieces).text == "echo: "
    pieces.close()  # type: ignore[attr-defined]  # an iterator here is a generator


def test_a_deployment_that_is_gone_cannot_be_asked(provider: BedrockProvider, tuned: FineTuningJob) -> None:
    deployment = provider.deploy(tuned, "mine", {})
    provider.delete_deployment("mine")
    with pytest.raises(NotFoundError):
        provider.chat(deployment, HELLO, ChatOptions())


def test_making_it_asks_for_nothing() -> None:
    provider = BedrockProvider()  # no region, no credentials, no bucket
    assert SECRET not in repr(bedrock_at("http://127.0.0.1:9"))
    request = JobRequest(model=MODEL, training_file=TrainingFile(id="s3://x/y", provider="bedrock"))
    assert {problem.field for problem in provider.problems(request)} == {"bucket", "role_arn"}


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, "region"),
        ({"AWS_DEFAULT_REGION": REGION}, "credentials"),
        ({"AWS_DEFAULT_REGION": REGION, "AWS_PROFILE": "no-such-profile"}, "no-such-profile"),
    ],
)
def test_without_credentials(variables: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(CredentialsError, match=said) as caught:
        BedrockProvider(bucket=BUCKET, role_arn=ROLE).identity()
    assert "aws configure" in str(caught.value)


def test_aws_that_is_not_there(tmp_path: Path) -> None:
    provider = bedrock_at("http://127.0.0.1:9")
    with pytest.raises(ProviderUnavailableError, match=re.escape("127.0.0.1:9")):
        provider.get_job("ftkit-x")
    with pytest.raises(ProviderUnavailableError):
        provider.find_job("v1:key", JobRequest(model="m", training_file=_FILE), datetime.now(UTC))
    assert not [*tmp_path.glob("*.partial")]


def test_an_argument_that_boto3_refuses_was_not_sent(vendor: BedrockVendor, file: TrainingFile) -> None:
    provider = BedrockProvider(session(), bucket=BUCKET, role_arn=ROLE, endpoint_url=vendor.url)
    before = vendor.requests.total()
    request = JobRequest(model=MODEL, training_file=file, provider_options={"kms_key": ""})
    with pytest.raises(ProviderError, match="customModelKmsKeyId") as caught:
        provider.create_job(request, "v1:key")
    assert not isinstance(caught.value, ProviderUnavailableError)
    assert vendor.requests["CreateModelCustomizationJob"] == 0
    assert vendor.requests.total() == before + 1  # who is asking


def test_extra_of_a_chat(provider: BedrockProvider, vendor: BedrockVendor, tuned: FineTuningJob) -> None:
    deployment = provider.deploy(tuned, "mine", {})
    provider.chat(deployment, HELLO, ChatOptions(extra={"performanceConfig": {"latency": "optimized"}}))
    assert vendor.chats[-1]["performanceConfig"] == {"latency": "optimized"}
    assert "inferenceConfig" not in vendor.chats[-1]
    with pytest.raises(ConfigurationError, match="messages"):
        provider.chat(deployment, HELLO, ChatOptions(extra={"messages": []}))


def test_doctor(vendor: BedrockVendor) -> None:
    assert bedrock_at(vendor.url).examine() == []
    nothing = BedrockProvider(session(), endpoint_url=vendor.url)
    assert [problem.field for problem in nothing.examine()] == ["bucket", "role_arn"]
    missing = BedrockProvider(session(), bucket="no-such-bucket", role_arn=ROLE, endpoint_url=vendor.url)
    assert [problem.code for problem in missing.examine()] == ["bad-bucket"]
    far = BedrockProvider(session(), region="eu-west-1", bucket=BUCKET, role_arn=ROLE, endpoint_url=vendor.url)
    (problem,) = far.examine()
    assert "us-east-1" in problem.message
    assert "eu-west-1" in problem.message


def test_a_ready_made_session_is_used() -> None:
    mine = boto3.Session(region_name="ap-south-1", aws_access_key_id="x", aws_secret_access_key=SECRET)
    assert BedrockProvider(mine)._aws.region() == "ap-south-1"
    assert BedrockProvider(mine, region="eu-west-1")._aws.region() == "eu-west-1"


_FILE = TrainingFile(id="s3://x/y", provider="bedrock")


def _says(text: str) -> tuple[ChatMessage]:
    return (ChatMessage(role="user", content=text),)
