from __future__ import annotations

import asyncio
import inspect
import threading
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest

from ftkit import (
    AsyncClient,
    ChatChunk,
    Client,
    ConfigurationError,
    DatasetError,
    JobFailedError,
    JobStatus,
    JobTimeoutError,
    ProviderUnavailableError,
    UnsupportedError,
)
from ftkit.testing import MemoryProvider, MemoryVendor

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from ftkit import Checkpoint, Deployment, FineTuningJob, JobRequest


def public(kind: type) -> dict[str, Any]:
    return {name: value for name, value in vars(kind).items() if not name.startswith("_")}


VERBS = sorted(public(Client))


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_takes_the_same(verb: str) -> None:
    ours, theirs = public(AsyncClient)[verb], public(Client)[verb]
    if isinstance(theirs, property):
        assert isinstance(ours, property)
        return
    there = inspect.signature(inspect.unwrap(theirs)).parameters
    here = inspect.signature(inspect.unwrap(ours)).parameters
    assert [(p.name, p.kind, p.default, p.annotation) for p in here.values()] == [
        (p.name, p.kind, p.default, p.annotation) for p in there.values()
    ]


def test_there_is_no_other_verb() -> None:
    assert {*public(AsyncClient)} - {"aclose"} == {*VERBS}


@pytest.fixture
def slow() -> Slow:
    return Slow(MemoryVendor(account="tests"))


class Slow(MemoryProvider):
    """Takes its time over a job, a deployment and a piece of an answer: until `go` is set."""

    def __init__(self, vendor: MemoryVendor) -> None:
        super().__init__(vendor)
        self.begun = threading.Event()
        self.go = threading.Event()
        self.closed = threading.Event()

    def _take_time(self) -> None:
        self.begun.set()
        assert self.go.wait(10)

    def create_job(self, request: JobRequest, key: str) -> FineTuningJob:
        self._take_time()
        return super().create_job(request, key)

    def deploy(self, target: FineTuningJob | Checkpoint | str, name: str, options: Mapping[str, Any]) -> Deployment:
        self._take_time()
        return super().deploy(target, name, options)

    def stream_chat(self, *_: object) -> Iterator[ChatChunk]:
        try:
            for number in range(100):
                if number == 2:
                    self._take_time()
                yield ChatChunk(text=str(number))
        finally:
            self.closed.set()


async def begun(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, 10)


async def whole_path(vendor: MemoryVendor, train: Path) -> None:
    async with AsyncClient(MemoryProvider(vendor)) as client:
        assert await client.identity() == "memory:tests"
        assert (await client.check(train, model="base")).ok
        job = await client.fine_tune("base", train, progress=False)
        assert job.status is JobStatus.SUCCEEDED
        assert [event.message async for event in client.follow(job, poll_s=0.01)][-1] == "the job is succeeded"
        async with client.deployed(job) as deployment:
            assert (await client.chat(deployment, "hello")).text.endswith("hello")
        assert await client.list_deployments() == []
        assert await client.unclear() == []
        assert (await client.list_jobs()).items[0].id == job.id


def test_the_whole_path(vendor: MemoryVendor, train: Path) -> None:
    asyncio.run(whole_path(vendor, train))


def test_a_create_that_is_cancelled_reaches_the_ledger(slow: Slow, train: Path) -> None:
    async def body() -> None:
        async with AsyncClient(slow) as client:
            file = await client.upload(train, model="base")
            creating = asyncio.create_task(client.create_job(model="base", training_file=file))
            await begun(slow.begun)
            creating.cancel()
            with pytest.raises(asyncio.CancelledError):
                await creating
            slow.go.set()
        (job_id,) = slow.vendor.jobs
        client = Client(slow)
        assert client.unclear() == []
        assert client.create_job(model="base", training_file=file).id == job_id
        assert slow.vendor.calls["create_job"] == 1

    asyncio.run(body())


def test_a_deployment_that_is_cancelled_on_its_way_is_torn_down(slow: Slow) -> None:
    async def use(client: AsyncClient) -> None:
        async with client.deployed("base"):
            pytest.fail("cancelled before that")

    async def body() -> None:
        async with AsyncClient(slow, threads=1) as client:
            task = asyncio.create_task(use(client))
            await begun(slow.begun)
            task.cancel()
            await asyncio.sleep(0.05)
            slow.go.set()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert slow.vendor.calls["create_deployment"] == 1
            assert slow.vendor.list_deployments() == []

    asyncio.run(body())


def test_a_deployment_is_torn_down_when_its_block_is_cancelled(slow: Slow) -> None:
    slow.go.set()

    async def use(client: AsyncClient, inside: asyncio.Event) -> None:
        async with client.deployed("base"):
            inside.set()
            await asyncio.sleep(60)

    async def body() -> None:
        async with AsyncClient(slow) as client:
            inside = asyncio.Event()
            task = asyncio.create_task(use(client, inside))
            await inside.wait()
            assert len(slow.vendor.list_deployments()) == 1
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert slow.vendor.list_deployments() == []

    asyncio.run(body())


def test_what_is_cancelled_while_it_queues_for_a_thread_is_done_nevertheless(slow: Slow, train: Path) -> None:
    async def body() -> None:
        slow.go.set()
        async with AsyncClient(slow, threads=1) as client:
            file = await client.upload(train, model="base")
            await client.deploy("base", name="mine")
            slow.go.clear()
            slow.begun.clear()
            creating = asyncio.create_task(client.create_job(model="base", training_file=file))
            await begun(slow.begun)  # the only thread is busy
            deleting = asyncio.create_task(client.delete_deployment("mine"))
            await asyncio.sleep(0.05)
            deleting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await deleting
            slow.go.set()
            await creating
        assert slow.vendor.list_deployments() == []

    asyncio.run(body())


def test_what_a_block_raises_is_not_lost_when_the_tearing_down_fails_too() -> None:
    class Stays(MemoryProvider):
        def delete_deployment(self, name: str) -> None:
            raise ConfigurationError(f"{name} stays")

    async def body() -> None:
        async with AsyncClient(Stays()) as client:
            with pytest.raises(KeyError, match="of the block") as caught:
                async with client.deployed("base", name="mine"):
                    raise KeyError("of the block")
            assert "'mine' may still stand" in caught.value.__notes__[0]

    asyncio.run(body())


def test_an_answer_that_is_left_early_is_ended(slow: Slow) -> None:
    async def body() -> None:
        async with AsyncClient(slow) as client:
            deployment = await client.deploy("base", name="mine")
            async with aclosing(client.stream_chat(deployment, "hello")) as chunks:
                async for chunk in chunks:
                    assert chunk.text == "0"
                    break
            assert slow.closed.is_set()

    slow.go.set()
    asyncio.run(body())


def test_an_answer_that_is_cancelled_while_a_thread_waits_for_it_is_ended(slow: Slow) -> None:
    seen: list[str] = []

    async def listen(client: AsyncClient, deployment: Deployment) -> None:
        seen.extend([chunk.text async for chunk in client.stream_chat(deployment, "hello")])

    async def body() -> None:
        slow.go.set()
        async with AsyncClient(slow, threads=2) as client:
            deployment = await client.deploy("base", name="mine")
            slow.go.clear()
            slow.begun.clear()
            task = asyncio.create_task(listen(client, deployment))
            await begun(slow.begun)
            task.cancel()
            await asyncio.sleep(0.05)
            assert not slow.closed.is_set()
            slow.go.set()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert slow.closed.is_set()

    asyncio.run(body())


def test_a_thousand_waits_hold_no_threads(train: Path) -> None:
    vendor = MemoryVendor(finish_after=None)
    provider = MemoryProvider(vendor)
    sync = Client(provider)
    job = sync.create_job(model="base", training_file=sync.upload(train, model="base"))

    async def body() -> None:
        async with AsyncClient(provider, threads=2) as client:
            before = threading.active_count()
            waits = [asyncio.create_task(client.wait(job, poll_s=30, progress=False)) for _ in range(1000)]
            while vendor.calls["list_events"] < 1000 and not any(wait.done() for wait in waits):
                await asyncio.sleep(0.01)
            began = time.monotonic()
            assert (await client.get_job(job)).id == job.id  # a thread is free for it
            assert time.monotonic() - began < 5
            assert threading.active_count() <= before + 2 + 1  # and one of `aclose`, or of the loop's own
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    asyncio.run(body())


def test_fine_tune_holds_no_thread_while_the_job_runs(train: Path) -> None:
    vendor = MemoryVendor(finish_after=None)

    async def body() -> None:
        async with AsyncClient(MemoryProvider(vendor), threads=1) as client:
            tuning = asyncio.create_task(client.fine_tune("base", train, progress=False))
            while not (vendor.jobs or tuning.done()):
                await asyncio.sleep(0.01)
            (job_id,) = vendor.jobs
            try:  # with one thread, this would wait for ever behind a `fine_tune` that kept it
                assert (await asyncio.wait_for(client.get_job(job_id), 5)).status is JobStatus.QUEUED
            finally:
                vendor.advance(job_id, "succeeded")
            assert (await asyncio.wait_for(tuning, 10)).id == job_id

    asyncio.run(body())


def test_fine_tune_checks_both_files_before_either_is_sent(vendor: MemoryVendor, train: Path, tmp_path: Path) -> None:
    (tmp_path / "valid.jsonl").write_text("{}\n")

    async def body() -> None:
        async with AsyncClient(MemoryProvider(vendor)) as client:
            with pytest.raises(DatasetError, match=r"valid\.jsonl"):
                await client.fine_tune("base", train, validation=tmp_path / "valid.jsonl", progress=False)

    asyncio.run(body())
    assert sum(vendor.calls.values()) == 0


def test_a_wait_raises_what_a_blocking_one_does(vendor: MemoryVendor, train: Path) -> None:
    async def body() -> None:
        async with AsyncClient(MemoryProvider(vendor)) as client:
            file = await client.upload(train, model="base")
            job = await client.create_job(model="base", training_file=file)
            vendor.advance(job.id, "running")
            with pytest.raises(JobTimeoutError, match="The job goes on"):
                await client.wait(job.id, timeout_s=0.05, poll_s=0.01, progress=False)
            with pytest.raises(JobTimeoutError):
                await client.wait_all([job], timeout_s=0.05, poll_s=0.01, progress=False)
            vendor.fail(job.id)
            with pytest.raises(JobFailedError):
                await client.wait(job, progress=False)
            assert (await client.wait_all([job, job.id], progress=False))[1].status is JobStatus.FAILED

    asyncio.run(body())


def test_an_outage_is_waited_out(vendor: MemoryVendor, train: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ftkit.retrying.ATTEMPTS", 1)

    class Away(MemoryProvider):
        away = 3

        def get_job(self, job_id: str) -> FineTuningJob:
            if self.away:
                self.away -= 1
                raise ProviderUnavailableError("away", provider=self.name)
            return super().get_job(job_id)

    async def body() -> None:
        async with AsyncClient(Away(vendor)) as client:
            file = await client.upload(train, model="base")
            job = await client.create_job(model="base", training_file=file)
            assert [e.message async for e in client.follow(job.id, poll_s=0.01)][-1] == "the job is succeeded"

    asyncio.run(body())


def test_a_wait_that_is_cancelled_says_how_to_take_the_job_up(
    vendor: MemoryVendor, train: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def body() -> str:
        async with AsyncClient(MemoryProvider(vendor)) as client:
            file = await client.upload(train, model="base")
            job = await client.create_job(model="base", training_file=file)
            vendor.advance(job.id, "running")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.wait(job, poll_s=0.01), 0.2)
            return job.id

    job_id = asyncio.run(body())
    assert f"Client(MemoryProvider(...)).wait('{job_id}')" in capsys.readouterr().err


def test_a_provider_without_events_cannot_be_followed(train: Path) -> None:
    class Mute(MemoryProvider):
        list_events = None  # type: ignore[assignment]  # the ability is its method: this takes it away

    async def body() -> None:
        async with AsyncClient(Mute()) as client:
            assert "ListsEvents" not in client.abilities
            file = await client.upload(train, model="base")
            job = await client.create_job(model="base", training_file=file)
            with pytest.raises(UnsupportedError, match="cannot list the events"):
                await anext(client.follow(job))
            assert (await client.wait(job, poll_s=0.01, progress=False)).status is JobStatus.SUCCEEDED

    asyncio.run(body())


def test_no_threads_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="threads"):
        AsyncClient(MemoryProvider(), threads=0)
