"""How a model was made: what the trainer really did, in `made.json` in the job's folder. Loads no torch."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from typing import TYPE_CHECKING, Any

from ftkit.plugin.disk import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

    from ftkit.providers.huggingface.hardware import Fitted
    from ftkit.providers.huggingface.plan import Plan

MADE = "made.json"
"""The name of the file."""
_PACKAGES = ("ftkit", "trl", "transformers", "peft", "torch")


def write_made(folder: Path, numbers: Plan, fitted: Fitted, *, rows: int, validation_rows: int, weights: int) -> None:
    """Writes down how a job is trained, as it begins.

    Args:
        folder: The job's folder.
        numbers: The plan.
        fitted: The settings, as the machine can have them.
        rows: Training examples that are used.
        validation_rows: Validation examples that are used.
        weights: Weights of the base model.
    """
    made: dict[str, Any] = {
        "plan": asdict(numbers),
        "fitted": asdict(fitted),
        "rows": rows,
        "validation_rows": validation_rows,
        "weights": weights,
        "packages": {name: version for name in _PACKAGES if (version := _version(name))},
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write_atomically(folder / MADE, json.dumps(made, indent=2))


def read_made(folder: Path) -> dict[str, Any]:
    """Reads how a job was trained; nothing where it was trained before that was written down."""
    path = folder / MADE
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:  # ftkit itself, where it came along as bare code
        return None
