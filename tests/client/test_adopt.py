"""Jobs that were made elsewhere, taken as the jobs of requests: nothing is paid twice for them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ftkit import (
    DPO,
    Client,
    ConfigurationError,
    ConflictError,
    FineTuningJob,
    JobFailedError,
    NotFoundError,
    Supervised,
    TrainingFile,
)
from ftkit.ledger import Ledger
from ftkit.testing import MemoryProvider, MemoryVendor
from ftkit.testing.vendor import VendorJob, VendorOrder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def by_hand(vendor: MemoryVendor, word: str = "succeeded", **order: Any) -> VendorJob:
    """A job that was made without ftkit."""
    file = vendor.create_file("sent-by-hand.jsonl", b'{"messages": []}\n')
    method = {"type": "supervised", **order.pop("method", {})}
    job = vendor.create_job(VendorOrder("base", file.id, method=method, **order))
    vendor.advance(job.id, word)
    return job


class Tells(MemoryProvider):
    """Tells of a job more, or less, than it was asked for, as vendors do."""

    more: Mapping[str, Any] = {}

    def _job(self, job: VendorJob) -> FineTuningJob:
        return super()._job(job).model_copy(update=dict(self.more))


@pytest.fixture
def tells(vendor: MemoryVendor) -> Tells:
    return Tells(vendor)


def test_any_job_comes_into_the_ledger_by_its_id_alone(client: Client, vendor: MemoryVendor) -> None:
    job = by_hand(vendor, suffix="titles", seed=7, method={"n_epochs": 2})
    adopted = client.adopt(job.id)
    assert adopted.id == job.id
    assert [(each.id, each.state, each.model) for each in Ledger().asked()] == [(job.id, "made", "base")]
    file = job.order.training_file
    again = client.create_job(
        model="base", training_file=file, suffix="titles", seed=7, method=Supervised(n_epochs=2), budget=0
    )
    assert again.id == job.id
    assert vendor.calls["create_job"] == 1


def test_twice_is_once(client: Client, vendor: MemoryVendor) -> None:
    job = by_hand(vendor)
    assert client.adopt(job.id) == client.adopt(client.get_job(job.id))
    assert len(Ledger().asked()) == 1


def test_fine_tune_finds_the_job_of_the_data_it_was_made_of(client: Client, vendor: MemoryVendor, train: Path) -> None:
    job = by_hand(vendor)
    client.adopt(job.id, train=train)
    found = client.fine_tune("base", train, progress=False)
    assert found.id == job.id
    assert (vendor.calls["create_job"], vendor.calls["create_file"]) == (1, 1)


def test_what_a_vendor_filled_in_is_no_part_of_a_request_that_is_said_in_full(
    tells: Tells, vendor: MemoryVendor, train: Path
) -> None:
    """An alias in place of the dated model; a seed that was drawn; numbers in place of "auto"."""
    tells.more = {"model": "base-2024-07-18", "seed": 1882, "method": Supervised(n_epochs=3, batch_size=1)}
    client, job = Client(tells), by_hand(vendor)
    client.adopt(job.id, model="base", train=train)
    assert client.fine_tune("base", train, progress=False).id == job.id
    file = client.get_file(job.order.training_file)
    client.adopt(job.id, model="base", training_file=file)
    assert client.create_job(model="base", training_file=file.id).id == job.id
    assert vendor.calls["create_job"] == 1


def test_a_request_that_is_left_to_the_job_says_what_the_job_says(
    tells: Tells, vendor: MemoryVendor, train: Path
) -> None:
    tells.more = {"model": "base-2024-07-18", "seed": 1882, "method": Supervised(n_epochs=3), "metadata": {"a": "b"}}
    client, job = Client(tells), by_hand(vendor)
    client.adopt(job.id, train=train, metadata={})
    model, method = "base-2024-07-18", Supervised(n_epochs=3)
    assert client.fine_tune(model, train, method=method, seed=1882, progress=False).id == job.id
    assert client.fine_tune(model, train, method=method, seed=1883, progress=False).id != job.id
    assert vendor.calls["create_job"] == 2


def test_what_is_given_counts_more_than_what_is_told(client: Client, vendor: MemoryVendor, train: Path) -> None:
    job = by_hand(vendor, suffix="titles", seed=7)
    client.adopt(job.id, train=train, seed=8, key="mine")
    found = client.fine_tune("base", train, suffix="titles", seed=8, key="mine", progress=False)
    assert found.id == job.id
    assert vendor.calls["create_job"] == 1


def test_the_key_that_a_vendor_keeps_is_no_label_of_the_request(tells: Tells, vendor: MemoryVendor) -> None:
    tells.more = {"key": "v1:4711", "metadata": {"ftkit_key": "v1:4711", "team": "blue"}}
    client, job = Client(tells), by_hand(vendor)
    client.adopt(job.id)
    row = Ledger().asked()[0]
    request = Ledger().request(str(row.key))
    assert request is not None
    assert request.metadata == {"team": "blue"}


def test_both_data_sets_are_told_apart(client: Client, vendor: MemoryVendor, train: Path) -> None:
    valid = train.with_name("valid.jsonl")
    valid.write_text(train.read_text().replace("question", "what"))
    held_out = vendor.create_file("valid.jsonl", b"{}\n")
    job = by_hand(vendor, validation_file=held_out.id)
    client.adopt(job.id, train=train, validation=valid)
    assert client.fine_tune("base", train, validation=valid, progress=False).id == job.id
    assert client.fine_tune("base", train, progress=False).id != job.id
    assert client.fine_tune("base", valid, validation=train, progress=False).id != job.id
    request = Ledger().request(str(Ledger().asked()[-1].key))
    assert request is not None
    assert (request.training_file.id, getattr(request.validation_file, "id", None)) == (
        job.order.training_file,
        held_out.id,
    )


def test_columns_are_part_of_what_data_say(client: Client, vendor: MemoryVendor, tmp_path: Path) -> None:
    source = tmp_path / "rows.jsonl"
    source.write_text("".join(json.dumps({"question": f"{n}?", "answer": f"{n}!"}) + "\n" for n in range(12)))
    columns = {"question": "prompt", "answer": "completion"}
    job = by_hand(vendor)
    client.adopt(job.id, model="base", train=source, columns=columns)
    assert client.fine_tune("base", source, columns=columns, progress=False).id == job.id


@pytest.mark.parametrize(
    ("more", "wrong"),
    [({"model": ""}, "does not tell the model"), ({"training_file": None}, "does not tell the training file")],
)
def test_what_is_neither_given_nor_told_is_asked_for(
    tells: Tells, vendor: MemoryVendor, train: Path, more: Mapping[str, Any], wrong: str
) -> None:
    tells.more = more
    client, job = Client(tells), by_hand(vendor)
    with pytest.raises(ConfigurationError, match=wrong) as refused:
        client.adopt(job.id)
    assert "Give " in str(refused.value.hint)
    assert Ledger().asked() == []
    assert client.adopt(job.id, model="base", train=train).id == job.id


def test_what_no_request_could_say_is_left_out(tells: Tells, vendor: MemoryVendor) -> None:
    tells.more = {"seed": 2**40, "suffix": "", "method": None}
    client, job = Client(tells), by_hand(vendor)
    client.adopt(job.id)
    assert client.create_job(model="base", training_file=job.order.training_file).id == job.id


def test_a_file_is_given_once(client: Client, vendor: MemoryVendor, train: Path) -> None:
    job = by_hand(vendor)
    with pytest.raises(ConfigurationError, match="training_file= and train= are two ways"):
        client.adopt(job.id, train=train, training_file="file-1")
    with pytest.raises(ConfigurationError, match="validation_file= and validation= are two ways"):
        client.adopt(job.id, validation=train, validation_file="file-1")


def test_a_job_that_is_not_there_or_anothers_is_refused(client: Client, vendor: MemoryVendor) -> None:
    with pytest.raises(NotFoundError):
        client.adopt("job-nobody-knows")
    others = Client(MemoryProvider(MemoryVendor(account="others")))
    file = vendor.create_file("f.jsonl", b"{}\n").id
    with pytest.raises(ConfigurationError, match="belongs to"):
        others.adopt(client.get_job(by_hand(vendor).id))
    with pytest.raises(ConfigurationError, match="belongs to"):
        client.adopt(by_hand(vendor).id, training_file=TrainingFile(id=file, provider="memory", identity="x:y"))
    assert Ledger().asked() == []


def test_a_failed_job_is_adopted_and_its_request_says_so(client: Client, vendor: MemoryVendor) -> None:
    job = by_hand(vendor, "failed", method={"type": "dpo"})
    client.adopt(job.id)
    with pytest.raises(JobFailedError) as failed:
        client.create_job(model="base", training_file=job.order.training_file, method=DPO())
    assert failed.value.job.id == job.id


def test_an_adopted_job_is_torn_down_and_what_ftkit_did_not_send_stays(
    client: Client, vendor: MemoryVendor, train: Path
) -> None:
    job = by_hand(vendor)
    client.adopt(job.id, train=train)
    deployment = client.deploy(client.get_job(job.id), name="served")
    done = client.tear_down(job.id)
    assert done.deployments == (deployment.name,)
    assert [each.name for each in done.kept] == [job.order.training_file]
    assert vendor.get_file(job.order.training_file).content


def test_a_request_that_has_a_job_keeps_it(client: Client, vendor: MemoryVendor, train: Path) -> None:
    mine = client.adopt(by_hand(vendor).id, model="base", train=train)
    other = by_hand(vendor).id
    with pytest.raises(ConflictError, match=f"the job of this request is {mine.id} already"):
        client.adopt(other, model="base", train=train)
    assert client.adopt(other, model="base", train=train, key="other").id == other
    assert client.adopt(mine.id, model="base", train=train).id == mine.id
