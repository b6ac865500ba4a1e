"""Putting a model that was tuned on this machine on the Hub, with its card."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ftkit.errors import ConfigurationError
from ftkit.plugin.disk import take
from ftkit.providers._hub_account import HubAccount
from ftkit.providers.huggingface.cards import card_of
from ftkit.providers.huggingface.kinds import NAME
from ftkit.providers.huggingface.resolve import HUB_NAME

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_CARD = "README.md"


def push(job: Path, model: Path, repo: str, *, private: bool, token: str | None, hub: HfApi | None) -> str:
    """Pushes a folder with a model to a repository, which is made if need be, and returns its address.

    What the Hub has already is not sent again. All appears in one commit.

    Args:
        job: The folder of the job.
        model: The folder of its model.
        repo: The repository, "owner/name", or "name" for the token's own.
        private: Whether only the owner sees it, where it is made now.
        token: The Hub's token; HF_TOKEN, or that of `hf auth login`, if None.
        hub: A ready-made client of huggingface_hub, in place of `token`.

    Raises:
        ConfigurationError: The name can be none.
        CredentialsError: There is no token, or the Hub refuses it.
        MissingExtraError: huggingface_hub is not installed.
        ProviderError: The Hub refuses it.
        ProviderUnavailableError: The Hub cannot be reached.
    """
    if not HUB_NAME.fullmatch(repo):
        message = f"'{repo[:200]}' can be no name of a repository at the Hub"
        raise ConfigurationError(message, hint="Write owner/name, of letters, digits, '.', '_' and '-'.")
    account = HubAccount(NAME, None, token, hub)
    full = repo if "/" in repo else f"{account.namespace}/{repo}"
    box = Path(tempfile.mkdtemp(prefix=".push-", dir=job))
    try:
        for path in model.iterdir():
            take(path, box / path.name)
        (box / _CARD).unlink(missing_ok=True)  # a link to the model's own file is not to be written into
        (box / _CARD).write_text(card_of(job, full), encoding="utf-8")
        return account.push(box, full, "Tuned with ftkit", private=private)
    finally:
        shutil.rmtree(box)
