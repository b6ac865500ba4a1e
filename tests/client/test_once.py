"""The second promise: the same request is one job. The vendor counts, and does not deduplicate."""

from __future__ import annotations

import multiprocessing
import sqlite3
import threading
import time
import uuid
from typing import TYPE_CHECKING

import pytest

from ftkit import (
    Client,
    FineTuningJob,
    JobCancelledError,
    JobFailedError,
    JobRequest,
    JobStatus,
    LedgerError,
    NotFoundError,
    Problem,
    ProviderError,
    ProviderUnavailableError,
    QuotaError,
    TrainingFile,
    UnclearOutcomeError,
    UnsupportedError,
)
from ftkit.ledger import FILE_NAME, Ledger, State
from ftkit.testing import MemoryProvider, MemoryVendor

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from ftkit.testing.vendor import VendorJob, VendorOrder


@pytest.fixture
def file(client: Client, train: Path) -> TrainingFile:
    return client.upload(train, model="base")


def test_the_same_request_is_one_job(client: Client, vendor: MemoryVendor, file: TrainingFile) -> None:
    jobs = {client.create_job(model="base", training_file=file).id for _ in range(3)}
    assert len(jobs) == len(vendor.jobs) == 1


def test_another_request_and_a_key_of_ones_own_are_other_jobs(
    client: Client, vendor: MemoryVendor, file: TrainingFile
) -> None:
    client.create_job(model="base", training_file=file)
    client.create_job(model="base", training_file=file, suffix="other")
    second = client.create_job(model="base", training_file=file, key="again")
    assert client.create_job(model="base", training_file=file, key="again").id == second.id
    assert len(vendor.jobs) == 3


def test_a_machine_with_an_empty_ledger_finds_the_job(
    client: Client, vendor: MemoryVendor, file: TrainingFile, tmp_path: Path
) -> None:
    job = client.create_job(model="base", training_file=file)
    elsewhere = Client(MemoryProvider(vendor), ledger=Ledger(tmp_path / "elsewhere"))
    assert elsewhere.create_job(model="base", training_file=file).id == job.id
    assert len(vendor.jobs) == 1


@pytest.mark.parametrize("lag_s", [0.0, 0.3])
def test_a_lost_reply_is_looked_into_and_not_sent_again(lag_s: float, train: Path) -> None:
    vendor = MemoryVendor(list_lag_s=lag_s)
    client = Client(MemoryProvider(vendor))
    file = client.upload(train, model="base")
    vendor.lose_replies(4)
    job = client.create_job(model="base", training_file=file)
    assert list(vendor.jobs) == [job.id]
    assert vendor.calls["create_job"] == 1


def test_a_lost_request_says_that_nothing_was_made_and_may_be_run_again(
    client: Client, vendor: MemoryVendor, file: TrainingFile
) -> None:
    vendor.lose_requests(1)
    with pytest.raises(ProviderUnavailableError, match="No job was made"):
        client.create_job(model="base", training_file=file)
    assert client.unclear() == []
    job = client.create_job(model="base", training_file=file)
    assert list(vendor.jobs) == [job.id]


class Garbage(MemoryProvider):
    """Makes the job, and then hands on what is none."""

    answer: object = {}

    def create_job(self, request: JobRequest, key: str) -> FineTuningJob:
        super().create_job(request, key)
        return self.answer  # type: ignore[return-value]  # that is the point


@pytest.mark.parametrize("answer", [{}, None, "<html>", 200])
def test_an_answer_that_is_no_job_is_looked_into(train: Path, answer: object) -> None:
    provider = Garbage()
    provider.answer = answer
    client = Client(provider)
    job = client.create_job(model="base", training_file=client.upload(train, model="base"))
    assert list(provider.vendor.jobs) == [job.id]


class Killed(BaseException):
    """Stands for a kill -9: nothing in the library may catch it."""


class Dies(MemoryProvider):
    """Dies on the way, before or after the vendor has the order."""

    before = False
    alive = False

    def create_job(self, request: JobRequest, key: str) -> FineTuningJob:
        if self.alive:
            return super().create_job(request, key)
        if not self.before:
            super().create_job(request, key)
        raise Killed


@pytest.mark.parametrize("before", [True, False])
def test_a_process_that_died_on_the_way_left_its_intent_and_the_next_run_makes_one_job(
    before: bool,  # noqa: FBT001 - a parameter of the test
    train: Path,
) -> None:
    provider = Dies()
    provider.before = before
    client = Client(provider)
    file = client.upload(train, model="base")
    with pytest.raises(Killed):
        client.create_job(model="base", training_file=file)
    assert [entry.state for entry in client.unclear()] == [State.INTENDED]
    provider.alive = True
    job = client.create_job(model="base", training_file=file)
    assert list(provider.vendor.jobs) == [job.id]
    assert client.unclear() == []


def test_a_refusal_is_raised_as_it_is_and_may_be_run_again(train: Path) -> None:
    class Refuses(MemoryProvider):
        refuse = True

        def create_job(self, request: JobRequest, key: str) -> FineTuningJob:
            if self.refuse:
                raise QuotaError("no money", provider="memory", status_code=429)
            return super().create_job(request, key)

    provider = Refuses()
    client = Client(provider)
    file = client.upload(train, model="base")
    with pytest.raises(QuotaError):
        client.create_job(model="base", training_file=file)
    assert client.unclear() == []
    provider.refuse = False
    assert client.create_job(model="base", training_file=file).status is not None


class Blind(MemoryProvider):
    """Loses the reply, and cannot read its list either, until told."""

    blind = True

    def find_job(self, key: str, request: JobRequest, since: datetime) -> FineTuningJob | None:
        if self.blind and self.vendor.calls["create_job"]:
            raise ProviderUnavailableError("the list is away", provider=self.name)
        return super().find_job(key, request, since)


@pytest.fixture
def fast_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ftkit.retrying.ATTEMPTS", 2)


@pytest.mark.usefixtures("fast_reads")
def test_what_cannot_be_known_is_an_unclear_outcome_that_holds_its_key(train: Path) -> None:
    provider = Blind()
    client = Client(provider)
    file = client.upload(train, model="base")
    provider.vendor.lose_replies(1)
    with pytest.raises(UnclearOutcomeError, match=r"client\.resolve") as caught:
        client.create_job(model="base", training_file=file)
    assert [entry.key for entry in client.unclear()] == [caught.value.key]
    with pytest.raises(ProviderUnavailableError):  # still blind: nothing more is sent
        client.create_job(model="base", training_file=file)
    assert provider.vendor.calls["create_job"] == 1
    provider.blind = False
    job = client.create_job(model="base", training_file=file)
    assert list(provider.vendor.jobs) == [job.id]


@pytest.mark.usefixtures("fast_reads")
def test_an_unclear_outcome_is_settled_by_hand(train: Path) -> None:
    provider = Blind()
    client = Client(provider)
    file = client.upload(train, model="base")
    provider.vendor.lose_replies(1)
    with pytest.raises(UnclearOutcomeError) as caught:
        client.create_job(model="base", training_file=file)
    key = caught.value.key
    assert key is not None
    (job_id,) = provider.vendor.jobs
    settled = client.resolve(key, job_id=job_id)
    assert settled is not None
    assert client.create_job(model="base", training_file=file).id == job_id
    with pytest.raises(NotFoundError):
        client.resolve("v1:nothing", job_id=None)


def test_two_jobs_that_look_alike_are_unclear_and_no_third_is_made(
    vendor: MemoryVendor, file: TrainingFile, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        there = Client(MemoryProvider(vendor), ledger=Ledger(tmp_path / name))
        there.create_job(model="base", training_file=file, key=name if name == "two" else None)
    # "two" made its own job only if it did not take the first for its own: it has no way to tell them apart.
    vendor_jobs = len(vendor.jobs)
    third = Client(MemoryProvider(vendor), ledger=Ledger(tmp_path / "three"))
    if vendor_jobs == 1:
        assert third.create_job(model="base", training_file=file).id in vendor.jobs
    else:
        with pytest.raises(UnclearOutcomeError):
            third.create_job(model="base", training_file=file)
    assert len(vendor.jobs) == vendor_jobs


def test_a_deliberate_second_job_with_a_lost_reply_is_told_from_the_first(
    client: Client, vendor: MemoryVendor, file: TrainingFile
) -> None:
    first = client.create_job(model="base", training_file=file)
    vendor.lose_replies(1)
    second = client.create_job(model="base", training_file=file, key="again")
    assert {first.id, second.id} == {*vendor.jobs}
    assert first.id != second.id


def test_a_failed_job_is_raised_and_a_new_attempt_is_made_only_when_asked(
    client: Client, vendor: MemoryVendor, file: TrainingFile
) -> None:
    first = client.create_job(model="base", training_file=file)
    vendor.fail(first.id)
    with pytest.raises(JobFailedError, match="retry_failed=True") as caught:
        client.create_job(model="base", training_file=file)
    assert caught.value.job.id == first.id
    second = client.create_job(model="base", training_file=file, retry_failed=True)
    assert second.id != first.id
    assert second.key == f"{first.key}#2"
    assert client.create_job(model="base", training_file=file).id == second.id
    assert client.create_job(model="base", training_file=file, retry_failed=True).id == second.id
    vendor.fail(second.id)
    third = client.create_job(model="base", training_file=file, retry_failed=True)
    assert third.key == f"{first.key}#3"
    assert len(vendor.jobs) == 3


def test_a_cancelled_job_is_raised_as_such(client: Client, vendor: MemoryVendor, file: TrainingFile) -> None:
    job = client.create_job(model="base", training_file=file)
    client.cancel_job(job)
    with pytest.raises(JobCancelledError):
        client.create_job(model="base", training_file=file)
    assert len(vendor.jobs) == 1


def test_many_threads_with_one_request_get_one_job(client: Client, vendor: MemoryVendor, file: TrainingFile) -> None:
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(client.create_job(model="base", training_file=file).id))
        for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 20
    assert len(set(found)) == len(vendor.jobs) == 1


class SlowVendor(MemoryVendor):
    """A job is in the list some time before its maker hears of it."""

    def create_job(self, order: VendorOrder) -> VendorJob:
        job = super().create_job(order)
        time.sleep(0.2)
        return job


def test_keys_that_ask_for_the_same_at_once_do_not_take_each_others_job(train: Path) -> None:
    vendor = SlowVendor()
    client = Client(MemoryProvider(vendor))
    file = client.upload(train, model="base")
    made: list[str] = []

    def create(key: str) -> None:
        made.append(client.create_job(model="base", training_file=file, key=key).id)

    threads = [threading.Thread(target=create, args=(key,)) for key in ("one", "two", "three")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == sorted(vendor.jobs)
    assert len(made) == 3


def test_without_a_ledger_that_can_be_written_nothing_is_sent(
    vendor: MemoryVendor, file: TrainingFile, home: Path
) -> None:
    for path in home.glob(f"{FILE_NAME}*"):
        path.unlink()
    (home / FILE_NAME).write_bytes(b"no database" * 1000)
    with pytest.raises(LedgerError, match="is damaged"):
        Client(MemoryProvider(vendor)).create_job(model="base", training_file=file)
    assert vendor.calls["create_job"] == 0


def test_an_adopted_job_is_the_job_of_its_request(client: Client, vendor: MemoryVendor, file: TrainingFile) -> None:
    made = client.create_job(model="base", training_file=file, key="elsewhere")
    client.adopt(made, model="base", training_file=file, suffix="never asked for")
    again = client.create_job(model="base", training_file=file, suffix="never asked for")
    assert again.id == made.id
    assert len(vendor.jobs) == 1


def test_a_job_keeps_its_end(client: Client, file: TrainingFile) -> None:
    job = client.wait(client.create_job(model="base", training_file=file), progress=False)
    assert job.status is JobStatus.SUCCEEDED
    assert client.get_job(job).status is JobStatus.SUCCEEDED
    assert client.create_job(model="base", training_file=file).id == job.id


class Labels(MemoryProvider):
    """A vendor that keeps keys, in a folder that many processes share: a file a job, with its key in it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(MemoryVendor(account="shared", finish_after=None))
        self._folder = folder

    def create_job(self, request: JobRequest, key: str) -> FineTuningJob:
        model, status = request.model, JobStatus.QUEUED
        job = FineTuningJob(id=uuid.uuid4().hex, provider=self.name, status=status, model=model, key=key)
        time.sleep(0.05)
        (self._folder / f"{job.id}.job").write_text(job.model_dump_json())
        return job

    def get_job(self, job_id: str) -> FineTuningJob:
        return FineTuningJob.model_validate_json((self._folder / f"{job_id}.job").read_text())

    def find_job(self, key: str, request: JobRequest, since: datetime) -> FineTuningJob | None:
        del request, since
        found = [self.get_job(path.stem) for path in self._folder.glob("*.job")]
        return next((job for job in found if job.key == key), None)


def _ask(folder: Path) -> str:
    return Client(Labels(folder)).create_job(model="base", training_file="file-1").id


def test_many_processes_with_one_request_make_one_job(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        found = pool.map(_ask, [tmp_path] * 12)
    assert len(set(found)) == len([*tmp_path.glob("*.job")]) == 1


class Rests(MemoryProvider):
    """Shows its jobs as paused, and counts who lets them go on."""

    status = JobStatus.PAUSED
    interrupted = True
    resumed = 0

    def get_job(self, job_id: str) -> FineTuningJob:
        update = {"status": self.status, "interrupted": self.interrupted}
        return super().get_job(job_id).model_copy(update=update)

    def pause_job(self, job_id: str) -> FineTuningJob:
        return self.get_job(job_id)

    def resume_job(self, job_id: str) -> FineTuningJob:
        time.sleep(0.05)
        self.resumed += 1
        self.status = JobStatus.RUNNING
        return self.get_job(job_id)


@pytest.mark.parametrize(
    ("status", "interrupted", "resumed"),
    [(JobStatus.PAUSED, True, 1), (JobStatus.PAUSED, False, 0), (JobStatus.RUNNING, True, 0)],
)
def test_only_an_interrupted_job_goes_on_by_itself(
    train: Path,
    status: JobStatus,
    interrupted: bool,  # noqa: FBT001 - a parameter of the test
    resumed: int,
) -> None:
    provider = Rests()
    client = Client(provider)
    file = client.upload(train, model="base")
    first = client.create_job(model="base", training_file=file)
    provider.status, provider.interrupted = status, interrupted
    again = client.create_job(model="base", training_file=file)
    assert provider.resumed == resumed
    assert (again.id, again.key, again.identity) == (first.id, first.key, first.identity)


def test_two_who_find_an_interrupted_job_do_not_both_resume_it(train: Path) -> None:
    provider = Rests()
    client = Client(provider)
    file = client.upload(train, model="base")
    client.create_job(model="base", training_file=file)
    threads = [
        threading.Thread(target=client.create_job, kwargs={"model": "base", "training_file": file}) for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert provider.resumed == 1


def test_an_interrupted_job_is_taken_up_by_fine_tune_too(train: Path) -> None:
    provider = Rests()
    client = Client(provider)
    job = client.fine_tune("base", train, wait=False)
    assert client.fine_tune("base", train, wait=False).id == job.id
    assert provider.resumed == 1


def test_an_attempt_that_was_refused_does_not_make_the_next_one_unasked(train: Path) -> None:
    class Poor(MemoryProvider):
        poor = False

        def create_job(self, request: JobRequest, key: str) -> FineTuningJob:
            if self.poor:
                raise QuotaError("no money", provider="memory", status_code=429)
            return super().create_job(request, key)

    provider = Poor()
    client = Client(provider)
    file = client.upload(train, model="base")
    first = client.create_job(model="base", training_file=file)
    provider.vendor.fail(first.id)
    provider.poor = True
    with pytest.raises(QuotaError):
        client.create_job(model="base", training_file=file, retry_failed=True)
    provider.poor = False
    with pytest.raises(JobFailedError) as caught:  # the second attempt came to nothing; the first one still failed
        client.create_job(model="base", training_file=file)
    assert caught.value.job.id == first.id
    assert len(provider.vendor.jobs) == 1
    assert client.create_job(model="base", training_file=file, retry_failed=True).key == f"{first.key}#2"


def test_what_was_made_stays_ours_when_the_provider_takes_no_more_of_it(train: Path) -> None:
    class Retires(MemoryProvider):
        retired = False

        def problems(self, request: JobRequest) -> list[Problem]:
            del request
            return [Problem(code="retired", message="this model is trained no more.")] if self.retired else []

    provider = Retires()
    client = Client(provider)
    file = client.upload(train, model="base")
    job = client.create_job(model="base", training_file=file)
    provider.retired = True
    assert client.create_job(model="base", training_file=file).id == job.id
    assert client.fine_tune("base", train, progress=False).id == job.id
    calls = dict(provider.vendor.calls)
    with pytest.raises(UnsupportedError, match="trained no more"):
        client.create_job(model="base", training_file=file, seed=1)
    provider.vendor.fail(job.id)
    with pytest.raises(UnsupportedError, match="trained no more"):
        client.create_job(model="base", training_file=file, retry_failed=True)
    assert provider.vendor.calls["create_job"] == calls["create_job"] == 1


def test_a_script_that_runs_again_sends_and_checks_nothing_again(
    client: Client, vendor: MemoryVendor, train: Path
) -> None:
    job = client.fine_tune("base", train, progress=False)
    client.delete_file(client.list_files().items[0])  # the vendor may well forget a file after a while
    assert client.fine_tune("base", train, progress=False).id == job.id
    assert (vendor.calls["create_file"], vendor.calls["create_job"]) == (1, 1)


def test_a_person_who_has_looked_settles_it_for_good(vendor: MemoryVendor, file: TrainingFile, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "another")
    client = Client(MemoryProvider(vendor), ledger=ledger)
    vendor.lose_requests(1)
    with pytest.raises(ProviderUnavailableError):
        client.create_job(model="base", training_file=file)
    for name in ("one", "two"):  # meanwhile, elsewhere, two that look alike
        Client(MemoryProvider(vendor)).create_job(model="base", training_file=file, key=name)
    with pytest.raises(UnclearOutcomeError) as caught:
        client.create_job(model="base", training_file=file)
    assert len(caught.value.candidates) == 2
    key = caught.value.key
    assert key is not None
    assert client.resolve(key, job_id=None) is None
    job = client.create_job(model="base", training_file=file)
    assert len(vendor.jobs) == 3
    assert client.create_job(model="base", training_file=file).id == job.id


def test_a_job_that_the_provider_forgot_says_what_to_do(
    client: Client, vendor: MemoryVendor, file: TrainingFile
) -> None:
    class Forgets(MemoryProvider):
        def get_job(self, job_id: str) -> FineTuningJob:
            del job_id
            raise NotFoundError("no such job", provider=self.name, status_code=404)

        def find_job(self, key: str, request: JobRequest, since: datetime) -> FineTuningJob | None:
            del key, request, since
            return None

    job = client.create_job(model="base", training_file=file)
    forgetful = Client(Forgets(vendor))
    with pytest.raises(NotFoundError, match=r"job_id=None"):
        forgetful.create_job(model="base", training_file=file)
    assert job.key is not None
    forgetful.resolve(job.key, job_id=None)
    assert forgetful.create_job(model="base", training_file=file).id != job.id


def test_an_adopted_job_takes_the_place_of_the_last_attempt(
    client: Client, vendor: MemoryVendor, file: TrainingFile
) -> None:
    for _ in range(2):
        vendor.fail(client.create_job(model="base", training_file=file, retry_failed=True).id)
    made = client.create_job(model="base", training_file=file, key="by hand")
    client.adopt(made, model="base", training_file=file)
    assert client.create_job(model="base", training_file=file).id == made.id


@pytest.mark.parametrize("when", [None, "2000-01-01T00:00:00+00:00", "2999-01-01T00:00:00+00:00"])
def test_after_a_death_the_list_is_given_its_time_to_settle(train: Path, home: Path, when: str | None) -> None:
    """The job is younger than the intent, and the clock may have been set since: no age of the intent shortens it."""
    provider = Dies(MemoryVendor(list_lag_s=0.5))
    client = Client(provider)
    file = client.upload(train, model="base")
    with pytest.raises(Killed):
        client.create_job(model="base", training_file=file)
    if when is not None:
        with sqlite3.connect(home / FILE_NAME) as db:
            db.execute("UPDATE jobs SET intended_at = ?", (when,))
        db.close()
    provider.alive = True
    assert [client.create_job(model="base", training_file=file).id] == [*provider.vendor.jobs]


def test_an_answer_of_a_server_that_broke_is_unclear(train: Path) -> None:
    class Breaks(MemoryProvider):
        def create_job(self, request: JobRequest, key: str) -> FineTuningJob:
            super().create_job(request, key)
            raise self.error

        error: Exception = Exception()

    for error in (
        ProviderError("bad gateway", provider="memory", status_code=502),
        ProviderError("request timeout", provider="memory", status_code=408),
        RuntimeError("a bug of a plug-in"),
    ):
        provider = Breaks()
        provider.error = error
        client = Client(provider)
        job = client.create_job(model="base", training_file=client.upload(train, model="base"))
        assert [*provider.vendor.jobs] == [job.id]


def test_a_ledger_that_breaks_after_the_create_says_that_there_is_a_job(
    train: Path, home: Path, vendor: MemoryVendor
) -> None:
    class Spoils(MemoryProvider):
        def create_job(self, request: JobRequest, key: str) -> FineTuningJob:
            job = super().create_job(request, key)
            for path in home.glob(f"{FILE_NAME}*"):
                path.rename(tmp / path.name)
            (home / FILE_NAME).write_bytes(b"no database" * 1000)
            return job

    tmp = home.parent
    client = Client(Spoils(vendor))
    file = client.upload(train, model="base")
    with pytest.raises(LedgerError, match=r"job-.* was made, but could not be written down") as caught:
        client.create_job(model="base", training_file=file)
    (job_id,) = vendor.jobs
    assert job_id in str(caught.value)
    assert not (home / FILE_NAME).exists()  # it was set aside
    for path in tmp.glob(f"{FILE_NAME}*"):
        path.rename(home / path.name)
    assert Client(MemoryProvider(vendor)).create_job(model="base", training_file=file).id == job_id
