"""Hugging Face: models of the Hub, or one's own, trained with TRL and peft.

Importing this, and making the provider, loads neither torch nor transformers: training, and serving, have processes
of their own.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Literal

from ftkit.errors import ConfigurationError, MissingExtraError

if TYPE_CHECKING:
    import os

    from ftkit.providers.huggingface.local import LocalHuggingFace

__all__ = ["huggingface"]

_NEEDED = ("torch", "transformers", "trl", "peft", "datasets", "accelerate", "tokenizers", "jinja2")


def huggingface(
    compute: Literal["local"] = "local",
    *,
    jobs_folder: str | os.PathLike[str] | None = None,
    slots: int | None = None,
) -> LocalHuggingFace:
    """Makes the Hugging Face provider.

    Args:
        compute: Where to train: "local" is this machine.
        jobs_folder: Folder of jobs, files and deployments; `huggingface` in ftkit's state folder by default. It is
            the account: who opens the same folder sees the same jobs.
        slots: How many jobs train at once; FTKIT_LOCAL_SLOTS, or 1.

    Raises:
        ConfigurationError: There is no such place to compute, or `slots` is no positive number.
        MissingExtraError: A package that local training needs is not installed.
        UnsupportedError: This is Windows.
    """
    if compute != "local":
        message = f"compute={compute!r} is not there yet"
        raise ConfigurationError(message, hint="Leave it out, or say compute='local': it trains on this machine.")
    if any(importlib.util.find_spec(package) is None for package in _NEEDED):
        raise MissingExtraError("Local training", "local")
    from ftkit.providers.huggingface.local import LocalHuggingFace

    return LocalHuggingFace(jobs_folder=jobs_folder, slots=slots)
