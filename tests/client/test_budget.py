"""A budget refuses what is too dear, and what nobody knows the price of, before anything is sent.

The vendor in memory is the witness: it counts every order, and gives a new job for each.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from ftkit import (
    AsyncClient,
    BudgetError,
    Client,
    ConfigurationError,
    Estimate,
    JobFailedError,
    ProviderUnavailableError,
    UnclearOutcomeError,
)
from ftkit.ledger import Ledger
from ftkit.testing import MemoryProvider, MemoryVendor
from ftkit.testing.tally import Tally, record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from ftkit import FineTuningJob, JobRequest, Method


class Priced(MemoryProvider):
    """Counts tokens, and tells a price: that of a test."""

    told = Estimate(cost=Decimal("12.50"), source="a list of prices")

    def __init__(self, vendor: MemoryVendor) -> None:
        super().__init__(vendor)
        self.asked: list[tuple[JobRequest, int | None]] = []

    def count_tokens(
        self, model: str, method: Method, records: Iterator[Mapping[str, Any]]
    ) -> Iterator[tuple[int, int]]:
        del model, method
        return ((7, 3) for _ in records)

    def estimate(self, request: JobRequest, tokens: int | None) -> Estimate:
        self.asked.append((request, tokens))
        return self.told


class Keyed(Priced):
    """Knows a job by its key, as a vendor that keeps labels does: a job is found before its files are sent again."""

    keys: dict[str, str]

    def __init__(self, vendor: MemoryVendor) -> None:
        super().__init__(vendor)
        self.keys = {}

    def create_job(self, request: JobRequest, key: str) -> FineTuningJob:
        job = super().create_job(request, key)
        self.keys[key] = job.id
        return job

    def find_job(self, key: str, request: JobRequest, since: datetime) -> FineTuningJob | None:
        del request, since
        return self.get_job(self.keys[key]) if key in self.keys else None


@pytest.fixture
def provider(vendor: MemoryVendor) -> Priced:
    return Priced(vendor)


def sent(vendor: MemoryVendor) -> int:
    return vendor.calls["create_file"] + vendor.calls["create_job"]


def request_of(train: Path, **more: Any) -> dict[str, Any]:
    return {"model": "base", "train": train, "wait": False, **more}


UNKNOWN = Estimate(tokens=84, source="the vendor tells no price")
CASES: Mapping[str, tuple[Estimate | None, float, str]] = {
    "too dear": (Estimate(cost=Decimal("12.50")), 12.49, "would cost 12.50 USD, and its budget is 12.49 USD"),
    "a bound": (Estimate(cost=Decimal(1), at_most=Decimal(9)), 5, "would cost up to 9 USD"),
    "nothing may be paid": (Estimate(cost=Decimal("0.01")), 0, "its budget is 0 USD"),
    "another currency": (Estimate(cost=Decimal(9), currency="EUR"), 5, "9 EUR, and its budget is 5 EUR"),
    "no price": (UNKNOWN, 1e9, "it is not known what the job costs: the vendor tells no price"),
    "no price at all": (Estimate(), 1e9, "the provider 'memory' does not tell the price of it"),
    "no estimates": (None, 1e9, "the provider 'memory' does not tell prices"),
}


def provider_of(estimate: Estimate | None, vendor: MemoryVendor) -> MemoryProvider:
    if estimate is None:
        return MemoryProvider(vendor)
    provider = Priced(vendor)
    provider.told = estimate
    return provider


def test_what_is_over_its_budget_or_unknown_is_refused_before_anything_is_sent(
    vendor: MemoryVendor, train: Path
) -> None:
    tries = 0
    for estimate, budget, says in CASES.values():
        by_job, by_client = (Client(provider_of(estimate, vendor), budget=each) for each in (None, budget))
        attempts: list[Callable[[], object]] = [
            partial(by_job.fine_tune, **request_of(train), budget=budget),
            partial(by_client.fine_tune, **request_of(train)),
            partial(by_job.create_job, model="base", training_file="file-1", budget=budget),
            partial(by_client.create_job, model="base", training_file="file-1"),
        ]
        for attempt in attempts:
            with pytest.raises(BudgetError) as caught:
                attempt()
            assert says in str(caught.value)
            assert (caught.value.estimate, caught.value.budget) == (estimate, Decimal(str(budget)))
            assert caught.value.hint
            tries += 1
        assert by_job.unclear() == [], "nothing was intended"
    assert sent(vendor) == 0
    assert (tries, vendor.jobs) == (28, {})
    record(Tally(attack="over budget or unknown price", provider="memory", tries=tries, made=len(vendor.jobs)))


@pytest.mark.parametrize(
    ("estimate", "budget"),
    [
        (Estimate(cost=Decimal("12.50")), 12.5),
        (Estimate(cost=Decimal(99), at_most=Decimal(9)), 9),
        (Estimate(cost=Decimal(0), at_most=Decimal(0)), 0),
        (Estimate(cost=Decimal("0.10")), 0.1),
        (Estimate(), None),
    ],
)
def test_what_is_within_its_budget_is_made(
    vendor: MemoryVendor, train: Path, estimate: Estimate, budget: float | None
) -> None:
    Client(provider_of(estimate, vendor)).fine_tune(**request_of(train), budget=budget)
    assert vendor.calls["create_job"] == 1


def test_the_jobs_own_budget_wins(provider: Priced, vendor: MemoryVendor, train: Path) -> None:
    client = Client(provider, budget=100)
    with pytest.raises(BudgetError):
        client.fine_tune(**request_of(train), budget=0)
    assert sent(vendor) == 0
    Client(provider, budget=1).fine_tune(**request_of(train), budget=Decimal(20))
    assert vendor.calls["create_job"] == 1


def test_a_profile_may_name_one(provider: Priced, train: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ftkit.client.make_provider", lambda *_: provider)  # the way from a name to it is not ours
    monkeypatch.setenv("FTKIT_CONFIG", str(tmp_path / "ftkit.toml"))
    profile = "[profiles.cheap]\nprovider = 'huggingface'\nbudget = {}\n"
    (tmp_path / "ftkit.toml").write_text(profile.format("0.5"))
    with pytest.raises(BudgetError, match=r"its budget is 0\.5 USD"):
        Client("cheap").fine_tune(**request_of(train))
    Client("cheap", budget=13).fine_tune(**request_of(train))
    (tmp_path / "ftkit.toml").write_text(profile.format("-1"))
    with pytest.raises(ConfigurationError, match=r"\[profiles\.cheap\].*budget"):
        Client("cheap")


@pytest.mark.parametrize("budget", ["20", True, -1, float("nan"), float("inf"), Decimal("sNaN"), [20]])
def test_a_budget_that_is_no_amount_of_money_is_refused(client: Client, train: Path, budget: Any) -> None:
    vendor: MemoryVendor = client.provider.vendor  # type: ignore[attr-defined]  # it is a MemoryProvider
    for call in (
        lambda: Client(client.provider, budget=budget),
        lambda: client.fine_tune(**request_of(train), budget=budget),
        lambda: client.create_job(model="base", training_file="file-1", budget=budget),
    ):
        with pytest.raises(ConfigurationError, match="budget is an amount of money, 0 or more"):
            call()
    assert sum(vendor.calls.values()) == 0


def test_the_price_is_asked_of_the_whole_request_with_the_tokens_that_were_counted(
    provider: Priced, train: Path
) -> None:
    Client(provider, budget=20).fine_tune(**request_of(train, validation=train, seed=7))
    before, just_before = [(request, tokens) for request, tokens in provider.asked if request.validation_file]
    assert (before[1], just_before[1]) == (84, 84), "12 rows of 7 tokens"
    assert before[0].seed == just_before[0].seed == 7
    assert just_before[0].training_file.id.startswith("file-"), "and once more when the files are there"


def test_what_was_uploaded_before_is_of_unknown_length_and_not_of_none(provider: Priced, train: Path) -> None:
    client = Client(provider, budget=20)
    client.create_job(model="base", training_file=client.upload(train, model="base"))
    assert [tokens for _, tokens in provider.asked] == [None]


def test_nobody_is_asked_where_there_is_no_budget(provider: Priced, train: Path) -> None:
    client = Client(provider)
    client.create_job(model="base", training_file=client.upload(train, model="base"))
    assert provider.asked == []


def test_a_budget_is_no_part_of_the_key(provider: Priced, vendor: MemoryVendor, train: Path) -> None:
    client = Client(provider)
    jobs = [client.fine_tune(**request_of(train), budget=budget) for budget in (None, 13, 0)]
    assert len({job.id for job in jobs}) == vendor.calls["create_job"] == 1, "nor does it refuse what is paid already"
    file = client.upload(train, model="base")
    assert client.create_job(model="base", training_file=file, budget=0).id == jobs[0].id


def test_a_job_that_only_the_provider_knows_is_taken_whatever_it_costs(
    vendor: MemoryVendor, train: Path, tmp_path: Path
) -> None:
    provider = Keyed(vendor)
    job = Client(provider).fine_tune(**request_of(train))
    elsewhere = Client(provider, ledger=Ledger(tmp_path / "another machine"), budget=0)
    assert elsewhere.fine_tune(**request_of(train)).id == job.id
    with pytest.raises(BudgetError):
        elsewhere.fine_tune(**request_of(train), key="another")
    assert vendor.calls["create_job"] == 1


def test_a_job_whose_reply_was_lost_is_taken_whatever_it_costs(
    vendor: MemoryVendor, train: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Blind(Priced):
        blind = True

        def find_job(self, key: str, request: JobRequest, since: datetime) -> FineTuningJob | None:
            if self.blind and self.vendor.calls["create_job"]:
                raise ProviderUnavailableError("the list is away", provider=self.name)
            return super().find_job(key, request, since)

    monkeypatch.setattr("ftkit.retrying.ATTEMPTS", 1)
    provider = Blind(vendor)
    vendor.lose_replies(1)
    with pytest.raises(UnclearOutcomeError):
        Client(provider).fine_tune(**request_of(train))
    provider.blind = False
    assert [Client(provider, budget=0).fine_tune(**request_of(train)).id] == [*vendor.jobs]


def test_a_job_that_failed_is_told_and_only_a_new_attempt_is_held_against_the_budget(
    provider: Priced, vendor: MemoryVendor, train: Path
) -> None:
    client = Client(provider)
    vendor.fail(client.fine_tune(**request_of(train)).id)
    with pytest.raises(JobFailedError):
        client.fine_tune(**request_of(train), budget=0)
    with pytest.raises(BudgetError):
        client.fine_tune(**request_of(train), budget=0, retry_failed=True)
    assert vendor.calls["create_job"] == 1
    client.fine_tune(**request_of(train), budget=13, retry_failed=True)
    assert vendor.calls["create_job"] == 2


def test_a_price_that_cannot_be_asked_for_is_told_and_no_job_is_made(
    vendor: MemoryVendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Away(MemoryProvider):
        def estimate(self, request: JobRequest, tokens: int | None) -> Estimate:
            del request, tokens
            raise ProviderUnavailableError("the prices are away", provider=self.name)

    monkeypatch.setattr("ftkit.retrying.ATTEMPTS", 1)
    with pytest.raises(ProviderUnavailableError, match="the prices are away"):
        Client(Away(vendor), budget=20).create_job(model="base", training_file="file-1")
    assert sent(vendor) == 0


def test_a_price_that_rises_on_the_way_is_refused_before_the_job(vendor: MemoryVendor, train: Path) -> None:
    class Rises(Priced):
        def estimate(self, request: JobRequest, tokens: int | None) -> Estimate:
            super().estimate(request, tokens)
            return Estimate(cost=Decimal(99 if self.vendor.calls["create_file"] else 1))

    client = Client(Rises(vendor), budget=20)
    with pytest.raises(BudgetError):
        client.fine_tune(**request_of(train))
    assert vendor.calls["create_job"] == 0


def test_awaited_it_is_the_same(provider: Priced, vendor: MemoryVendor, train: Path) -> None:
    async def body() -> None:
        async with AsyncClient(provider, budget=1) as client:
            with pytest.raises(BudgetError):
                await client.fine_tune(**request_of(train))
            with pytest.raises(BudgetError):
                await client.create_job(model="base", training_file="file-1")
            with pytest.raises(BudgetError):
                await client.create_job(model="base", training_file="file-1", budget=2)
            assert sent(vendor) == 0
            await client.fine_tune(**request_of(train), budget=13)
            assert vendor.calls["create_job"] == 1

    asyncio.run(body())
