"""No built-in provider is asked for a job that is over its budget, or whose price nobody knows."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from chats import chats
from local_conformance import IDLE
from local_witness import end_all_below

from ftkit import BudgetError, Client, Supervised
from ftkit.ledger import Ledger
from ftkit.testing.tally import Tally, record

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from ftkit.provider import Provider

ATTACK = "over budget or unknown price"


@dataclass
class Arena:
    """A built-in provider in front of a stand-in, or a folder.

    Attributes:
        provider: The provider.
        model: A model that it trains.
        sent: Tells what the stand-in has taken so far, files and jobs: the witness.
        made: Tells how many jobs of that.
    """

    provider: Provider
    model: str
    sent: Callable[[], int]
    made: Callable[[], int]


@contextmanager
def openai(folder: Path) -> Generator[Arena]:
    del folder
    from wire_vendor import WireVendor

    from ftkit.providers.openai import OpenAIProvider

    vendor = WireVendor()
    yield _wired(OpenAIProvider(vendor.client()), vendor)


@contextmanager
def azure(folder: Path) -> Generator[Arena]:
    del folder
    from wire_vendor import AzureWireVendor

    from ftkit.providers.azure import AzureProvider

    vendor = AzureWireVendor()
    yield _wired(AzureProvider(vendor.dated_client()), vendor)


def _wired(provider: Provider, vendor: Any) -> Arena:
    def posts() -> int:
        return sum(n for request, n in vendor.requests.items() if request.startswith("POST"))

    return Arena(provider, "gpt-4o-mini-2024-07-18", posts, lambda: vendor.requests["POST /fine_tuning/jobs"])


@contextmanager
def jobs(folder: Path, timeout: str = "6h") -> Generator[Arena]:
    from hub_tools import USER, a_hub

    from ftkit.providers.huggingface.remote.provider import JobsHuggingFace

    with pytest.MonkeyPatch.context() as patch, a_hub(patch, folder) as hub:
        hub.hold = True  # no job is run
        provider = JobsHuggingFace(hub=hub.api(), flavor="a10g-small", timeout=timeout, namespace=USER)
        provider.settle_s = 0.2
        yield Arena(provider, "small", lambda: hub.posts + len(hub.repos), lambda: hub.posts)


@contextmanager
def spaces(folder: Path, hardware: str = "t4-small") -> Generator[Arena]:
    from hubs.wire import online
    from spaces_tools import MODEL, quick_python, spaces_of, standing

    with pytest.MonkeyPatch.context() as patch, standing() as hub:
        online(patch, folder / "hf")
        options = {"backend": f"spaces-{hardware}", "jobs_folder": folder / "jobs"}
        provider = spaces_of(hub, quick_python(folder / "bin"), **options)
        provider.settle_s = 0.2
        yield Arena(provider, MODEL, lambda: len(hub.spaces()), lambda: hub.creates)


@contextmanager
def ray(folder: Path) -> Generator[Arena]:
    from ftkit.providers.huggingface.ray_provider import RayHuggingFace

    options = {"address": "10.1.2.3:6379", "storage_path": str(folder / "store")}
    yield _local(RayHuggingFace(jobs_folder=folder / "jobs", **options), folder / "jobs")  # type: ignore[arg-type]


@contextmanager
def local(folder: Path) -> Generator[Arena]:
    from ftkit.providers.huggingface.local import LocalHuggingFace

    class Quick(LocalHuggingFace):
        _trainer: ClassVar[tuple[str, ...]] = IDLE

    yield _local(Quick(jobs_folder=folder / "jobs"), folder / "jobs")


@contextmanager
def ray_here(folder: Path) -> Generator[Arena]:
    from ftkit.providers.huggingface.ray_provider import RayHuggingFace

    class Quick(RayHuggingFace):
        _trainer: ClassVar[tuple[str, ...]] = IDLE

    yield _local(Quick(jobs_folder=folder / "jobs"), folder / "jobs")


@contextmanager
def autotrain(folder: Path) -> Generator[Arena]:
    from ftkit.providers.autotrain import AutoTrainProvider

    class Quick(AutoTrainProvider):
        _trainer: ClassVar[tuple[str, ...]] = IDLE

    yield _local(Quick(jobs_folder=folder / "jobs", python=sys.executable), folder / "jobs")


def _local(provider: Provider, jobs_folder: Path) -> Arena:
    def sent() -> int:
        return len(list(jobs_folder.rglob("*.json*")))

    return Arena(provider, "small", sent, lambda: len(list(jobs_folder.glob("ftjob-*"))))


@pytest.mark.parametrize(
    ("arena", "budget", "says"),
    [
        (openai, 0, "3.00 USD for a million tokens (OpenAI's pricing page"),
        (azure, 1000, "ftkit knows no price of training gpt-4o-mini-2024-07-18 at 'azure'"),
        (jobs, 5, "would cost up to 6.00 USD (at most: a10g-small for 6h"),
        (spaces, 1000, "a Space with t4-small costs $0.4 an hour, and nothing limits its hours"),
        (ray, 1000, "ftkit does not know what the machines at 10.1.2.3:6379 cost"),
    ],
)
def test_it_is_refused_before_anything_is_sent(arena: Any, budget: float, says: str, tmp_path: Path) -> None:
    with arena(tmp_path) as there:
        client = Client(there.provider, ledger=Ledger(tmp_path / "ledger"), budget=budget)
        train, before = chats(tmp_path), there.sent()
        request = {"model": there.model, "method": Supervised(n_epochs=1)}
        attempts: list[Callable[[], object]] = [
            lambda: client.fine_tune(train=train, wait=False, **request),
            lambda: client.fine_tune(train=train, wait=False, seed=7, **request),
            lambda: client.create_job(training_file="file-1", **request),
        ]
        for attempt in attempts:
            with pytest.raises(BudgetError) as caught:
                attempt()
            assert says in str(caught.value)
        assert there.sent() == before
        made = there.made()
        assert made == 0
    names = dict.fromkeys([there.provider.name, arena.__name__])
    record(Tally(attack=ATTACK, provider=", ".join(names), tries=len(attempts), made=made))


@pytest.mark.parametrize(
    ("arena", "budget"),
    [
        (local, 0),
        (ray_here, 0),
        (autotrain, 0),
        (partial(spaces, hardware="cpu-basic"), 0),
        (partial(jobs, timeout="5h"), 5),
    ],
    ids=["local", "ray", "autotrain", "a free Space", "jobs within the bound"],
)
@pytest.mark.slow
def test_what_costs_nothing_or_not_too_much_is_made(arena: Any, budget: float, tmp_path: Path) -> None:
    with arena(tmp_path) as there:
        try:
            client = Client(there.provider, ledger=Ledger(tmp_path / "ledger"), budget=budget)
            job = client.fine_tune(there.model, chats(tmp_path), method=Supervised(n_epochs=1), wait=False)
            assert there.made() == 1
            estimate = client.check(chats(tmp_path), model=there.model).estimate
            assert estimate is not None
            assert (estimate.at_most, estimate.cost) == (Decimal(budget), Decimal(budget))
            assert estimate.source
            client.cancel_job(job)
        finally:
            end_all_below(tmp_path)
