"""A recipe of AutoTrain's is read as it is meant; what is wrong with it is told by its keys, all at once."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from recipe_tools import CHATS, GONE, PAIRED, PAIRS, TEXTS, assistant, put_recipe, put_rows, user

from ftkit import DPO, ORPO, ConfigurationError, LoRA, RecordKind, Reward, Supervised
from ftkit.providers.autotrain.recipe import config_of
from ftkit.recipes import Recipe, load

HUB = """
hub:
  username: ${HF_USERNAME}
  token: ${HF_TOKEN}
  push_to_hub: true
"""
SFT = f"""
task: llm-sft
base_model: meta-llama/Llama-3.2-1B-Instruct
project_name: sums-sft
log: tensorboard
backend: local

data:
  path: acme/sums
  train_split: train
  valid_split: null
  chat_template: tokenizer
  column_mapping:
    text_column: messages

params:
  block_size: 2048
  model_max_length: 4096
  epochs: 2
  batch_size: 1
  lr: 1e-5
  peft: true
  quantization: int4
  target_modules: all-linear
  padding: right
  optimizer: paged_adamw_8bit
  scheduler: cosine
  gradient_accumulation: 8
  mixed_precision: bf16
  merge_adapter: true
{HUB}"""
GENERIC = f"""
task: llm
base_model: openai-community/gpt2
project_name: sums-text
log: tensorboard
backend: local-cli

data:
  path: acme/sums-as-text
  train_split: default:train
  valid_split: null
  chat_template: null
  column_mapping:
    text_column: text

params:
  block_size: -1
  epochs: 3
  batch_size: 2
  lr: 3e-5
  add_eos_token: false
  optimizer: adamw_torch
  mixed_precision: fp16
{HUB}"""
DPO_RECIPE = f"""
task: llm
base_model: acme/base
project_name: sums-dpo
log: tensorboard
backend: local

data:
  path: acme/pairs
  train_split: train
  valid_split: null
  chat_template: chatml
  column_mapping:
    text_column: chosen
    rejected_text_column: rejected
    prompt_text_column: prompt

params:
  trainer: dpo
  dpo_beta: 0.2
  max_prompt_length: 512
  max_completion_length: 128
  peft: true
  lora_r: 8
  lora_alpha: 16
  lora_dropout: 0
  quantization: int8
  target_modules: q_proj, v_proj
{HUB}"""
ORPO_RECIPE = f"""
task: llm-orpo
base_model: acme/base
project_name: sums-orpo
log: none
backend: spaces-a10g-largex4

data:
  path: acme/pairs
  train_split: train
  valid_split: null
  chat_template: zephyr
  column_mapping:
    text_column: better
    rejected_text_column: worse

params:
  max_prompt_length: 512
  lr: 5.0e-6
  warmup_ratio: 0.2
  weight_decay: 0.01
  max_grad_norm: 0.5
{HUB}"""
REWARD = """
task: llm-reward
base_model: acme/base
project_name: sums-reward
log: none
backend: local

data:
  path: acme/pairs
  train_split: train
  valid_split: null
  chat_template: chatml
  column_mapping:
    text_column: chosen
    rejected_text_column: rejected

params:
  epochs: 1
  use_flash_attention_2: true
  disable_gradient_checkpointing: true

hub:
  username: ${HF_USERNAME}
  token: ${HF_TOKEN}
  push_to_hub: false
"""

PARAMETERS: dict[str, Any] = {
    "model": "acme/other",
    "project_name": "other",
    "data_path": "elsewhere",
    "train_split": "other",
    "valid_split": "valid",
    "add_eos_token": False,
    "block_size": 64,
    "model_max_length": 512,
    "padding": "left",
    "trainer": "generic",
    "use_flash_attention_2": True,
    "log": "tensorboard",
    "disable_gradient_checkpointing": True,
    "logging_steps": 5,
    "eval_strategy": "steps",
    "save_total_limit": 2,
    "auto_find_batch_size": True,
    "mixed_precision": "fp16",
    "lr": 0.1,
    "epochs": 7,
    "batch_size": 3,
    "warmup_ratio": 0.3,
    "gradient_accumulation": 2,
    "optimizer": "adafactor",
    "scheduler": "cosine",
    "weight_decay": 0.1,
    "max_grad_norm": 2.0,
    "seed": 7,
    "chat_template": "chatml",
    "quantization": "int8",
    "target_modules": "q_proj",
    "merge_adapter": False,
    "peft": True,
    "lora_r": 4,
    "lora_alpha": 8,
    "lora_dropout": 0.5,
    "model_ref": "acme/reference",
    "dpo_beta": 0.3,
    "max_prompt_length": 64,
    "max_completion_length": 64,
    "prompt_text_column": "prompt",
    "text_column": "chosen",
    "rejected_text_column": "rejected",
    "push_to_hub": True,
    "username": "acme",
    "token": "hf_0123456789",
    "unsloth": True,
    "distributed_backend": "deepspeed",
}
"""All that AutoTrain 0.8.36 has for language models, each with a value that is not its default."""


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_USERNAME", "acme")
    for name in ("HF_TOKEN", "NOT_SET"):
        monkeypatch.delenv(name, raising=False)
    put_rows(CHATS)
    return tmp_path


def read(text: str) -> Recipe:
    Path("recipe.yml").write_text(text, encoding="utf-8")
    return load("recipe.yml")


def refusal(changes: dict[str, Any] | None = None, **more: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load(put_recipe(changes), **more)
    return str(caught.value)


# -- the shapes of the documentation -----------------------------------------------------------------------------------


def test_supervised_with_messages() -> None:
    recipe = read(SFT)
    assert (recipe.model, recipe.suffix, recipe.seed) == ("meta-llama/Llama-3.2-1B-Instruct", "sums-sft", None)
    assert recipe.method == Supervised(
        n_epochs=2, batch_size=8, learning_rate=1e-5, lora=LoRA(target_modules="all-linear")
    )
    assert (recipe.train, recipe.split, recipe.columns) == ("acme/sums", "train", {"messages": "messages"})
    assert (recipe.provider, recipe.provider_settings, recipe.source) == ("autotrain", {}, "recipe.yml")
    assert recipe.training_file.id == "not-uploaded-yet"
    assert recipe.notes == ()
    assert recipe.provider_options == {
        "trainer": "sft",
        "chat_template": "tokenizer",
        "log": "tensorboard",
        "push_to_hub": "acme/sums-sft",
        "block_size": 2048,
        "model_max_length": 4096,
        "quantization": "int4",
        "padding": "right",
        "optimizer": "paged_adamw_8bit",
        "scheduler": "cosine",
        "gradient_accumulation": 8,
        "mixed_precision": "bf16",
        "merge_adapter": True,
    }


def test_text_for_the_generic_trainer() -> None:
    recipe = read(GENERIC)
    assert recipe.method == Supervised(n_epochs=3, batch_size=2 * 4, learning_rate=3e-5)  # 4 parts, as AutoTrain has it
    assert (recipe.split, recipe.columns) == ("default:train", {"text": "text"})
    assert recipe.provider_settings == {}
    options = {"add_eos_token": False, "optimizer": "adamw_torch", "mixed_precision": "fp16"}
    assert recipe.provider_options == {
        "trainer": "generic",
        "log": "tensorboard",
        "push_to_hub": "acme/sums-text",
        "gradient_accumulation": 4,
        **options,
    }


def test_dpo_named_among_the_parameters() -> None:
    recipe = read(DPO_RECIPE)
    lora = LoRA(r=8, alpha=16, dropout=0, target_modules=("q_proj", "v_proj"))
    assert recipe.method == DPO(beta=0.2, lora=lora)
    assert recipe.columns == {"chosen": "chosen", "rejected": "rejected", "prompt": "prompt"}
    assert recipe.provider_options["max_prompt_length"] == 512
    assert recipe.provider_options["max_completion_length"] == 128
    assert "trainer" not in recipe.provider_options
    assert [note.partition(":")[0] for note in recipe.notes] == ["params.merge_adapter"]


def test_orpo_on_a_space() -> None:
    recipe = read(ORPO_RECIPE)
    assert recipe.method == ORPO(learning_rate=5e-6)
    assert recipe.provider_settings == {"backend": "spaces-a10g-largex4", "username": "acme"}
    assert "push_to_hub" not in recipe.provider_options
    assert [note.partition(":")[0] for note in recipe.notes] == ["hub.push_to_hub"]
    assert recipe.columns == {"better": "chosen", "worse": "rejected"}
    wanted = {"warmup_ratio": 0.2, "weight_decay": 0.01, "max_grad_norm": 0.5, "chat_template": "zephyr"}
    assert wanted.items() <= recipe.provider_options.items()


def test_a_reward_model_that_is_not_pushed_needs_no_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_USERNAME")
    recipe = read(REWARD)
    assert recipe.method == Reward(n_epochs=1)
    options = {"chat_template": "chatml", "use_flash_attention_2": True, "disable_gradient_checkpointing": True}
    assert recipe.provider_options == options


@pytest.mark.parametrize("text", [SFT, GENERIC, DPO_RECIPE, ORPO_RECIPE, REWARD])
def test_autotrain_is_told_what_the_recipe_said(text: str) -> None:
    recipe, said = read(text), yaml.safe_load(text)
    kind = {"messages": RecordKind.CHAT, "text": RecordKind.TEXT}.get(*[*recipe.columns.values()][:1])
    config = config_of(recipe, recipe.model, kind or RecordKind.PREFERENCE)
    unset = {name for name, value in said["params"].items() if value == -1}
    told = {name: value for name, value in said["params"].items() if name not in {*unset, "trainer"}}
    told = {name: float(value) if name == "lr" else value for name, value in told.items()}
    told = {name: value.replace(", ", ",") if name == "target_modules" else value for name, value in told.items()}
    assert told.items() <= config["params"].items()
    trainer = said["params"].get("trainer", said["task"].partition("-")[2] or "generic")
    assert config["task"] == f"llm-{trainer}"
    assert config["data"]["chat_template"] == said["data"]["chat_template"]
    assert config["log"] == said["log"]


def test_a_recipe_is_a_request_that_lives_in_json() -> None:
    recipe = read(SFT)
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe


def test_a_space_needs_no_user_but_one_that_is_named() -> None:
    assert load(put_recipe({"backend": "spaces-l4x1"})).provider_settings == {"backend": "spaces-l4x1"}
    message = refusal({"backend": "spaces-l4x1", "hub": {"username": "${NOT_SET}", "push_to_hub": False}})
    assert "hub.username: the environment variable NOT_SET is not set." in message


# -- every parameter ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trainer", ["sft", "generic", "dpo", "orpo", "reward"])
@pytest.mark.parametrize("name", PARAMETERS)
def test_no_parameter_is_dropped_in_silence(name: str, trainer: str) -> None:
    pairs = {**PAIRED} if trainer in {"dpo", "orpo", "reward"} else {}
    put_rows(PAIRS if pairs else CHATS)
    changes = {**pairs, "task": f"llm-{trainer}"}
    before = load(put_recipe(changes))
    key = f"params.{name}"
    path = put_recipe({**changes, key: PARAMETERS[name]})
    try:
        after = load(path)
    except ConfigurationError as error:
        said = str(error)
    else:
        said = ""
    if said:
        assert f"  {key}: " in said
        return
    noted = any(note.startswith(f"{key}: ") for note in after.notes)
    changed = after.model_copy(update={"notes": ()}) != before.model_copy(update={"notes": ()})
    assert noted != changed or (name == "trainer" and trainer == "generic")


@pytest.mark.parametrize("name", ["lora_r", "lora_alpha", "lora_dropout", "target_modules", "quantization"])
def test_parameters_of_an_adapter_are_used_with_peft(name: str) -> None:
    before = load(put_recipe({"params.peft": True}))
    after = load(put_recipe({"params.peft": True, f"params.{name}": PARAMETERS[name]}))
    assert after.notes == before.notes
    assert (after.method, after.provider_options) != (before.method, before.provider_options)


def test_null_quantization_is_not_the_default() -> None:
    assert "quantization" not in load(put_recipe({"params.peft": True})).provider_options
    recipe = load(put_recipe({"params.peft": True, "params.quantization": None}))
    assert recipe.provider_options["quantization"] == "none"
    assert recipe.method == Supervised(lora=True)
    assert load(put_recipe({"params.peft": False})).method == Supervised(lora=False)


def test_validation_data_are_kept_out_and_that_is_noted() -> None:
    recipe = load(put_recipe({"data.valid_split": "valid"}))
    assert recipe.validation_file is None
    assert [note.partition(":")[0] for note in recipe.notes] == ["data.valid_split"]


@pytest.mark.parametrize("key", ["log", "data.valid_split", "data.chat_template", "params", "hub"])
def test_what_can_mean_only_one_thing_may_be_missing_or_null(key: str) -> None:
    put_rows(TEXTS)
    base = {"data.chat_template": None}
    assert load(put_recipe({**base, key: GONE})) == load(put_recipe({**base, key: None}))


# -- mistakes ----------------------------------------------------------------------------------------------------------

MISTAKES: list[tuple[dict[str, Any], str]] = [
    *(
        ({key: GONE}, f"{key}: it is missing.")
        for key in ("task", "base_model", "project_name", "backend", "data.path", "data.train_split", "data")
    ),
    ({"data.column_mapping": GONE}, "data.column_mapping: it is missing."),
    ({"base_model": None}, "base_model: it is null"),
    ({"parms": {}}, "parms: there is no such key; did you mean 'params'?"),
    ({"params.epoch": 3}, "params.epoch: there is no such key; did you mean 'epochs'?"),
    ({"data.trainsplit": "x"}, "data.trainsplit: there is no such key; did you mean 'train_split'?"),
    ({"data.column_mapping.txt_column": "x"}, "txt_column: there is no such key; did you mean 'text_column'?"),
    ({"hub.user": "x"}, "hub.user: there is no such key; did you mean 'username'?"),
    ({"params.lr": "fast"}, "params.lr: input should be a valid number"),
    ({"params.epochs": 0}, "params.epochs: input should be greater than 0 (got 0)"),
    ({"params.epochs": None}, "params.epochs: it is null"),
    ({"params.block_size": [64, 128]}, "params.block_size: input should be a valid integer"),
    ({"params.block_size": 4}, "params.block_size: use 8 tokens or more"),
    ({"params.logging_steps": 0}, "params.logging_steps: use 1 or more"),
    ({"params.quantization": "int2"}, "(got 'int2')"),
    ({"params.unsloth": True}, "params.unsloth: AutoTrain's environment has no unsloth."),
    ({"params.distributed_backend": "ddp"}, "params.distributed_backend: "),
    ({"params": [1]}, "params: here stand keys with values (got [1])"),
    ({"log": "wandb"}, "(got 'wandb')"),
    ({"project_name": "out/model"}, "project_name: use 1 to 50 letters, digits and '-'"),
    ({"project_name": "n" * 51}, "project_name: use 1 to 50"),
    ({"backend": "space-l4x1"}, "backend: a recipe runs here ('local') or on a Space"),
    ({"backend": "dgx-a100"}, "backend: a recipe runs here ('local') or on a Space"),
    ({"task": "text-classification"}, "task: 'text-classification' is none that can be run here."),
    ({"task": "llm-sfft"}, "task: 'llm-sfft' is none that can be run here; did you mean 'llm-sft'?"),
    ({"params.trainer": "dpo"}, "params.trainer: 'dpo' contradicts the task 'llm-sft'."),
    ({"hub.push_to_hub": True}, "hub.username: push_to_hub needs it."),
    ({"data.path": "./nowhere"}, "data.path: there is no folder './nowhere'"),
    ({"data.path": "data/train.jsonl"}, "data.path: 'data/train.jsonl' is a file, and a recipe names its folder."),
    ({"data.train_split": "trian"}, "data/trian.csv nor data/trian.jsonl; did you mean 'train'?"),
    ({"data.column_mapping.text_column": "txt"}, "data.column_mapping.text_column: data/train.jsonl has no column"),
    ({"data.chat_template": None}, "data.chat_template: without one, rows are taken as text"),
    ({"task": "llm-dpo"}, "data.column_mapping.rejected_text_column: it is missing"),
    (
        {**PAIRED, "data.chat_template": None},
        "data.chat_template: preferences are conversations",
    ),
    (
        {"task": "llm-dpo", "data.column_mapping.rejected_text_column": "text"},
        "data.column_mapping: one column cannot be two things.",
    ),
]


@pytest.mark.parametrize(("changes", "said"), MISTAKES)
def test_a_mistake_is_told_by_its_key(changes: dict[str, Any], said: str) -> None:
    message = refusal(changes)
    assert said in message
    assert message.startswith("recipe.yml cannot be run as it is; ")


def test_all_mistakes_are_told_at_once() -> None:
    message = refusal(
        {"log": "wandb", "params.epoch": 3, "params.lr": 0, "data.train_split": "dev", "params.unsloth": True}
    )
    keys = re.findall(r"^  ([\w.]+): ", message, re.MULTILINE)
    assert sorted(keys) == ["data.train_split", "log", "params.epoch", "params.lr", "params.unsloth"]
    assert "; 5 things to mend" in message


def test_what_is_refused_can_be_left_out_knowingly() -> None:
    path = put_recipe({"params.unsloth": True, "params.block_size": 64, "params.lr": 0.1, "log": "wandb"})
    recipe = load(path, without=["params.unsloth,params.block_size", "log"])
    assert recipe.provider_options == {"trainer": "sft", "chat_template": "tokenizer"}
    assert recipe.method == Supervised(learning_rate=0.1)
    assert load(put_recipe(), without="project_name").suffix is None


@pytest.mark.parametrize(
    ("key", "said"), [("params.blocksize", "did you mean 'params.block_size'?"), ("base_model", "base_model")]
)
def test_only_what_can_be_spared_is_left_out(key: str, said: str) -> None:
    message = refusal(without=key)
    assert message.startswith(f"'{key}' is no key that can be left out")
    assert said in message


# -- the file ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- task: llm", "is no recipe"),
        ("", "is no recipe"),
        ("task: [llm", "recipe.yml, line 1, column 11: this is no YAML"),
        ("task: llm\ntask: llm-sft\n", "recipe.yml, line 2: 'task' stands here for the second time."),
        ("params:\n  lr: 1\n  lr: 2\n", "recipe.yml, line 3: 'lr' stands here for the second time."),
    ],
)
def test_a_file_that_is_no_recipe(text: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(said)):
        read(text)


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(ConfigurationError, match=r"the recipe 'nowhere\.yml' cannot be read"):
        load("nowhere.yml")


def test_python_in_yaml_is_not_run(work: Path) -> None:
    with pytest.raises(ConfigurationError, match="this is no YAML"):
        read(f"task: !!python/object/apply:os.mkdir ['{work}/made']")
    assert not (work / "made").exists()


# -- variables and secrets ---------------------------------------------------------------------------------------------


def test_variables_are_filled_in_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BASE", "acme/base")
    monkeypatch.setenv("RATE", "1e-4")
    recipe = load(put_recipe({"base_model": "${BASE}-v2", "params.lr": "${RATE}"}))
    assert (recipe.model, recipe.method) == ("acme/base-v2", Supervised(learning_rate=1e-4))


def test_a_variable_that_is_not_set_is_named() -> None:
    message = refusal({"base_model": "${NOT_SET}/x", "hub.push_to_hub": True, "hub.username": "${NOT_SET}"})
    assert "  base_model: the environment variable NOT_SET is not set." in message
    assert "  hub.username: the environment variable NOT_SET is not set." in message
    assert "2 things to mend" in message


TOKEN = "hf_" + "x" * 34


@pytest.mark.parametrize("written", [TOKEN, "${OTHER}", {"a": TOKEN}])
def test_another_token_is_refused_and_not_shown(written: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER", TOKEN)
    message = refusal({"hub.token": written})
    assert "hub.token: every token comes from the environment variable HF_TOKEN." in message
    assert TOKEN not in message


@pytest.mark.parametrize(
    "text", [f"hub: {TOKEN}", f"params:\n  token: {TOKEN}", f"hub:\n  token: *{TOKEN}", "project_name: ${HF_TOKEN}"]
)
def test_no_token_is_ever_shown(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with pytest.raises(ConfigurationError) as caught:
        read(text)
    assert TOKEN not in str(caught.value)


def test_the_token_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert TOKEN not in read(SFT).model_dump_json()


# -- data --------------------------------------------------------------------------------------------------------------


def test_messages_and_text_are_told_apart_by_the_first_row() -> None:
    assert load(put_recipe()).columns == {"text": "messages"}
    put_rows(TEXTS)
    assert load(put_recipe({"data.chat_template": None})).columns == {}
    assert "Write null." in refusal()


def test_the_same_data_under_their_own_names_need_no_columns() -> None:
    put_rows([{"messages": row["text"]} for row in CHATS])
    assert load(put_recipe({"data.column_mapping.text_column": "messages"})).columns == {}


def test_csv_and_jsonl_side_by_side_are_refused() -> None:
    Path("data/train.csv").write_text("text\nabc\n", encoding="utf-8")
    message = refusal()
    assert "data.path: there are data/train.csv and data/train.jsonl. AutoTrain reads the first" in message


def csv(cells: list[str], name: str = "text") -> None:
    Path("data/train.jsonl").unlink()
    quoted = ['"' + cell.replace('"', '""') + '"' for cell in cells]
    Path("data/train.csv").write_text("\n".join([name, *quoted]) + "\n", encoding="utf-8")


def test_messages_in_csv_are_json() -> None:
    csv([json.dumps(row["text"]) for row in CHATS])
    assert load(put_recipe()).columns == {"text": "messages"}


def test_messages_in_csv_as_python_writes_them_are_refused() -> None:
    csv([str(row["text"]) for row in CHATS])
    assert "the column 'text' of data/train.csv is a list as text." in refusal()


def test_a_list_as_text_is_refused() -> None:
    put_rows([{**row, "chosen": json.dumps(row["chosen"])} for row in PAIRS])
    assert "data.column_mapping.text_column: the column 'chosen' of data/train.jsonl is a list" in refusal(PAIRED)


def test_names_that_autotrain_keeps_are_refused() -> None:
    put_rows([{**row, "autotrain_prompt": "x"} for row in CHATS])
    assert "data: the column 'autotrain_prompt' of data/train.jsonl" in refusal()


def test_a_column_of_prompts_that_is_not_there_is_not_needed() -> None:
    put_rows(PAIRS)
    mapping = {"text_column": "chosen", "rejected_text_column": "rejected", "prompt_text_column": "question"}
    changes = {**PAIRED, "data.column_mapping": mapping}
    assert load(put_recipe(changes)).columns == {}
    put_rows([{**row, "question": row["chosen"][0]["content"]} for row in PAIRS])
    assert load(put_recipe(changes)).columns == {"question": "prompt"}


def test_a_prompt_beside_conversations_with_another_is_refused() -> None:
    put_rows([{**row, "prompt": "Something else"} for row in PAIRS])
    message = refusal(PAIRED)
    assert "data.column_mapping.prompt_text_column: the column of prompts in data/train.jsonl says" in message


def test_columns_that_would_be_read_instead_are_refused() -> None:
    put_rows([{**row, "messages": [user("other"), assistant("thing")]} for row in TEXTS])
    message = refusal({"data.chat_template": None})
    assert "beside 'text', data/train.jsonl has messages, which would be read instead." in message


def test_an_empty_file_is_told() -> None:
    Path("data/train.jsonl").write_text("", encoding="utf-8")
    assert "data.path: error: data/train.jsonl: the file is empty." in refusal()


def test_reading_a_recipe_loads_no_vendors_package() -> None:
    code = "import sys; import ftkit.recipes; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"yaml", "torch", "transformers", "datasets", "huggingface_hub", "openai"} & set(done.stdout.split())
