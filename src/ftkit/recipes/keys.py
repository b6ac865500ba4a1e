"""The keys of a recipe: which field of a request each of them is, and how to leave one out knowingly."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any, TypeVar, cast

from ftkit.errors import ConfigurationError
from ftkit.methods import near

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ftkit.models import JobRequest

R = TypeVar("R", bound="JobRequest")

OPTIONS = (
    "model_max_length",
    "block_size",
    "padding",
    "add_eos_token",
    "warmup_ratio",
    "gradient_accumulation",
    "optimizer",
    "scheduler",
    "weight_decay",
    "max_grad_norm",
    "logging_steps",
    "mixed_precision",
    "quantization",
    "merge_adapter",
    "disable_gradient_checkpointing",
    "use_flash_attention_2",
    "auto_find_batch_size",
    "max_prompt_length",
    "max_completion_length",
    "model_ref",
)
"""The parameters that are options of the provider, under the same names."""

LORA = {"lora_r": "r", "lora_alpha": "alpha", "lora_dropout": "dropout", "target_modules": "target_modules"}
"""The parameters of the adapter -> the fields of `LoRA`."""

FIELDS: Mapping[str, str] = {
    "project_name": "suffix",
    "log": "provider_options.log",
    "data.chat_template": "provider_options.chat_template",
    "hub.push_to_hub": "provider_options.push_to_hub",
    "params.seed": "seed",
    "params.epochs": "method.n_epochs",
    "params.batch_size": "method.batch_size",
    "params.lr": "method.learning_rate",
    "params.dpo_beta": "method.beta",
    "params.peft": "method.lora",
    **{f"params.{key}": f"method.lora.{field}" for key, field in LORA.items()},
    **{f"params.{name}": f"provider_options.{name}" for name in OPTIONS},
}
"""The keys that can be left out -> the fields of a request that they are."""

_WITHOUT_FIELD = (
    "data.valid_split",
    "hub.token",
    "hub.username",
    "params.distributed_backend",
    "params.eval_strategy",
    "params.save_total_limit",
    "params.unsloth",
)
_NEEDED = {"model": "base_model", "method": "task", "training_file": "data.path", "provider_options.trainer": "task"}
_KEYS = {field: key for key, field in FIELDS.items()} | _NEEDED


def parse_keys(without: str | Iterable[str]) -> tuple[str, ...]:
    """Returns the keys to leave out.

    Args:
        without: Keys, each by itself or several with commas between.

    Raises:
        ConfigurationError: One is no key, or one that no recipe can do without.
    """
    given = [without] if isinstance(without, str) else list(without)
    keys = tuple(key.strip() for text in given for key in text.split(",") if key.strip())
    known = (*FIELDS, *_WITHOUT_FIELD)
    for key in keys:
        if key not in known:
            message = f"'{key}' is no key that can be left out{near(key, known)}"
            raise ConfigurationError(message, hint="Write it with its section, such as params.block_size.")
    return keys


def key_of(field: str | None) -> str | None:
    """Returns the key that became a field of a request; the field itself if none did."""
    if field is None:
        return None
    return _KEYS.get(field) or _KEYS.get(".".join(field.split(".")[:2])) or field


def drop_keys(document: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """Returns a recipe as it was written, without some keys."""
    found = deepcopy(dict(document))
    for key in keys:
        section, _, name = key.rpartition(".")
        place: object = found.get(section) if section else found
        if isinstance(place, dict):
            cast("dict[str, Any]", place).pop(name, None)
    return found


def drop_fields(recipe: R, keys: Iterable[str]) -> R:
    """Returns a request without the fields that some keys became."""
    method, options = recipe.method.hyperparameters(), dict(recipe.provider_options)
    update: dict[str, Any] = {}
    for key in keys:
        field, _, name = FIELDS.get(key, "").partition(".")
        if field == "provider_options":
            options.pop(name, None)
        elif field == "method":
            _drop(method, name)
        elif field:
            update[field] = None
    kind = type(recipe.method)
    return recipe.model_copy(update={**update, "method": kind(**method), "provider_options": options})


def _drop(method: dict[str, Any], name: str) -> None:
    outer, _, inner = name.partition(".")
    if not inner:
        method.pop(outer, None)
    elif isinstance(method.get(outer), dict):
        method[outer].pop(inner, None)
        method[outer] = method[outer] or True  # an adapter all the same
