"""A recipe runs with any provider: what it says is carried over in that provider's words, or refused by its key."""

from __future__ import annotations

import importlib.util
import json
import logging
import sys
from pathlib import Path
from typing import Any

import openai
import pytest
from recipe_tools import CHATS, PAIRED, PAIRS, TEXTS, put_recipe, put_rows
from typer.testing import CliRunner
from wire_vendor import WireVendor

from ftkit import DPO, Client, ConfigurationError, DatasetError, LoRA, Supervised, UnsupportedError
from ftkit.cli import app
from ftkit.providers.openai import OpenAIProvider
from ftkit.recipes import Recipe, fitted, load, run
from ftkit.testing import MemoryProvider

MODEL = "gpt-4o-mini-2024-07-18"
local = pytest.mark.skipif(
    sys.platform == "win32" or any(importlib.util.find_spec(name) is None for name in ("torch", "trl", "peft")),
    reason="local training is not to be had here",
)


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    put_rows(CHATS)
    return tmp_path


def recipe(changes: dict[str, Any] | None = None) -> Recipe:
    return load(put_recipe(changes))


def here() -> Client:
    return Client("huggingface", jobs_folder="jobs")


def refusal(changes: dict[str, Any], client: Client, **more: Any) -> UnsupportedError:
    with pytest.raises(UnsupportedError) as caught:
        fitted(recipe(changes), client, **more)
    return caught.value


# -- the provider that it is written for -------------------------------------------------------------------------------


def test_for_its_own_provider_a_recipe_stays_as_it_is() -> None:
    read = recipe(
        {
            "data.chat_template": "zephyr",
            "log": "tensorboard",
            "params": {"batch_size": 2, "model_max_length": 512, "peft": True, "quantization": "int4", "epochs": 2},
        }
    )
    assert fitted(read, Client("autotrain", jobs_folder="jobs")) == read


def test_what_its_own_provider_refuses_is_named_by_its_key() -> None:
    error = refusal({"base_model": "no model/at all"}, Client("autotrain", jobs_folder="jobs"))
    assert [problem.field for problem in error.problems] == ["base_model"]
    assert "To change: base_model" in str(error)


# -- elsewhere: Hugging Face, on this machine --------------------------------------------------------------------------

CARRIED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"block_size": 64}, {"max_length": 64}),
    ({"block_size": 64, "model_max_length": 2048}, {"max_length": 64}),
    ({"block_size": 2048, "model_max_length": 512}, {"max_length": 512}),
    ({"model_max_length": 512}, {"max_length": 512}),
    ({"model_max_length": 4096}, {"max_length": 1024}),
    ({"scheduler": "linear"}, {"lr_scheduler_type": "linear"}),
    ({"optimizer": "paged_adamw_8bit"}, {"optim": "paged_adamw_8bit"}),
    ({"disable_gradient_checkpointing": True}, {"gradient_checkpointing": False}),
    ({"disable_gradient_checkpointing": False}, {"gradient_checkpointing": True}),
    ({"mixed_precision": "bf16"}, {"precision": "bf16"}),
    ({"peft": True, "quantization": "int4"}, {"quantization": "4bit"}),
    ({"peft": True, "quantization": "int8"}, {"quantization": "8bit"}),
    ({"peft": True, "quantization": None}, {}),
    ({"peft": True, "merge_adapter": True}, {}),
    ({"use_flash_attention_2": True}, {"attention": "flash_attention_2"}),
    ({"use_flash_attention_2": False}, {}),
    ({"auto_find_batch_size": False}, {}),
    ({"padding": "right"}, {}),
    ({"warmup_ratio": 0.2}, {"warmup_ratio": 0.2}),
    ({"weight_decay": 0.1}, {"weight_decay": 0.1}),
    ({"max_grad_norm": 0.5}, {"max_grad_norm": 0.5}),
    ({"logging_steps": 5}, {"logging_steps": 5}),
    ({"logging_steps": -1}, {}),
]


@local
@pytest.mark.parametrize(("params", "options"), CARRIED)
def test_options_are_carried_over(params: dict[str, Any], options: dict[str, Any]) -> None:
    assert fitted(recipe({"params": params}), here()).provider_options == options


BATCHES: list[tuple[dict[str, int], int | None, dict[str, int]]] = [
    ({"batch_size": 3, "gradient_accumulation": 5}, 15, {"gradient_accumulation_steps": 5}),
    ({"batch_size": 3, "gradient_accumulation": 1}, 3, {"gradient_accumulation_steps": 1}),
    ({"batch_size": 3}, 12, {"gradient_accumulation_steps": 4}),
    ({"gradient_accumulation": 5}, 10, {"gradient_accumulation_steps": 5}),
    ({}, None, {}),
]


@local
@pytest.mark.parametrize(("params", "whole", "options"), BATCHES)
def test_a_step_has_as_many_examples_as_autotrains(
    params: dict[str, int], whole: int | None, options: dict[str, int]
) -> None:
    found = fitted(recipe({"params": params}), here())
    assert (found.method, found.provider_options) == (Supervised(batch_size=whole), options)


@local
def test_hyperparameters_stay_as_they_are() -> None:
    put_rows(PAIRS)
    params = {"epochs": 2, "lr": 0.1, "dpo_beta": 0.3, "peft": True, "lora_r": 4, "seed": 7}
    found = fitted(recipe({**PAIRED, "params": params}), here())
    assert found.method == DPO(n_epochs=2, learning_rate=0.1, beta=0.3, lora=LoRA(r=4))
    assert (found.seed, found.suffix, found.model) == (7, "numbers", "ftkit/small")


@local
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"log": "tensorboard"}, "log: it is 'tensorboard', and there is nothing like it here."),
        ({"data.chat_template": "chatml"}, "data.chat_template: it is 'chatml', and there is nothing like it here."),
        ({"params.padding": "left"}, "params.padding: it is 'left'"),
        ({"params.auto_find_batch_size": True}, "params.auto_find_batch_size: it is True"),
        ({"params.peft": True, "params.merge_adapter": False}, "params.merge_adapter: it is False"),
        ({"params.scheduler": "reduce"}, "params.scheduler: it is 'reduce', which 'lr_scheduler_type' cannot be here."),
        ({"params.optimizer": "lion"}, "params.optimizer: it is 'lion', which 'optim' cannot be here."),
        ({"hub.push_to_hub": True, "hub.username": "acme"}, "hub.push_to_hub: it is 'acme/numbers'"),
    ],
)
def test_what_cannot_be_carried_over_is_refused_by_its_key(changes: dict[str, Any], said: str) -> None:
    error = refusal(changes, here())
    assert said in str(error)
    (problem,) = error.problems
    assert f"--without {problem.field}" in str(error)
    assert fitted(recipe(changes), here(), without=str(problem.field)).provider_options == {}


@local
@pytest.mark.parametrize("name", ["max_prompt_length", "max_completion_length", "model_ref"])
def test_what_only_dpo_has_is_refused_by_its_key(name: str) -> None:
    put_rows(PAIRS)
    value = "acme/other" if name == "model_ref" else 64
    error = refusal({**PAIRED, f"params.{name}": value}, here())
    assert [problem.field for problem in error.problems] == [f"params.{name}"]


@local
def test_a_role_stands_for_the_providers_own_model() -> None:
    assert fitted(recipe({"base_model": "small"}), here()).model == "ftkit/small"


@local
@pytest.mark.parametrize(
    ("without", "lora"), [("params.lora_r", True), ("params.peft", None), ("params.epochs", LoRA(r=4))]
)
def test_hyperparameters_can_be_left_out(without: str, lora: Any) -> None:
    read = recipe({"params": {"peft": True, "lora_r": 4, "epochs": 2}})
    epochs = None if without == "params.epochs" else 2
    assert fitted(read, here(), without=without).method == Supervised(lora=lora, n_epochs=epochs)


@local
def test_all_that_is_refused_is_told_at_once_and_can_be_left_out() -> None:
    changes = {"log": "tensorboard", "params.padding": "left", "params.scheduler": "reduce", "params.block_size": 64}
    error = refusal(changes, here())
    assert {problem.field for problem in error.problems} == {"log", "params.padding", "params.scheduler"}
    keys = str(error).partition("--without ")[2]
    assert fitted(recipe(changes), here(), without=keys).provider_options == {"max_length": 64}


@local
def test_a_method_that_is_not_there_is_told_by_the_task() -> None:
    put_rows(PAIRS)
    error = refusal({**PAIRED, "task": "llm-orpo"}, here())
    assert [problem.field for problem in error.problems] == ["task"]
    assert "there is no 'orpo' here. There is: dpo, supervised." in str(error)
    assert "To change: task" in str(error)


# -- elsewhere: OpenAI -------------------------------------------------------------------------------------------------


def at_openai() -> Client:
    return Client(OpenAIProvider(openai.OpenAI(api_key="sk-test", base_url="http://127.0.0.1:9/v1")))


def test_openai_is_told_to_have_none_of_it() -> None:
    params = {"epochs": 2, "batch_size": 2, "lr": 0.1, "peft": True, "lora_r": 4, "optimizer": "adafactor", "seed": 7}
    changes = {"base_model": MODEL, "params": params, "log": "tensorboard"}
    error = refusal(changes, at_openai())
    refused = {problem.field for problem in error.problems}
    assert refused == {"params.lr", "params.peft", "params.optimizer", "log"}
    found = fitted(recipe(changes), at_openai(), without=[key for key in refused if key])
    assert found.method == Supervised(n_epochs=2, batch_size=8)
    assert (found.provider_options, found.seed) == ({}, 7)


def test_a_recipe_trains_at_openai() -> None:
    vendor = WireVendor()
    client = Client(OpenAIProvider(vendor.client()))
    read = recipe({"params": {"epochs": 2, "batch_size": 3, "gradient_accumulation": 2}})
    job = run(read, client, model=MODEL, wait=False)
    (sent,) = [body for body in vendor.bodies if "training_file" in body]
    assert (job.model, sent["suffix"]) == (MODEL, "numbers")
    assert sent["method"]["supervised"]["hyperparameters"] == {"n_epochs": 2, "batch_size": 6}
    (content,) = vendor.contents.values()
    assert b'"messages"' in content


# -- running -----------------------------------------------------------------------------------------------------------


def test_a_recipe_runs_to_its_end() -> None:
    provider = MemoryProvider()
    client = Client(provider)
    job = run(recipe({"params": {"epochs": 2, "lr": 0.1}}), client, wait=False)
    (ordered,) = provider.vendor.list_jobs(None, 10)[0]
    assert (ordered.order.model, job.method) == ("ftkit/small", Supervised(n_epochs=2, learning_rate=0.1))
    (file,) = provider.vendor.list_files(None, 10)[0]
    assert [json.loads(line) for line in file.content.splitlines()] == [{"messages": row["text"]} for row in CHATS]
    provider.vendor.advance(job.id, "succeeded")
    assert run(recipe({"params": {"epochs": 2, "lr": 0.1}}), client, progress=False).id == job.id
    assert provider.vendor.calls["create_job"] == 1


def test_what_has_no_effect_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "ftkit"):
        run(recipe({"data.valid_split": "valid"}), Client(MemoryProvider()), wait=False)
    (said,) = [record.getMessage() for record in caplog.records if "valid_split" in record.getMessage()]
    assert said.startswith("recipe.yml: data.valid_split: AutoTrain passes over")


def test_nothing_is_sent_of_a_recipe_that_is_refused() -> None:
    provider = MemoryProvider()
    with pytest.raises(UnsupportedError, match=r"--without params\.block_size,params\.optimizer"):
        run(recipe({"params": {"block_size": 64, "optimizer": "lion"}}), Client(provider))
    assert provider.vendor.calls.total() == 0
    job = run(
        recipe({"params": {"block_size": 64, "optimizer": "lion"}}),
        Client(provider),
        without="params.block_size,params.optimizer",
        wait=False,
    )
    assert job.status.value == "queued"


def test_data_that_went_bad_since_are_refused() -> None:
    read = recipe()
    put_rows([{"text": [{"role": "robot", "content": "x"}]}])
    with pytest.raises(DatasetError, match="unknown role 'robot'"):
        run(read, Client(MemoryProvider()))


def test_without_a_client_it_is_the_recipes_own_provider() -> None:
    read = recipe().model_copy(update={"provider": "memory", "provider_settings": {"api_key": "any"}})
    assert run(read, wait=False).provider == "memory"
    with pytest.raises(ConfigurationError, match="has no option 'backend'"):
        run(read.model_copy(update={"provider_settings": {"backend": "spaces-l4x1"}}))


# -- data sets of the Hub ----------------------------------------------------------------------------------------------


@pytest.fixture
def hub(work: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data set under a name such as the Hub's. The package that fetches them takes a folder of that name first."""
    package = pytest.importorskip("datasets")
    monkeypatch.setattr(package.config, "HF_HUB_OFFLINE", True)  # which is read once, when they are imported
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("FTKIT_CACHE", str(work / "cache"))
    monkeypatch.setenv("HF_DATASETS_CACHE", str(work / "hf"))
    other = work / "elsewhere"
    put_rows(CHATS, str(other / "acme" / "sums" / "train.jsonl"))
    return other


def on_the_hub(changes: dict[str, Any] | None = None) -> Recipe:
    return recipe({"data.path": "acme/sums", **(changes or {})})


def test_a_data_set_is_fetched(hub: Path, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, provider = on_the_hub(), MemoryProvider()
    assert (read.train, read.split, read.columns) == ("acme/sums", "train", {"text": "messages"})
    monkeypatch.chdir(hub)
    jobs = {run(read, Client(provider), wait=False).id for _ in range(2)}
    (file,) = provider.vendor.list_files(None, 10)[0]
    assert json.loads(file.content.splitlines()[0]) == {"messages": CHATS[0]["text"]}
    assert len(jobs) == 1, "the same data are the same request"
    (folder,) = (work / "cache" / "datasets").iterdir()
    assert folder.name.startswith("acme-sums-default-train-")


def test_a_configuration_of_a_data_set_is_fetched(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = hub / "acme" / "sums"
    put_rows(CHATS[:3], str(folder / "few.jsonl"))
    parts = [{"config_name": name, "data_files": f"{name}.jsonl"} for name in ("train", "few")]
    (folder / "README.md").write_text(f"---\nconfigs: {json.dumps(parts)}\n---\n", encoding="utf-8")
    read, provider = on_the_hub({"data.train_split": "few:train"}), MemoryProvider()
    monkeypatch.chdir(hub)
    run(read, Client(provider), wait=False)
    (file,) = provider.vendor.list_files(None, 10)[0]
    assert len(file.content.splitlines()) == 3


def test_a_data_set_that_does_not_fit_is_told_by_the_keys(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other, text = on_the_hub({"data.column_mapping.text_column": "txt"}), on_the_hub({"data.chat_template": None})
    monkeypatch.chdir(hub)
    with pytest.raises(ConfigurationError, match=r"data\.column_mapping\.text_column: .* has no column 'txt'"):
        run(other, Client(MemoryProvider()))
    with pytest.raises(ConfigurationError, match=r"data\.chat_template: without one, rows are taken as text"):
        run(text, Client(MemoryProvider()))


@pytest.mark.parametrize("changes", [{"data.path": "acme/none"}, {"data.train_split": "dev"}])
def test_a_data_set_that_cannot_be_fetched_is_told(
    changes: dict[str, Any], hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = on_the_hub(changes)
    monkeypatch.chdir(hub)
    with pytest.raises(ConfigurationError, match=r"data\.path: 'acme/\w+' is no folder here, and cannot be fetched: "):
        run(read, Client(MemoryProvider()))


def test_without_the_package_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ConfigurationError, match="pip install datasets"):
        run(on_the_hub(), Client(MemoryProvider()))


# -- the command line --------------------------------------------------------------------------------------------------


def ftkit(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["run", *arguments])
    return done.exit_code, done.output


def test_the_command_runs_a_recipe() -> None:
    path = put_recipe({"params": {"unsloth": True, "block_size": 64, "optimizer": "lion", "epochs": 2}})
    status, said = ftkit(path, "--provider", "memory", "--no-wait")
    assert (status, "params.unsloth" in said) == (2, True)
    status, said = ftkit(path, "--provider", "memory", "--no-wait", "--without", "params.unsloth")
    assert status == 2
    assert "--without params.block_size,params.optimizer" in said
    arguments = ["--without", "params.unsloth", "--without", "params.block_size,params.optimizer"]
    status, said = ftkit(path, "--provider", "memory", "--model", "another", "--no-wait", *arguments)
    assert status == 0, said
    job = Client("memory").list_jobs().items[0]
    again = "The same command again waits for it."
    assert said.splitlines() == [f"job: {job.id}", "status: queued", "model: -", again]
    assert (job.model, job.method) == ("another", Supervised(n_epochs=2))
    Client("memory").cancel_job(job)
    status, said = ftkit(path, "--provider", "memory", "--model", "another", "--no-wait", *arguments)
    assert (status, "cancelled" in said) == (4, True)
    before = len(Client("memory").list_jobs().items)
    retry = [path, "--provider", "memory", "--model", "another", "--no-wait", "--retry-failed", *arguments]
    assert ftkit(*retry)[0] == 0
    assert len(Client("memory").list_jobs().items) == before + 1


@pytest.mark.parametrize(
    ("key", "meant"), [("learning_rate", "lr"), ("num_train_epochs", "epochs"), ("optim", "optimizer")]
)
def test_a_key_that_others_use_is_told_by_autotrains_name(key: str, meant: str) -> None:
    put_rows(TEXTS)
    status, said = ftkit(put_recipe({"params": {key: 1}}))
    assert (status, f"params.{key}: there is no such key; did you mean '{meant}'?" in said) == (2, True)


def test_a_folder_that_is_not_there_is_told_at_once_with_the_one_that_was_meant() -> None:
    Path("data_sums").mkdir()
    status, said = ftkit(put_recipe({"data.path": "data_sum"}))
    assert (status, "there is no folder 'data_sum'; did you mean 'data_sums'?" in said) == (2, True)


def test_the_command_tells_what_is_wrong() -> None:
    assert ftkit("nowhere.yml")[0] == 2
    put_rows(TEXTS)
    status, said = ftkit(put_recipe())
    assert (status, said.startswith("error: recipe.yml cannot be run as it is")) == (2, True)
