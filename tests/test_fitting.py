"""What of a request can be carried over to another provider, on the real providers, offline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ftkit import Client, LoRA, Reinforcement, Supervised, UnsupportedError
from ftkit.fitting import fit

if TYPE_CHECKING:
    from ftkit.models import Problem

DATA = Path(__file__).parents[1] / "examples" / "data" / "sarcasm" / "training_set.jsonl"
METHOD = Supervised(n_epochs=3, batch_size=4, learning_rate=2e-4, lora=LoRA(r=8, target_modules="all-linear"))
TRL: dict[str, Any] = {
    "gradient_accumulation_steps": 2,
    "gradient_checkpointing": True,
    "precision": "bf16",
    "lr_scheduler_type": "constant",
    "max_length": 512,
    "quantization": "4bit",
    "packing": True,
}


@pytest.fixture(autouse=True)
def accounts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "none")
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "http://127.0.0.1:9")


def fields(problems: tuple[Problem, ...]) -> set[str | None]:
    return {problem.field for problem in problems}


def test_what_a_provider_knows_is_all_there() -> None:
    options = {**TRL, "quantization": None}
    del options["quantization"]
    fitted = fit(Client("huggingface"), model="small", method=METHOD, provider_options=options)
    assert fitted == (METHOD, options, ())


@pytest.mark.parametrize("provider", ["openai", "azure"])
def test_what_a_provider_has_no_word_for_is_left_out_and_named(provider: str) -> None:
    pytest.importorskip("openai")
    fitted = fit(Client(provider), model="gpt-4o-mini-2024-07-18", method=METHOD, provider_options=TRL)
    assert fitted.method == Supervised(n_epochs=3, batch_size=4)
    assert fitted.provider_options == {}
    lost = {"precision", "lr_scheduler_type", "max_length", "quantization", "packing"}
    assert fields(fitted.left_out) == {"method.learning_rate", "method.lora", *(f"provider_options.{n}" for n in lost)}
    assert all(problem.message for problem in fitted.left_out)


def test_how_a_step_is_computed_changes_nothing_that_is_learnt_and_is_not_told() -> None:
    """`batch_size` is all examples of a step, wherever it runs."""
    pytest.importorskip("openai")
    options = {"gradient_accumulation_steps": 4, "gradient_checkpointing": True, "packing": False}
    assert fit(Client("openai"), model="gpt-4o-mini-2024-07-18", provider_options=options).left_out == ()


def test_an_option_is_carried_over_under_the_name_that_the_provider_has() -> None:
    there = fit(Client("autotrain"), model="small", method=METHOD, provider_options=TRL)
    assert there.provider_options == {
        "gradient_accumulation": 2,
        "disable_gradient_checkpointing": False,
        "mixed_precision": "bf16",
        "scheduler": "constant",
        "block_size": 512,
        "quantization": "int4",
    }
    assert fields(there.left_out) == {"provider_options.packing"}
    back = fit(Client("huggingface"), model="small", method=METHOD, provider_options=there.provider_options)
    assert back.provider_options == {name: value for name, value in TRL.items() if name != "packing"}
    assert back.left_out == ()


def test_a_value_that_the_other_option_cannot_have_is_told() -> None:
    (lost,) = fit(Client("autotrain"), model="small", provider_options={"precision": "fp8"}).left_out
    assert (lost.field, lost.message) == (
        "provider_options.precision",
        "it is 'fp8', which 'mixed_precision' cannot be here.",
    )


def test_a_method_that_is_not_there_is_refused() -> None:
    with pytest.raises(UnsupportedError, match=r"there is no 'reinforcement' here. There is: dpo, "):
        fit(Client("huggingface"), model="small", method=Reinforcement())


def test_what_fits_is_taken_by_the_provider() -> None:
    """The end it serves: `check` has nothing against what was fitted."""
    pytest.importorskip("openai")
    for provider in ("openai", "azure", "huggingface", "autotrain"):
        client = Client(provider)
        fitted = fit(client, model="small", method=METHOD, provider_options={**TRL, "quantization": "none"})
        report = client.check(DATA, model="small", method=fitted.method, provider_options=fitted.provider_options)
        assert report.errors == (), provider
