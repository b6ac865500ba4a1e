"""AutoTrain 0.8.36, frozen since January 2025, kept alive in an environment of its own.

Importing this loads nothing of it: ftkit talks to it through a process in that environment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftkit.errors import ConfigurationError
from ftkit.providers.autotrain.backends import LOCAL
from ftkit.providers.autotrain.local import AutoTrainProvider

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from huggingface_hub import HfApi

    from ftkit.providers.autotrain.spaces import AutoTrainSpaces

__all__ = ["AutoTrainProvider", "autotrain"]


def autotrain(
    backend: str = "local",
    *,
    jobs_folder: str | os.PathLike[str] | None = None,
    slots: int | None = None,
    python: str | os.PathLike[str] | None = None,
    username: str | None = None,
    token: str | None = None,
    hub: HfApi | None = None,
) -> AutoTrainProvider | AutoTrainSpaces:
    """Makes the provider of AutoTrain.

    Args:
        backend: Where to train, in AutoTrain's words: "local" is this machine, "spaces-l4x1" a Space of the Hub.
        jobs_folder: Folder of jobs, files and deployments; `autotrain` in ftkit's state folder by default.
        slots: How many jobs train at once on this machine; FTKIT_LOCAL_SLOTS, or 1.
        python: Interpreter of an environment that holds AutoTrain; FTKIT_AUTOTRAIN_PYTHON, or that of
            `ftkit autotrain setup`.
        username: Whose Spaces, where it trains in one; by default, the token's.
        token: The Hub's token, where it trains in a Space; HF_TOKEN, or that of `hf auth login`.
        hub: A ready-made client of huggingface_hub, in place of `token`.

    Raises:
        ConfigurationError: There is no such backend, or an argument is of the other one.
        CredentialsError: A Space needs a token, and there is none.
        MissingExtraError: A Space needs huggingface_hub, and it is not installed.
        UnsupportedError: This is Windows, and the backend is local.
    """
    if backend in LOCAL:
        given = {"username": username, "token": token, "hub": hub}
        _refuse(given, backend, "A training on this machine asks no Hub for leave; drop it, or name a Space.")
        return AutoTrainProvider(jobs_folder=jobs_folder, slots=slots, python=python)
    from ftkit.providers.autotrain.spaces import AutoTrainSpaces

    _refuse({"slots": slots}, backend, "Each job has a Space of its own; leave it out.")
    return AutoTrainSpaces(
        backend=backend, jobs_folder=jobs_folder, python=python, username=username, token=token, hub=hub
    )


def _refuse(given: Mapping[str, object], backend: str, hint: str) -> None:
    wrong = [name for name, value in given.items() if value is not None]
    if wrong:
        raise ConfigurationError(f"the backend '{backend}' has no option {', '.join(map(repr, wrong))}", hint=hint)
