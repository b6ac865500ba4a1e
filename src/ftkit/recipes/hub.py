"""A data set on the Hub, fetched into a folder that the client reads."""

from __future__ import annotations

import importlib
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from ftkit.datasets import source_hash
from ftkit.errors import ConfigurationError
from ftkit.home import cache_folder


def fetch(name: str, split: str) -> Path:
    """Fetches a split of a data set. The folder's name is that of its content: the same data are the same folder.

    Args:
        name: Its name on the Hub.
        split: The split, as AutoTrain writes it: "train", or "configuration:train".

    Raises:
        ConfigurationError: The package that fetches it is not installed, or the Hub has no such data set or split.
    """
    try:
        package: Any = importlib.import_module("datasets")
    except ImportError as error:
        message = f"data.path: '{name}' is no folder here; to fetch it from the Hub takes a package"
        raise ConfigurationError(message, hint="pip install datasets") from error
    configuration, _, split = split.rpartition(":")
    try:
        found = package.load_dataset(name, name=configuration or None, split=split)
    except (OSError, ValueError, RuntimeError) as error:  # the Hub, a split that is not there, one that needs code
        said = str(error).strip().splitlines()
        message = f"data.path: '{name}' is no folder here, and cannot be fetched: {said[0] if said else error!r}"
        hint = f"Look at https://huggingface.co/datasets/{name}, and set HF_TOKEN if it is private."
        raise ConfigurationError(message, hint=hint) from error
    return _kept(found, f"{name}-{configuration or 'default'}-{split}")


def _kept(found: Any, label: str) -> Path:  # noqa: ANN401 - a Dataset, whose package is untyped
    place = cache_folder() / "datasets"
    place.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix="new-", dir=place))
    try:
        found.save_to_disk(str(new))
        content = source_hash(new).removeprefix("sha256:")[:16]
        folder = place / f"{re.sub(r'[^A-Za-z0-9.-]+', '-', label)}-{content}"
        if not folder.exists():
            new.rename(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return folder
