"""What a second reading found, as someone whose account pays."""

from __future__ import annotations

import asyncio
import io
import sqlite3
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from filelock import FileLock

from ftkit import (
    AsyncClient,
    Client,
    ConfigurationError,
    FineTuningJob,
    JobRequest,
    JobStatus,
    LedgerError,
    ProviderUnavailableError,
    QuotaError,
    RateLimitError,
    TrainingFile,
)
from ftkit.ledger import FILE_NAME, Ledger
from ftkit.progress import NoProgress
from ftkit.testing import MemoryProvider, MemoryVendor
from ftkit.waiting import Pace, Watch, WatchAll

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ftkit import Checkpoint, Deployment


class Killed(BaseException):
    """Stands for a kill -9."""


class Dies(MemoryProvider):
    """Dies when the vendor has the order."""

    alive = False

    def create_job(self, request: JobRequest, key: str) -> FineTuningJob:
        job = super().create_job(request, key)
        if not self.alive:
            raise Killed
        return job


def test_a_job_is_found_again_though_its_file_has_another_id_by_now(train: Path) -> None:
    """A vendor without keys knows a job by the ids of its files, and files are cleaned up."""
    provider = Dies(MemoryVendor(finish_after=None))
    client = Client(provider)
    with pytest.raises(Killed):
        client.fine_tune("base", train, wait=False)
    client.delete_file(client.list_files().items[0])
    provider.alive = True
    job = client.fine_tune("base", train, wait=False)
    assert [*provider.vendor.jobs] == [job.id]


def test_what_was_sent_is_what_is_looked_for_and_a_new_try_replaces_it(train: Path) -> None:
    client = Client(MemoryProvider())
    file = client.upload(train, model="base")
    ledger = Ledger()
    provider: Any = client.provider
    provider.vendor.lose_requests(1)
    with pytest.raises(ProviderUnavailableError):
        client.create_job(model="base", training_file=file)
    client.delete_file(file)
    job = client.create_job(model="base", training_file=client.upload(train, model="base"))
    assert job.key is not None
    sent = ledger.request(job.key)
    assert sent is not None
    assert sent.training_file.id == job.training_file != file.id
    assert ledger.request("v1:nothing") is None


def test_a_ledger_that_is_gone_is_not_made_anew_in_silence(home: Path) -> None:
    ledger = Ledger()
    ledger.attempts("k")
    for path in home.glob(f"{FILE_NAME}*"):
        path.unlink()
    with pytest.raises(LedgerError, match=r"ledger\.sqlite3 cannot be used"):
        ledger.attempts("k")
    assert not (home / FILE_NAME).exists()


def test_a_ledger_that_another_process_keeps_locked_says_so(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Ledger().attempts("k")
    monkeypatch.setattr("ftkit._ledger_file._BUSY_S", 0.1)
    other = sqlite3.connect(home / FILE_NAME, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerError, match="Another process keeps it locked"):
        Ledger().attempts("k")
    other.close()
    with FileLock(home / "locks" / "schema.lock"), pytest.raises(LedgerError, match="Another process keeps it locked"):
        Ledger().attempts("k")


@pytest.mark.parametrize("kind", ["fuse.ceph-fuse", "fuse.juicefs", "fuse.blobfuse2"])
def test_a_network_file_system_in_user_space_is_refused(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mount = SimpleNamespace(mountpoint=str(tmp_path), fstype=kind)
    monkeypatch.setattr(psutil, "disk_partitions", lambda **_: [mount])  # what the system would tell of such a mount
    with pytest.raises(LedgerError, match="network file system"):
        Ledger(tmp_path / "state").attempts("k")


class Spoils(MemoryProvider):
    """Makes the deployment, while the ledger breaks."""

    home: Path

    def deploy(self, target: FineTuningJob | Checkpoint | str, name: str, options: Mapping[str, Any]) -> Deployment:
        made = super().deploy(target, name, options)
        for path in self.home.glob(f"{FILE_NAME}*"):
            path.unlink()
        return made


def test_a_deployment_that_cannot_be_written_down_is_told(home: Path) -> None:
    provider = Spoils()
    provider.home = home
    with pytest.raises(LedgerError) as caught:
        Client(provider).deploy("base", name="mine")
    assert "'mine' was made, and may cost" in caught.value.__notes__[0]
    with pytest.raises(LedgerError) as caught, Client(provider).deployed("base", name="other"):
        pytest.fail("it is not written down")
    assert "'other' was made, and may cost" in caught.value.__notes__[0]


@pytest.mark.parametrize("raised", [KeyboardInterrupt(), asyncio.CancelledError()])
def test_a_deployment_that_may_still_stand_is_logged_where_nobody_reads_notes(
    raised: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    class Stays(MemoryProvider):
        def delete_deployment(self, name: str) -> None:
            raise QuotaError(f"{name} stays", provider=self.name)

    with pytest.raises(type(raised)), Client(Stays()).deployed("base", name="mine"):
        raise raised
    assert "'mine' may still stand, and cost" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"target": None}, "None is no job, no checkpoint and no name"),
        ({"target": ""}, "'' is no job"),
        ({"target": TrainingFile(id="f", provider="memory")}, "is no job"),
        ({"target": "base", "name": 3}, "3 is neither an id"),
        ({"target": "base", "ttl_s": float("inf")}, "ttl_s is a number of seconds"),
        ({"target": "base", "ttl_s": 1e12}, "ttl_s is a number of seconds"),
    ],
)
def test_what_cannot_be_deployed_is_one_error_and_nothing_stands(
    client: Client, vendor: MemoryVendor, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        client.deploy(**arguments)
    with pytest.raises(ConfigurationError, match=message), client.deployed(**arguments):
        pytest.fail("it cannot be deployed")
    assert vendor.calls["create_deployment"] == 0
    assert Ledger().deployments(client.identity()) == []


@pytest.mark.parametrize("messages", [None, [], 3])
def test_no_messages_are_one_error(client: Client, vendor: MemoryVendor, messages: object) -> None:
    deployment = client.deploy("base", name="mine")
    assert client.get_deployment(deployment).name == "mine"  # type: ignore[arg-type]  # as all its siblings take it
    with pytest.raises(ConfigurationError, match="with at least one"):
        client.chat(deployment, messages)  # type: ignore[arg-type]  # that is the point
    assert vendor.calls["chat"] == 0


def test_who_asks_us_to_stay_away_is_not_asked_again_before() -> None:
    job = FineTuningJob(id="ftjob-1", provider="memory", status=JobStatus.RUNNING, model="m")
    busy = RateLimitError("too many", retry_after_s=120.0)
    for poll_s, least_s in ((None, 120.0), (1.0, 120.0), (300.0, 300.0)):
        assert Watch(job, Pace(poll_s=poll_s), NoProgress()).miss(busy) == least_s
        assert WatchAll([job], Pace(poll_s=poll_s), NoProgress()).miss(busy) == least_s
    assert Watch(job, Pace(timeout_s=5), NoProgress()).miss(busy) <= 5
    assert Watch(job, Pace(), NoProgress()).miss(RateLimitError("too many", retry_after_s=1e6)) == 900


def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """A terminal, from now on: between a fixture and its test, pytest takes it away again."""
    terminal = io.StringIO()
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr("sys.stderr", terminal)
    return terminal


def test_a_job_given_twice_is_counted_once(client: Client, train: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = client.upload(train, model="base")
    one, two = (client.create_job(model="base", training_file=file, seed=seed) for seed in (1, 2))
    shown = screen(monkeypatch)
    client.wait_all([one, two, one.id], poll_s=0.01)
    assert "2/2" in shown.getvalue()


def test_a_job_given_twice_is_counted_once_by_an_async_client_too(
    client: Client, train: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = client.upload(train, model="base")
    one, two = (client.create_job(model="base", training_file=file, seed=seed) for seed in (1, 2))

    async def body() -> None:
        async with AsyncClient(client.provider) as waiting:
            await waiting.wait_all([one, two, one.id], poll_s=0.01)

    shown = screen(monkeypatch)
    asyncio.run(body())
    assert "2/2" in shown.getvalue()
