"""How a job is trained: what was asked for, and our defaults for the rest. The one place where defaults are.

| setting | default |
|---|---|
| n_epochs | 3 |
| batch_size | 8, or all rows if there are fewer; rounded to equal parts where it is computed in parts |
| lora | for models of more than a billion weights, and wherever the base is quantized; else all weights |
| LoRA r, alpha, dropout, target_modules | 16, 32, 0, "all-linear" |
| learning_rate, supervised | LoRA 2e-4; all weights 2e-5, below a billion weights 5e-5 |
| learning_rate, DPO | LoRA 1e-5; all weights 1e-6 |
| both, for models of less than 50 million weights | 1e-3; DPO 1e-4 |
| beta | 0.1 |
| seed | 42 |

The others are in `LocalOptions`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ftkit.methods import DPO, LoRA, Supervised
from ftkit.providers.huggingface import small
from ftkit.providers.huggingface.resolve import is_folder

if TYPE_CHECKING:
    from ftkit.models import JobRequest
    from ftkit.providers.huggingface.options import LocalOptions

LONGEST = 1024
TINY = 5 * 10**7
"""Models with fewer weights learn at higher rates, and compute on one thread."""

_EPOCHS = 3
_BATCH = 8
_SEED = 42
_BETA = 0.1
_BILLION = 10**9
_SAVE_STEPS = 500
KEEP = 3
"""Checkpoints that are kept where the options do not say."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """Settings of LoRA."""

    r: int
    alpha: int
    dropout: float
    target_modules: str | list[str]


@dataclass(frozen=True, slots=True)
class Plan:
    """All numbers of a training.

    Attributes:
        n_epochs: Times the training file is gone through.
        batch_size: Examples a step.
        accumulate: Parts in which each process computes its share of the batch of a step.
        processes: Processes that train together.
        learning_rate: The highest learning rate.
        adapter: LoRA, or None to train all weights.
        beta: Beta of DPO.
        seed: Seed of all randomness.
        logging_steps: Steps between measurements.
        save_steps: Steps between checkpoints; None saves at the end of each epoch.
        eval_steps: Steps between evaluations; None evaluates at the end of each epoch.
        keep: Checkpoints that are kept.
    """

    n_epochs: int
    batch_size: int
    accumulate: int
    processes: int
    learning_rate: float
    adapter: Adapter | None
    beta: float
    seed: int
    logging_steps: int
    save_steps: int | None
    eval_steps: int | None
    keep: int

    @property
    def part(self) -> int:
        """Examples that a process computes at once."""
        return max(1, self.batch_size // (self.accumulate * self.processes))

    def steps_per_epoch(self, rows: int) -> int:
        """Returns the steps in which so many examples are gone through, as transformers counts them."""
        return max(1, ceil(ceil(ceil(rows / self.part) / self.processes) / self.accumulate))


def plan(request: JobRequest, options: LocalOptions, *, rows: int, weights: int) -> Plan:
    """Decides on all numbers.

    Args:
        request: What was asked for.
        options: Its options.
        rows: Examples that can be trained on.
        weights: Weights of the base model.
    """
    method = cast("Supervised | DPO", request.method)
    n_epochs = method.n_epochs if isinstance(method.n_epochs, int) else _EPOCHS
    accumulate, processes = options.gradient_accumulation_steps or 1, options.processes or 1
    batch = method.batch_size if isinstance(method.batch_size, int) else _batch(rows, accumulate * processes)
    adapter = _adapter(method.lora, weights, quantized=options.quantization is not None)
    save_steps = options.save_steps
    if save_steps is None and rows > _SAVE_STEPS * batch:
        save_steps = _SAVE_STEPS
    return Plan(
        n_epochs=n_epochs,
        batch_size=batch,
        accumulate=accumulate,
        processes=processes,
        learning_rate=method.learning_rate or _multiplied(method, weights, lora=adapter is not None),
        adapter=adapter,
        beta=method.beta if isinstance(method, DPO) and isinstance(method.beta, float) else _BETA,
        seed=_SEED if request.seed is None else request.seed,
        logging_steps=options.logging_steps or 1,
        save_steps=save_steps,
        eval_steps=options.eval_steps,
        keep=options.save_total_limit or KEEP,
    )


def longest(options: LocalOptions, positions: int | None) -> int:
    """Returns the most tokens of an example.

    Args:
        options: The options.
        positions: The most that the model takes, if it says so.
    """
    return min(options.max_length or LONGEST, positions or LONGEST * LONGEST)


def positions(model: str) -> int | None:
    """Returns the longest text that a model takes, as far as that is known on this machine; asks nobody."""
    folder = Path(model).expanduser()
    if model == small.NAME:
        return small.POSITIONS
    path: object = folder / "config.json"
    if not is_folder(model):
        from huggingface_hub import try_to_load_from_cache

        path = try_to_load_from_cache(model, "config.json")
    if not isinstance(path, str | Path) or not Path(path).is_file():
        return None
    try:
        config: object = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError:
        return None  # whoever loads the model says what is wrong with it
    found = cast("dict[str, object]", config).get("max_position_embeddings") if isinstance(config, dict) else None
    return found if isinstance(found, int) else None


def _batch(rows: int, parts: int) -> int:
    return max(1, min(_BATCH, rows) // parts) * parts


def _adapter(asked: LoRA | bool | None, weights: int, *, quantized: bool) -> Adapter | None:  # noqa: FBT001 - a field
    if asked is None:
        asked = quantized or weights > _BILLION
    if asked is False:
        return None
    lora = LoRA() if asked is True else asked
    modules = lora.target_modules or "all-linear"
    return Adapter(
        r=lora.r or 16,
        alpha=lora.alpha or 32,
        dropout=lora.dropout or 0.0,
        target_modules=modules if isinstance(modules, str) else list(modules),
    )


def _multiplied(method: Supervised | DPO, weights: int, *, lora: bool) -> float:
    """The default learning rate, times what was asked for: what a multiplier means at OpenAI, too."""
    factor = method.learning_rate_multiplier
    return _learning_rate(weights, lora=lora, is_dpo=isinstance(method, DPO)) * (
        factor if isinstance(factor, float) else 1.0
    )


def _learning_rate(weights: int, *, lora: bool, is_dpo: bool) -> float:
    if weights < TINY:
        return 1e-4 if is_dpo else 1e-3
    if is_dpo:
        return 1e-5 if lora else 1e-6
    if lora:
        return 2e-4
    return 5e-5 if weights < _BILLION else 2e-5
