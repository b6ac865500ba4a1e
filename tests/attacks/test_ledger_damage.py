"""The ledger is damaged. It is set aside, never replaced in silence, and its jobs are found again where they are."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import threading
from collections import Counter
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import pytest
from chats import chats
from hf_tools import HF_TOKEN
from local_conformance import IDLE, a_quiet_machine
from local_witness import end_all_below
from served_vendor import ServedVendor, openai_at
from wire_vendor import AzureWireVendor, WireVendor

from ftkit import Client, LedgerError
from ftkit.ledger import FILE_NAME, DeploymentEntry, Ledger, State
from ftkit.models import FineTuningJob, JobRequest, TrainingFile
from ftkit.providers.azure import AzureProvider
from ftkit.providers.huggingface.local import LocalHuggingFace
from ftkit.providers.openai import OpenAIProvider
from ftkit.testing import MemoryProvider, MemoryVendor
from ftkit.testing.attacks import processes
from ftkit.testing.attacks.errand import Errand
from ftkit.testing.tally import Tally, record

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from ftkit.provider import Provider

ATTACK = "damaged ledger"
CREATE = "POST /fine_tuning/jobs"
REQUEST = JobRequest(model="m", training_file=TrainingFile(id="f", provider="p"))
SUFFIXES = ("one", "two", "three")
OF_THE_FILE = ("", "-wal", "-shm", "-journal")


class Kept(NamedTuple):
    """A ledger as it was when its process was killed: the newest job is in the log alone."""

    folder: Path
    vendor: MemoryVendor
    jobs: list[str]


def ask(vendor: MemoryVendor, folder: Path) -> list[str]:
    """The script of a user: three jobs."""
    client = Client(MemoryProvider(vendor), ledger=Ledger(folder))
    file = next(iter(vendor._files))
    return [client.create_job(model="base", training_file=file, suffix=suffix).id for suffix in SUFFIXES]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    live, folder = tmp_path_factory.mktemp("live"), tmp_path_factory.mktemp("kept")
    vendor = MemoryVendor(account="tests", finish_after=None)
    vendor.create_file("train.jsonl", b"{}")
    ledger = Ledger(live)
    for number in range(60):  # what makes it a file of some pages
        ledger.intend_job(f"k{number}", 1, f"k{number}", REQUEST, ("other", "other"))
    ledger.hold("memory:tests", "mine", "me")
    open_ = sqlite3.connect(live / FILE_NAME)
    open_.execute("SELECT * FROM jobs").fetchall()  # as long as somebody looks, the log is not taken over
    jobs = ask(vendor, live)
    shutil.copytree(live, folder, dirs_exist_ok=True)
    open_.close()
    assert (folder / f"{FILE_NAME}-wal").stat().st_size
    return Kept(folder, vendor, jobs)


def junk(size: int) -> bytes:
    return random.Random(4711).randbytes(size)  # noqa: S311 - the same junk each time


def overwrite(path: Path, at: float, content: bytes) -> None:
    """Writes over a file from some place on, given as a part of its length."""
    whole = bytearray(path.read_bytes())
    start = int(at * len(whole))
    whole[start : start + len(content)] = content
    path.write_bytes(whole)


def sql(path: Path, statement: str) -> None:
    with sqlite3.connect(path) as db:
        db.execute(statement)
    db.close()


def log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def take_over(path: Path) -> None:
    """Puts into the file what is in its log."""
    sql(path, "PRAGMA wal_checkpoint(TRUNCATE)")


def cut(path: Path, part: float) -> None:
    os.truncate(path, int(part * path.stat().st_size))


def no_log(path: Path) -> None:
    log_of(path).unlink()


DAMAGES: dict[str, Callable[[Path], object]] = {
    "the header is overwritten": lambda path: (take_over(path), overwrite(path, 0, junk(100))),
    "the header is wiped": lambda path: (take_over(path), overwrite(path, 0, bytes(4096))),
    "random bytes in the middle": lambda path: (take_over(path), overwrite(path, 0.1, junk(60_000))),
    "cut off in the middle": lambda path: (take_over(path), cut(path, 0.5)),
    "cut off after fifty bytes": lambda path: (no_log(path), os.truncate(path, 50)),
    "no length": lambda path: (no_log(path), os.truncate(path, 0)),
    "no length, and its log is there": lambda path: os.truncate(path, 0),
    "gone, and its log is there": lambda path: path.unlink(),
    "the log's header is overwritten": lambda path: overwrite(log_of(path), 0, junk(32)),
    "no table of jobs": lambda path: sql(path, "DROP TABLE jobs"),
    "a column is missing": lambda path: sql(path, "ALTER TABLE jobs DROP COLUMN intended_at"),
    "a state that there is not": lambda path: sql(path, "UPDATE jobs SET state = 'nonsense'"),
    "a time that is none": lambda path: sql(path, "UPDATE jobs SET intended_at = 'nonsense'"),
    "a time that is no text": lambda path: sql(path, "UPDATE jobs SET intended_at = x'00'"),
    "a request that is no JSON": lambda path: sql(
        path, "UPDATE jobs SET request = '{', state = 'intended', job_id = NULL"
    ),
    "no database at all": lambda path: (no_log(path), path.write_bytes(b"no database" * 1000)),
}


def files_of(folder: Path, stem: str) -> dict[str, bytes]:
    """What the ledger's files hold; -shm, and a log with nothing in it, are made by whoever looks."""
    ends = {end: folder / f"{stem}{end}" for end in OF_THE_FILE if end != "-shm"}
    return {end: path.read_bytes() for end, path in ends.items() if path.exists() and path.stat().st_size + (not end)}


@pytest.mark.parametrize("damage", DAMAGES)
def test_it_is_set_aside_once_and_its_jobs_are_found_again(kept: Kept, tmp_path: Path, damage: str) -> None:
    folder, posts = tmp_path / "state", kept.vendor.calls["create_job"]
    shutil.copytree(kept.folder, folder)
    path = folder / FILE_NAME
    DAMAGES[damage](path)
    before = files_of(folder, FILE_NAME)
    with pytest.raises(LedgerError) as caught:
        ask(kept.vendor, folder)
    assert kept.vendor.calls["create_job"] == posts
    (name,) = {p.name.removesuffix("-wal").removesuffix("-shm") for p in folder.glob(f"{FILE_NAME}.damaged-*")}
    said = str(caught.value)
    for part in (str(path), "is damaged", name, "Nothing was sent", "same script again", "ftkit deployments PROVIDER"):
        assert part in said
    assert files_of(folder, name) == before  # byte for byte
    assert files_of(folder, FILE_NAME) == {}
    assert ask(kept.vendor, folder) == kept.jobs
    assert made_in(folder) == kept.jobs
    assert kept.vendor.calls["create_job"] == posts
    assert files_of(folder, name) == before
    record(Tally(attack=ATTACK, provider="memory", tries=1, wanted=3, made=len(kept.vendor.jobs)))


def made_in(folder: Path) -> list[str]:
    with Ledger(folder)._transaction() as db:
        rows = db.execute("SELECT job_id FROM jobs WHERE state = 'made' ORDER BY intended_at").fetchall()
    return [row[0] for row in rows]


SURVIVED: dict[str, Callable[[Path], object]] = {
    "the header of the file, which is in the log as well": lambda path: overwrite(path, 0, junk(100)),
    "the log's end is overwritten": lambda path: overwrite(log_of(path), 0.5, junk(100_000)),
    "the log is cut off": lambda path: cut(log_of(path), 0.5),
    "the log is gone": no_log,
    "the log is empty": lambda path: cut(log_of(path), 0),
}


@pytest.mark.parametrize("damage", SURVIVED)
def test_damage_around_the_log_that_leaves_a_whole_ledger_loses_no_job(kept: Kept, tmp_path: Path, damage: str) -> None:
    """A log without its end reads as one whose last write was broken off; the provider is asked for what is missing."""
    folder, posts = tmp_path / "state", kept.vendor.calls["create_job"]
    shutil.copytree(kept.folder, folder)
    SURVIVED[damage](folder / FILE_NAME)
    assert len(Ledger(folder).unclear_jobs()) == 60  # the old state is readable
    assert ask(kept.vendor, folder) == kept.jobs
    assert kept.vendor.calls["create_job"] == posts
    record(Tally(attack=ATTACK, provider="memory", tries=1, wanted=3, made=len(kept.vendor.jobs)))


# -- whose jobs are found again ----------------------------------------------------------------------------------


def dated(vendor: WireVendor) -> AzureProvider:
    assert isinstance(vendor, AzureWireVendor)
    return AzureProvider(vendor.dated_client())


@pytest.mark.parametrize("seed", [None, 7])
@pytest.mark.parametrize(
    ("kind", "make"),
    [
        (WireVendor, lambda vendor: OpenAIProvider(vendor.client())),
        (AzureWireVendor, lambda vendor: AzureProvider(vendor.client())),
        (AzureWireVendor, dated),
    ],
    ids=["openai", "azure", "azure-dated"],
)
def test_a_job_at_a_vendor_is_found_again(
    kind: type[WireVendor],
    make: Callable[[WireVendor], Provider],
    seed: int | None,
    tmp_path: Path,
    home: Path,
) -> None:
    vendor = kind()

    def script() -> str:
        client = Client(make(vendor))
        return client.fine_tune("gpt-4o-mini-2024-07-18", chats(tmp_path), seed=seed, wait=False).id

    job_id = script()
    overwrite(home / FILE_NAME, 0, junk(4096))
    with pytest.raises(LedgerError, match="Nothing was sent"):
        script()
    assert script() == job_id
    assert [*vendor.jobs] == [job_id]
    assert vendor.requests[CREATE] == 1
    record(Tally(attack=ATTACK, provider=make(vendor).name, tries=1, wanted=1, made=len(vendor.jobs)))


class Idle(LocalHuggingFace):
    _trainer: ClassVar[tuple[str, ...]] = IDLE


def test_a_local_job_is_found_again(tmp_path: Path, home: Path) -> None:
    folder = tmp_path / "jobs"

    def script() -> str:
        return Client(Idle(jobs_folder=folder)).fine_tune("ftkit/small", chats(tmp_path), wait=False).id

    with a_quiet_machine(HF_TOKEN):
        try:
            job_id = script()
            overwrite(home / FILE_NAME, 0, junk(4096))
            with pytest.raises(LedgerError, match="Nothing was sent"):
                script()
            assert script() == job_id
        finally:
            end_all_below(folder)
    made = [*folder.glob("ftjob-*")]
    assert [path.name for path in made] == [job_id]
    record(Tally(attack=ATTACK, provider="huggingface", tries=1, wanted=1, made=len(made)))


class Spoils(MemoryProvider):
    """The ledger is damaged while the vendor makes the job."""

    ledger = Path()

    def create_job(self, request: JobRequest, key: str) -> FineTuningJob:
        job = super().create_job(request, key)
        overwrite(self.ledger, 0, junk(4096))
        return job


def test_damage_after_the_create_names_the_job_which_is_found_though_the_list_lags(home: Path) -> None:
    vendor = MemoryVendor(account="tests", list_lag_s=0.5, finish_after=None)
    file = vendor.create_file("train.jsonl", b"{}").id
    spoils = Spoils(vendor)
    spoils.ledger = home / FILE_NAME
    with pytest.raises(LedgerError, match=r"(?s)job-.* was made, but.*set aside.*pays nothing") as caught:
        Client(spoils).create_job(model="base", training_file=file)
    (job_id,) = vendor.jobs
    assert job_id in str(caught.value)
    assert "Nothing was sent" not in str(caught.value)
    # At once: a moment ago the intent would have told that the list must be given its time; it was in the old ledger.
    assert Client(MemoryProvider(vendor)).create_job(model="base", training_file=file).id == job_id
    assert [*vendor.jobs] == [job_id]
    record(Tally(attack=ATTACK, provider="memory", tries=1, wanted=1, made=len(vendor.jobs)))


# -- many at once ------------------------------------------------------------------------------------------------


@pytest.fixture
def served() -> Generator[ServedVendor]:
    server = ServedVendor(WireVendor())
    yield server
    server.stop()


def test_of_many_processes_one_sets_it_aside(tmp_path: Path, home: Path, served: ServedVendor) -> None:
    errand = Errand(
        partial(openai_at, served.url), home, chats(tmp_path), REQUEST.model_copy(update={"model": "gpt-4.1"})
    )
    first = processes.run(errand).came
    overwrite(home / FILE_NAME, 0, junk(4096))
    before = (home / FILE_NAME).read_bytes()
    told = processes.run_together([errand] * 4)
    aside = [path for path in home.glob(f"{FILE_NAME}.damaged-*") if not path.name.endswith(("-wal", "-shm"))]
    assert [path.read_bytes() for path in aside] == [before]
    assert Counter(outcome.kind for outcome in told if outcome.came != first).keys() <= {"LedgerError"}
    assert sum("was set aside as" in str(outcome.error) for outcome in told) == 1
    assert processes.run(errand).came == first
    assert [*served.vendor.jobs] == [first]
    record(Tally(attack=ATTACK, provider="openai", tries=len(told), wanted=1, made=len(served.vendor.jobs)))


def test_nothing_is_overwritten_whatever_is_set_aside_in_the_same_second(home: Path) -> None:
    contents = [b"one" * 2000, b"two" * 2000, b"three" * 2000]
    home.mkdir()
    for content in contents:
        (home / FILE_NAME).write_bytes(content)
        with pytest.raises(LedgerError, match="was set aside"):
            Ledger().attempts("k")
    assert sorted(path.read_bytes() for path in home.glob(f"{FILE_NAME}.damaged-*")) == sorted(contents)


def test_threads_that_share_a_ledger_set_it_aside_once(home: Path) -> None:
    ledger, told = Ledger(), []
    ledger.attempts("k")
    (home / FILE_NAME).write_bytes(b"no database" * 1000)

    def look() -> None:
        try:
            ledger.attempts("k")
        except LedgerError as error:
            told.append(str(error))

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum("was set aside as" in text for text in told) == 1
    assert len([*home.glob(f"{FILE_NAME}.damaged-*")]) == 1
    assert ledger.attempts("k") == []  # the same object goes on, on a new one


@pytest.mark.parametrize("comes_another", [False, True])
def test_what_is_written_while_the_file_is_set_aside_is_not_taken_for_written(
    home: Path,
    comes_another: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    ledger = Ledger()
    ledger.attempts("k")

    def write() -> None:
        with ledger._transaction() as db:
            db.execute("DELETE FROM jobs")
            for end in OF_THE_FILE:
                if (home / f"{FILE_NAME}{end}").exists():
                    (home / f"{FILE_NAME}{end}").rename(home / f"aside{end}")
            if comes_another:
                Ledger().attempts("k")

    with pytest.raises(LedgerError, match="replaced" if comes_another else "no longer there"):
        write()


def test_what_came_of_a_request_that_the_ledger_does_not_know_is_an_error() -> None:
    ledger = Ledger()
    job = FineTuningJob(id="j", provider="p", status="queued", model="m")  # type: ignore[arg-type]  # read by pydantic
    with pytest.raises(LedgerError, match="no longer knows of the request"):
        ledger.record_job("k", job)


# -- what is not damage ------------------------------------------------------------------------------------------


def test_a_request_with_a_method_that_is_not_installed_here_is_no_damage(home: Path) -> None:
    ledger = Ledger()
    ledger.intend_job("k", 1, "k", REQUEST, ("p", "i"))
    sql(
        home / FILE_NAME,
        """UPDATE jobs SET request = json_set(request, '$.method', json('{"type": "of-a-plug-in"}'))""",
    )
    with pytest.raises(LedgerError, match=r"(?s)does not understand.*of-a-plug-in.*plug-in that is not installed"):
        ledger.request("k")
    sql(home / FILE_NAME, "UPDATE jobs SET state = 'nonsense' WHERE key = 'none'")
    assert [entry.key for entry in ledger.attempts("k")] == ["k"]
    assert [*home.glob(f"{FILE_NAME}.damaged-*")] == []


def test_what_cannot_be_written_is_an_error_and_no_damage(home: Path) -> None:
    ledger = Ledger()
    ledger.attempts("k")
    with pytest.raises(LedgerError, match="surrogates"):
        ledger.hold("i", "\ud800", "me")
    assert ledger.attempts("k") == []
    assert [*home.glob(f"{FILE_NAME}.damaged-*")] == []


def test_a_ledger_that_is_gone_is_begun_anew_and_that_is_said(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    vendor = MemoryVendor(account="tests", list_lag_s=0.3, finish_after=None)
    file = vendor.create_file("train.jsonl", b"{}").id

    def script() -> str:
        return Client(MemoryProvider(vendor)).create_job(model="base", training_file=file).id

    job_id = script()
    assert caplog.messages == []
    for path in home.glob(f"{FILE_NAME}*"):
        path.unlink()
    assert script() == job_id  # at once, though the list does not show it yet
    assert [text for text in caplog.messages if "A new ledger is begun" in text]
    assert [*vendor.jobs] == [job_id]
    assert not Ledger().may_have_forgotten("memory:tests")  # the next request does not wait
    record(Tally(attack=ATTACK, provider="memory", tries=1, wanted=1, made=len(vendor.jobs)))


def test_a_first_ledger_that_was_broken_off_is_no_damage(home: Path) -> None:
    """A process was killed between making the file and its tables. Nobody had a lock of a request yet."""
    (home / "locks").mkdir(parents=True)
    (home / "locks" / "schema.lock").touch()
    (home / FILE_NAME).touch()
    assert Ledger().attempts("k") == []
    assert not Ledger().may_have_forgotten("i")


def test_deployments_are_lost_with_it_and_the_provider_still_lists_them(home: Path) -> None:
    provider = MemoryProvider(MemoryVendor(account="tests"))
    client = Client(provider)
    client.deploy("base", name="mine", ttl_s=60)
    overwrite(home / FILE_NAME, 0, junk(4096))
    with pytest.raises(LedgerError, match="ftkit deployments"):
        client.list_deployments()
    assert [(each.name, each.expires_at) for each in client.list_deployments()] == [("mine", None)]
    assert client.reap() == []  # what is not in the ledger is not ftkit's to delete
    client.deploy("base", name="mine", ttl_s=0)
    assert provider.vendor.calls["create_deployment"] == 1 + 1


def test_an_entry_of_a_deployment_that_cannot_be_read_is_damage(home: Path) -> None:
    ledger = Ledger()
    now = datetime.now(UTC)
    entry = DeploymentEntry("i", "d", "p", "s", State.MADE, temporary=True, intended_at=now, expires_at=now)
    ledger.intend_deployment(entry)
    sql(home / FILE_NAME, "UPDATE deployments SET expires_at = 'nonsense'")
    with pytest.raises(LedgerError, match="a deployment that cannot be read"):
        ledger.deployments("i")
