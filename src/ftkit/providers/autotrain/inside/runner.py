"""What runs inside AutoTrain's own environment: `python runner.py CONFIG.yml REPORT_FD`, in the folder of the project.

Its own parser reads the recipe, its own code lays out the data, and its own trainers train: this only calls them,
because the command line around them ends with status 0 whatever happened. Each thing that is worth telling is one line
of JSON on the file descriptor REPORT_FD. Nothing of ftkit can be imported here: that environment is from January 2025.

When whoever started us has gone, standard input ends, and so do we, with all that the trainers started.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import older
from telling import Report

if TYPE_CHECKING:
    from collections.abc import Iterator

_MULTIPLE = 8
_ROWS = 1000
_LOOKS, _LOOK_S = 20, 0.05


def end_with_parent() -> None:
    """Ends this process as soon as standard input does; and all its group, if whoever started us has died."""
    parent = os.getppid()

    def wait() -> None:
        while os.read(0, 1):
            pass
        for _ in range(_LOOKS):  # a process that dies closes its files some moments before it is gone
            if os.getppid() != parent:
                os.killpg(os.getpgrp(), signal.SIGKILL)
            time.sleep(_LOOK_S)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def fit_to_cpu(params: Any, report: Report) -> None:
    """Replaces what only a GPU can do, and says so."""
    import torch

    if torch.cuda.is_available():
        return
    wrong = {
        "quantization": (params.peft and params.quantization is not None, None),
        "mixed_precision": (params.mixed_precision is not None, None),
        "optimizer": ("8bit" in params.optimizer or "bnb" in params.optimizer, "adamw_torch"),
        "use_flash_attention_2": (params.use_flash_attention_2, False),
    }
    for name, (is_wrong, instead) in wrong.items():
        if is_wrong:
            report.warn(f"{name}: {getattr(params, name)} needs a GPU; {instead or 'none'} is used instead")
            setattr(params, name, instead)


def fit_block(params: Any, report: Report, *, is_ours: bool) -> None:
    """Looks whether the data fill a block, before a model is loaded.

    Args:
        params: The parameters, whose data are laid out.
        report: Where to tell what was chosen.
        is_ours: Whether the size of a block may be chosen here, since nobody asked for one.

    Raises:
        ValueError: The data do not fill one block.
    """
    from autotrain.trainers.clm import utils

    if params.trainer not in ("sft", "default"):
        return
    tokenizer = utils.get_tokenizer(params)
    wanted = utils.configure_block_size(params.model_copy(), tokenizer).block_size
    if is_ours:  # AutoTrain asks the tokenizer alone, which often does not know
        wanted = params.block_size = min(wanted, positions_of(params.model) or wanted)
    enough = wanted * (params.batch_size * params.gradient_accumulation if is_ours else 1)
    total, longest = 0, 0
    for text in texts_of(params, tokenizer):
        tokens = len(tokenizer(text)["input_ids"]) + 1
        total, longest = total + tokens, max(longest, tokens)
        if total >= enough and longest >= _MULTIPLE:
            return
    size = min(wanted, -(-longest // _MULTIPLE) * _MULTIPLE)
    if is_ours and total >= size:
        report.warn(f"block_size: {size}, the longest example, since all data are {total} tokens (otherwise {wanted})")
        params.block_size = size
    elif total < wanted:
        message = (
            f"the data are {total} tokens, which do not fill one block of {wanted}: "
            f"choose a smaller block_size, {total // _MULTIPLE * _MULTIPLE} at most"
        )
        raise ValueError(message)


def texts_of(params: Any, tokenizer: Any) -> Iterator[str]:
    """Yields what will be trained on, some rows at a time: a large file fills a block long before its end."""
    from autotrain.trainers.clm import utils

    rows, _ = utils.process_input_data(params)
    for start in range(0, len(rows), _ROWS):
        some = rows.select(range(start, min(start + _ROWS, len(rows))))
        some, _ = utils.process_data_with_chat_template(params, tokenizer, some, None)
        yield from map(str, some[params.text_column])


def positions_of(model: str) -> int | None:
    """Returns how many tokens a model can see at once, where its configuration tells."""
    from transformers import AutoConfig

    return getattr(AutoConfig.from_pretrained(model), "max_position_embeddings", None)


def mend_loss() -> None:
    """Mends transformers 4.48.0, where loss and gradients come out `gradient_accumulation` times too large.

    `Trainer.training_step` divides by it only where nobody has counted the tokens of a step, and passes that count on
    to the model only where the model cannot take it. So nobody counts.
    """
    from transformers import Trainer

    take = Trainer.get_batch_samples

    def take_uncounted(self: Any, *args: Any, **kwargs: Any) -> Any:
        batches, _ = take(self, *args, **kwargs)
        return batches, None

    Trainer.get_batch_samples = take_uncounted


def only_safetensors() -> None:
    """Lets transformers read no weights in the older form, a pickle, which can run code as it is read."""
    from transformers import PreTrainedModel

    load = PreTrainedModel.from_pretrained.__func__

    def load_safely(cls: Any, *args: Any, **kwargs: Any) -> Any:
        return load(cls, *args, **{**kwargs, "use_safetensors": True})

    PreTrainedModel.from_pretrained = classmethod(load_safely)


def with_hooks(params: Any, report: Report) -> None:
    """Makes AutoTrain's trainers tell how far they are, and heed the seed, which they otherwise drop."""
    from autotrain.trainers.clm import utils
    from transformers import TrainerCallback, set_seed

    set_seed(params.seed)  # trl shuffles while it packs, before its trainer is there to set any

    class Teller(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            report.tell("step", step=0, total=state.max_steps)

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            report.tell("step", step=state.global_step, total=state.max_steps)

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            report.tell("metrics", step=state.global_step, values=dict(logs or {}))

    callbacks, arguments = utils.get_callbacks, utils.configure_training_args

    def with_teller(config: Any) -> Any:
        return [*callbacks(config), Teller()]

    def with_seed(config: Any, logging_steps: int) -> Any:
        return {**arguments(config, logging_steps), "seed": params.seed, "data_seed": params.seed}

    utils.get_callbacks, utils.configure_training_args = with_teller, with_seed


def trainer_of(name: str) -> Any:
    """Returns one of AutoTrain's trainers."""
    import importlib

    return importlib.import_module(f"autotrain.trainers.clm.train_clm_{name}").train


def run(config: Path, report: Report) -> None:
    """Trains what a recipe says."""
    asked = json.loads(Path("asked.json").read_text(encoding="utf-8"))
    report.tell("event", level="info", message="Loading AutoTrain")
    from autotrain import logger
    from autotrain.parser import AutoTrainConfigParser
    from autotrain.project import llm_munge_data
    from autotrain.trainers.clm.params import LLMTrainingParams

    warnings: list[str] = []
    logger.add(lambda message: warnings.append(message.record["message"]), level="WARNING")
    params = LLMTrainingParams(**AutoTrainConfigParser(str(config)).parsed_config)
    params.model = older.model_folder(params.model, Path("base").absolute())
    if params.model_ref is not None:
        params.model_ref = older.model_folder(params.model_ref, Path("reference").absolute())
    fit_to_cpu(params, report)
    params = llm_munge_data(params, local=True)
    fit_block(params, report, is_ours=asked["block_size_is_ours"])
    mend_loss()
    only_safetensors()
    with_hooks(params, report)
    try:
        trainer_of(params.trainer)(params)
    except ValueError as error:
        if "num_samples=0" not in str(error):
            raise
        raise ValueError(f"no row is left to train on: all are longer than block_size={params.block_size}") from error
    unmerged = [warning for warning in warnings if "merge" in warning]
    if params.peft and params.merge_adapter and unmerged:
        raise RuntimeError(f"the adapter was trained, and could not be merged: {unmerged[0]}")
    report.tell("done")


def main(config: str, fd: str) -> int:
    """Runs, and tells how it ended."""
    report = Report(int(fd))
    end_with_parent()
    try:
        run(Path(config), report)
    except BaseException as error:  # all of it is told; the status alone would not say what
        traceback.print_exc()
        report.tell("failed", error=f"{type(error).__name__}: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
