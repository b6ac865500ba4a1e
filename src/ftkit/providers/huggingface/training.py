"""The training itself, with TRL. Only ever loaded in the process that trains."""

# pyright: basic
# torch, transformers, trl, peft and datasets are untyped, or so loosely typed that the strict mode says nothing.

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from dataclasses import dataclass
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from datasets import Dataset
from peft import LoraConfig, PeftModel
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, set_seed
from transformers.utils.logging import disable_progress_bar
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer  # pyright: ignore[reportPrivateImportUsage]  # lazy

from ftkit.errors import ConfigurationError
from ftkit.methods import DPO
from ftkit.models import EventLevel
from ftkit.plugin.disk import sync
from ftkit.providers._local_jobs.names import ADAPTER, MODEL, TRAINING, VALIDATION, model_name
from ftkit.providers.huggingface import checkpoints, hardware
from ftkit.providers.huggingface.adapters import name_base
from ftkit.providers.huggingface.data import Examples, read_examples
from ftkit.providers.huggingface.encode import Encoded
from ftkit.providers.huggingface.made import write_made
from ftkit.providers.huggingface.options import LocalOptions
from ftkit.providers.huggingface.plan import TINY, Plan, longest, plan
from ftkit.providers.huggingface.resolve import resolve_model
from ftkit.providers.huggingface.stopping import Stop, StoppedError
from ftkit.providers.huggingface.tokens import SPECIAL, Tokens
from ftkit.providers.huggingface.watch import Watch
from ftkit.providers.huggingface.weights import read_numbers_only

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ftkit.providers._local_jobs import Reporter
    from ftkit.providers.huggingface.crew import Crew, HandsOver
    from ftkit.providers.huggingface.hardware import Fitted

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_TENTHS = 10


@dataclass(frozen=True, slots=True)
class _Base:
    """The model to be trained.

    Attributes:
        folder: Where it lies.
        model: The model.
        tokenizer: Its tokenizer, as transformers has it: that is what serves the tuned model.
        tokens: The same, as we use it.
        length: Most tokens of an example.
        weights: How many weights it has.
    """

    folder: Path
    model: Any
    tokenizer: Any
    tokens: Tokens
    length: int
    weights: int


def train(reporter: Reporter, stop: Stop, crew: Crew, taker: HandsOver | None = None) -> None:
    """Does a job from wherever it stands to its end, together with the other processes if there are any.

    Args:
        reporter: Has the job, and takes what is told.
        stop: Knows whether to stop.
        crew: The processes that train together.
        taker: Takes checkpoints and the model, where the reporter's folder is not the job's own.

    Raises:
        StoppedError: It was asked to end; a checkpoint is there.
        FtkitError: It cannot be done.
    """
    request, folder = reporter.record.request, reporter.folder.path
    options = LocalOptions(**request.provider_options)
    if options.deepspeed is None:  # it keeps more than numbers, and reads that as it likes
        read_numbers_only(os.environ)
    disable_progress_bar()  # a log is no terminal
    fitted = _fitted(reporter, options)
    stop.check()
    base = _base(reporter, stop, options, fitted)
    stop.check()
    training = _examples(reporter, options, base, "training", TRAINING)
    validation = _examples(reporter, options, base, "validation", VALIDATION) if request.validation_file else None
    stop.check()
    numbers = plan(request, options, rows=len(training.rows), weights=base.weights)
    trainer = _trainer(reporter, numbers, options, fitted, base, (training, validation))
    _count(trainer, numbers)
    if crew.rank == 0:
        used = {"rows": len(training.rows), "validation_rows": len(validation.rows) if validation else 0}
        write_made(folder, numbers, fitted, weights=base.weights, **used)
        _look_back(reporter, folder)
    crew.meet()
    found = checkpoints.whole(folder)
    trainer.add_callback(Watch(reporter, stop, crew, numbers, len(trainer.train_dataset), taker))
    _go_on(trainer, found[0][0] if found else None)
    crew.meet()  # whoever left first would look like one that has died
    if stop.agreed and trainer.state.global_step < trainer.state.max_steps:
        raise StoppedError
    is_spread = fitted.fsdp or options.deepspeed is not None
    weights = trainer.accelerator.get_state_dict(trainer.model) if is_spread else None
    if crew.rank == 0:
        _save(trainer, base, reporter, numbers, fitted, weights)
        if taker is not None:
            taker.model()
        reporter.event("The job has succeeded")
        reporter.status("succeeded", fine_tuned_model=model_name(request, reporter.folder.id))
    crew.meet()


def _go_on(trainer: Any, checkpoint: Path | None) -> None:  # noqa: ANN401 - untyped
    """Trains, from a checkpoint if there is one.

    Raises:
        ConfigurationError: The checkpoint holds what could run code.
    """
    try:
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    except UnpicklingError as error:
        message = f"{checkpoint} holds more than numbers, which is not read: it could run code"
        hint = "Its weights are safetensors alone, and all else are numbers. Remove it, and the job goes on without it."
        raise ConfigurationError(message, hint=hint) from error


def _count(trainer: Any, numbers: Plan) -> None:  # noqa: ANN401 - untyped
    """Sees that all who were asked for are here. A launcher can start one, and say nothing of the others.

    Raises:
        ConfigurationError: They are not.
    """
    if trainer.args.world_size != numbers.processes:
        here = f"{trainer.args.world_size} of {numbers.processes} processes"
        raise ConfigurationError(f"{here} take part in the training", hint="See the job's log for what became of them.")


def _fitted(reporter: Reporter, options: LocalOptions) -> Fitted:
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "0"))  # of several machines, whoever starts the processes says so
    fitted = hardware.fit(options, hardware.this_machine(), here or None)
    for replaced in fitted.replaced:
        _warn(reporter, replaced)
    return fitted


def _warn(reporter: Reporter, message: str) -> None:
    print(f"warning: {message}", file=sys.stderr)  # noqa: T201 - this is what the log is made of
    if not any(event.message == message for event in reporter.folder.events()):  # told already, before a pause
        reporter.event(message, EventLevel.WARNING)


def _building(reporter: Reporter, stop: Stop) -> Callable[[int, int, float], None]:
    """Tells how far the building of `ftkit/small` is, ten times."""
    told = -1

    def on_progress(step: int, steps: int, loss: float) -> None:
        nonlocal told
        if stop.requested:  # the others wait for what is built here, and cannot be asked
            raise StoppedError
        tenth = step * _TENTHS // max(1, steps)
        if tenth > told:
            told = tenth
            reporter.event(f"Building the base model, once on this machine: step {step}/{steps}, loss {loss:.2f}")

    return on_progress


def _base(reporter: Reporter, stop: Stop, options: LocalOptions, fitted: Fitted) -> _Base:
    folder = resolve_model(str(reporter.record.extra["model"]), _building(reporter, stop))
    tokenizer: Any = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    special = {name: str(token) for name, token in tokenizer.special_tokens_map.items() if name in SPECIAL}
    tokens = Tokens(reporter.record.request.model, tokenizer.backend_tokenizer, tokenizer.chat_template, special)
    model = _load(folder, fitted)
    positions: int | None = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    weights = int(model.num_parameters())
    if fitted.device == "cpu" and weights < TINY and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)  # threads would wait for each other longer than they work
    return _Base(folder, model, tokenizer, tokens, longest(options, positions), weights)


def _examples(reporter: Reporter, options: LocalOptions, base: _Base, name: str, file: str) -> Examples:
    path, method = reporter.folder.path / file, reporter.record.request.method
    found = read_examples(path, name, method, base.tokens, options.train_on or "assistant", base.length)
    for warning in found.warnings():
        _warn(reporter, warning)
    return found


def _load(base: Path, fitted: Fitted) -> Any:  # noqa: ANN401 - untyped
    quantized = None
    if fitted.quantization == "4bit":
        quantized = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=_DTYPES[fitted.precision],
        )
    elif fitted.quantization == "8bit":
        quantized = BitsAndBytesConfig(load_in_8bit=True)
    return AutoModelForCausalLM.from_pretrained(
        base,
        dtype=_DTYPES[fitted.precision] if quantized else torch.float32,
        attn_implementation=fitted.attention,
        quantization_config=quantized,
        trust_remote_code=False,
        local_files_only=True,
        use_safetensors=True,  # a pickle can run code
    )


class _PairTrainer(DPOTrainer):  # type: ignore[misc]  # untyped
    """DPO on examples that are tokens already. TRL itself takes only text, of which it drops some in silence."""

    def _prepare_dataset(self, dataset: Dataset, *_: object, **__: object) -> Dataset:
        return dataset


def _trainer(
    reporter: Reporter,
    numbers: Plan,
    options: LocalOptions,
    fitted: Fitted,
    base: _Base,
    examples: tuple[Examples, Examples | None],
) -> Any:  # noqa: ANN401 - untyped
    training, validation = examples
    adapter = numbers.adapter
    set_seed(numbers.seed)  # the trainer does so as well, but only after the adapter has drawn its first weights
    if adapter and fitted.precision != "fp32" and not fitted.quantization:
        base.model.to(_DTYPES[fitted.precision])  # the base stands still; only the adapter needs all digits
    lora = adapter and LoraConfig(
        r=adapter.r,
        lora_alpha=adapter.alpha,
        lora_dropout=adapter.dropout,
        target_modules=adapter.target_modules,
        task_type="CAUSAL_LM",
    )
    settings = _settings(reporter.folder.path / checkpoints.FOLDER, numbers, options, fitted, has_eval=bool(validation))
    settings |= _shared(options, fitted)
    shared: dict[str, Any] = {
        "model": base.model,
        "train_dataset": _dataset(training),
        "eval_dataset": _dataset(validation) if validation else None,
        "processing_class": base.tokenizer,
        "peft_config": lora,
    }
    if isinstance(reporter.record.request.method, DPO):
        trainer = _PairTrainer(args=DPOConfig(beta=numbers.beta, max_length=None, **settings), **shared)
    else:
        packed = bool(options.packing)
        packing = {"packing": packed, "eval_packing": False, "max_length": base.length if packed else None}
        trainer = SFTTrainer(args=SFTConfig(**packing, **settings), **shared)
    return trainer


def _settings(place: Path, numbers: Plan, options: LocalOptions, fitted: Fitted, *, has_eval: bool) -> dict[str, Any]:
    warmup = options.warmup_steps if options.warmup_steps is not None else options.warmup_ratio
    save: dict[str, Any] = {"save_strategy": "epoch"}
    if numbers.save_steps:
        save = {"save_strategy": "steps", "save_steps": numbers.save_steps}
    evaluate: dict[str, Any] = {"eval_strategy": "no"}
    if has_eval:
        steps = {"eval_strategy": "steps", "eval_steps": numbers.eval_steps}
        evaluate = steps if numbers.eval_steps else {"eval_strategy": "epoch"}
    cuda = fitted.device == "cuda"
    return {
        "output_dir": str(place),
        "per_device_train_batch_size": numbers.part,
        "per_device_eval_batch_size": numbers.part,
        "gradient_accumulation_steps": numbers.accumulate,
        "num_train_epochs": numbers.n_epochs,
        "max_steps": options.max_steps or -1,
        "learning_rate": numbers.learning_rate,
        "lr_scheduler_type": options.lr_scheduler_type or "cosine",
        "warmup_steps": 0.03 if warmup is None else warmup,  # below 1 it is a share
        "weight_decay": options.weight_decay or 0.0,
        "max_grad_norm": options.max_grad_norm or 1.0,
        "optim": fitted.optim,
        "logging_strategy": "steps",
        "logging_steps": numbers.logging_steps,
        "seed": numbers.seed,
        "data_seed": numbers.seed,
        "bf16": fitted.precision == "bf16",
        "fp16": fitted.precision == "fp16",
        "tf32": fitted.tf32 if cuda else None,
        "activation_checkpointing": fitted.gradient_checkpointing,
        "use_cpu": fitted.device == "cpu",
        "dataloader_pin_memory": cuda,
        "report_to": "none",
        "disable_tqdm": True,
        **save,
        **evaluate,
    }


def _shared(options: LocalOptions, fitted: Fitted) -> dict[str, Any]:
    """Returns what transformers is told of how processes share a model.

    Raises:
        ConfigurationError: DeepSpeed is not installed.
    """
    if options.deepspeed is not None and importlib.util.find_spec("deepspeed") is None:
        raise ConfigurationError("the package deepspeed is not installed", hint="pip install deepspeed")
    config = dict(options.fsdp_config) if fitted.fsdp and options.fsdp_config else None
    deepspeed = None if options.deepspeed is None else dict(options.deepspeed)
    # Every weight is used in every step: looking for those that are not takes time.
    return {
        "fsdp": fitted.fsdp or None,
        "fsdp_config": config,
        "deepspeed": deepspeed,
        "ddp_find_unused_parameters": False,
    }


def _dataset(examples: Examples) -> Dataset:
    columns: dict[str, list[Any]] = {}
    for row in examples.rows:
        names = ("input_ids", "labels") if isinstance(row, Encoded) else ("prompt_ids", "chosen_ids", "rejected_ids")
        for name in names:
            columns.setdefault(name, []).append(np.asarray(getattr(row, name), dtype=np.int32))
    return Dataset.from_dict(columns)


def _look_back(reporter: Reporter, folder: Path) -> None:
    """Throws away torn checkpoints, and takes back what was measured after the newest that is whole."""
    torn = checkpoints.drop_torn(folder)
    for name in torn:
        _warn(reporter, f"{name} is not whole, and is left out: the process ended while it was written")
    found = checkpoints.whole(folder)
    if found:
        step = found[0][1].step
        reporter.go_on_from(step, f"Going on from step {step}")
    elif reporter.state.step or any(event.metrics for event in reporter.folder.events()):
        reporter.go_on_from(0, "Starting again: there is no checkpoint yet")


def _save(
    trainer: Any,  # noqa: ANN401 - untyped
    base: _Base,
    reporter: Reporter,
    numbers: Plan,
    fitted: Fitted,
    weights: dict[str, Any] | None,
) -> None:
    """Writes the tuned model: whole in `model/`, and for LoRA the adapter beside it. Each appears at once, or not.

    `weights` are all there are, where they were spread over processes.
    """
    job, model = reporter.folder.path, trainer.accelerator.unwrap_model(trainer.model)
    if numbers.adapter:
        _appear(job / ADAPTER, model, base.tokenizer, reporter, weights)
        if fitted.quantization or weights is not None:  # into 4 bits, or a part of it, no adapter can be merged
            weights = None
            whole = AutoModelForCausalLM.from_pretrained(
                base.folder, trust_remote_code=False, local_files_only=True, use_safetensors=True
            )
            model = PeftModel.from_pretrained(whole, job / ADAPTER)
        model = model.merge_and_unload()
    dtype = AutoConfig.from_pretrained(base.folder, trust_remote_code=False, local_files_only=True).dtype
    if dtype is not None and weights is None:
        model.to(dtype)  # as large as the base was, and no larger
    elif dtype is not None and weights is not None:
        weights = {name: weight.to(dtype) for name, weight in weights.items()}
    _appear(job / MODEL, model, base.tokenizer, reporter, weights)


def _appear(
    place: Path,
    model: Any,  # noqa: ANN401 - untyped
    tokenizer: Any,  # noqa: ANN401 - untyped
    reporter: Reporter,
    weights: dict[str, Any] | None,
) -> None:
    building = place.with_name(f".{place.name}")
    for left in (building, place):  # of a process that was killed right here
        if left.exists():
            shutil.rmtree(left)
    model.save_pretrained(building, state_dict=weights)
    tokenizer.save_pretrained(building)
    name_base(building, str(reporter.record.extra["model"]))
    building.rename(place)
    sync(place.parent)
