"""Where ftkit keeps things: under FTKIT_HOME if that is set, else in the user's own folders."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def state_folder() -> Path:
    """Returns the folder of what must not be lost: the ledger, local jobs, local deployments."""
    home = os.environ.get("FTKIT_HOME")
    return Path(home).expanduser().resolve() if home else Path(platformdirs.user_state_dir("ftkit", appauthor=False))


def cache_folder() -> Path:
    """Returns the folder of what can be made again, such as `ftkit/small`: FTKIT_CACHE, if that is set."""
    cache = os.environ.get("FTKIT_CACHE")
    if cache:
        return Path(cache).expanduser().resolve()
    home = os.environ.get("FTKIT_HOME")
    return state_folder() / "cache" if home else Path(platformdirs.user_cache_dir("ftkit", appauthor=False))


def config_folder() -> Path:
    """Returns the folder of the user's own `ftkit.toml`."""
    home = os.environ.get("FTKIT_HOME")
    return state_folder() if home else Path(platformdirs.user_config_dir("ftkit", appauthor=False))
