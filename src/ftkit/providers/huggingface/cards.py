"""The card of a tuned model: what it was made of, and how, as far as that is known, and nothing else."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ftkit.providers._local_jobs import JobFolder
from ftkit.providers._local_jobs.metrics import table_of
from ftkit.providers.huggingface.made import read_made
from ftkit.providers.huggingface.resolve import is_folder
from ftkit.providers.huggingface.small import NAME as SMALL

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from ftkit.models import JobRequest, Metrics, TrainingFile

_MOST_ROWS = 12
_TAGS = {"supervised": "sft", "dpo": "dpo"}
_TRAINED = {"fp32": "32-bit floats", "bf16": "bfloat16", "fp16": "16-bit floats"}


def card_of(folder: Path, name: str) -> str:
    """Returns the card of a job's model, as Markdown with the Hub's metadata.

    Args:
        folder: The job's folder.
        name: The model's name at the Hub.
    """
    job, made = JobFolder(folder), read_made(folder)
    request, state = job.record().request, job.state()
    facts = {
        "Base model": _base(request.model),
        "Method": _method(request, made),
        "Training data": _data(request.training_file, made.get("rows")),
        "Validation data": _data(request.validation_file, made.get("validation_rows")),
        "Hyperparameters": _numbers(request, made.get("plan") or request.method.hyperparameters()),
        "Tokens trained on": f"{state.trained_tokens:,}" if state.trained_tokens else None,
        "Machine": _machine(made),
        "Begun": made.get("at"),
        "Packages": ", ".join(f"{package} {version}" for package, version in made.get("packages", {}).items()),
        "Job": f"`{job.id}`",
    }
    parts = [
        f"---\n{_metadata(request, made).to_yaml()}\n---",
        f"# {name.rpartition('/')[2]}",
        f"{_base(request.model)}, fine-tuned with [ftkit](https://pypi.org/project/ftkit/).",
        "## How it was made",
        _table(("", ""), ((what, fact) for what, fact in facts.items() if fact)),
        *_measured(table_of(job.events())),
    ]
    return "\n\n".join(parts) + "\n"


def _metadata(request: JobRequest, made: Mapping[str, Any]) -> Any:  # noqa: ANN401 - a class of an optional package
    from huggingface_hub import ModelCardData

    lora = ["lora"] if _adapter(made) else []
    on_hub = request.model != SMALL and not is_folder(request.model)
    return ModelCardData(
        base_model=request.model if on_hub else None,
        library_name="transformers",
        pipeline_tag="text-generation",
        tags=["ftkit", _TAGS.get(request.method.type, request.method.type), *lora],
    )


def _base(model: str) -> str:
    if model == SMALL:
        return "ftkit/small, a model of two million weights that ftkit builds"
    if is_folder(model):
        return "a model that is not on the Hub"  # a path says something of the machine, and nothing to the reader
    return f"[{model}](https://huggingface.co/{model})"


def _method(request: JobRequest, made: Mapping[str, Any]) -> str:
    adapter = _adapter(made)
    if not made:
        return request.method.type
    how = f"LoRA (r={adapter['r']}, alpha={adapter['alpha']}), merged" if adapter else "all weights"
    return f"{request.method.type}, {how}"


def _adapter(made: Mapping[str, Any]) -> dict[str, Any] | None:
    return made["plan"]["adapter"] if "plan" in made else None


def _data(file: TrainingFile | None, rows: int | None) -> str | None:
    if file is None:
        return None
    told = [f"{rows if rows is not None else file.rows} examples" if (rows or file.rows) else None]
    told += [f"`{file.source_hash}`" if file.source_hash else None]
    return ", ".join(part for part in told if part) or "not known"


def _numbers(request: JobRequest, plan: Mapping[str, Any]) -> str:
    wanted = ["n_epochs", "batch_size", "learning_rate", "seed", *(["beta"] if request.method.type == "dpo" else [])]
    shown = {name: plan[name] for name in wanted if plan.get(name) is not None}
    return ", ".join(
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in shown.items()
    )


def _machine(made: Mapping[str, Any]) -> str | None:
    fitted = made.get("fitted")
    if not fitted:
        return None
    processes = made["plan"]["processes"]
    base = f", base model in {fitted['quantization']}" if fitted["quantization"] else ""
    together = f", {processes} processes" if processes > 1 else ""
    return f"{fitted['device']}, {_TRAINED.get(fitted['precision'], fitted['precision'])}{base}{together}"


def _measured(rows: Sequence[Metrics]) -> list[str]:
    """Returns the section on what was measured: the first step, the last, and the evaluations between."""
    if not rows:
        return []
    shown = [row for row in rows if row.full_valid_loss is not None][-(_MOST_ROWS - 2) :]
    chosen = {row.step: row for row in (rows[0], *shown, rows[-1])}
    head = ("Step", "Training loss", "Validation loss", "Validation token accuracy")
    lines = (
        (str(row.step), *map(_figure, (row.train_loss, row.full_valid_loss, row.full_valid_mean_token_accuracy)))
        for _, row in sorted(chosen.items())
    )
    nothing_else = "Nothing else was measured: see what it answers before you use it."
    return ["## What was measured", _table(head, lines), nothing_else]


def _figure(value: float | None) -> str:
    return "-" if value is None or not math.isfinite(value) else f"{value:.4g}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
