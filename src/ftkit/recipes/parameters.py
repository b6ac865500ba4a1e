"""The parameters of a recipe as a method with its hyperparameters, and as options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ftkit.methods import DPO, ORPO, LoRA, Method, Reward, Supervised
from ftkit.recipes.keys import LORA, OPTIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ftkit.recipes.sections import Params

METHODS: Mapping[str, type[Method]] = {
    "sft": Supervised,
    "generic": Supervised,
    "dpo": DPO,
    "orpo": ORPO,
    "reward": Reward,
}
"""AutoTrain's trainers -> the methods that they are."""
PAIRS = frozenset({"dpo", "orpo", "reward"})
"""The trainers that learn from preferences."""

_PART, _PARTS = 2, 4
"""AutoTrain's own batch_size and gradient_accumulation, which stand for the one of them that is not given."""
_USED_BY: Mapping[str, frozenset[str]] = {
    "dpo_beta": frozenset({"dpo"}),
    "model_ref": frozenset({"dpo"}),
    "max_prompt_length": frozenset({"dpo", "orpo"}),
    "max_completion_length": frozenset({"dpo", "orpo"}),
    "add_eos_token": frozenset({"generic"}),
}
OF_ADAPTERS = frozenset({*LORA, "quantization", "merge_adapter"})
OF_VALIDATION = frozenset({"eval_strategy", "save_total_limit"})


def unused(params: Params, trainer: str) -> list[str]:
    """Returns the parameters that were given, and that AutoTrain does not look at in a training like this."""
    idle = {*OF_VALIDATION, *(name for name, trainers in _USED_BY.items() if trainer not in trainers)}
    idle |= {"model_ref"} if params.peft else OF_ADAPTERS
    return [name for name in _given(params) if name in idle]


def method_of(params: Params, trainer: str) -> Method:
    """Returns the method, with the hyperparameters that were given."""
    given: dict[str, Any] = {
        "n_epochs": params.epochs,
        "batch_size": _whole_batch(params),
        "learning_rate": params.lr,
        "lora": _adapter(params),
        "beta": params.dpo_beta if trainer == "dpo" else None,
    }
    return METHODS[trainer](**{name: value for name, value in given.items() if value is not None})


def _adapter(params: Params) -> LoRA | bool | None:
    if not params.peft:
        return params.peft
    given = {field: getattr(params, key) for key, field in LORA.items() if getattr(params, key) is not None}
    modules = given.get("target_modules")
    if isinstance(modules, str):
        every = modules.strip().lower() == "all-linear"
        given["target_modules"] = "all-linear" if every else tuple(name.strip() for name in modules.split(","))
    return LoRA(**given) if given else True


def options_of(params: Params, trainer: str) -> dict[str, Any]:
    """Returns the options that were given, but for values that say no more than their absence does."""
    idle, found = unused(params, trainer), dict[str, Any]()
    for name in _given(params):
        value = getattr(params, name)
        if name == "quantization" and value is None:
            value = "none"  # which is not AutoTrain's default
        if name in OPTIONS and name not in idle and value not in {None, -1}:
            found[name] = value
    if _whole_batch(params) is not None:
        found["gradient_accumulation"] = params.gradient_accumulation or _PARTS
    if found.get("mixed_precision") == "none":
        del found["mixed_precision"]
    return found


def _whole_batch(params: Params) -> int | None:
    """Returns the examples of a step. AutoTrain's batch is one part of it, and there are as many as it accumulates."""
    if params.batch_size is None and params.gradient_accumulation is None:
        return None
    return (params.batch_size or _PART) * (params.gradient_accumulation or _PARTS)


def _given(params: Params) -> list[str]:
    return [name for name in type(params).model_fields if name in params.model_fields_set]
