from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from ftkit import (
    DPO,
    ORPO,
    Client,
    ConfigurationError,
    ConflictError,
    DatasetError,
    JobFailedError,
    JobStatus,
    JobTimeoutError,
    NotFoundError,
    Supervised,
    UnsupportedError,
)
from ftkit.testing import MemoryProvider, MemoryVendor

if TYPE_CHECKING:
    from pathlib import Path


def test_fine_tune_checks_uploads_creates_and_waits(client: Client, vendor: MemoryVendor, train: Path) -> None:
    job = client.fine_tune("base", train, suffix="mine", progress=False)
    assert job.status is JobStatus.SUCCEEDED
    assert job.fine_tuned_model is not None
    assert job.key is not None
    assert job.key.startswith("v1:")
    assert (vendor.calls["create_file"], vendor.calls["create_job"]) == (1, 1)


def test_check_sends_nothing(client: Client, vendor: MemoryVendor, train: Path) -> None:
    report = client.check(train, model="base")
    assert report.ok
    assert report.rows == 12
    assert sum(vendor.calls.values()) == 0


def test_every_mistake_is_told_at_once_and_nothing_is_sent(
    client: Client, vendor: MemoryVendor, tmp_path: Path
) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(
        '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n'
        "{not json\n"
        '{"messages": [{"role": "user", "content": "a"}]}\n'
        '{"messages": [{"role": "user", "content": "a"}, {"role": "robot", "content": "b"}]}\n'
    )
    with pytest.raises(DatasetError) as caught:
        client.fine_tune("base", path, progress=False)
    assert {problem.line for problem in caught.value.problems} == {2, 3, 4}
    assert sum(vendor.calls.values()) == 0


def test_both_files_are_checked_before_either_is_sent(
    client: Client, vendor: MemoryVendor, train: Path, tmp_path: Path
) -> None:
    (tmp_path / "valid.jsonl").write_text("{}\n")
    with pytest.raises(DatasetError, match=r"valid\.jsonl"):
        client.fine_tune("base", train, validation=tmp_path / "valid.jsonl", progress=False)
    assert sum(vendor.calls.values()) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": ORPO()}, "no method 'orpo'.*It has: dpo, supervised"),
        ({"provider_options": {"colour": "red"}}, "no option 'colour'"),
    ],
)
def test_what_a_provider_cannot_do_is_refused_before_an_upload(
    client: Client, vendor: MemoryVendor, train: Path, arguments: dict[str, object], message: str
) -> None:
    for call in (client.upload, client.fine_tune):
        with pytest.raises(UnsupportedError, match=f"(?s){message}"):
            call(model="base", **({"source": train} if call == client.upload else {"train": train}), **arguments)  # type: ignore[operator]
    assert sum(vendor.calls.values()) == 0
    assert not client.check(train, model="base", **arguments).ok  # type: ignore[arg-type]


def test_an_ability_that_is_missing_says_what_there_is(client: Client) -> None:
    with pytest.raises(UnsupportedError, match=r"no Pauses\n  -> It has: .*Cancels"):
        client.pause_job("job-1")


def test_the_same_content_is_uploaded_once(client: Client, vendor: MemoryVendor, train: Path, tmp_path: Path) -> None:
    first = client.upload(train, model="base")
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(train.read_bytes())
    assert client.upload(copy, model="base").id == first.id
    assert vendor.calls["create_file"] == 1
    assert (first.rows, first.kind, first.layout) == (12, "chat", client.provider.rules(Supervised(), "base").layout)
    assert first.source_hash is not None


def test_a_file_that_the_provider_lost_is_sent_again(client: Client, vendor: MemoryVendor, train: Path) -> None:
    first = client.upload(train, model="base")
    client.delete_file(first)
    second = client.upload(train, model="base")
    assert second.id != first.id
    assert client.get_file(second).size == second.size
    assert vendor.calls["create_file"] == 2


def test_what_is_uploaded_is_the_data(client: Client, train: Path, tmp_path: Path) -> None:
    file = client.upload(train, model="base")
    path = client.download_file(file, tmp_path / "back.jsonl")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert rows == [json.loads(line) for line in train.read_text().splitlines()]


def test_columns_of_a_csv_are_named_by_the_caller(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "qa.csv"
    path.write_text("question,reply\n" + "".join(f"q{i},a{i}\n" for i in range(10)))
    file = client.upload(path, model="base", columns={"question": "prompt", "reply": "completion"})
    assert file.rows == 10


def test_a_role_is_resolved_by_the_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, train: Path) -> None:
    (tmp_path / "ftkit.toml").write_text('[profiles.work]\nprovider = "memory"\nmodels = { small = "the-real-name" }\n')
    monkeypatch.chdir(tmp_path)
    client = Client("work")
    file = client.upload(train, model="small")
    assert client.create_job(model="small", training_file=file).model == "the-real-name"


def test_jobs_are_listed_page_by_page(client: Client, train: Path) -> None:
    file = client.upload(train, model="base")
    made = [client.create_job(model="base", training_file=file, seed=i).id for i in range(5)]
    first = client.list_jobs(limit=3)
    second = client.list_jobs(after=first.next, limit=3)
    assert [job.id for job in (*first.items, *second.items)] == made[::-1]
    assert second.next is None


def test_events_are_followed_to_the_end_each_once(client: Client, train: Path) -> None:
    job = client.create_job(model="base", training_file=client.upload(train, model="base"))
    events = list(client.follow(job, poll_s=0.01))
    assert len({event.id for event in events}) == len(events)
    assert events[-1].message == "the job is succeeded"


def test_a_job_that_fails_raises_and_holds_the_job(client: Client, vendor: MemoryVendor, train: Path) -> None:
    job = client.create_job(model="base", training_file=client.upload(train, model="base"))
    vendor.fail(job.id, "the loss is not a number")
    with pytest.raises(JobFailedError, match="the loss is not a number") as caught:
        client.wait(job, progress=False)
    assert caught.value.job.id == job.id


def test_waiting_ends_at_its_time_and_the_job_goes_on(client: Client, vendor: MemoryVendor, train: Path) -> None:
    job = client.create_job(model="base", training_file=client.upload(train, model="base"))
    vendor.advance(job.id, "running")
    with pytest.raises(JobTimeoutError, match="The job goes on"):
        client.wait(job, timeout_s=0.05, poll_s=0.01, progress=False)
    assert vendor.jobs[job.id].status == "running"


def test_an_unknown_status_is_waited_through(client: Client, vendor: MemoryVendor, train: Path) -> None:
    job = client.create_job(model="base", training_file=client.upload(train, model="base"))
    vendor.advance(job.id, "contemplating")
    assert client.get_job(job).status is JobStatus.UNKNOWN
    with pytest.raises(JobTimeoutError):
        client.wait(job, timeout_s=0.05, poll_s=0.01, progress=False)


def test_wait_all_asks_by_listing(client: Client, vendor: MemoryVendor, train: Path) -> None:
    file = client.upload(train, model="base")
    jobs = [client.create_job(model="base", training_file=file, seed=i) for i in range(30)]
    vendor.fail(jobs[3].id)
    before = vendor.calls["get_job"]
    done = client.wait_all(jobs, poll_s=0.01, progress=False)
    assert [job.id for job in done] == [job.id for job in jobs]
    assert [job.status for job in done].count(JobStatus.FAILED) == 1
    assert vendor.calls["get_job"] == before
    assert vendor.calls["list_jobs"] < 100


def test_wait_all_reads_what_the_list_does_not_show_yet(train: Path) -> None:
    vendor = MemoryVendor(list_lag_s=0.3)
    client = Client(MemoryProvider(vendor))
    job = client.create_job(model="base", training_file=client.upload(train, model="base"))
    assert client.wait_all([job], poll_s=0.01, progress=False)[0].status is JobStatus.SUCCEEDED


def test_a_cancelled_job_stays_cancelled(client: Client, train: Path) -> None:
    job = client.create_job(model="base", training_file=client.upload(train, model="base"))
    assert client.cancel_job(job).status is JobStatus.CANCELLED
    assert client.cancel_job(job).status is JobStatus.CANCELLED


def test_an_unknown_id_is_not_found(client: Client) -> None:
    for call in (client.get_job, client.cancel_job, client.list_events, client.list_checkpoints, client.get_file):
        with pytest.raises(NotFoundError):
            call("nothing-of-that-id")


def test_a_job_of_another_account_is_refused(client: Client, train: Path) -> None:
    other = Client(MemoryProvider(MemoryVendor(account="others")))
    job = other.create_job(model="base", training_file=other.upload(train, model="base"))
    with pytest.raises(ConfigurationError, match="belongs to memory:others"):
        client.get_job(job)
    with pytest.raises(ConfigurationError, match="belongs to memory:others"):
        client.create_job(model="base", training_file=other.upload(train, model="base"))


def test_a_bad_request_is_one_configuration_error(client: Client, train: Path) -> None:
    file = client.upload(train, model="base")
    with pytest.raises(ConfigurationError, match=r"JobRequest\.seed"):
        client.create_job(model="base", training_file=file, seed=-1)


def test_a_preference_file_trains_by_dpo(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    rows = [{"prompt": f"p{i}", "chosen": f"good {i}", "rejected": f"bad {i}"} for i in range(10)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert client.fine_tune("base", path, method=DPO(beta=0.1), progress=False).status is JobStatus.SUCCEEDED


def test_options_do_not_go_with_a_ready_made_provider() -> None:
    with pytest.raises(ConfigurationError, match="colour"):
        Client(MemoryProvider(), colour="red")


def test_a_failed_job_cannot_be_deployed(client: Client, vendor: MemoryVendor, train: Path) -> None:
    job = client.create_job(model="base", training_file=client.upload(train, model="base"))
    vendor.fail(job.id)
    with pytest.raises(ConflictError, match="there is no model to deploy"):
        client.deploy(job)
    assert vendor.calls["create_deployment"] == 0


def test_chat_takes_text_and_conversations_and_checks_options(client: Client) -> None:
    with client.deployed("base") as deployment:
        assert client.chat(deployment, "hello").text.endswith("hello")
        conversation = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}]
        assert client.chat(deployment.name, conversation, temperature=0, stop="x").text.endswith("hi")
        with pytest.raises(ConfigurationError, match="no field 'temprature'; did you mean 'temperature'"):
            client.chat(deployment, "hello", temprature=0)


def test_no_secret_is_shown() -> None:
    vendor = MemoryVendor(api_key="sk-very-secret")
    client = Client(MemoryProvider(vendor, api_key="sk-very-secret"))
    assert "secret" not in repr(client) + repr(client.provider) + client.identity()
