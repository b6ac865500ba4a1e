"""What only local training takes, in `provider_options`, under TRL's own names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from ftkit.methods import Settings

Precision = Literal["auto", "fp32", "bf16", "fp16"]
Quantization = Literal["4bit", "8bit"]
_WHOLE = "FULL_STATE_DICT"
Attention = Literal["auto", "sdpa", "flash_attention_2", "eager"]


def _whole_states(config: Mapping[str, Any]) -> Mapping[str, Any]:
    kind = config.get("state_dict_type", config.get("fsdp_state_dict_type", _WHOLE))
    if str(kind).upper() != _WHOLE:
        message = f"state_dict_type is {_WHOLE} here: one in shards is read by way of a pickle, which can run code"
        raise ValueError(message)
    return config


class LocalOptions(Settings):
    """Options of local training. None means our default, which is named below.

    What the machine cannot do is replaced, and told as a warning in the job's events.

    Attributes:
        processes: Processes that train together, each with a GPU of its own where there are GPUs; 1.
        fsdp: Spread weights, gradients and optimizer over the processes (PyTorch's FSDP).
        fsdp_config: How, under the names of transformers' `fsdp_config`.
        deepspeed: A configuration of DeepSpeed's, as JSON; needs the package deepspeed.
        gradient_accumulation_steps: Parts in which the batch of a step is computed; 1.
        gradient_checkpointing: Compute activations anew to save memory; on with a GPU, else off.
        precision: Of the computation; "auto" is bf16 where the device has it, else fp32.
        quantization: Hold the base model in 4 or 8 bits while an adapter is trained on it (needs a GPU and LoRA).
        attention: Implementation of attention; "auto" is sdpa.
        tf32: Let an NVIDIA GPU multiply in TF32.
        max_grad_norm: Longest gradient; a longer one is scaled down; 1.
        warmup_ratio: Share of the steps in which the learning rate rises; 0.03.
        warmup_steps: The same, in steps.
        lr_scheduler_type: How the learning rate falls; "cosine".
        packing: Put several short examples into one row; they do not see each other.
        max_length: Longest example, in tokens; 1024, or what the model takes if that is less. What is over is cut.
        logging_steps: Steps between two measurements; 1.
        eval_steps: Steps between two evaluations; once an epoch.
        save_steps: Steps between two checkpoints; once an epoch, or 500 where an epoch is longer.
        save_total_limit: How many checkpoints are kept; 3. A job goes on from the newest that is whole.
        max_steps: Stop after so many steps, whatever n_epochs says.
        weight_decay: Weight decay; 0.
        optim: Optimiser, by the name transformers has for it; "adamw_torch".
        train_on: Learn the assistant's messages (or the completion), or everything; "assistant".
    """

    field_noun = "option"
    written_as = "provider_options"

    processes: PositiveInt | None = None
    fsdp: bool | None = None
    fsdp_config: Annotated[Mapping[str, Any], AfterValidator(_whole_states)] | None = None
    deepspeed: Mapping[str, Any] | None = None
    gradient_accumulation_steps: PositiveInt | None = None
    gradient_checkpointing: bool | None = None
    precision: Precision | None = None
    quantization: Quantization | None = None
    attention: Attention | None = None
    tf32: bool | None = None
    max_grad_norm: PositiveFloat | None = None
    warmup_ratio: Annotated[float, Field(ge=0, lt=1)] | None = None
    warmup_steps: NonNegativeInt | None = None
    lr_scheduler_type: (
        Literal["linear", "cosine", "constant", "constant_with_warmup", "polynomial", "inverse_sqrt"] | None
    ) = None
    packing: bool | None = None
    max_length: Annotated[int, Field(ge=8)] | None = None
    logging_steps: PositiveInt | None = None
    eval_steps: PositiveInt | None = None
    save_steps: PositiveInt | None = None
    save_total_limit: PositiveInt | None = None
    max_steps: PositiveInt | None = None
    weight_decay: NonNegativeFloat | None = None
    optim: (
        Literal["adamw_torch", "adamw_torch_fused", "adafactor", "sgd", "adamw_bnb_8bit", "paged_adamw_8bit"] | None
    ) = None
    train_on: Literal["assistant", "all"] | None = None
