"""Where ftkit keeps things: under FTKIT_HOME if that is set, else in the user's own folders."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

HOME = "FTKIT_HOME"
CACHE = "FTKIT_CACHE"
CONFIG_FOLDER = "FTKIT_CONFIG_FOLDER"
LOCAL_SLOTS = "FTKIT_LOCAL_SLOTS"


def state_folder() -> Path:
    """Returns the folder of what must not be lost: the ledger, local jobs, local deployments."""
    return _named(HOME) or Path(platformdirs.user_state_dir("ftkit", appauthor=False))


def cache_folder() -> Path:
    """Returns the folder of what can be made again, such as `ftkit/small`: FTKIT_CACHE, if that is set."""
    home = _named(HOME)
    return _named(CACHE) or (home / "cache" if home else Path(platformdirs.user_cache_dir("ftkit", appauthor=False)))


def config_folder() -> Path:
    """Returns the folder of the user's own `ftkit.toml`: FTKIT_CONFIG_FOLDER, if that is set."""
    return _named(CONFIG_FOLDER) or _named(HOME) or Path(platformdirs.user_config_dir("ftkit", appauthor=False))


def _named(variable: str) -> Path | None:
    text = os.environ.get(variable)
    return Path(text).expanduser().resolve() if text else None
