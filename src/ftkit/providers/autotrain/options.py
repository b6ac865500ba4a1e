"""What only AutoTrain takes, in `provider_options`, under AutoTrain's own names."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, NonNegativeFloat, PositiveFloat, PositiveInt

from ftkit.methods import Settings, near

OPTIMIZERS = [
    "adamw_torch",
    "adamw_torch_fused",
    "adamw_hf",
    "adamw_apex_fused",
    "adamw_anyprecision",
    "adamw_torch_4bit",
    "adamw_torch_xla",
    "adamw_torch_npu_fused",
    "adafactor",
    "ademamix",
    "sgd",
    "adagrad",
    "rmsprop",
    "lomo",
    "adalomo",
    "grokadamw",
    "schedule_free_adamw",
    "schedule_free_sgd",
    "adamw_8bit",
    "adamw_bnb_8bit",
    "ademamix_8bit",
    "lion_8bit",
    "lion_32bit",
    "rmsprop_bnb",
    "rmsprop_bnb_8bit",
    "rmsprop_bnb_32bit",
    "paged_adamw_8bit",
    "paged_adamw_32bit",
    "paged_ademamix_8bit",
    "paged_ademamix_32bit",
    "paged_lion_8bit",
    "paged_lion_32bit",
    "galore_adamw",
    "galore_adamw_8bit",
    "galore_adafactor",
    "galore_adamw_layerwise",
    "galore_adamw_8bit_layerwise",
    "galore_adafactor_layerwise",
]
"""The optimisers of transformers 4.48.0."""
SCHEDULERS = [
    "linear",
    "cosine",
    "cosine_with_restarts",
    "polynomial",
    "constant",
    "constant_with_warmup",
    "inverse_sqrt",
    "reduce_lr_on_plateau",
    "cosine_with_min_lr",
    "warmup_stable_decay",
]
"""The schedules of transformers 4.48.0."""


def _one_of(known: list[str]) -> AfterValidator:
    def check(value: str) -> str:
        if value not in known:
            message = f"AutoTrain knows none of that name{near(value, known)}"
            raise ValueError(message)
        return value

    return AfterValidator(check)


class AutoTrainOptions(Settings):
    """Options of AutoTrain's trainers for language models. None means AutoTrain's default, unless ours is named below.

    What the machine cannot do (4 bits, half precision and 8-bit optimisers without a GPU) is replaced, and told as a
    warning in the job's events.

    Attributes:
        trainer: For supervised fine-tuning: "sft", or "generic" for plain text; by what the file holds.
        chat_template: How conversations become text: that of the "tokenizer", "zephyr", "chatml", or "none", which
            takes them as they are; "tokenizer" for conversations and "none" for text.
        block_size: Tokens of a row, into which examples are packed; 1024 or what the model takes, but no more than the
            longest example where that would leave less than one step.
        model_max_length: Most tokens of the tokenizer; 2048.
        padding: Side on which rows are filled up.
        add_eos_token: End each text with the end token ("generic" only).
        warmup_ratio: Share of the steps in which the learning rate rises; 0.1.
        gradient_accumulation: Parts in which the batch of a step is computed; 1, and 4 parts of 2 examples where no
            `batch_size` is given. (AutoTrain itself calls one part the batch.)
        optimizer: By the name that transformers has for it; "adamw_torch".
        scheduler: How the learning rate falls, by the name that transformers has for it; "linear".
        weight_decay: Weight decay; 0.
        max_grad_norm: Longest gradient; 1.
        logging_steps: Steps between two measurements; 1.
        mixed_precision: "fp16" or "bf16"; full precision if None.
        quantization: Hold the base model in 4 or 8 bits while an adapter is trained on it; "int4" with LoRA on a GPU.
        merge_adapter: Merge the adapter into the model; True. One that is not merged may not load again, since the
            chat templates add tokens.
        disable_gradient_checkpointing: Keep activations, which takes memory and saves time.
        use_flash_attention_2: Use flash attention.
        auto_find_batch_size: Halve the batch until it fits into memory.
        max_prompt_length: Most tokens of a prompt (DPO and ORPO); 128.
        max_completion_length: Most tokens of an answer (DPO and ORPO).
        model_ref: Reference model (DPO); the model itself.
        log: Write TensorBoard's event files into the job's folder, or nothing; "none".
        push_to_hub: Repository (user/name) that the finished model is pushed to, as a private one.
    """

    field_noun = "option"
    written_as = "provider_options"

    trainer: Literal["sft", "generic"] | None = None
    chat_template: Literal["tokenizer", "zephyr", "chatml", "none"] | None = None
    block_size: Annotated[int, Field(ge=8)] | None = None
    model_max_length: PositiveInt | None = None
    padding: Literal["left", "right"] | None = None
    add_eos_token: bool | None = None
    warmup_ratio: Annotated[float, Field(ge=0, lt=1)] | None = None
    gradient_accumulation: PositiveInt | None = None
    optimizer: Annotated[str, _one_of(OPTIMIZERS)] | None = None
    scheduler: Annotated[str, _one_of(SCHEDULERS)] | None = None
    weight_decay: NonNegativeFloat | None = None
    max_grad_norm: PositiveFloat | None = None
    logging_steps: PositiveInt | None = None
    mixed_precision: Literal["fp16", "bf16"] | None = None
    quantization: Literal["int4", "int8", "none"] | None = None
    merge_adapter: bool | None = None
    disable_gradient_checkpointing: bool | None = None
    use_flash_attention_2: bool | None = None
    auto_find_batch_size: bool | None = None
    max_prompt_length: PositiveInt | None = None
    max_completion_length: PositiveInt | None = None
    model_ref: str | None = None
    log: Literal["tensorboard", "none"] | None = None
    push_to_hub: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")] | None = None
