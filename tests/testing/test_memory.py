from __future__ import annotations

import subprocess
import sys
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from memory_kit import GiftedProvider

from ftkit.errors import (
    ConfigurationError,
    ConflictError,
    CredentialsError,
    NotFoundError,
    ProviderUnavailableError,
    UnclearOutcomeError,
)
from ftkit.models import ChatMessage, ChatOptions, JobRequest, JobStatus, Supervised
from ftkit.testing import MemoryProvider, MemoryVendor, abilities_table

if TYPE_CHECKING:
    from pathlib import Path

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture
def provider() -> MemoryProvider:
    return MemoryProvider()


@pytest.fixture
def order(provider: MemoryProvider, tmp_path: Path) -> JobRequest:
    path = tmp_path / "train.jsonl"
    path.write_text("{}\n")
    return JobRequest(model="base", training_file=provider.upload(path, "v1:file"), method=Supervised(n_epochs=1))


def test_a_job_ends_by_itself_after_a_few_looks_by_id_or_in_lists(provider: MemoryProvider, order: JobRequest) -> None:
    job = provider.create_job(order, "v1:a")
    assert job.status is JobStatus.QUEUED
    assert provider.get_job(job.id).status is JobStatus.RUNNING
    assert provider.list_jobs(None, 10).items[0].status is JobStatus.RUNNING
    done = provider.get_job(job.id)
    assert done.status is JobStatus.SUCCEEDED
    assert provider.get_job(job.id) == done


def test_a_job_that_is_moved_by_hand_stays_there(provider: MemoryProvider, order: JobRequest) -> None:
    job = provider.create_job(order, "v1:a")
    provider.vendor.advance(job.id, "validating_files")
    assert {provider.get_job(job.id).status for _ in range(9)} == {JobStatus.VALIDATING}
    provider.vendor.fail(job.id, "out of luck")
    assert (provider.get_job(job.id).status, provider.get_job(job.id).error) == (JobStatus.FAILED, "out of luck")


def test_two_jobs_ordered_alike_are_unclear_and_named(provider: MemoryProvider, order: JobRequest) -> None:
    ids = {provider.create_job(order, key).id for key in ("v1:a", "v1:b")}
    with pytest.raises(UnclearOutcomeError) as caught:
        provider.find_job("v1:a", order, BEGINNING)
    assert set(caught.value.candidates) == ids
    assert caught.value.key == "v1:a"


def test_anything_in_the_order_tells_jobs_apart(provider: MemoryProvider, order: JobRequest) -> None:
    provider.create_job(order, "v1:a")
    for change in (
        {"model": "other"},
        {"seed": 7},
        {"suffix": "other"},
        {"method": Supervised(n_epochs=2)},
        {"validation_file": order.training_file},
        {"provider_options": {"priority": "high"}},
    ):
        assert provider.find_job("v1:a", order.model_copy(update=change), BEGINNING) is None
    assert provider.find_job("v1:a", order, datetime.now(UTC)) is None


def test_a_lost_reply_and_a_lost_request_look_alike_from_outside(provider: MemoryProvider, order: JobRequest) -> None:
    provider.vendor.lose_replies(1)
    provider.vendor.lose_requests(1)
    for _ in range(2):
        with pytest.raises(ProviderUnavailableError, match="reset"):
            provider.create_job(order, "v1:a")
    assert provider.vendor.calls["create_job"] == 2
    assert len(provider.vendor.jobs) == 1


def test_the_list_lags_and_reading_by_id_does_not(tmp_path: Path) -> None:
    provider = MemoryProvider(list_lag_s=30)
    path = tmp_path / "train.jsonl"
    path.write_text("{}\n")
    order = JobRequest(model="base", training_file=provider.upload(path, "v1:file"))
    job = provider.create_job(order, "v1:a")
    assert provider.list_jobs(None, 10).items == ()
    assert provider.get_job(job.id).id == job.id
    assert provider.settle_s == 30


def test_the_lag_belongs_to_the_vendor() -> None:
    assert MemoryProvider(MemoryVendor(list_lag_s=3)).settle_s == 3
    with pytest.raises(ConfigurationError, match="list_lag_s of its own"):
        MemoryProvider(MemoryVendor(), list_lag_s=1)


def test_a_wrong_key_is_a_credentials_error() -> None:
    provider = MemoryProvider(MemoryVendor(api_key="right"), api_key="wrong")
    with pytest.raises(CredentialsError):
        provider.list_jobs(None, 10)


def test_the_vendors_request_id_is_in_the_error(provider: MemoryProvider) -> None:
    with pytest.raises(NotFoundError, match="request id req-") as caught:
        provider.get_job("job-0")
    assert caught.value.provider == "memory"
    assert caught.value.status_code == 404


def test_an_answer_says_that_it_is_an_echo(provider: MemoryProvider) -> None:
    deployment = provider.deploy("base", "mine", {})
    reply = provider.chat(deployment, [ChatMessage(role="user", content="How many?")], ChatOptions())
    assert "echo" in reply.text
    assert reply.text.endswith("How many?")


def test_only_what_was_trained_is_deployed(provider: MemoryProvider, order: JobRequest) -> None:
    with pytest.raises(ConflictError, match="no tuned model"):
        provider.deploy(provider.create_job(order, "v1:a"), "mine", {})
    with pytest.raises(ConfigurationError, match="'size'"):
        provider.deploy("base", "mine", {"size": 2})


def test_many_threads_lose_nothing(provider: MemoryProvider, order: JobRequest) -> None:
    threads = [
        threading.Thread(target=lambda: [provider.create_job(order, "v1:a") for _ in range(50)]) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(provider.vendor.jobs) == provider.vendor.calls["create_job"] == 400


def test_the_table_tells_what_each_provider_has() -> None:
    lines = abilities_table([MemoryProvider(name="plain"), GiftedProvider(name="gifted")]).splitlines()
    assert lines[0] == "|  | plain | gifted |"
    assert "| method `dpo` | yes | yes |" in lines
    assert "| `Pauses` | - | yes |" in lines
    assert "| `ReceivesWebhooks` | - | - |" in lines


def test_users_of_the_memory_provider_need_no_pytest() -> None:
    code = "import sys, ftkit.testing; assert ftkit.testing.MemoryProvider; assert 'pytest' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_plugin_has_one_vendor_for_all_clients_of_the_process(tmp_path: Path) -> None:
    pytest.importorskip("ftkit_memory", reason="`make test` installs tests/plugins/ftkit-memory")
    from ftkit.registry import make_provider

    one, two = make_provider("memory", {}), make_provider("memory", {})
    path = tmp_path / "train.jsonl"
    path.write_text("{}\n")
    job = one.create_job(JobRequest(model="base", training_file=one.upload(path, "v1:file")), "v1:a")
    assert two.get_job(job.id).id == job.id
    assert one.identity() == two.identity()
