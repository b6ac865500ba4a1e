"""Deployments: what costs by the hour is made once, found from any process, and not forgotten."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from ftkit import (
    Client,
    ConfigurationError,
    ConflictError,
    Deployment,
    JobStatus,
    LedgerError,
    ProviderError,
    ProviderUnavailableError,
    QuotaError,
)
from ftkit.ledger import FILE_NAME, DeploymentEntry, Ledger, State
from ftkit.models import DeploymentStatus
from ftkit.testing import MemoryProvider, MemoryVendor

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ftkit import Checkpoint, FineTuningJob


def standing(vendor: MemoryVendor) -> list[str]:
    return [deployment.name for deployment in vendor.list_deployments()]


def spoil(home: Path) -> None:
    for path in home.glob(f"{FILE_NAME}*"):
        path.unlink()
    (home / FILE_NAME).write_bytes(b"no database" * 1000)


def entries(client: Client) -> list[DeploymentEntry]:
    return Ledger().deployments(client.identity())


class Loses(MemoryProvider):
    """Loses what is asked of `deploy`, or the reply to it."""

    reply = False
    away = True

    def deploy(self, target: FineTuningJob | Checkpoint | str, name: str, options: Mapping[str, object]) -> Deployment:
        lost, self.away = self.away, False
        made = super().deploy(target, name, options) if self.reply or not lost else None
        if made is None or lost:
            raise ProviderUnavailableError("the connection was reset", provider=self.name)
        return made


class Killed(BaseException):
    """Stands for a kill -9."""


@pytest.fixture
def job(client: Client, train: Path) -> FineTuningJob:
    return client.fine_tune("base", train, progress=False)


def test_what_is_deployed_for_a_block_is_gone_after_it(
    client: Client, vendor: MemoryVendor, job: FineTuningJob
) -> None:
    with client.deployed(job) as deployment:
        assert standing(vendor) == [deployment.name]
        assert [entry.temporary for entry in entries(client)] == [True]
    assert standing(vendor) == entries(client) == []


def test_the_same_again_is_the_same_deployment(client: Client, vendor: MemoryVendor, job: FineTuningJob) -> None:
    names = {client.deploy(job).name for _ in range(3)}
    assert names == {*standing(vendor)}
    assert len(names) == 1
    with pytest.raises(ConflictError):
        client.deploy("another-model", name=names.pop())


def test_a_refused_conflict_leaves_what_the_ledger_knew(client: Client) -> None:
    client.deploy("base", name="mine", ttl_s=60)
    before = entries(client)
    with pytest.raises(ConflictError):
        client.deploy("another-model", name="mine")
    assert entries(client) == before
    with pytest.raises(ConflictError), client.deployed("another-model", name="mine"):
        pytest.fail("it is another's")
    assert entries(client) == before


def test_the_intent_is_in_the_ledger_before_the_request() -> None:
    class Looks(MemoryProvider):
        def deploy(
            self, target: FineTuningJob | Checkpoint | str, name: str, options: Mapping[str, object]
        ) -> Deployment:
            seen.extend(Ledger().deployments(self.identity()))
            return super().deploy(target, name, options)

    seen: list[DeploymentEntry] = []
    Client(Looks()).deploy("base", name="mine")
    assert [(entry.name, entry.source, entry.state) for entry in seen] == [("mine", "base", State.INTENDED)]


def test_what_stood_before_a_block_stands_after_it(client: Client, vendor: MemoryVendor) -> None:
    client.deploy("base", name="ours", ttl_s=3600)
    vendor.create_deployment("theirs", "base")
    before = entries(client)
    for name in ("ours", "theirs"):
        with client.deployed("base", name=name, ttl_s=0 if name == "theirs" else None):
            pass
    assert standing(vendor) == ["ours", "theirs"]
    assert entries(client)[0].expires_at == before[0].expires_at  # a block without a time to live takes none away
    assert client.reap() == []  # and one with a time to live gives none to what ftkit has not made
    assert standing(vendor) == ["ours", "theirs"]


def test_the_last_of_two_blocks_tears_down(client: Client, vendor: MemoryVendor) -> None:
    with client.deployed("base", name="mine"):
        with client.deployed("base", name="mine", ttl_s=0):
            pass
        assert standing(vendor) == ["mine"]
        assert client.reap() == []  # the time to live of one block does not end the other
        assert standing(vendor) == ["mine"]
    assert standing(vendor) == []


def test_two_threads_share_a_deployment(client: Client, vendor: MemoryVendor) -> None:
    inside = threading.Barrier(4)

    def use() -> None:
        with client.deployed("base", name="mine"):
            inside.wait(10)

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert vendor.calls["create_deployment"] >= 1
    assert vendor.calls["delete_deployment"] == 1
    assert standing(vendor) == []


def test_what_is_deployed_to_stay_within_a_block_stays(client: Client, vendor: MemoryVendor) -> None:
    with client.deployed("base", name="mine"):
        client.deploy("base", name="mine")
    assert standing(vendor) == ["mine"]


def test_an_error_in_a_block_tears_down_and_is_raised(client: Client, vendor: MemoryVendor) -> None:
    with pytest.raises(KeyError), client.deployed("base"):
        raise KeyError
    assert standing(vendor) == []


class Stays(MemoryProvider):
    """Cannot delete, until told."""

    stays = True

    def delete_deployment(self, name: str) -> None:
        if self.stays:
            raise QuotaError("not now", provider=self.name)
        super().delete_deployment(name)


def test_a_tearing_down_that_fails_is_told_and_left_to_reap() -> None:
    provider = Stays()
    client = Client(provider)
    with pytest.raises(QuotaError, match="not now") as caught, client.deployed("base", name="mine"):
        pass
    assert "'mine' may still stand, and cost" in caught.value.__notes__[0]
    with pytest.raises(QuotaError):
        client.reap()
    provider.stays = False
    assert client.reap() == ["mine"]
    assert standing(provider.vendor) == []


def test_a_tearing_down_that_fails_does_not_hide_what_the_block_raised() -> None:
    with pytest.raises(KeyError, match="of the block") as caught, Client(Stays()).deployed("base", name="mine"):
        raise KeyError("of the block")
    assert "'mine' may still stand" in caught.value.__notes__[0]
    assert "not now" in caught.value.__notes__[0]


def test_a_tearing_down_that_fails_while_another_error_is_handled_is_told() -> None:
    def handle() -> None:
        try:
            raise KeyError  # noqa: TRY301 - what is being handled meanwhile
        except KeyError:
            with Client(Stays()).deployed("base", name="mine"):
                pass

    with pytest.raises(QuotaError, match="not now"):
        handle()


def test_a_ledger_that_breaks_within_a_block_is_told_with_what_may_still_stand(
    client: Client, vendor: MemoryVendor, home: Path
) -> None:
    with pytest.raises(LedgerError) as caught, client.deployed("base", name="mine"):
        spoil(home)
    assert "'mine' may still stand" in caught.value.__notes__[0]
    assert standing(vendor) == ["mine"]


@pytest.mark.parametrize("reply", [True, False])
def test_a_lost_reply_is_looked_into_and_a_lost_request_is_remembered(
    reply: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    provider = Loses()
    provider.reply = reply
    client = Client(provider)
    if reply:
        assert client.deploy("base", name="mine").name == "mine"
        assert [entry.state for entry in entries(client)] == [State.MADE]
        return
    with pytest.raises(ProviderUnavailableError):
        client.deploy("base", name="mine")
    assert [entry.state for entry in entries(client)] == [State.INTENDED]
    assert client.deploy("base", name="mine").name == "mine"
    assert standing(provider.vendor) == ["mine"]


def test_a_lost_request_does_not_take_a_deployment_of_another_model_for_its_own() -> None:
    provider = Loses()
    provider.vendor.create_deployment("mine", "another-model")
    with pytest.raises(ConflictError):
        Client(provider).deploy("base", name="mine")


def test_what_may_come_up_late_is_not_forgotten_before(client: Client) -> None:
    provider = Loses(client.provider.vendor)  # type: ignore[attr-defined]  # it is a MemoryProvider
    loses = Client(provider)
    with pytest.raises(ProviderUnavailableError) as caught, loses.deployed("base", name="mine"):
        pytest.fail("it is not there")
    assert "client.reap()" in caught.value.__notes__[0]
    assert client.reap() == []
    provider.vendor.create_deployment("mine", "base")  # what was on its way arrives
    assert client.reap() == ["mine"]
    assert standing(provider.vendor) == entries(client) == []


def test_a_refusal_leaves_nothing_in_the_ledger(client: Client) -> None:
    with pytest.raises(ConfigurationError, match="no option 'size'"):
        client.deploy("base", name="mine", size=3)
    assert entries(client) == []


def test_what_a_dead_process_left_is_reaped(client: Client, vendor: MemoryVendor) -> None:
    client.deploy("base", name="mine")
    now = datetime.now(UTC)
    entry = DeploymentEntry(client.identity(), "mine", "memory", "base", State.MADE, True, now, None)  # noqa: FBT003
    Ledger().intend_deployment(entry)
    code = f"from ftkit.ledger import Ledger; Ledger().hold({client.identity()!r}, 'mine', 'x')\n"
    alive = subprocess.Popen(
        [sys.executable, "-c", f"{code}\nprint('held', flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert alive.stdout is not None
    assert alive.stdout.readline() == b"held\n"
    assert client.reap() == []
    alive.kill()
    alive.communicate()
    assert client.reap() == ["mine"]
    assert standing(vendor) == []


def test_a_process_that_dies_on_the_way_leaves_what_reap_needs() -> None:
    class Dies(MemoryProvider):
        def deploy(
            self, target: FineTuningJob | Checkpoint | str, name: str, options: Mapping[str, object]
        ) -> Deployment:
            super().deploy(target, name, options)
            raise Killed

    provider = Dies()
    client = Client(provider)
    with pytest.raises(Killed), client.deployed("base", name="mine"):
        pytest.fail("it died")
    assert standing(provider.vendor) == ["mine"]
    assert client.reap() == ["mine"]
    assert standing(provider.vendor) == []


def test_a_time_to_live_holds_when_reap_runs(client: Client, vendor: MemoryVendor) -> None:
    client.deploy("base", name="short", ttl_s=0)
    client.deploy("base", name="long", ttl_s=3600)
    client.deploy("base", name="for ever")
    assert standing(vendor) == ["short", "long", "for ever"]
    assert client.reap() == ["short"]
    assert standing(vendor) == ["long", "for ever"]


def test_reap_asks_again_what_the_ledger_says_once_it_has_the_lock(client: Client, vendor: MemoryVendor) -> None:
    client.deploy("base", name="mine", ttl_s=0)
    ledger = Ledger()
    with ledger.lock(f"deployment:{client.identity()}:mine"):
        reaping = threading.Thread(target=client.reap)
        reaping.start()
        time.sleep(0.3)  # it has read the list, and waits for the lock
        ledger.intend_deployment(entries(client)[0]._replace(expires_at=None))  # somebody lets it stay
    reaping.join()
    assert standing(vendor) == ["mine"]


def test_one_deployment_that_cannot_be_deleted_does_not_keep_the_others() -> None:
    class First(MemoryProvider):
        def delete_deployment(self, name: str) -> None:
            if name == "first":
                raise QuotaError("not now", provider=self.name)
            super().delete_deployment(name)

    provider = First()
    client = Client(provider)
    for name in ("first", "second", "third"):
        client.deploy("base", name=name, ttl_s=0)
    with pytest.raises(QuotaError) as caught:
        client.reap()
    assert "second, third" in caught.value.__notes__[0]
    assert standing(provider.vendor) == ["first"]


def test_what_somebody_is_busy_with_is_left_for_the_next_time(
    client: Client, vendor: MemoryVendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ftkit.deploying._BUSY_S", 0.1)
    client.deploy("base", name="mine", ttl_s=0)
    with Ledger().lock(f"deployment:{client.identity()}:mine"):
        assert client.reap() == []
    assert standing(vendor) == ["mine"]


def test_the_list_tells_age_price_and_when_it_is_due() -> None:
    class Costs(MemoryProvider):
        """Tells a price, and no time."""

        def list_deployments(self) -> list[Deployment]:
            update = {"price_per_hour": Decimal("1.70"), "created_at": None}
            return [found.model_copy(update=update) for found in super().list_deployments()]

    provider = Costs()
    Client(provider).deploy("base", name="mine", ttl_s=3600)
    provider.vendor.create_deployment("theirs", "base")
    mine, theirs = Client(provider).list_deployments()
    assert (mine.price_per_hour, theirs.price_per_hour) == (Decimal("1.70"), Decimal("1.70"))
    assert mine.created_at is not None
    assert datetime.now(UTC) - mine.created_at < timedelta(minutes=1)
    assert mine.expires_at is not None
    assert timedelta(minutes=59) < mine.expires_at - mine.created_at < timedelta(minutes=61)
    assert (theirs.created_at, theirs.expires_at) == (None, None)


def test_a_job_that_has_succeeded_since_it_was_read_is_deployed(client: Client, train: Path) -> None:
    job = client.create_job(model="base", training_file=client.upload(train, model="base"))
    client.wait(job, progress=False)
    assert job.status is not JobStatus.SUCCEEDED
    with client.deployed(job) as deployment:
        assert deployment.model.startswith("base:tuned")


@pytest.mark.parametrize("ttl_s", [-1, float("nan"), "3600"])
def test_a_time_to_live_that_is_none_is_refused(client: Client, vendor: MemoryVendor, ttl_s: float) -> None:
    with pytest.raises(ConfigurationError, match="ttl_s is a number of seconds"):
        client.deploy("base", ttl_s=ttl_s)
    assert sum(vendor.calls.values()) == 0


def test_a_deployment_of_another_account_is_not_touched(client: Client, vendor: MemoryVendor) -> None:
    other = Client(MemoryProvider(MemoryVendor(account="others"))).deploy("base", name="mine")
    client.deploy("base", name="mine")
    for call in (client.delete_deployment, lambda deployment: client.chat(deployment, "hello")):
        with pytest.raises(ConfigurationError, match="belongs to memory:others"):
            call(other)
    assert standing(vendor) == ["mine"]


class Slow(MemoryProvider):
    """A deployment takes three looks until it stands, or has failed."""

    end = "running"
    looks = 0

    def deploy(self, target: FineTuningJob | Checkpoint | str, name: str, options: Mapping[str, object]) -> Deployment:
        made = super().deploy(target, name, options)
        self.vendor.set_deployment(made.name, "starting")
        return super().get_deployment(name)

    def get_deployment(self, name: str) -> Deployment:
        found = super().get_deployment(name)
        self.looks += found.status is DeploymentStatus.CREATING
        if self.looks == 3:
            self.vendor.set_deployment(name, self.end)
        return found


def test_a_deployment_that_takes_a_moment_is_waited_for() -> None:
    provider = Slow()
    client = Client(provider)
    with client.deployed("any-model", name="mine") as deployment:
        assert deployment.status is DeploymentStatus.RUNNING
        assert client.chat(deployment, "Hello").text
    assert provider.looks == 3
    assert standing(provider.vendor) == []


def test_a_deployment_that_fails_while_it_is_waited_for_is_an_error_and_is_taken_down() -> None:
    provider = Slow()
    provider.end = "failed"
    with (
        pytest.raises(ProviderError, match="the deployment 'mine' has failed"),
        Client(provider).deployed("x", name="mine"),
    ):
        raise AssertionError
    assert standing(provider.vendor) == []
