"""`ftkit/small`: a language model of two million weights, made on the spot where none can be downloaded.

A Llama with a tokenizer and a chat template of its own, pre-trained in a minute or two on texts made for it,
all from a fixed seed. It knows next to nothing; it is there so that LoRA has something to stand on, and so that the
whole path (upload, train, deploy, chat) really runs on any laptop. See docs/decisions/0001-own-small-model.md.

It is kept in ftkit's cache under a name that holds a hash of its recipe: a change of the recipe is another folder.
On one machine the same recipe gives the same bytes. Importing this loads neither torch nor tokenizers.
"""

from __future__ import annotations

import hashlib
import shutil
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from ftkit.plugin.disk import disk_errors
from ftkit.providers.huggingface.small.tokenizer import POSITIONS, write_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

__all__ = ["NAME", "POSITIONS", "ensure_model", "ensure_tokenizer", "recipe"]

NAME = "ftkit/small"
_RECIPE = ("words.py", "corpus.py", "tokenizer.py", "head_start.py", "pretraining.py")
_DIGITS = 12


def ensure_tokenizer(models: Path) -> Path:
    """Returns the folder of the tokenizer, made if it is not there: in under a second, and without torch.

    Args:
        models: The folder in which such models are kept.

    Raises:
        QuotaError: The disk is full. Nothing is left behind.
    """
    place = models / f"ftkit-small-{recipe()}-tokenizer"
    with _building(place) as folder:
        if folder is not None:
            write_tokenizer(folder)
    return place


def ensure_model(models: Path, on_progress: Callable[[int, int, float], None] | None = None) -> Path:
    """Returns the folder of the model with its tokenizer, made if it is not there: in about a minute on one core.

    Args:
        models: The folder in which such models are kept.
        on_progress: Called with (step, steps in all, loss) while it is pre-trained.

    Raises:
        QuotaError: The disk is full. Nothing is left behind.
    """
    place = models / f"ftkit-small-{recipe()}"
    with _building(place) as folder:
        if folder is not None:
            from ftkit.providers.huggingface.small.pretraining import pretrain

            shutil.copytree(ensure_tokenizer(models), folder, dirs_exist_ok=True)
            pretrain(folder, on_progress)
    return place


@cache
def recipe() -> str:
    """Returns a hash of all that the model comes from."""
    here = Path(__file__).parent
    digest = hashlib.sha256()
    for name in _RECIPE:
        digest.update((here / name).read_bytes())
    return digest.hexdigest()[:_DIGITS]


@contextmanager
def _building(place: Path) -> Generator[Path | None]:
    """Gives a folder to build in, which gets its name when all is there; None if somebody has built it already."""
    if place.is_dir():
        yield None
        return
    with disk_errors("huggingface", f"{NAME} could not be built", place.parent):
        place.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(place.with_name(f".{place.name}.lock")):
            if place.is_dir():
                yield None
                return
            partial = place.with_name(f".{place.name}.partial")
            shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed half-way
            partial.mkdir()
            try:
                yield partial
                partial.rename(place)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
