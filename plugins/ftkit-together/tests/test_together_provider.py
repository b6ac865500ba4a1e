"""What only `together` has: its orders, how a job is known again, files in three steps, and what it tells of a job."""

from __future__ import annotations

import copy
import json
import struct
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import together
from ftkit_together import STATUS_WORDS, TogetherProvider
from test_together_conforms import STATUSES
from together_vendor import KEY, WORDS, TogetherVendor, together_at

from ftkit import DPO, Client, JobRequest, JobStatus, LoRA, Supervised, TrainingFile
from ftkit.errors import (
    CredentialsError,
    ProviderError,
    ProviderUnavailableError,
    UnclearOutcomeError,
    UnsupportedError,
)
from ftkit.models import ChatMessage, ChatOptions, Deployment, DeploymentStatus, EventLevel, Method
from ftkit.plugin import seed_of, word_of
from ftkit.testing.kit.basics import BEGINNING

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

MODEL = "Qwen/Qwen3-8B"
HELLO = [ChatMessage(role="user", content="Hello there")]


@pytest.fixture
def vendor() -> Generator[TogetherVendor]:
    made = TogetherVendor()
    yield made
    made.stop()


@pytest.fixture
def provider(vendor: TogetherVendor) -> Generator[TogetherProvider]:
    made = together_at(vendor.url)
    yield made
    made._client.close()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "train.jsonl"
    row = {"messages": [{"role": "user", "content": "How far is the Moon?"}, {"role": "assistant", "content": "Far."}]}
    path.write_text((json.dumps(row) + "\n") * 20, encoding="utf-8")
    return path


@pytest.fixture
def file(provider: TogetherProvider, data: Path) -> TrainingFile:
    return provider.upload(data, "v1:file")


def wanted(file: TrainingFile, method: Method | None = None, **more: Any) -> JobRequest:
    return JobRequest(model=MODEL, training_file=file, method=method or Supervised(), **more)


# -- the whole way ---------------------------------------------------------------------------------------------------


def test_a_script_that_is_run_twice_makes_one_job(vendor: TogetherVendor, data: Path) -> None:
    for run in range(2):
        client = Client("together", api_key=KEY, base_url=vendor.url)
        job = client.fine_tune(MODEL, data, method=Supervised(n_epochs=3, lora=True), wait=False)
        if not run:
            vendor.set_status(job.id, "completed")
        job = client.wait(job, progress=False)
        with client.deployed(job) as deployment:
            assert client.chat(deployment, "Hello").text == "echo: Hello"
            assert "".join(map(str, client.stream_chat(deployment, "Hello there"))) == "echo: Hello there "
    assert job.fine_tuned_model == f"acme/Qwen3-8B::{job.id}"
    assert (len(vendor.jobs), len(vendor.contents)) == (1, 1)
    assert vendor.chats[0]["model"] == job.fine_tuned_model


def test_an_endpoint_is_asked_in_place_of_the_model(vendor: TogetherVendor, data: Path) -> None:
    client = Client("together", api_key=KEY, base_url=vendor.url)
    job = client.fine_tune(MODEL, data, wait=False)
    vendor.set_status(job.id, "completed")
    with client.deployed(job, endpoint="acme/moon") as deployment:
        client.chat(deployment, "Hello")
    assert vendor.chats[0]["model"] == "acme/moon"


# -- words -----------------------------------------------------------------------------------------------------------


def test_all_words_of_the_package_are_known() -> None:
    assert set(STATUS_WORDS) == WORDS
    assert STATUSES == STATUS_WORDS


# -- orders ----------------------------------------------------------------------------------------------------------


def test_a_plain_order_leaves_the_defaults_to_together(
    vendor: TogetherVendor, provider: TogetherProvider, file: TrainingFile
) -> None:
    provider.create_job(wanted(file, Supervised(n_epochs="auto", lora=True)), "v1:key")
    assert vendor.orders == [
        {
            "model": MODEL,
            "training_file": file.id,
            "random_seed": seed_of("v1:key"),
            "training_method": {"method": "sft", "train_on_inputs": "auto"},
        }
    ]


def test_a_full_order(vendor: TogetherVendor, provider: TogetherProvider, file: TrainingFile) -> None:
    lora = LoRA(r=16, dropout=0.1, target_modules=("q_proj", "v_proj"))
    method = DPO(n_epochs=2, batch_size=16, learning_rate=2e-5, beta=0.2, lora=lora)
    options = {"warmup_ratio": 0.1, "weight_decay": 0.01, "n_checkpoints": 2, "n_evals": 4, "packing": False}
    request = wanted(file, method, validation_file=file, suffix="moon", seed=7, provider_options=options)
    assert provider.problems(request) == []
    provider.create_job(request, "v1:key")
    assert vendor.orders == [
        {
            "model": MODEL,
            "training_file": file.id,
            "validation_file": file.id,
            "suffix": "moon",
            "random_seed": 7,
            "n_epochs": 2,
            "batch_size": 16,
            "learning_rate": 2e-5,
            "training_method": {"method": "dpo", "dpo_beta": 0.2},
            "training_type": {
                "type": "Lora",
                "lora_r": 16,
                "lora_alpha": 32,
                "lora_dropout": 0.1,
                "lora_trainable_modules": "q_proj,v_proj",
            },
            **options,
        }
    ]


def test_all_weights_and_a_checkpoint(vendor: TogetherVendor, provider: TogetherProvider, file: TrainingFile) -> None:
    options = {"from_checkpoint": "ft-1:10", "train_on_inputs": True}
    provider.create_job(wanted(file, Supervised(lora=False), provider_options=options), "v1:key")
    assert vendor.orders[0]["training_type"] == {"type": "Full"}
    assert vendor.orders[0]["training_method"] == {"method": "sft", "train_on_inputs": True}
    assert "model" not in vendor.orders[0]  # Together takes one of the two


def test_unknown_options_are_told_before_anything_is_sent(vendor: TogetherVendor, data: Path) -> None:
    client = Client("together", api_key=KEY, base_url=vendor.url)
    with pytest.raises(UnsupportedError, match="did you mean 'warmup_ratio'"):
        client.fine_tune(MODEL, data, provider_options={"warm_up_ratio": 0.1}, wait=False)
    assert not vendor.contents


# -- a job is known by what was asked for ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"method": Supervised(n_epochs=2, learning_rate=3e-5)},
        {"method": Supervised(n_epochs=2, learning_rate=2e-5, lora=False)},
        {"method": DPO(n_epochs=2, learning_rate=2e-5)},
        {"suffix": "other"},
        {"seed": 8},
        {"model": "Qwen/Qwen3-14B"},
        {"provider_options": {"weight_decay": 0.1}},
    ],
)
def test_what_differs_is_another_job(provider: TogetherProvider, file: TrainingFile, change: dict[str, Any]) -> None:
    request = wanted(file, Supervised(n_epochs=2, learning_rate=2e-5), seed=7, suffix="moon")
    job = provider.create_job(request, "v1:key")
    assert provider.find_job("v1:other", request.model_copy(update=change), BEGINNING) is None
    found = provider.find_job("v1:key", request, BEGINNING)
    assert found is not None
    assert found.id == job.id


def test_a_suffix_that_nobody_asked_for_is_another_job(provider: TogetherProvider, file: TrainingFile) -> None:
    provider.create_job(wanted(file, seed=7, suffix="moon"), "v1:key")
    assert provider.find_job("v1:other", wanted(file, seed=7), BEGINNING) is None


def test_two_that_are_alike_are_unclear(provider: TogetherProvider, file: TrainingFile) -> None:
    jobs = {provider.create_job(wanted(file, seed=7), "v1:key").id for _ in range(2)}
    with pytest.raises(UnclearOutcomeError) as caught:
        provider.find_job("v1:key", wanted(file, seed=7), BEGINNING)
    assert set(caught.value.candidates) == jobs


def test_a_rate_that_lost_digits_is_the_same(
    vendor: TogetherVendor, provider: TogetherProvider, file: TrainingFile
) -> None:
    request = wanted(file, Supervised(learning_rate=1e-5))
    job = provider.create_job(request, "v1:key")
    (kept,) = struct.unpack("f", struct.pack("f", 1e-5))
    assert kept != 1e-5
    vendor.jobs[job.id]["learning_rate"] = kept
    assert provider.find_job("v1:key", request, BEGINNING) is not None


def test_what_is_not_told_speaks_neither_way(
    vendor: TogetherVendor, provider: TogetherProvider, file: TrainingFile
) -> None:
    request = wanted(file, Supervised(learning_rate=1e-5, n_epochs=3))
    job = provider.create_job(request, "v1:key")
    for name in ("random_seed", "learning_rate", "training_type"):
        vendor.jobs[job.id][name] = None
    assert provider.find_job("v1:key", request, BEGINNING) is not None


def test_a_job_from_before_is_not_looked_at(
    vendor: TogetherVendor, provider: TogetherProvider, file: TrainingFile
) -> None:
    old = provider.create_job(wanted(file, seed=7), "v1:key")
    vendor.jobs[old.id]["created_at"] = "2026-01-01T00:00:00.5Z"
    new = provider.create_job(wanted(file, seed=7), "v1:key#2")
    assert new.created_at is not None
    found = provider.find_job("v1:key#2", wanted(file, seed=7), new.created_at)
    assert found is not None
    assert found.id == new.id


# -- files -----------------------------------------------------------------------------------------------------------


def test_a_file_is_found_by_its_key(vendor: TogetherVendor, provider: TogetherProvider, data: Path) -> None:
    first = provider.upload(data, "v1:a")
    assert first.filename == f"train-{word_of('v1:a')}.jsonl"
    assert provider.upload(data.rename(data.with_name("renamed.jsonl")), "v1:a") == first
    assert [path.name for path in data.parent.glob("*.jsonl")] == ["renamed.jsonl"]
    assert len(vendor.files) == 1


@pytest.mark.parametrize("died_after", ["POST /v1/files", "PUT /v1/files/{id}/sent"])
def test_an_upload_that_was_cut_short(
    vendor: TogetherVendor, provider: TogetherProvider, data: Path, died_after: str
) -> None:
    sent = provider.upload(data, "v1:a")
    whole = copy.deepcopy(vendor.files[sent.id])
    del vendor.files[sent.id]["processing_status"]
    if died_after == "POST /v1/files":
        vendor.files[sent.id]["bytes"] = 0
        del vendor.contents[sent.id]
    again = provider.upload(data, "v1:a")
    assert vendor.files[again.id] == {**whole, "id": again.id, "created_at": vendor.files[again.id]["created_at"]}
    assert list(vendor.contents.values()) == [data.read_bytes()]


def test_content_that_is_there_is_not_sent_again(
    vendor: TogetherVendor, provider: TogetherProvider, data: Path
) -> None:
    first = provider.upload(data, "v1:a")
    assert provider.upload(data, "v1:b").id == first.id  # Together knows it by its checksum
    assert vendor.requests["PUT /v1/files/{id}/sent"] == 1


# -- what is told of a job -------------------------------------------------------------------------------------------


def test_what_is_told_of_a_job(vendor: TogetherVendor, provider: TogetherProvider, file: TrainingFile) -> None:
    job_id = provider.create_job(wanted(file, suffix="moon"), "v1:key").id
    vendor.set_status(job_id, "completed")
    assert [(each.step, each.model) for each in provider.list_checkpoints(job_id)] == [
        (20, f"acme/{job_id}-20-model"),
        (10, f"acme/{job_id}-10-adapter"),
    ]
    first, second = provider.results(job_id)
    assert (first.step, first.train_loss, first.valid_loss, first.extra) == (1, 2.5, None, {"train/grad_norm": 0.5})
    assert (second.step, second.train_loss, second.valid_loss, second.learning_rate) == (2, 1.25, 1.5, 5e-6)
    told = provider.get_job(job_id)
    assert (told.trained_tokens, told.finished_at is not None, told.error) == (4711, True, None)


def test_why_a_job_failed(vendor: TogetherVendor, provider: TogetherProvider, file: TrainingFile) -> None:
    job_id = provider.create_job(wanted(file), "v1:key").id
    vendor.set_status(job_id, "user_error")
    job = provider.get_job(job_id)
    assert (job.status, job.error) == (JobStatus.FAILED, "the file is no good")
    assert [event.level for event in provider.list_events(job_id, None, 9).items] == [EventLevel.INFO, EventLevel.ERROR]


def test_events_that_say_the_same_at_other_times_are_two(
    vendor: TogetherVendor, provider: TogetherProvider, file: TrainingFile
) -> None:
    job_id = provider.create_job(wanted(file), "v1:key").id
    for _ in range(2):
        vendor.add_event(job_id, "Epoch done")
    vendor.events[job_id].append(vendor.events[job_id][-1])  # told twice
    ids = [event.id for event in provider.list_events(job_id, None, 9).items]
    assert len(ids) == len(set(ids)) == 3


# -- what goes wrong -------------------------------------------------------------------------------------------------


def test_an_answer_that_breaks_off(vendor: TogetherVendor, provider: TogetherProvider) -> None:
    vendor.breaks_off = True
    deployment = Deployment(name="x", provider="together", status=DeploymentStatus.RUNNING, model="acme/moon")
    with pytest.raises(ProviderUnavailableError, match="broke off"):
        list(provider.stream_chat(deployment, HELLO, ChatOptions()))


def test_no_key() -> None:
    with pytest.raises(CredentialsError, match="api_key") as caught:
        TogetherProvider()
    assert "TOGETHER_API_KEY" in str(caught.value)


def test_a_key_that_is_refused_is_not_repeated(vendor: TogetherVendor) -> None:
    provider = TogetherProvider(api_key="tgp_v1_another-very-secret", base_url=vendor.url)
    with pytest.raises(CredentialsError, match="Invalid API key provided") as caught:
        provider.list_jobs(None, 1)
    assert "another-very-secret" not in str(caught.value)
    provider._client.close()


@pytest.mark.parametrize(("status", "kind"), [(307, ProviderError), (302, ProviderUnavailableError)])
def test_no_redirect_is_followed(monkeypatch: pytest.MonkeyPatch, status: int, kind: type[Exception]) -> None:
    asked: list[str] = []

    def redirects(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(status, headers={"location": "https://elsewhere.example/"})

    transport = httpx.MockTransport(redirects)
    made = together.DefaultHttpxClient
    monkeypatch.setattr(together, "DefaultHttpxClient", lambda **how: made(**how, transport=transport))
    provider = TogetherProvider(api_key=KEY, base_url="https://together.example")
    with pytest.raises(ProviderError, match="no redirect is followed") as caught:
        provider.create_job(wanted(TrainingFile(id="file-1", provider="together")), "v1:key")
    assert type(caught.value) is kind
    assert asked == ["https://together.example/v1/fine-tunes"]


def test_whose_key_it_is(vendor: TogetherVendor, provider: TogetherProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    assert provider.identity() == "127.0.0.1:proj_4711"
    assert vendor.requests["GET /v3/whoami"] == 1
    monkeypatch.setenv("TOGETHER_PROJECT_ID", "proj_42")
    other = TogetherProvider(api_key=KEY, base_url=vendor.url)
    assert other.identity() == "127.0.0.1:proj_42"
    other._client.close()
