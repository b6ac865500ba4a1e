"""What a job left behind is taken down together: what ftkit made, and nothing else."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from ftkit import (
    AsyncClient,
    Client,
    ConfigurationError,
    ConflictError,
    Deployment,
    Kept,
    NotFoundError,
    ProviderUnavailableError,
    QuotaError,
    TornDown,
    UnclearOutcomeError,
)
from ftkit.cli import app
from ftkit.ledger import Ledger
from ftkit.testing import MemoryProvider, MemoryVendor
from ftkit.testing.vendor import VendorOrder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from ftkit import Checkpoint, FineTuningJob, JobRequest

pytestmark = pytest.mark.usefixtures("one_try")


@pytest.fixture
def one_try(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ftkit.retrying.ATTEMPTS", 1)


@pytest.fixture
def valid(train: Path) -> Path:
    path = train.with_name("valid.jsonl")
    path.write_text("".join(train.read_text().splitlines(keepends=True)[:3]))
    return path


def trained(client: Client, *sources: Path, **more: Any) -> FineTuningJob:
    """A job that has succeeded, without the time that waiting for it takes."""
    train, validation = (*sources, None)[:2]
    made = client.fine_tune("base", train, validation=validation, wait=False, **more)
    client.provider.vendor.advance(made.id, "succeeded")  # type: ignore[attr-defined]  # it is a MemoryProvider
    return client.get_job(made)


@pytest.fixture
def job(client: Client, train: Path, valid: Path) -> FineTuningJob:
    return trained(client, train, valid)


def standing(vendor: MemoryVendor) -> list[str]:
    return [each.name for each in vendor.list_deployments()]


def files(vendor: MemoryVendor) -> set[str]:
    return {each.id for each in vendor.list_files(None, 100)[0]}


def reasons(done: TornDown) -> dict[str, str]:
    return {each.name: each.reason for each in done.kept}


def test_deployments_and_files_go_and_the_job_and_its_model_stay(
    client: Client, vendor: MemoryVendor, job: FineTuningJob
) -> None:
    checkpoint = client.list_checkpoints(job)[0]
    names = [
        client.deploy(job).name,
        client.deploy(checkpoint).name,
        client.deploy(str(job.fine_tuned_model), name="by-name").name,
    ]
    client.deploy("base", name="of-the-base-model")
    done = client.tear_down(job)
    assert (done.job_id, sorted(done.deployments), done.kept) == (job.id, sorted(names), ())
    assert {*done.files} == {job.training_file, job.validation_file}
    assert standing(vendor) == ["of-the-base-model"]
    assert files(vendor) == set()
    assert client.get_job(job).fine_tuned_model == job.fine_tuned_model
    assert vendor.calls["cancel_job"] == 0
    assert TornDown.model_validate_json(done.model_dump_json()) == done


def test_twice_is_harmless_and_the_same_request_is_still_the_same_job(
    client: Client, vendor: MemoryVendor, job: FineTuningJob, train: Path, valid: Path
) -> None:
    client.deploy(job)
    client.tear_down(job)
    assert client.tear_down(job.id) == TornDown(job_id=job.id)
    assert trained(client, train, valid).id == job.id
    vendor.fail(job.id)  # a new attempt sends the files again
    again = trained(client, train, valid, retry_failed=True)
    assert (again.id != job.id, vendor.calls["create_job"]) == (True, 2)


@pytest.mark.parametrize("word", ["pending", "validating_files", "running", "a word of tomorrow"])
def test_a_job_that_has_not_ended_is_refused(client: Client, vendor: MemoryVendor, train: Path, word: str) -> None:
    job = client.fine_tune("base", train, wait=False)
    vendor.advance(job.id, word)
    with pytest.raises(ConflictError, match="may be needed yet"):
        client.tear_down(job)
    assert vendor.calls["delete_file"] == 0
    vendor.advance(job.id, "cancelled")
    assert client.tear_down(job).files == (job.training_file,)


def test_what_ftkit_did_not_make_is_left(client: Client, vendor: MemoryVendor, train: Path) -> None:
    theirs = vendor.create_file("theirs.jsonl", train.read_bytes()).id
    made = client.create_job(model="base", training_file=theirs)
    vendor.advance(made.id, "succeeded")
    job = client.get_job(made)
    for name in ("by-hand", "joined", "joined-for-a-block"):
        vendor.create_deployment(name, str(job.fine_tuned_model))
    client.deploy(job, name="joined")
    client.deploy(job, name="joined")
    with client.deployed(job, name="joined-for-a-block"):
        pass
    with client.deployed(job, name="joined-for-a-block"):
        pass
    done = client.tear_down(job)
    assert (done.deployments, done.files) == ((), ())
    assert reasons(done) == {
        "joined": "it was there before ftkit asked for it",
        "joined-for-a-block": "it was there before ftkit asked for it",
        "by-hand": "ftkit did not make it, going by the ledger of this machine",
        theirs: "ftkit did not upload it, going by the ledger of this machine",
    }
    assert standing(vendor) == ["by-hand", "joined", "joined-for-a-block"]
    assert files(vendor) == {theirs}
    assert all(client.get_deployment(each.name) for each in done.kept if each.kind == "deployment")


def test_what_was_joined_and_then_made_anew_is_ours(client: Client, vendor: MemoryVendor, job: FineTuningJob) -> None:
    vendor.create_deployment("mine", str(job.fine_tuned_model))
    client.deploy(job, name="mine")
    vendor.delete_deployment("mine")
    client.deploy(job, name="mine")
    assert client.tear_down(job).deployments == ("mine",)


def test_a_name_that_stands_for_another_model_by_now_is_left(
    client: Client, vendor: MemoryVendor, job: FineTuningJob
) -> None:
    client.deploy(job, name="mine")
    vendor.delete_deployment("mine")
    vendor.create_deployment("mine", "another-model")
    assert reasons(client.tear_down(job)) == {"mine": "it serves another-model by now"}
    assert standing(vendor) == ["mine"]


def test_what_somebody_holds_is_left(client: Client, vendor: MemoryVendor, job: FineTuningJob) -> None:
    with client.deployed(job, name="held"):
        assert reasons(client.tear_down(job)) == {"held": "somebody is using it, in a `with` block"}
        assert standing(vendor) == ["held"]


def test_a_file_that_another_job_needs_is_left_until_that_has_ended(
    client: Client, vendor: MemoryVendor, job: FineTuningJob, train: Path, valid: Path
) -> None:
    other = client.fine_tune("base", train, seed=8, wait=False)
    third = client.fine_tune("base", valid, wait=False)  # the one's validation is the other's training
    vendor.advance(other.id, "running")
    vendor.advance(third.id, "a word of tomorrow")
    done = client.tear_down(job)
    assert done.files == ()
    assert reasons(done) == {
        str(job.training_file): f"the job {other.id} uses it, and has not ended",
        str(job.validation_file): f"the job {third.id} uses it, and has not ended",
    }
    vendor.fail(third.id)
    assert client.tear_down(job).files == (job.validation_file,)
    client.cancel_job(other)
    assert client.tear_down(job).files == (job.training_file,)
    assert files(vendor) == set()


def test_a_file_of_a_job_that_may_have_been_made_is_left(client: Client, train: Path, valid: Path) -> None:
    class Blind(MemoryProvider):
        blind = False

        def find_job(self, key: str, request: JobRequest, since: datetime) -> FineTuningJob | None:
            if self.blind and self.vendor.calls["create_job"] > 1:
                raise ProviderUnavailableError("the list is away", provider=self.name)
            return super().find_job(key, request, since)

    provider = Blind(client.provider.vendor)  # type: ignore[attr-defined]  # it is a MemoryProvider
    client = Client(provider)
    job = trained(client, train, valid)
    provider.blind = True
    provider.vendor.lose_replies(1)
    with pytest.raises(UnclearOutcomeError):
        client.fine_tune("base", valid, validation=train, wait=False)
    done = client.tear_down(job)
    assert done.files == ()
    assert {*reasons(done)} == {job.training_file, job.validation_file}
    assert all("not known whether it was made" in reason for reason in reasons(done).values())


def test_a_file_of_a_job_that_was_adopted_is_left(client: Client, vendor: MemoryVendor, train: Path) -> None:
    job = trained(client, train)
    by_hand = vendor.create_job(VendorOrder("base", str(job.training_file), method={"type": "supervised"}))
    vendor.advance(by_hand.id, "running")
    client.adopt(by_hand.id, model="base", training_file="the-same-content-under-another-id")
    why = f"the job {by_hand.id} uses it, and has not ended"
    assert reasons(client.tear_down(job)) == {str(job.training_file): why}


def test_what_may_come_up_late_is_told_and_not_forgotten(
    client: Client, vendor: MemoryVendor, job: FineTuningJob
) -> None:
    class Loses(MemoryProvider):
        def deploy(
            self, target: FineTuningJob | Checkpoint | str, name: str, options: Mapping[str, object]
        ) -> Deployment:
            raise ProviderUnavailableError(f"the connection was reset: {target!r:.9} {options}", provider=name)

    with pytest.raises(ProviderUnavailableError):
        Client(Loses(vendor)).deploy(job, name="late")
    assert "may come up late" in reasons(client.tear_down(job))["late"]
    vendor.create_deployment("late", str(job.fine_tuned_model))
    assert client.tear_down(job).deployments == ("late",)
    assert standing(vendor) == []


class Stubborn(MemoryProvider):
    """Cannot delete what is called stubborn, nor any file, until told."""

    stands = stays = True

    def delete_deployment(self, name: str) -> None:
        if self.stands and name == "stubborn":
            raise QuotaError("not now", provider=self.name)
        super().delete_deployment(name)

    def delete_file(self, file_id: str) -> None:
        if self.stays:
            raise QuotaError("no file now", provider=self.name)
        super().delete_file(file_id)


def test_what_cannot_be_deleted_is_an_error_and_the_rest_is_deleted(vendor: MemoryVendor, train: Path) -> None:
    provider = Stubborn(vendor)
    client = Client(provider)
    job = trained(client, train)
    for name in ("one", "stubborn", "two"):
        client.deploy(job, name=name)
    with pytest.raises(QuotaError, match="not now") as caught:
        client.tear_down(job)
    assert caught.value.__notes__ == ["Deleted nevertheless: one, two. Not deleted: stubborn."]
    assert standing(vendor) == ["stubborn"]
    provider.stands = False
    with pytest.raises(QuotaError, match="no file now") as caught:
        client.tear_down(job)
    assert caught.value.__notes__ == ["Deleted before that: stubborn. Run it again."]
    provider.stays = False
    assert client.tear_down(job).files == (job.training_file,)


class Plain:
    """A provider with no abilities at all, in front of another one."""

    contract = 1
    name = "plain"

    def __init__(self, inner: MemoryProvider) -> None:
        self.vendor, self.methods, self.Options = inner.vendor, inner.methods, inner.Options
        self.identity, self.rules = inner.identity, inner.rules
        self.problems, self.upload = inner.problems, inner.upload
        self.create_job, self.find_job = inner.create_job, inner.find_job
        self.get_job, self.list_jobs = inner.get_job, inner.list_jobs


def test_a_provider_that_cannot_delete_is_no_error(vendor: MemoryVendor, train: Path) -> None:
    client = Client(Plain(MemoryProvider(vendor)))
    job = trained(client, train)
    kept = Kept(kind="file", name=str(job.training_file), reason="the provider 'plain' cannot delete files")
    assert client.tear_down(job) == TornDown(job_id=job.id, kept=(kept,))


def test_the_job_of_another_account_and_one_that_is_not_there_are_refused(
    client: Client, vendor: MemoryVendor, job: FineTuningJob
) -> None:
    other = Client(MemoryProvider(MemoryVendor(account="others")))
    with pytest.raises(ConfigurationError, match="belongs to memory:tests"):
        other.tear_down(job)
    with pytest.raises(NotFoundError):
        client.tear_down("job-of-nobody")
    assert vendor.calls["delete_file"] == 0


def test_another_machine_deletes_nothing_that_its_ledger_does_not_know(
    client: Client, vendor: MemoryVendor, job: FineTuningJob, tmp_path: Path
) -> None:
    client.deploy(job, name="mine")
    done = Client(client.provider, ledger=Ledger(tmp_path / "another machine")).tear_down(job)
    assert (done.deployments, done.files) == ((), ())
    assert {*reasons(done)} == {"mine", job.training_file, job.validation_file}
    assert standing(vendor) == ["mine"]


def test_awaited_it_is_the_same(vendor: MemoryVendor, train: Path) -> None:
    async def body() -> None:
        async with AsyncClient(MemoryProvider(vendor)) as client:
            job = await client.fine_tune("base", train, wait=False)
            vendor.advance(job.id, "succeeded")
            job = await client.get_job(job)
            deployment = await client.deploy(job)
            done = await client.tear_down(job)
            assert (done.deployments, done.files) == ((deployment.name,), (job.training_file,))

    asyncio.run(body())


def test_the_command_tells_what_went_and_what_stayed(
    client: Client, vendor: MemoryVendor, job: FineTuningJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ftkit.client.make_provider", lambda *_: client.provider)  # whatever the name
    client.deploy(job, name="mine")
    vendor.create_deployment("by-hand", str(job.fine_tuned_model))

    def told() -> list[str]:
        done = CliRunner().invoke(app, ["teardown", job.id, "--provider", "huggingface"])
        assert done.exit_code == 0, done.output
        return done.output.splitlines()

    why = "ftkit did not make it, going by the ledger of this machine"
    gone = [f"deleted\tfile\t{each}" for each in (job.training_file, job.validation_file)]
    assert told() == ["deleted\tdeployment\tmine", *gone, f"kept\tdeployment\tby-hand\t{why}"]
    vendor.delete_deployment("by-hand")
    assert told() == ["nothing to delete: no deployment and no file of it is left"]
    vendor.advance(job.id, "running")
    refused = CliRunner().invoke(app, ["teardown", job.id, "--provider", "huggingface"])
    assert (refused.exit_code, "may be needed yet" in refused.output) == (1, True)
