"""What becomes of a request on its way into AutoTrain, and of a model that is newer than AutoTrain."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from autotrain_tools import chats, preferences, texts, write

from ftkit import DPO, ORPO, DatasetError, LoRA, Reinforcement, Reward, Severity, Supervised
from ftkit.datasets import prepare
from ftkit.models import JobRequest, RecordKind, TrainingFile
from ftkit.providers.autotrain import AutoTrainProvider, recipe

if TYPE_CHECKING:
    from types import ModuleType

    from ftkit.methods import Method

FILE = TrainingFile(id="file-1", provider="autotrain", filename="train.jsonl")


def request(method: Method, **more: Any) -> JobRequest:
    return JobRequest(model="ftkit/small", training_file=FILE, method=method, **more)


def config(method: Method, kind: RecordKind = RecordKind.CHAT, **more: Any) -> dict[str, Any]:
    return recipe.config_of(request(method, **more), "/a/model", kind)


@pytest.mark.parametrize(
    ("method", "kind", "options", "task", "template"),
    [
        (Supervised(), RecordKind.CHAT, {}, "llm-sft", "tokenizer"),
        (Supervised(), RecordKind.TEXT, {}, "llm-generic", None),
        (Supervised(), RecordKind.TEXT, {"trainer": "sft"}, "llm-sft", None),
        (Supervised(), RecordKind.CHAT, {"chat_template": "zephyr"}, "llm-sft", "zephyr"),
        (Supervised(), RecordKind.CHAT, {"chat_template": "none"}, "llm-sft", None),
        (DPO(), RecordKind.PREFERENCE, {}, "llm-dpo", "tokenizer"),
        (ORPO(), RecordKind.PREFERENCE, {}, "llm-orpo", "tokenizer"),
        (Reward(), RecordKind.PREFERENCE, {}, "llm-reward", "tokenizer"),
    ],
)
def test_the_task_follows_the_method_and_the_data(
    method: Method, kind: RecordKind, options: dict[str, Any], task: str, template: str | None
) -> None:
    made = config(method, kind, provider_options=options)
    assert (made["task"], made["data"]["chat_template"]) == (task, template)
    assert made["backend"] == "local"
    assert "hub" not in made


def test_every_hyperparameter_arrives_under_autotrains_name() -> None:
    lora = LoRA(r=8, alpha=16, dropout=0.1, target_modules=("q_proj", "v_proj"))
    method = DPO(n_epochs=2, batch_size=4, learning_rate=1e-4, beta=0.2, lora=lora)
    params = config(method, RecordKind.PREFERENCE, seed=11, provider_options={"max_prompt_length": 64})["params"]
    assert params == {
        "logging_steps": 1,
        "merge_adapter": True,
        "epochs": 2,
        "batch_size": 4,
        "gradient_accumulation": 1,
        "lr": 1e-4,
        "dpo_beta": 0.2,
        "seed": 11,
        "peft": True,
        "lora_r": 8,
        "lora_alpha": 16,
        "lora_dropout": 0.1,
        "target_modules": "q_proj,v_proj",
        "max_prompt_length": 64,
    }
    relative = config(Supervised(learning_rate_multiplier=2.0, n_epochs="auto", batch_size="auto"))["params"]
    assert relative == {"logging_steps": 1, "merge_adapter": True, "lr": 6e-5, "peft": False}
    assert config(Supervised(lora=True), provider_options={"quantization": "none"})["params"]["quantization"] is None


@pytest.mark.parametrize(
    ("batch_size", "parts", "made"), [(None, None, {}), (8, None, (8, 1)), (8, 4, (2, 4)), (None, 3, (None, 3))]
)
def test_a_batch_is_the_examples_of_a_step(batch_size: int | None, parts: int | None, made: Any) -> None:
    options = {} if parts is None else {"gradient_accumulation": parts}
    params = config(Supervised(batch_size=batch_size), provider_options=options)["params"]
    found = (params.get("batch_size"), params.get("gradient_accumulation"))
    assert found == (made or (None, None))


def test_every_option_arrives() -> None:
    given = {"warmup_ratio": 0.2, "scheduler": "cosine", "optimizer": "adafactor", "gradient_accumulation": 2}
    given |= {"mixed_precision": "bf16", "quantization": "int8", "merge_adapter": False, "weight_decay": 0.1}
    params = config(Supervised(lora=True), provider_options=given)["params"]
    assert given.items() <= params.items()
    own = set(AutoTrainProvider.Options.model_fields) - {"trainer", "chat_template", "log", "push_to_hub"}
    values: dict[str, Any] = {"padding": "left", "optimizer": "sgd", "scheduler": "linear", "model_ref": "a/b"}
    values |= {"mixed_precision": "fp16", "quantization": "int4", "warmup_ratio": 0.5, "block_size": 64}
    for name in own:
        value = values.get(name, True if "bool" in str(AutoTrainProvider.Options.model_fields[name].annotation) else 3)
        assert config(DPO(), RecordKind.PREFERENCE, provider_options={name: value})["params"][name] == value


def problems(tmp_path: Path, asked: JobRequest) -> dict[str, Severity]:
    provider = AutoTrainProvider(jobs_folder=tmp_path)
    return {str(problem.field): problem.severity for problem in provider.problems(asked)}


def test_what_it_cannot_do_is_refused_and_what_it_passes_over_is_told(tmp_path: Path) -> None:
    assert problems(tmp_path, request(Supervised(), validation_file=FILE)) == {"validation_file": Severity.WARNING}
    assert problems(tmp_path, request(Reinforcement())) == {"method": Severity.ERROR}
    assert problems(tmp_path, request(ORPO(beta=0.1))) == {"method.beta": Severity.ERROR}
    for name, value in (("optimizer", "adamm"), ("scheduler", "cosin")):
        [problem] = AutoTrainProvider(jobs_folder=tmp_path).problems(
            request(Supervised(), provider_options={name: value})
        )
        assert "did you mean" in problem.message
    parts = request(Supervised(batch_size=6), provider_options={"gradient_accumulation": 4})
    assert problems(tmp_path, parts) == {"provider_options.gradient_accumulation": Severity.ERROR}
    wrong = request(DPO(), provider_options={"trainer": "sft", "quantization": "int4"})
    assert problems(tmp_path, wrong) == {
        "provider_options.trainer": Severity.ERROR,
        "provider_options.quantization": Severity.ERROR,
    }


@pytest.mark.parametrize(
    ("rows", "method", "columns"),
    [
        (chats(2), Supervised(), {"messages"}),
        (texts(2), Supervised(), {"text"}),
        (preferences(2), DPO(), {"prompt", "chosen", "rejected"}),
    ],
)
def test_records_are_written_as_autotrain_reads_them(
    tmp_path: Path, rows: list[dict[str, Any]], method: Method, columns: set[str]
) -> None:
    rules = AutoTrainProvider(jobs_folder=tmp_path).rules(method, "ftkit/small")
    target = tmp_path / "out.jsonl"
    prepare(write(tmp_path / "in.jsonl", rows), rules, target)
    first = json.loads(target.read_text().splitlines()[0])
    assert set(first) == columns
    assert set(recipe.COLUMNS[recipe.kind_of(first)].values()) == columns
    if "chosen" in first:  # both are whole conversations, and the prompt is a text
        assert [message["role"] for message in first["chosen"]] == ["user", "assistant"]
        assert first["chosen"][0] == first["rejected"][0]
        assert first["prompt"] == "What is 0 and one?"


@pytest.mark.parametrize(
    "message",
    [
        {"role": "developer", "content": "Be short."},
        {"role": "assistant", "content": "Hi", "weight": 0},
    ],
)
def test_what_its_templates_would_drop_is_refused(tmp_path: Path, message: dict[str, Any]) -> None:
    rules = AutoTrainProvider(jobs_folder=tmp_path).rules(Supervised(), "ftkit/small")
    rows = [{"messages": [message, *chats(1)[0]["messages"]]}]
    with pytest.raises(DatasetError):
        prepare(write(tmp_path / "in.jsonl", rows), rules, tmp_path / "out.jsonl")


def test_tools_are_refused(tmp_path: Path) -> None:
    rules = AutoTrainProvider(jobs_folder=tmp_path).rules(Supervised(), "ftkit/small")
    tools = [{"type": "function", "function": {"name": "add"}}]
    with pytest.raises(DatasetError) as refused:
        prepare(write(tmp_path / "in.jsonl", [{**chats(1)[0], "tools": tools}]), rules, tmp_path / "out.jsonl")
    assert [problem.code for problem in refused.value.problems] == ["tools-not-accepted"]


@pytest.fixture
def older() -> ModuleType:
    """The script that runs inside AutoTrain's environment; it needs nothing of it."""
    path = Path(recipe.__file__).parent / "inside" / "older.py"
    spec = importlib.util.spec_from_file_location("older", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_newer_model_is_said_again_in_the_older_form(older: ModuleType, tmp_path: Path) -> None:
    newer = tmp_path / "newer"
    newer.mkdir()
    scaled = {"rope_theta": 5e5, "rope_type": "llama3", "factor": 8.0}
    (newer / "config.json").write_text(
        json.dumps({"model_type": "llama", "rope_parameters": scaled, "dtype": "bfloat16"})
    )
    (newer / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "TokenizersBackend"}))
    (newer / "chat_template.jinja").write_text("{{ messages }}")
    (newer / "model.safetensors").write_bytes(b"weights")
    copy = Path(older.model_folder(str(newer), tmp_path / "copy"))
    config = json.loads((copy / "config.json").read_text())
    assert config["rope_theta"] == 5e5
    assert config["rope_scaling"] == {"rope_type": "llama3", "factor": 8.0}
    assert config["torch_dtype"] == "bfloat16"
    tokenizer = json.loads((copy / "tokenizer_config.json").read_text())
    assert tokenizer == {"tokenizer_class": "PreTrainedTokenizerFast", "chat_template": "{{ messages }}"}
    assert (copy / "model.safetensors").read_bytes() == b"weights"


def test_a_model_of_its_own_time_is_taken_as_it_is(older: ModuleType, tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text(json.dumps({"model_type": "llama", "rope_theta": 1e4}))
    (model / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "LlamaTokenizer"}))
    assert older.model_folder(str(model), tmp_path / "copy") == str(model)
    assert not (tmp_path / "copy").exists()
