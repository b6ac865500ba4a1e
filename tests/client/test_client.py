from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from ftkit import (
    DPO,
    ORPO,
    Client,
    ConfigurationError,
    ConflictError,
    DatasetError,
    FineTuningJob,
    JobFailedError,
    JobStatus,
    JobTimeoutError,
    NotFoundError,
    Page,
    ProviderUnavailableError,
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
    with pytest.raises(UnsupportedError, match=r"cannot pause jobs and resume them\n  -> It can .*cancel jobs"):
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


def test_events_are_followed_from_one_that_is_known(client: Client, train: Path) -> None:
    job = client.create_job(model="base", training_file=client.upload(train, model="base"))
    events = list(client.follow(job, poll_s=0.01))
    assert list(client.follow(job, after=events[1].id, poll_s=0.01)) == events[2:]
    with pytest.raises(NotFoundError):
        next(client.follow(job, after="event-of-another", poll_s=0.01))


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


def test_labels_that_the_provider_does_not_keep_are_refused_before_the_upload(
    client: Client, vendor: MemoryVendor, train: Path
) -> None:
    with pytest.raises(UnsupportedError, match="keeps no metadata"):
        client.fine_tune("base", train, metadata={"team": "a"}, progress=False)
    with pytest.raises(ConfigurationError, match=r"JobRequest\.seed"):
        client.fine_tune("base", train, seed=-1, progress=False)
    with pytest.raises(ConfigurationError, match="timeout_s is a number of seconds"):
        client.fine_tune("base", train, timeout_s=-1, progress=False)
    assert sum(vendor.calls.values()) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": ""}, r"JobRequest\.model"),
        ({"model": "base", "method": "supervised"}, r"JobRequest\.method.*write Supervised"),
        ({"model": "base", "provider_options": 3}, r"JobRequest\.provider_options"),
        ({"model": "base", "provider_options": {"layers": {"a", "b"}}}, "a set has no order"),
        ({"model": "base", "provider_options": {"a": [{"b": float("nan")}]}}, "nan cannot be written"),
    ],
)
def test_a_wrong_argument_is_one_configuration_error(
    client: Client, vendor: MemoryVendor, train: Path, arguments: dict[str, object], message: str
) -> None:
    for call in (
        lambda: client.check(train, **arguments),  # type: ignore[arg-type]  # that is the point
        lambda: client.upload(train, **arguments),  # type: ignore[arg-type]
        lambda: client.fine_tune(train=train, progress=False, **arguments),  # type: ignore[arg-type]
        lambda: client.create_job(training_file="file-1", **arguments),  # type: ignore[arg-type]
    ):
        with pytest.raises(ConfigurationError, match=message):
            call()
    assert sum(vendor.calls.values()) == 0


def test_a_path_is_no_training_file(client: Client, train: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"neither an id nor what has one\n  -> upload\(\) returns one"):
        client.create_job(model="base", training_file=train)  # type: ignore[arg-type]
    for call in (client.get_job, client.wait, client.cancel_job):
        with pytest.raises(ConfigurationError, match="None is neither"):
            call(None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"provider": 42}, "'int' is no provider"),
        ({"provider": MemoryProvider}, r"MemoryProvider is a class.*\n.*Client\(MemoryProvider\(\.\.\.\)\)"),
        ({"provider": "memory", "ledger": "here"}, "takes a Ledger, not 'here'"),
        ({"provider": "memoryy"}, "did you mean 'memory'"),
    ],
)
def test_a_client_of_something_else_is_one_configuration_error(
    arguments: dict[str, object], message: str, home: Path
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Client(**arguments)  # type: ignore[arg-type]
    assert not home.exists()


def test_files_and_models_of_another_account_are_refused(client: Client, train: Path) -> None:
    other = Client(MemoryProvider(MemoryVendor(account="others")))
    file, job = other.upload(train, model="base"), other.fine_tune("base", train, progress=False)
    for call in (client.get_file, client.delete_file, lambda found: client.download_file(found, "nowhere")):
        with pytest.raises(ConfigurationError, match=r"the file .* belongs to memory:others"):
            call(file)
    with pytest.raises(ConfigurationError, match=r"the job .* belongs to memory:others"):
        client.delete_model(job)
    with pytest.raises(ConfigurationError, match=r"the job .* belongs to memory:others"):
        client.wait(job, progress=False)
    with pytest.raises(ConfigurationError, match=r"the job .* belongs to memory:others"):
        client.wait_all([job], progress=False)


def test_a_client_shows_how_it_was_made_and_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ftkit.toml").write_text('default = "cheap"\n[profiles.cheap]\nprovider = "memory"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FTKIT_CHEAP_API_KEY", "sk-very-secret")
    assert repr(Client()) == repr(Client("cheap")) == "Client('cheap')"
    assert repr(Client("memory", api_key="sk-very-secret")) == "Client('memory', api_key=...)"
    assert repr(Client(MemoryProvider(api_key="sk-very-secret"))) == "Client(MemoryProvider(...))"
    assert "secret" not in repr(vars(Client("cheap")))


def test_what_stops_a_wait_names_the_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, train: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ftkit.toml").write_text('[profiles.cheap]\nprovider = "memory"\n')
    monkeypatch.chdir(tmp_path)
    client = Client("cheap")
    file = client.upload(train, model="base")
    job = client.create_job(model="base", training_file=file)

    class Interrupts:
        """What a person does who has seen enough."""

        def update(self, *_: object) -> None:
            raise KeyboardInterrupt

        def say(self, text: str) -> None:
            sys.stdout.write(text)

        def close(self) -> None:
            """Nothing to close."""

    with pytest.raises(JobTimeoutError, match=rf"Client\('cheap'\)\.wait\('{job.id}'\)"):
        client.wait(job, timeout_s=0, progress=False)
    with pytest.raises(KeyboardInterrupt):
        client.wait(job, progress=Interrupts())
    assert f"Client('cheap').wait('{job.id}')" in capsys.readouterr().out
    with pytest.raises(KeyboardInterrupt):
        client.wait_all([job], progress=Interrupts())
    assert f"Client('cheap').wait_all(['{job.id}'])" in capsys.readouterr().out


class Away(MemoryProvider):
    """Cannot be read for a few looks."""

    away = 0

    def _look(self) -> None:
        if self.away:
            self.away -= 1
            raise ProviderUnavailableError("the provider is away", provider=self.name)

    def get_job(self, job_id: str) -> FineTuningJob:
        self._look()
        return super().get_job(job_id)

    def list_jobs(self, after: str | None, limit: int) -> Page[FineTuningJob]:
        self._look()
        return super().list_jobs(after, limit)


@pytest.mark.parametrize("how", ["wait", "wait_id", "wait_all", "follow"])
def test_an_outage_is_waited_out_from_the_first_look_on(
    how: str, train: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("ftkit.retrying.ATTEMPTS", 1)
    provider = Away()
    client = Client(provider)
    job = client.create_job(model="base", training_file=client.upload(train, model="base"))
    provider.away = 3
    if how == "wait_all":
        (done,) = client.wait_all([job.id], poll_s=0.01, progress=False)
    elif how == "follow":
        assert [event.message for event in client.follow(job, poll_s=0.01)][-1] == "the job is succeeded"
        done = client.get_job(job)
    else:
        done = client.wait(job.id if how == "wait_id" else job, poll_s=0.01, progress=False)
    assert done.status is JobStatus.SUCCEEDED
    assert len([line for line in caplog.messages if "still waiting" in line]) == 1


def test_the_end_of_patience_is_the_providers_error(train: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ftkit.retrying.ATTEMPTS", 1)
    monkeypatch.setattr("ftkit.waiting._PATIENCE_S", 0.1)
    provider = Away()
    client = Client(provider)
    job = client.create_job(model="base", training_file=client.upload(train, model="base"))
    provider.away = 10_000
    for wait in (lambda: client.wait(job, poll_s=0.01), lambda: client.wait_all([job], poll_s=0.01)):
        with pytest.raises(ProviderUnavailableError):
            wait()


def test_a_long_list_is_not_read_to_its_end_for_a_job_that_is_not_in_it(train: Path) -> None:
    class Old(MemoryProvider):
        """Its list has lost the oldest job, and has many pages."""

        pages = 0

        def list_jobs(self, after: str | None, limit: int) -> Page[FineTuningJob]:
            del after
            self.pages += 1
            items = tuple(job for job in super().list_jobs(None, limit).items if job.id != first.id)
            return Page(items=items, next=f"page-{self.pages}")

    provider = Old()
    client = Client(provider)
    file = client.upload(train, model="base")
    first, _ = (client.create_job(model="base", training_file=file, seed=seed) for seed in range(2))
    assert client.wait_all([first], poll_s=0.01, progress=False)[0].status is JobStatus.SUCCEEDED
    assert provider.pages < 10


def test_no_jobs_are_waited_for_at_once(client: Client) -> None:
    assert client.wait_all([]) == []


def test_a_job_that_has_ended_tells_all_its_events(client: Client, train: Path) -> None:
    job = client.fine_tune("base", train, progress=False)
    told = [event.message for event in client.follow(job.id)]
    assert told == ["the job was created", "the job is running", "the job is succeeded"]


def test_a_provider_without_events_cannot_be_followed_and_says_so_at_once() -> None:
    class Mute(MemoryProvider):
        list_events = None  # type: ignore[assignment]  # the ability is its method: this takes it away

    with pytest.raises(UnsupportedError, match="cannot list the events"):
        Client(Mute()).follow("job-1")


def test_a_pace_that_is_none_is_refused(client: Client) -> None:
    for arguments in ({"poll_s": -1}, {"timeout_s": float("nan")}, {"stall_s": "10"}):
        with pytest.raises(ConfigurationError, match=f"{next(iter(arguments))} is a number of seconds"):
            client.wait("job-1", **arguments)  # type: ignore[arg-type]


def test_a_page_of_nothing_is_refused(client: Client) -> None:
    with pytest.raises(ConfigurationError, match="limit is the most entries of a page, 1 or more"):
        client.list_jobs(limit=0)
