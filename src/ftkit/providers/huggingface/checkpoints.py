"""Checkpoints that can be trusted. Loads no torch.

Transformers writes a checkpoint file by file, and notices neither a missing one nor half of one. So when all are
written, and on disk, a list of them with their sizes is put beside them: a checkpoint without that list, or one that
differs from it, is torn.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import PurePath
from typing import TYPE_CHECKING

from pydantic import ValidationError

from ftkit.models import Checkpoint, Noun, UtcDatetime
from ftkit.plugin.disk import GONE, remove, remove_tree, sync, write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from ftkit.models import Metrics

FOLDER = "checkpoints"
MARK = "complete.json"
_NAME = re.compile(r"checkpoint-([0-9]{1,18})")
_LOADED = frozenset({".safetensors", ".bin", ".pt", ".pth", ".pkl"})
"""How the names of files end that a trainer looks for: none may be there that we have not sealed."""
_PICKLED = re.compile(r"(pytorch|adapter)_model(-\d+-of-\d+)?\.bin")
"""What weights are called in the old form, a pickle, which can run code; we write safetensors alone."""


class Mark(Noun):
    """What says that a checkpoint is whole.

    Attributes:
        step: The step it was taken at.
        files: Its files, and their sizes.
        created_at: When it was whole.
    """

    step: int
    files: dict[str, int]
    created_at: UtcDatetime


def seal(folder: Path) -> None:
    """Marks a checkpoint as whole, once all of it is on disk."""
    files = [path for path in sorted(folder.iterdir()) if path.is_file() and path.name != MARK]
    for path in files:
        sync(path)
    sync(folder)
    step = step_of(folder.name) or 0
    mark = Mark(step=step, files={path.name: path.stat().st_size for path in files}, created_at=datetime.now(UTC))
    write_atomically(folder / MARK, mark.model_dump_json(indent=2), durable=True)


def whole(job: Path) -> list[tuple[Path, Mark]]:
    """Returns the whole checkpoints of a job, newest first."""
    found = [(folder, mark_of(folder)) for folder in _folders(job)]
    return [(folder, mark) for folder, mark in found if mark is not None]


def told(job_id: str, marks: Iterable[Mark], rows: Iterable[Metrics], model: Callable[[int], str]) -> list[Checkpoint]:
    """Tells checkpoints as nouns.

    Args:
        job_id: The job.
        marks: Their marks, in the order wanted.
        rows: What was measured in the job.
        model: Names the model of a step.
    """
    measured = {row.step: row for row in rows}
    return [
        Checkpoint(
            id=f"{job_id}:step-{mark.step}",
            job_id=job_id,
            step=mark.step,
            model=model(mark.step),
            metrics=measured.get(mark.step),
            created_at=mark.created_at,
        )
        for mark in marks
    ]


def newest_step(job: Path) -> int:
    """Returns the step of the newest whole checkpoint of a job; 0 if there is none. Reads no more than it must."""
    return next((mark.step for mark in map(mark_of, _folders(job)) if mark is not None), 0)


def mark_of(folder: Path) -> Mark | None:
    """Returns what says that a checkpoint is whole; None if it is torn, or holds what we have not put there."""
    try:
        here = [folder, *folder.iterdir()]
        if any(path.is_symlink() for path in here):
            return None
        mark = Mark.model_validate_json((folder / MARK).read_bytes())
        if not _is_ours(mark, {path.name for path in here[1:]}):
            return None
        for name, size in mark.files.items():
            path = folder / name
            if path.stat().st_size != size:
                return None
            if path.suffix == ".json":
                json.loads(path.read_bytes())
    except (OSError, ValidationError, ValueError):
        return None
    return mark


def _is_ours(mark: Mark, here: set[str]) -> bool:
    """Whether all that would be loaded was sealed, and can be what our trainer writes."""
    loaded = {name for name in here if PurePath(name).suffix in _LOADED}
    return mark.files.keys() <= here and loaded <= mark.files.keys() and not any(map(_PICKLED.fullmatch, loaded))


def drop_torn(job: Path) -> list[str]:
    """Removes the torn checkpoints of a job, and what was left of a removal; returns the names of the torn."""
    for left in (job / FOLDER).glob(f"{GONE}*"):  # we were killed while we removed it
        remove(left)
    torn = [folder for folder in _folders(job) if mark_of(folder) is None]
    for folder in torn:
        remove_tree(folder)
    return [folder.name for folder in torn]


def drop_old(job: Path, keep: int) -> None:
    """Removes the oldest checkpoints of a job. For after a new one was sealed, so that a whole one is always there."""
    for folder, _ in whole(job)[keep:]:
        remove_tree(folder)


def _folders(job: Path) -> list[Path]:
    place = job / FOLDER
    found = [path for path in place.iterdir() if step_of(path.name) is not None] if place.is_dir() else []
    return sorted(found, key=lambda path: step_of(path.name) or 0, reverse=True)


def step_of(name: str) -> int | None:
    """Returns the step of a checkpoint by the name of its folder; None if that is no checkpoint's."""
    match = _NAME.fullmatch(name)
    return int(match[1]) if match else None
