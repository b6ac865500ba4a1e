"""From the name of a model to something that transformers can load."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ftkit.errors import MissingExtraError, NotFoundError
from ftkit.home import cache_folder
from ftkit.providers.huggingface import small
from ftkit.providers.huggingface.weights import NOT_FETCHED, check_weights, weights_problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from huggingface_hub import HfApi

HUB_NAME = re.compile(r"(?!.*(--|\.\.|\.git$))(?=.{1,96}$)\w([\w.-]*\w)?(/\w([\w.-]*\w)?)?", re.ASCII)
_TOKENIZER_FILES = ["tokenizer*", "special_tokens_map.json", "chat_template*", "vocab*", "merges.txt", "config.json"]
HOW_TO_NAME = "Name a model of the Hub (organisation/model), a folder that holds one, or 'ftkit/small'."


def is_folder(model: str) -> bool:
    """Whether a model name is meant as a path, and not as a name on the Hub."""
    if model.startswith(("/", "./", "../", "~")):
        return True
    try:
        return Path(model).is_dir()
    except OSError:  # no name of a file can be that long
        return False


def absolute(model: str) -> str:
    """Returns the name of a model for other processes: a folder may be named relative to where we are."""
    return str(Path(model).expanduser().resolve()) if is_folder(model) else model


def model_problem(model: str) -> str | None:
    """Says what is certainly wrong with a model name, without asking anybody; None if it may be right."""
    if is_folder(model):
        return _folder_problem(model)
    if model.startswith("ftkit/") and model != small.NAME:
        return f"ftkit has no model '{model}'; its one own model is '{small.NAME}'"
    if not HUB_NAME.fullmatch(model):
        return f"'{model[:200]}' is neither a folder nor a name on the Hub (organisation/model)"
    return None


def _folder_problem(model: str) -> str | None:
    try:
        folder = Path(model).expanduser()
        if not folder.is_dir():
            return f"there is no folder '{model}'"
    except (OSError, RuntimeError) as error:  # too long a name; or ~somebody who is nobody
        return f"there is no folder '{model[:200]}': {str(error)[:200]}"
    if not (folder / "config.json").is_file():
        return f"the folder '{model}' holds no model: config.json is missing"
    return weights_problem(folder)


def resolve_tokenizer(model: str, hub: HfApi | None = None) -> Path:
    """Returns a folder with the tokenizer of a model, fetched from the Hub if need be. Loads no torch.

    Args:
        model: `ftkit/small`, a folder, or a name on the Hub.
        hub: Who asks the Hub; by default, whoever the Hub's own conventions say.

    Raises:
        NotFoundError: There is no such folder, and no such model in the Hub's cache or on the Hub.
        ProviderUnavailableError: The Hub cannot be reached.
    """
    if model == small.NAME:
        return small.ensure_tokenizer(cache_folder() / "models")
    if is_folder(model):
        return _folder(model)
    return _from_hub(model, patterns=_TOKENIZER_FILES, hub=hub)


def resolve_model(model: str, on_progress: Callable[[int, int, float], None] | None = None) -> Path:
    """Returns a folder with the whole model, built or fetched from the Hub if need be.

    Args:
        model: `ftkit/small`, a folder, or a name on the Hub.
        on_progress: Called with (step, steps in all, loss) while `ftkit/small` is built.

    Raises:
        NotFoundError: There is no such folder, and no such model in the Hub's cache or on the Hub.
        ProviderUnavailableError: The Hub cannot be reached.
        ConfigurationError: Its weights are no safetensors.
    """
    if model == small.NAME:
        return small.ensure_model(cache_folder() / "models", on_progress)
    folder = _folder(model) if is_folder(model) else _from_hub(model, patterns=None)
    check_weights(folder)
    return folder


def _folder(model: str) -> Path:
    folder = Path(model).expanduser().resolve()
    if not (folder / "config.json").is_file():
        message = f"no model at '{model}'"
        raise NotFoundError(message, provider="huggingface", hint="Give the folder that holds its config.json.")
    return folder


def _from_hub(model: str, patterns: list[str] | None, hub: HfApi | None = None) -> Path:
    try:
        from huggingface_hub import HfApi
    except ImportError as error:
        what = f"A model of the Hub ('{model}')"
        raise MissingExtraError(what, "local") from error
    from ftkit.providers.huggingface._hub_errors import hub_errors

    fetch = cast("Callable[..., str]", (hub or HfApi()).snapshot_download)  # pyright: ignore[reportUnknownMemberType]
    with hub_errors(model):
        return Path(fetch(model, allow_patterns=patterns, ignore_patterns=NOT_FETCHED))
