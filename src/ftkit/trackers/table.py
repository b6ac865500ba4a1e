"""Names -> trackers: those of this package, and those that others bring as entry points of the group `ftkit.trackers`.

An entry point is a class or function that returns a `Tracker` and needs no argument.
"""

from __future__ import annotations

import importlib.util
from importlib.metadata import EntryPoint, entry_points

from ftkit.errors import ConfigurationError, FtkitError, MissingExtraError
from ftkit.methods import near
from ftkit.trackers.contract import Tracker

GROUP = "ftkit.trackers"

_OURS = {
    "mlflow": "ftkit.trackers.mlflow:MLflow",
    "tensorboard": "ftkit.trackers.tensorboard:TensorBoard",
    "trackio": "ftkit.trackers.trackio:Trackio",
    "wandb": "ftkit.trackers.wandb:WandB",
}


def _entries() -> list[EntryPoint]:
    return [*(EntryPoint(name, value, GROUP) for name, value in _OURS.items()), *entry_points(group=GROUP)]


def tracker_names() -> tuple[str, ...]:
    """Returns the names of all trackers, sorted."""
    return tuple(sorted({entry.name for entry in _entries()}))


def make_tracker(wanted: str | Tracker) -> Tracker:
    """Returns the tracker of a name, or the one that was given.

    Raises:
        ConfigurationError: There is no such tracker, or several, or it is none, or cannot be made.
        MissingExtraError: A package that it needs is not installed.
    """
    made = _named(wanted) if isinstance(wanted, str) else wanted
    if isinstance(made, type) or not isinstance(made, Tracker):
        raise ConfigurationError(f"{made!r} is no tracker", hint="It needs begin(job), log(metrics) and end(job).")
    return made


def _named(name: str) -> object:
    found = {(entry.name, entry.value): entry for entry in _entries() if entry.name == name}
    if not found:
        message = f"there is no tracker '{name}'{near(name, tracker_names())}"
        raise ConfigurationError(message, hint=f"Trackers: {', '.join(tracker_names())}.")
    entry, *others = found.values()
    if others:
        places = " and ".join(each.value for each in found.values())
        raise ConfigurationError(f"two packages bring a tracker named '{name}': {places}", hint="Uninstall one.")
    try:
        return entry.load()()
    except FtkitError:
        raise
    except Exception as error:
        message = f"the tracker '{name}' cannot be made ({entry.value}): {type(error).__name__}: {error}"
        raise ConfigurationError(message) from error


def needs(what: str, extra: str, *packages: str) -> None:
    """Says early, and without importing them, that packages are missing.

    Raises:
        MissingExtraError: One of them is not installed.
    """
    if any(importlib.util.find_spec(package) is None for package in packages):
        raise MissingExtraError(what, extra)
