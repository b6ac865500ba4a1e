"""The rules: numbers, machines, options, names, models, and what is refused before anything is made."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hf_tools import GPU_ONLY

from ftkit import DPO, ORPO, LoRA, Method, Supervised
from ftkit.errors import ConfigurationError, NotFoundError, ProviderUnavailableError
from ftkit.models import JobRequest, RecordKind, Severity, TrainingFile
from ftkit.providers._local_jobs.names import model_name, parse_model_name
from ftkit.providers.huggingface import huggingface, small
from ftkit.providers.huggingface.hardware import Machine, fit
from ftkit.providers.huggingface.options import LocalOptions
from ftkit.providers.huggingface.plan import longest, plan, positions
from ftkit.providers.huggingface.resolve import is_folder, model_problem, resolve_model, resolve_tokenizer

if TYPE_CHECKING:
    from pathlib import Path

    from ftkit.models import Problem
    from ftkit.providers.huggingface.plan import Plan

FILE = TrainingFile(id="file-1", provider="huggingface")
BILLION = 10**9
JOB = "ftjob-" + "a" * 24


def request(method: Method | None = None, **fields: Any) -> JobRequest:
    given = {"model": "ftkit/small", "training_file": FILE, **fields}
    return JobRequest(method=method or Supervised(), **given)


def planned(method: Method | None = None, *, rows: int = 100, weights: int = 10**6, **options: Any) -> Plan:
    return plan(request(method), LocalOptions(**options), rows=rows, weights=weights)


def problems(method: Method | None = None, **fields: Any) -> list[Problem]:
    return huggingface().problems(request(method, **fields))


# -- plan ------------------------------------------------------------------------------------------------------------


def test_what_is_asked_for_is_done() -> None:
    lora = LoRA(r=3, alpha=5, dropout=0.5, target_modules=("q_proj", "v_proj"))
    found = planned(Supervised(n_epochs=2, batch_size=6, learning_rate=0.5, lora=lora), gradient_accumulation_steps=3)
    assert (found.n_epochs, found.batch_size, found.accumulate, found.part, found.learning_rate) == (2, 6, 3, 2, 0.5)
    assert found.adapter is not None
    assert (found.adapter.r, found.adapter.alpha, found.adapter.dropout) == (3, 5, 0.5)
    assert found.adapter.target_modules == ["q_proj", "v_proj"]
    assert planned(DPO(beta=0.7)).beta == 0.7


def test_defaults_are_those_of_the_table() -> None:
    for method in (Supervised(), Supervised(n_epochs="auto", batch_size="auto")):
        found = planned(method)
        assert (found.n_epochs, found.batch_size, found.accumulate, found.seed) == (3, 8, 1, 42)
        assert (found.logging_steps, found.save_steps, found.eval_steps, found.keep) == (1, None, None, 3)
    assert planned(rows=5).batch_size == 5
    assert planned(DPO(beta="auto")).beta == 0.1


@pytest.mark.parametrize(("rows", "parts", "batch"), [(100, 3, 6), (100, 8, 8), (100, 16, 16), (5, 4, 4), (1, 2, 2)])
def test_a_batch_of_our_own_choice_can_be_computed_in_equal_parts(rows: int, parts: int, batch: int) -> None:
    found = planned(rows=rows, gradient_accumulation_steps=parts)
    assert (found.batch_size, found.part * found.accumulate) == (batch, batch)


@pytest.mark.parametrize(
    ("method", "weights", "rate"),
    [
        (Supervised(), 10**6, 1e-3),
        (DPO(), 10**6, 1e-4),
        (Supervised(lora=False), BILLION // 2, 5e-5),
        (Supervised(lora=False), 2 * BILLION, 2e-5),
        (Supervised(lora=True), BILLION // 2, 2e-4),
        (Supervised(), 2 * BILLION, 2e-4),
        (DPO(lora=False), 2 * BILLION, 1e-6),
        (DPO(), 2 * BILLION, 1e-5),
    ],
)
def test_the_learning_rate_goes_with_size_and_method(method: Method, weights: int, rate: float) -> None:
    assert planned(method, weights=weights).learning_rate == rate


def test_large_and_quantized_models_get_an_adapter() -> None:
    assert planned().adapter is None
    assert planned(weights=2 * BILLION).adapter is not None
    assert planned(quantization="4bit").adapter is not None
    assert planned(Supervised(lora=False), weights=2 * BILLION).adapter is None
    adapter = planned(Supervised(lora=True)).adapter
    assert adapter is not None
    assert (adapter.r, adapter.alpha, adapter.dropout, adapter.target_modules) == (16, 32, 0.0, "all-linear")


def test_long_epochs_have_checkpoints_in_between() -> None:
    assert planned(rows=4000).save_steps is None
    assert planned(rows=4001).save_steps == 500
    assert planned(rows=4001, save_steps=9).save_steps == 9


@pytest.mark.parametrize(
    ("rows", "batch", "parts", "steps"), [(10, 4, 1, 3), (10, 4, 2, 3), (9, 8, 8, 2), (1, 8, 1, 1)]
)
def test_steps_are_counted_as_transformers_counts_them(rows: int, batch: int, parts: int, steps: int) -> None:
    found = planned(Supervised(batch_size=batch), rows=rows, gradient_accumulation_steps=parts)
    assert found.steps_per_epoch(rows) == steps


def test_the_longest_example_is_what_was_asked_and_no_longer_than_the_model_takes() -> None:
    assert longest(LocalOptions(), None) == 1024
    assert longest(LocalOptions(), 256) == 256
    assert longest(LocalOptions(), 4096) == 1024
    assert longest(LocalOptions(max_length=3000), 2048) == 2048
    assert longest(LocalOptions(max_length=3000), None) == 3000


def test_positions_are_read_without_asking_anybody(model: Path, tmp_path: Path) -> None:
    assert positions(str(model)) == 256
    assert positions("ftkit/small") == small.POSITIONS
    assert positions("nobody/nothing") is None
    for content in ("{ broken", "[]", '{"max_position_embeddings": "many"}'):
        (tmp_path / "config.json").write_text(content)
        assert positions(str(tmp_path)) is None
    assert huggingface().rules(Supervised(), str(model)).max_tokens == 256


def test_rules_say_what_each_method_takes() -> None:
    provider = huggingface()
    supervised = provider.rules(Supervised(), "ftkit/small")
    assert supervised.accepts == {RecordKind.CHAT, RecordKind.PROMPT_COMPLETION, RecordKind.TEXT}
    assert (supervised.max_tokens, supervised.too_long) == (1024, "truncated")
    assert provider.rules(DPO(), "ftkit/small").accepts == {RecordKind.PREFERENCE}


# -- hardware --------------------------------------------------------------------------------------------------------

GPU = Machine("cuda", bf16=True, tf32=True, bitsandbytes=True, flash_attention=True)


def test_a_cpu_replaces_what_needs_a_gpu_and_names_each() -> None:
    found = fit(LocalOptions(**GPU_ONLY), Machine("cpu"))
    assert (found.precision, found.quantization, found.attention, found.optim) == ("fp32", None, "sdpa", "adamw_torch")
    assert (found.tf32, found.gradient_checkpointing) == (False, False)
    assert sorted(line.split()[0] for line in found.replaced) == sorted(GPU_ONLY)


def test_a_gpu_replaces_only_what_is_not_installed() -> None:
    assert fit(LocalOptions(**GPU_ONLY), GPU).replaced == ()
    bare = fit(LocalOptions(**GPU_ONLY), Machine("cuda"))
    assert [line.split()[0] for line in bare.replaced] == ["quantization", "attention", "tf32", "optim"]
    assert "bitsandbytes is not installed" in bare.replaced[0]
    assert "flash-attn is not installed" in bare.replaced[1]


def test_what_nobody_asked_for_is_replaced_without_a_word() -> None:
    for machine in (Machine("cpu"), Machine("mps"), Machine("cuda"), GPU):
        assert fit(LocalOptions(), machine).replaced == ()
    assert fit(LocalOptions(), GPU).precision == "bf16"
    assert fit(LocalOptions(), Machine("cuda")).precision == "fp32"
    assert fit(LocalOptions(precision="fp32", attention="eager", tf32=False), GPU).tf32 is False
    assert fit(LocalOptions(gradient_checkpointing=True), Machine("cpu")).gradient_checkpointing


# -- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [None, "cookies", "b" * 24])
@pytest.mark.parametrize("base", ["ftkit/small", "/a/b c/model/", "gpt2", "./odd:name"])
@pytest.mark.parametrize("step", [None, 0, 120])
def test_a_name_of_ours_leads_back_to_its_job(suffix: str | None, base: str, step: int | None) -> None:
    name = model_name(request(model=base, suffix=suffix), JOB, step)
    assert parse_model_name(name) == (JOB, step)


@pytest.mark.parametrize("name", ["", "ftkit/small", "ftkit:a", f"ftkit:{'a' * 24}", f"ftkit:a:{'g' * 24}", JOB])
def test_other_names_are_none_of_ours(name: str) -> None:
    assert parse_model_name(name) is None


# -- resolve ---------------------------------------------------------------------------------------------------------


def test_a_path_is_told_from_a_name_on_the_hub(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert all(is_folder(path) for path in (str(model), "./x", "../x", "~/x", "/x"))
    assert not any(is_folder(name) for name in ("gpt2", "org/model", "x" * 5000, "nul\0byte"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "org" / "model").mkdir(parents=True)
    assert is_folder("org/model")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("/no/such/folder", "no folder"),
        ("./nothing", "no folder"),
        ("~nobody-of-that-name/model", "no folder"),
        ("/" + "x" * 5000, "no folder"),
        ("ftkit/large", "its one own model is 'ftkit/small'"),
        ("a/b/c", "neither a folder nor a name on the Hub"),
        ("org/model name", "neither"),
        ("org/", "neither"),
        ("a--b", "neither"),
        ("-a/b", "neither"),
        ("a/.b", "neither"),
        ("a/b..c", "neither"),
        ("x" * 5000, "neither"),
        ("nul\0byte", "neither"),
        ("http://huggingface.co/gpt2", "neither"),
    ],
)
def test_a_model_that_cannot_be_is_a_problem_and_nobody_is_asked(name: str, told: str) -> None:
    assert told in (model_problem(name) or "")
    assert [(p.code, p.field) for p in problems(model=name)] == [("unknown-model", "model")]


def test_a_folder_without_a_model_is_a_problem(tmp_path: Path) -> None:
    assert "config.json is missing" in (model_problem(str(tmp_path)) or "")
    with pytest.raises(NotFoundError, match="no model at"):
        resolve_model(str(tmp_path))


@pytest.mark.parametrize("name", ["gpt2", "HuggingFaceTB/SmolLM2-135M", "a/b.c_d-e", "ftkit/small"])
def test_names_that_may_be_right_are_let_through(name: str) -> None:
    assert model_problem(name) is None


def test_a_model_that_is_nowhere_offline_is_told_as_such() -> None:
    with pytest.raises(ProviderUnavailableError, match="'nobody/nothing' is not in the Hub's cache"):
        resolve_tokenizer("nobody/nothing")


def test_a_folder_is_found_from_wherever_it_is_named(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(model.parent)
    assert resolve_model("tiny-llama") == resolve_tokenizer("./tiny-llama") == model.resolve()
    monkeypatch.setenv("HOME", str(model.parent))
    assert resolve_model("~/tiny-llama") == model.resolve()


# -- problems --------------------------------------------------------------------------------------------------------


def test_a_good_request_has_no_problems(model: Path) -> None:
    assert problems(model=str(model), suffix="a.b-c_1") == []
    assert problems(DPO(beta=0.1, lora=LoRA()), provider_options={"max_steps": 3}) == []


def test_a_hyperparameter_that_came_to_a_method_and_not_to_local_training_is_named_with_the_one_that_was_meant(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ftkit.providers._local_jobs.checks.HYPERPARAMETERS", ("n_epochs", "learning_rate"))
    [problem] = problems(Supervised(learning_rate_multiplier=2.0))
    assert (problem.code, problem.field) == ("unknown-hyperparameter", "method.learning_rate_multiplier")
    assert "did you mean 'learning_rate'?" in problem.message
    assert problem.fix == "It has: n_epochs, learning_rate."


def test_a_multiplier_is_of_the_default_rate_and_not_of_one_that_is_given() -> None:
    once, twice = (planned(Supervised(learning_rate_multiplier=factor)).learning_rate for factor in (1.0, 2.0))
    assert (
        once
        == planned(Supervised()).learning_rate
        == planned(Supervised(learning_rate_multiplier="auto")).learning_rate
    )
    assert twice == 2 * once
    [problem] = problems(Supervised(learning_rate=1e-3, learning_rate_multiplier=2.0))
    assert problem.code == "two-learning-rates"


def test_a_method_that_is_not_there_is_named_with_those_that_are() -> None:
    [problem] = problems(ORPO())
    assert (problem.code, problem.fix) == ("unsupported-method", "It has: dpo, supervised.")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"max_lenght": 3}, "did you mean 'max_length'?"),
        ({"max_length": 7}, "max_length"),
        ({"precision": "fp64"}, "precision"),
        ({"warmup_ratio": 1.0}, "warmup_ratio"),
        ({"save_steps": 0}, "save_steps"),
        ({"max_grad_norm": float("1e-400")}, "max_grad_norm"),
    ],
)
def test_an_option_that_makes_no_sense_is_named(options: dict[str, Any], told: str) -> None:
    [problem] = problems(provider_options=options)
    assert (problem.code, problem.severity) == ("bad-option", Severity.ERROR)
    assert told in problem.message


def test_all_options_that_make_no_sense_are_told_at_once() -> None:
    found = problems(suffix="no spaces", provider_options={"nonsense": 1, "max_length": "x", "optim": "sdg"})
    assert [p.code for p in found] == ["bad-suffix", "bad-option", "bad-option", "bad-option"]


@pytest.mark.parametrize(
    ("method", "options", "field"),
    [
        (Supervised(lora=False), {"quantization": "4bit"}, "quantization"),
        (Supervised(), {"warmup_ratio": 0.1, "warmup_steps": 3}, "warmup_steps"),
        (Supervised(batch_size=8), {"gradient_accumulation_steps": 3}, "gradient_accumulation_steps"),
        (DPO(), {"packing": True}, "packing"),
        (DPO(), {"train_on": "all"}, "train_on"),
    ],
)
def test_options_that_do_not_go_together_are_refused(method: Method, options: dict[str, Any], field: str) -> None:
    [problem] = problems(method, provider_options=options)
    assert (problem.field, problem.severity) == (f"provider_options.{field}", Severity.ERROR)


def test_evaluating_without_a_file_is_a_warning_only() -> None:
    [problem] = problems(provider_options={"eval_steps": 3})
    assert problem.severity is Severity.WARNING
    assert problems(validation_file=FILE, provider_options={"eval_steps": 3}) == []


# -- the factory -----------------------------------------------------------------------------------------------------


def test_the_factory_refuses_what_it_cannot_make(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="there is no compute='moon'"):
        huggingface(compute="moon")  # type: ignore[arg-type]
    for slots in (0, -1):
        with pytest.raises(ConfigurationError, match=r"slots='.*': the number of jobs"):
            huggingface(slots=slots)
    monkeypatch.setenv("FTKIT_LOCAL_SLOTS", "two")
    with pytest.raises(ConfigurationError, match="FTKIT_LOCAL_SLOTS='two'"):
        huggingface()


def test_the_jobs_folder_is_the_account(home: Path, tmp_path: Path) -> None:
    assert huggingface().identity() == f"local:{home.resolve() / 'huggingface'}"
    assert huggingface(jobs_folder=tmp_path / "x" / ".." / "y").identity() == f"local:{tmp_path.resolve() / 'y'}"
    assert not home.exists(), "nothing is written before there is something to write"


def test_methods_survive_json() -> None:
    asked = request(DPO(beta=0.2, lora=LoRA(r=2)), provider_options={"max_steps": 2})
    assert JobRequest.model_validate(json.loads(asked.model_dump_json())) == asked
