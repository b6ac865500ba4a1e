"""The sections of a recipe: their keys, and what each may hold. They are those of AutoTrain 0.8.36."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    ValidationError,
)

from ftkit.methods import near
from ftkit.providers.autotrain.backends import LOCAL, SPACES

_MEANT = {
    "learning_rate": "lr",
    "num_train_epochs": "epochs",
    "n_epochs": "epochs",
    "per_device_train_batch_size": "batch_size",
    "gradient_accumulation_steps": "gradient_accumulation",
    "lr_scheduler_type": "scheduler",
    "optim": "optimizer",
    "max_length": "block_size",
    "beta": "dpo_beta",
    "model": "base_model",
}
"""What others call a key, and a user may write -> AutoTrain's name for it."""
_LONGEST_NAME = 50


def _project(name: str) -> str:
    if not (name.isascii() and name.replace("-", "").isalnum() and len(name) <= _LONGEST_NAME):
        message = f"use 1 to {_LONGEST_NAME} letters, digits and '-'"
        raise ValueError(message)
    return name


def _backend(name: str) -> str:
    known = (*LOCAL, *SPACES)
    if name not in known:
        message = f"a recipe runs here ('local') or on a Space of the Hub ('spaces-l4x1', ...){near(name, known)}"
        raise ValueError(message)
    return name


def _block(tokens: int) -> int:
    least = 8
    if tokens < least and tokens != -1:
        message = f"use {least} tokens or more, or -1 for AutoTrain's own choice"
        raise ValueError(message)
    return tokens


def _steps(steps: int) -> int:
    if steps < 1 and steps != -1:
        message = "use 1 or more, or -1 for AutoTrain's own choice"
        raise ValueError(message)
    return steps


Name = Annotated[str, Field(min_length=1)]


class Section(BaseModel):
    """Base of all sections. A value None means that the key is not there, or null.

    Attributes:
        place: The path of the section, with a dot at its end.
        nullable: The keys that may be null; of any other, null is a mistake.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    place: ClassVar[str]
    nullable: ClassVar[frozenset[str]] = frozenset()


class Top(Section):
    """What stands at the top."""

    place = ""
    nullable = frozenset({"log", "params", "hub"})

    task: str | None = None
    base_model: Name | None = None
    project_name: Annotated[str, AfterValidator(_project)] | None = None
    log: Literal["none", "tensorboard"] | None = None
    backend: Annotated[str, AfterValidator(_backend)] | None = None
    data: Mapping[str, Any] | None = None
    params: Mapping[str, Any] | None = None
    hub: Mapping[str, Any] | None = None


class Data(Section):
    """Where the data are."""

    place = "data."
    nullable = frozenset({"valid_split", "chat_template"})

    path: Name | None = None
    train_split: Name | None = None
    valid_split: str | None = None
    chat_template: Literal["tokenizer", "zephyr", "chatml", "none"] | None = None
    column_mapping: Mapping[str, Any] | None = None


class Columns(Section):
    """How the columns of the data are called."""

    place = "data.column_mapping."
    nullable = frozenset({"rejected_text_column", "prompt_text_column"})

    text_column: Name = "text"
    rejected_text_column: Name | None = None
    prompt_text_column: Name | None = None


class Params(Section):
    """The parameters of AutoTrain's trainers for language models."""

    place = "params."
    nullable = frozenset(
        {"mixed_precision", "quantization", "model_ref", "max_completion_length", "distributed_backend"}
    )

    trainer: Literal["default", "generic", "sft", "dpo", "orpo", "reward"] | None = None
    epochs: PositiveInt | None = None
    batch_size: PositiveInt | None = None
    lr: PositiveFloat | None = None
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    peft: bool | None = None
    lora_r: PositiveInt | None = None
    lora_alpha: PositiveInt | None = None
    lora_dropout: Annotated[float, Field(ge=0, lt=1)] | None = None
    target_modules: Name | None = None
    dpo_beta: PositiveFloat | None = None
    block_size: Annotated[int, AfterValidator(_block)] | None = None
    model_max_length: PositiveInt | None = None
    padding: Literal["left", "right"] | None = None
    add_eos_token: bool | None = None
    warmup_ratio: Annotated[float, Field(ge=0, lt=1)] | None = None
    gradient_accumulation: PositiveInt | None = None
    optimizer: Name | None = None
    scheduler: Name | None = None
    weight_decay: NonNegativeFloat | None = None
    max_grad_norm: PositiveFloat | None = None
    logging_steps: Annotated[int, AfterValidator(_steps)] | None = None
    mixed_precision: Literal["fp16", "bf16", "none"] | None = None
    quantization: Literal["int4", "int8", "none"] | None = None
    merge_adapter: bool | None = None
    disable_gradient_checkpointing: bool | None = None
    use_flash_attention_2: bool | None = None
    auto_find_batch_size: bool | None = None
    max_prompt_length: PositiveInt | None = None
    max_completion_length: PositiveInt | None = None
    model_ref: Name | None = None
    eval_strategy: str | None = None
    save_total_limit: int | None = None
    unsloth: bool | None = None
    distributed_backend: str | None = None


class Hub(Section):
    """Whether the model is pushed, and whose it is. The token is in no model: it is never read."""

    place = "hub."
    nullable = frozenset({"username"})

    username: Name | None = None
    push_to_hub: bool | None = None


S = TypeVar("S", bound=Section)


def read_section(model: type[S], value: Mapping[str, Any], wrong: list[str]) -> S:
    """Reads a section. What is wrong with it is told, and left out.

    Args:
        model: Which section.
        value: What the recipe has there.
        wrong: Where to tell it, a line for each key.
    """
    given = {str(key): each for key, each in value.items()}
    for key in [key for key, each in given.items() if each is None and key in {*model.model_fields} - model.nullable]:
        wrong.append(f"{model.place}{key}: it is null, which says nothing here. Give a value, or take it out.")
        del given[key]
    try:
        return model.model_validate(given)
    except ValidationError as error:
        wrong += _told(model, error)
        bad = {str(item["loc"][0]) for item in error.errors()}
        return model.model_validate({key: each for key, each in given.items() if key not in bad})


def _told(model: type[Section], error: ValidationError) -> list[str]:
    lines: list[str] = []
    for item in error.errors(include_url=False):
        key, message = str(item["loc"][0]), item["msg"].removeprefix("Value error, ").rstrip(".")
        if item["type"] == "extra_forbidden":
            meant = _MEANT.get(key)
            hint = f"; did you mean '{meant}'?" if meant in model.model_fields else near(key, model.model_fields)
            lines.append(f"{model.place}{key}: there is no such key{hint or '.'}")
        else:
            message = "here stand keys with values" if item["type"] in {"dict_type", "mapping_type"} else message
            shown = "" if key == "hub" else f" (got {item['input']!r:.80})"  # a token may stand there
            lines.append(f"{model.place}{key}: {message[0].lower()}{message[1:]}{shown}.")
    return lines
