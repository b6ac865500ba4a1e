"""Pushing a finished model to the Hub. AutoTrain's own push ends in silence where the repository is there already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftkit.providers._hub_account import HubAccount
from ftkit.providers.autotrain.backends import NAME

if TYPE_CHECKING:
    from pathlib import Path


def push(folder: Path, repo: str) -> str:
    """Pushes a folder to a repository, which is made as a private one if need be, and returns its address.

    The token is the Hub's own: HF_TOKEN, or that of `hf auth login`.

    Raises:
        CredentialsError: There is no token, or the Hub refuses it.
        MissingExtraError: huggingface_hub is not installed.
        ProviderError: The Hub refuses it.
        ProviderUnavailableError: The Hub cannot be reached.
    """
    return HubAccount(NAME, None, None, None).push(folder, repo, "Tuned with AutoTrain, through ftkit")
