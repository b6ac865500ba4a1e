"""Pushing a finished model to the Hub. AutoTrain's own push ends in silence where the repository is there already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftkit.errors import MissingExtraError
from ftkit.providers._http_errors import plain
from ftkit.providers._hub import hub_asked
from ftkit.providers.autotrain.backends import NAME

if TYPE_CHECKING:
    from pathlib import Path


def push(folder: Path, repo: str) -> str:
    """Pushes a folder to a repository, which is made as a private one if need be, and returns its address.

    The token is the Hub's own: HF_TOKEN, or that of `hf auth login`.

    Raises:
        CredentialsError: The Hub refuses the token.
        MissingExtraError: huggingface_hub is not installed.
        ProviderError: The Hub refuses it.
        ProviderUnavailableError: The Hub cannot be reached.
    """
    try:
        from huggingface_hub import HfApi, get_token
    except ImportError as error:
        raise MissingExtraError("Pushing to the Hub", "huggingface") from error
    api, token = HfApi(), get_token() or ""
    with hub_asked(NAME, lambda text: plain(text, [token])):
        url = api.create_repo(repo, private=True, exist_ok=True)
        api.upload_folder(repo_id=repo, folder_path=folder, commit_message="Tuned with AutoTrain, through ftkit")
    return str(url)
