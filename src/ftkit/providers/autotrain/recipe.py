"""A request as AutoTrain's own recipe (its YAML file), and its records in AutoTrain's layout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ftkit.datasets.layouts import Layout, register_layout
from ftkit.datasets.rulebook import built_in
from ftkit.methods import DPO, ORPO, LoRA, Method, Reward, Supervised
from ftkit.models import RecordKind
from ftkit.providers.autotrain.options import AutoTrainOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ftkit.models import DatasetRules, JobRequest

LAYOUT = "autotrain"
DATA = "data"
PROJECT = "project"
LEARNING_RATE = 3e-5
"""AutoTrain's own learning rate (its LLMTrainingParams, 0.8.36), which `learning_rate_multiplier` is a factor on."""

TASKS: Mapping[type[Method], str] = {Supervised: "llm-sft", DPO: "llm-dpo", ORPO: "llm-orpo", Reward: "llm-reward"}
COLUMNS: Mapping[RecordKind, Mapping[str, str]] = {
    RecordKind.CHAT: {"text_column": "messages"},
    RecordKind.TEXT: {"text_column": "text"},
    RecordKind.PREFERENCE: {
        "prompt_text_column": "prompt",
        "text_column": "chosen",
        "rejected_text_column": "rejected",
    },
}
"""How the columns of our layout are called in a recipe's `column_mapping`."""

_NAMES = {"n_epochs": "epochs", "batch_size": "batch_size", "learning_rate": "lr", "beta": "dpo_beta"}
_OURS = ("trainer", "chat_template", "log", "push_to_hub", "quantization")


def _row(record: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a record as AutoTrain reads it: of a preference, both conversations whole, and the prompt besides."""
    if "chosen" in record:
        prompt: list[dict[str, Any]] = record["prompt"]
        asked = next((each["content"] for each in reversed(prompt) if each["role"] == "user"), "")
        chosen, rejected = ([*prompt, *record[side]] for side in ("chosen", "rejected"))
        return {**record, "prompt": asked, "chosen": chosen, "rejected": rejected}
    return dict(record)


register_layout(Layout(LAYOUT, frozenset({RecordKind.CHAT, RecordKind.TEXT, RecordKind.PREFERENCE}), _row))


def rules_of(method: Method, model: str) -> DatasetRules:
    """Returns what a data set must look like, by the table of rules."""
    return built_in("autotrain").rules(method, model)


def kind_of(row: Mapping[str, Any]) -> RecordKind:
    """Returns the kind of a row of our layout."""
    if "chosen" in row:
        return RecordKind.PREFERENCE
    return RecordKind.CHAT if "messages" in row else RecordKind.TEXT


def config_of(request: JobRequest, model: str, kind: RecordKind) -> dict[str, Any]:
    """Writes a request as a recipe of AutoTrain's.

    Args:
        request: What is asked for.
        model: What AutoTrain is to load.
        kind: The kind of the training file's records.
    """
    options = AutoTrainOptions(**request.provider_options)
    template = options.chat_template or ("none" if kind is RecordKind.TEXT else "tokenizer")
    return {
        "task": _task(request.method, options, kind),
        "base_model": model,
        "project_name": PROJECT,
        "log": options.log or "none",
        "backend": "local",
        "data": {
            "path": DATA,
            "train_split": "train",
            "valid_split": None,
            "chat_template": None if template == "none" else template,
            "column_mapping": dict(COLUMNS[kind]),
        },
        "params": _params(request, options),
    }


def _task(method: Method, options: AutoTrainOptions, kind: RecordKind) -> str:
    if isinstance(method, Supervised):
        return f"llm-{options.trainer or ('generic' if kind is RecordKind.TEXT else 'sft')}"
    return TASKS[type(method)]


def _params(request: JobRequest, options: AutoTrainOptions) -> dict[str, Any]:
    given = {name: value for name, value in request.method.hyperparameters().items() if value != "auto"}
    multiplier, parts = given.pop("learning_rate_multiplier", None), options.gradient_accumulation or 1
    given.pop("lora", None)
    found: dict[str, Any] = {"logging_steps": 1, "merge_adapter": True}
    found |= {_NAMES[name]: value for name, value in given.items()}
    if multiplier is not None:
        found["lr"] = LEARNING_RATE * multiplier
    if "batch_size" in given:
        found |= {"batch_size": given["batch_size"] // parts, "gradient_accumulation": parts}
    if request.seed is not None:
        found["seed"] = request.seed
    if options.quantization:
        found["quantization"] = None if options.quantization == "none" else options.quantization
    own = options.model_dump(exclude_none=True, exclude=set(_OURS))
    return found | _adapter(request.method) | own


def _adapter(method: Method) -> dict[str, Any]:
    lora: LoRA | bool | None = getattr(method, "lora", None)
    if not lora:
        return {"peft": False}
    chosen = lora if isinstance(lora, LoRA) else LoRA()
    modules = chosen.target_modules
    named = {
        "lora_r": chosen.r,
        "lora_alpha": chosen.alpha,
        "lora_dropout": chosen.dropout,
        "target_modules": ",".join(modules) if isinstance(modules, tuple) else modules,
    }
    return {"peft": True, **{name: value for name, value in named.items() if value is not None}}
