"""An awaited create is cancelled, wherever it awaits and whenever: what came of it reaches the ledger."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import pytest
from chats import chats
from hf_tools import HF_TOKEN
from local_conformance import IDLE, a_quiet_machine
from local_witness import end_all_below
from served_vendor import ServedVendor, openai_at
from wire_vendor import WireVendor

from ftkit import AsyncClient, Client
from ftkit.providers.huggingface.local import LocalHuggingFace
from ftkit.testing.tally import Tally, points, record

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from pathlib import Path

    from ftkit.provider import Provider

ATTACK = "awaited create cancelled"
MODEL = "gpt-4o-mini-2024-07-18"
RANDOM = random.Random(4711)  # noqa: S311 - the same moments each time

T = TypeVar("T")


class Struck:
    """An awaitable whose task is cancelled as it awaits something for the n-th time.

    Args:
        coroutine: What is awaited.
        n: When it is cancelled, counted from 1.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, T], n: int) -> None:
        self._coroutine = coroutine
        self._n = n
        self.awaited = 0

    def __await__(self) -> Generator[Any, Any, Any]:
        inner = self._coroutine.__await__()
        throw: BaseException | None = None
        while True:
            try:
                waits_for = next(inner) if throw is None else inner.throw(throw)
            except StopIteration as stop:
                return stop.value
            self.awaited += 1
            task = asyncio.current_task()
            if self.awaited == self._n and task is not None:
                task.cancel()
            throw = None
            try:
                yield waits_for
            except BaseException as error:  # noqa: BLE001 - it is handed on
                throw = error


async def is_struck(coroutine: Coroutine[Any, Any, object], n: int) -> bool:
    """Runs a coroutine that is cancelled at its n-th await. Whether it came to that."""

    async def body() -> None:
        await Struck(coroutine, n)

    try:
        await asyncio.create_task(body())
    except asyncio.CancelledError:
        return True
    return False


class Idle(LocalHuggingFace):
    _trainer: ClassVar[tuple[str, ...]] = IDLE


class Side:
    """A vendor's side, and how its jobs are counted."""

    def __init__(self, name: str, model: str, make: Callable[[], Provider], jobs: Callable[[], int]) -> None:
        self.name, self.model, self.make, self.jobs = name, model, make, jobs


@pytest.fixture(params=["openai", "huggingface"])
def side(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[Side]:
    if request.param == "openai":
        vendor = WireVendor()
        server = ServedVendor(vendor)
        yield Side("openai", MODEL, lambda: openai_at(server.url), lambda: len(vendor.jobs))
        server.stop()
        assert vendor.requests["POST /fine_tuning/jobs"] == len(vendor.jobs)
        return
    folder = tmp_path / "jobs"
    with a_quiet_machine(HF_TOKEN):
        yield Side(
            "huggingface",
            "ftkit/small",
            lambda: Idle(jobs_folder=folder, slots=100),
            lambda: len([*folder.glob("ftjob-*")]),
        )
        end_all_below(folder)


def see_that_all_is_written(side: Side, train: Path, names: list[str]) -> None:
    """Whatever was made is known, and the same requests make what is missing, and nothing else."""
    client = Client(side.make())
    assert client.unclear() == []
    made = {client.fine_tune(side.model, train, suffix=name, wait=False).id for name in names}
    assert len(made) == side.jobs() == len(names)
    record(Tally(attack=ATTACK, provider=side.name, tries=len(names), wanted=len(names), made=side.jobs()))


@pytest.mark.parametrize("verb", ["create_job", "fine_tune"])
def test_it_is_cancelled_at_every_await(side: Side, tmp_path: Path, verb: str) -> None:
    train, names = chats(tmp_path), list[str]()

    async def ask(client: AsyncClient, name: str) -> object:
        if verb == "fine_tune":
            return await client.fine_tune(side.model, train, suffix=name, progress=False, timeout_s=1)
        file = await client.upload(train, model=side.model)
        return await client.create_job(model=side.model, training_file=file, suffix=name)

    async def at(n: int) -> bool:
        async with AsyncClient(side.make()) as client:
            return await is_struck(ask(client, names[-1]), n)

    last = {"create_job": 2, "fine_tune": 4}[verb]  # the upload, the create; or both in one, a look, a rest, a look
    for n in range(1, last + 1):
        names.append(f"{verb.replace('_', '-')}-{n}")
        assert asyncio.run(at(n)), n
        if verb == "fine_tune" or n > 1:
            assert side.jobs() == n - (verb == "create_job")  # it was made all the same: nobody awaited it
    see_that_all_is_written(side, train, names)


def test_it_is_cancelled_at_any_moment(side: Side, tmp_path: Path) -> None:
    train = chats(tmp_path)
    names = [f"moment-{n}" for n in points(100, 5)]

    async def at(name: str, delay_s: float) -> None:
        async with AsyncClient(side.make()) as client:
            task = asyncio.create_task(client.fine_tune(side.model, train, suffix=name, progress=False))
            await asyncio.sleep(delay_s)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    for name in names:
        asyncio.run(at(name, RANDOM.uniform(0, 0.3)))
    assert side.jobs() == len(names)
    see_that_all_is_written(side, train, names)


def test_the_loop_ends_while_it_is_under_way(side: Side, tmp_path: Path) -> None:
    """Nobody closes the client: what is under way when the loop ends still reaches the ledger."""
    train, names = chats(tmp_path), [f"loop-{n}" for n in range(3)]

    async def body(name: str) -> None:
        client = AsyncClient(side.make())
        async with asyncio.timeout(RANDOM.uniform(0, 0.05)):
            await client.fine_tune(side.model, train, suffix=name, progress=False)

    for name in names:
        with pytest.raises(TimeoutError):
            asyncio.run(body(name))
    client = Client(side.make())
    for name in names:  # the key is locked until the other is done
        client.fine_tune(side.model, train, suffix=name, wait=False)
    see_that_all_is_written(side, train, names)
