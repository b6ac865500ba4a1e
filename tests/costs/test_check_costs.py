"""A check tells tokens, price and dates, and sends nothing; a budget is held against that price."""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from wire_vendor import AzureWireVendor, WireVendor

from ftkit import BudgetError, Client, ConfigurationError, Supervised
from ftkit.errors import ProviderUnavailableError
from ftkit.methods import ORPO, Reinforcement
from ftkit.models import Severity
from ftkit.provider import CountsTokens, EstimatesCost
from ftkit.providers.azure import AzureProvider
from ftkit.providers.openai import OpenAIProvider
from ftkit.testing import MemoryProvider

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ftkit.methods import Method
    from ftkit.models import Report

MINI = "gpt-4o-mini-2024-07-18"


@pytest.fixture
def vendor() -> WireVendor:
    return WireVendor()


@pytest.fixture
def train(tmp_path: Path) -> Path:
    return chats(tmp_path / "train.jsonl", 20)


def chats(path: Path, rows: int, **more: Any) -> Path:
    messages = [{"role": "user", "content": "How far is the Moon?"}, {"role": "assistant", "content": "384,400 km."}]
    path.write_text((json.dumps({"messages": messages, **more}) + "\n") * rows)
    return path


def problem(report: Report, code: str) -> str:
    (found,) = (str(each) for each in report.problems if each.code == code)
    return found


def test_a_check_tells_tokens_price_and_dates_and_sends_nothing(vendor: WireVendor, train: Path) -> None:
    report = Client(OpenAIProvider(vendor.client())).check(train, model=MINI)
    assert report.ok
    assert report.tokens is not None
    assert report.tokens.lengths is not None
    one = 3 + (3 + 1 + 6) + (3 + 1 + 5)  # by tiktoken, "How far is the Moon?" are 6, "384,400 km." 5
    assert (report.tokens.total, report.tokens.trained, report.tokens.capped) == (20 * one, 20 * 5, 20 * one)
    assert report.tokens.lengths.median == one
    assert report.estimate is not None
    assert (report.estimate.n_epochs, report.estimate.billed_tokens) == (5, 100 * one)  # 5 epochs for 20 rows
    assert report.estimate.cost == Decimal("0.0066")
    assert report.lifecycle is not None
    assert report.lifecycle.elsewhere[0].provider == "azure"
    assert problem(report, "ending").count("no fine-tuning jobs after 2027-01-05") == 1
    assert {request.partition(" ")[0] for request in vendor.requests} == {"GET"}


def test_dates_are_told_though_nobody_can_be_asked(
    vendor: WireVendor, train: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("no route", request=request)

    vendor.watch = away
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda _: None)
    report = Client(OpenAIProvider(vendor.client())).check(train, model=MINI)
    assert problem(report, "not-asked").startswith("warning")
    assert "2027-01-13" in problem(report, "ending")
    assert report.lifecycle is not None
    assert "deprecations page" in str(report.lifecycle.source)


def test_azure_tells_its_dates_without_being_asked(train: Path) -> None:
    vendor = AzureWireVendor()
    report = Client(AzureProvider(vendor.client())).check(train, model="gpt-4.1-mini-2025-04-14")
    assert report.lifecycle is not None
    assert str(report.lifecycle.serving_ends) == "2027-10-13"
    assert not vendor.requests
    assert report.estimate is not None
    assert report.estimate.billed_tokens
    assert report.estimate.cost is None
    assert "ftkit knows no price of training gpt-4.1-mini-2025-04-14 at 'azure'" in str(report.estimate)


def test_a_model_whose_tokens_nobody_knows_is_not_counted_and_that_is_said(vendor: WireVendor, train: Path) -> None:
    client = Client(OpenAIProvider(vendor.client()))
    report = client.check(train, model="gpt-9")
    assert report.ok
    assert report.tokens is None
    assert problem(report, "not-counted").startswith("note: model: the tokens are not counted: ftkit cannot count")
    assert client.upload(train, model="gpt-9").rows == 20, "and it can be sent all the same"


def test_a_package_that_is_not_there_is_named(vendor: WireVendor, train: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ftkit import tokens

    monkeypatch.setitem(sys.modules, "splintr", None)
    tokens._tokenizer.cache_clear()
    report = Client(OpenAIProvider(vendor.client())).check(train, model=MINI)
    assert "pip install 'ftkit[openai]'" in problem(report, "not-counted")


def test_what_is_counted_about_right_is_a_note(vendor: WireVendor, tmp_path: Path) -> None:
    tool = {"type": "function", "function": {"name": "moon", "parameters": {"type": "object", "properties": {}}}}
    report = Client(OpenAIProvider(vendor.client())).check(chats(tmp_path / "t.jsonl", 12, tools=[tool]), model=MINI)
    (told,) = (each for each in report.problems if each.code == "about-tokens")
    assert (told.severity, told.count) == (Severity.NOTE, 12)


def test_reinforcement_is_counted_and_its_price_is_unknown(vendor: WireVendor, tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    path.write_text('{"messages": [{"role": "user", "content": "2?"}], "answer": "2"}\n' * 10)
    grader = {
        "type": "string_check", "name": "same", "operation": "eq",
        "input": "{{sample.output_text}}", "reference": "{{item.answer}}",
    }  # fmt: skip
    report = Client(OpenAIProvider(vendor.client())).check(
        path, model="o4-mini-2025-04-16", method=Reinforcement(grader=grader)
    )
    assert report.ok
    assert report.tokens is not None
    assert report.tokens.total == 10 * (3 + 3 + 1 + 2)
    assert report.estimate is not None
    assert report.estimate.cost is None
    assert "billed by the hour, 100.00 USD an hour" in str(report.estimate)


def test_elsewhere_than_at_the_vendors_no_price_is_known(vendor: WireVendor, train: Path) -> None:
    vendor.host = "ftkit.example.org"
    report = Client(OpenAIProvider(vendor.client())).check(train, model=MINI)
    assert report.tokens is not None
    assert report.estimate is not None
    assert report.estimate.cost is None
    assert "this is another address" in str(report.estimate)
    assert report.lifecycle is None


def test_rows_with_errors_are_not_counted_and_the_estimate_says_so(vendor: WireVendor, train: Path) -> None:
    with train.open("a") as file:
        file.write('{"messages": [{"role": "bott", "content": "?"}]}\n' * 3)
    report = Client(OpenAIProvider(vendor.client())).check(train, model=MINI)
    assert report.tokens is not None
    assert report.tokens.rows == 20
    assert report.estimate is not None
    assert "only the tokens of the 20 good rows of 23 are counted" in report.estimate.assumes


def test_what_is_assumed_is_told_once(vendor: WireVendor, train: Path) -> None:
    report = Client(OpenAIProvider(vendor.client())).check(train, model=MINI, prompt="Tell me. " * 500)
    assert report.break_even is not None
    assert report.break_even.pays
    assert str(report).count("n_epochs was not asked for") == 1


@pytest.mark.parametrize(
    ("prompt", "says"),
    [
        ([{"role": "user", "content": 1}], r"messages\[0\]: its content"),
        ([{"role": "user", "content": "a"}, {"content": "b"}], r"messages\[1\]: it has no role"),
        ([{"role": "user"}], "it has no content"),
        (["text"], "no object"),
        ([], "empty"),
        (" ", "empty"),
    ],
)
def test_a_prompt_that_is_none_is_refused_before_the_data_is_read(
    prompt: Any, says: str, vendor: WireVendor, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=says):
        Client(OpenAIProvider(vendor.client())).check(tmp_path / "none.jsonl", model=MINI, prompt=prompt)


def test_a_model_that_is_likely_to_be_mistyped_is_warned_of(vendor: WireVendor, train: Path) -> None:
    client = Client(OpenAIProvider(vendor.client()))
    report = client.check(train, model="gpt-4.1-mni")
    assert report.ok
    assert "did you mean 'gpt-4.1-mini'" in problem(report, "unlisted-model")
    assert "counted as those of gpt-4.1: by its name, 'gpt-4.1-mni'" in problem(report, "counted-as")
    known = {p.code for p in client.check(train, model=MINI).problems}
    assert not known & {"unlisted-model", "unlisted-method", "counted-as"}
    vendor.host = "ftkit.example.org"  # where models have any names
    elsewhere = Client(OpenAIProvider(vendor.client())).check(train, model="gpt-4.1-mni")
    assert "unlisted-model" not in {p.code for p in elsewhere.problems}


def test_the_validation_file_is_looked_over_too(vendor: WireVendor, train: Path, tmp_path: Path) -> None:
    client = Client(OpenAIProvider(vendor.client()))
    valid = chats(tmp_path / "valid.jsonl", 1)
    assert client.check(train, model=MINI, validation=valid).ok, "one row is enough to validate on"
    valid.write_text(valid.read_text() + '{"messages": [{"role": "bott", "content": "?"}]}\n')
    (wrong,) = client.check(train, model=MINI, validation=valid).errors
    assert (wrong.source, wrong.line, wrong.code) == (str(valid), 2, "unknown-role")
    assert wrong.message.startswith("validation file: ")
    (gone,) = client.check(train, model=MINI, validation=tmp_path / "no.jsonl").errors
    assert gone.source == str(tmp_path / "no.jsonl")


class Uncounted(MemoryProvider):
    """Says only with the first record that it cannot count, as a generator does."""

    def count_tokens(self, model: str, method: Method, records: Iterator[Any]) -> Iterator[tuple[int, int]]:
        del method
        if model != "known":
            message = f"no tokenizer of {model} can be had"
            raise ProviderUnavailableError(message, provider=self.name)
        yield from ((1, 1) for _ in records)


@pytest.mark.parametrize(("make", "says"), [(MemoryProvider, "nothing to count them with"), (Uncounted, "can be had")])
def test_where_tokens_cannot_be_counted_the_rows_are_looked_at_and_it_is_said(
    make: type[MemoryProvider], says: str, train: Path
) -> None:
    with train.open("a") as file:
        file.write("{\n")
    report = Client(make()).check(train, model="any")
    assert [p.line for p in report.errors] == [21]
    assert says in problem(report, "not-counted")
    if make is Uncounted:
        with pytest.raises(ProviderUnavailableError):
            Client(make()).upload(train, model="any")


def test_a_method_that_is_not_there_does_not_hide_what_is_wrong_with_the_data(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"prompt": "q", "chosen": "a", "rejected": "b"}\n{"prompt": "q", "chosen": "a"}\n')
    report = Client(azure()).check(path, model="gpt-4.1-mini", method=ORPO())
    first, *others = report.errors
    assert (first.code, first.line) == ("unsupported-method", None)
    assert [p.line for p in others] == [2]
    assert report.rows == 2


def openai(**options: Any) -> OpenAIProvider:
    return OpenAIProvider(WireVendor().client(), **options)


def azure(**options: Any) -> AzureProvider:
    return AzureProvider(AzureWireVendor().client(), **options)


@pytest.mark.parametrize("make", [openai, azure])
def test_both_have_the_abilities(make: Callable[[], Any]) -> None:
    assert isinstance(make(), CountsTokens)
    assert isinstance(make(), EstimatesCost)


def test_a_budget_is_held_against_the_price(vendor: WireVendor, tmp_path: Path) -> None:
    train = chats(tmp_path / "big.jsonl", 400)  # 400 x 22 tokens x 10 epochs x 3 USD a million: 0.264
    client = Client(OpenAIProvider(vendor.client()))
    asked: dict[str, Any] = {"method": Supervised(n_epochs=10), "wait": False}
    with pytest.raises(BudgetError, match=r"would cost 0\.264 USD .*OpenAI's pricing page") as refused:
        client.fine_tune(MINI, train, budget=0.26, **asked)
    assert refused.value.estimate is not None
    assert not any(request.startswith("POST") for request in vendor.requests)
    assert client.fine_tune(MINI, train, budget=0.264, **asked).model == MINI
    with pytest.raises(BudgetError, match="the number of tokens is not known"):
        client.create_job(model=MINI, training_file="file-of-old", method=asked["method"], budget=100)


def test_a_users_price_makes_a_budget_possible_at_azure(train: Path, home: Path) -> None:
    home.mkdir(exist_ok=True)
    (home / "prices.toml").write_text(
        '[[prices]]\nprovider = "azure"\nmodel = "gpt-4o-mini*"\ntier = "GlobalStandard"\ntraining = 1000\n'
    )
    client = Client(AzureProvider(AzureWireVendor().client()))
    nothing = client.check(train, model=MINI, provider_options={}).estimate
    assert "only as GlobalStandard" in str(nothing)
    assert "provider_options={'training_type': 'GlobalStandard'}, or --option training_type=GlobalStandard" in str(
        nothing
    )
    costs = {
        tier: client.check(train, model=MINI, method=Supervised(n_epochs=1), provider_options=options).estimate
        for tier, options in (("global", {"training_type": "GlobalStandard"}), ("none", {}))
    }
    assert {tier: estimate and estimate.cost for tier, estimate in costs.items()} == {
        "global": Decimal("0.44"),  # 20 x 22 tokens
        "none": None,
    }
