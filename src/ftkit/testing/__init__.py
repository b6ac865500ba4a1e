"""For tests: a provider in memory, and the kit that every provider must pass.

Users test their own code against `MemoryProvider`, which needs nothing but ftkit. Authors of a provider subclass
`ProviderConformance`, which needs pytest: so it is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ftkit.testing.memory import MemoryOptions, MemoryProvider
from ftkit.testing.table import abilities_table
from ftkit.testing.vendor import MemoryVendor
from ftkit.testing.witness import (
    AddsEvents,
    Breaks,
    CountsDeployments,
    CountsRequests,
    CountsUploads,
    LosesReplies,
    Refuses,
    RefusesDeployments,
    SetsDeployments,
    ShowsOrders,
    Witness,
)

if TYPE_CHECKING:
    from ftkit.testing.attacks.kit import ProviderAttacks
    from ftkit.testing.canary import Canary, Sighting
    from ftkit.testing.hooks import ProviderHooks
    from ftkit.testing.kit import ProviderConformance

__all__ = [
    "AddsEvents",
    "Breaks",
    "Canary",
    "CountsDeployments",
    "CountsRequests",
    "CountsUploads",
    "LosesReplies",
    "MemoryOptions",
    "MemoryProvider",
    "MemoryVendor",
    "ProviderAttacks",
    "ProviderConformance",
    "ProviderHooks",
    "Refuses",
    "RefusesDeployments",
    "SetsDeployments",
    "ShowsOrders",
    "Sighting",
    "Witness",
    "abilities_table",
]


_NEEDS_PYTEST = {
    "ProviderAttacks": "ftkit.testing.attacks.kit",
    "ProviderConformance": "ftkit.testing.kit",
    "ProviderHooks": "ftkit.testing.hooks",
}
_LOADED_LATE = {**_NEEDS_PYTEST, "Canary": "ftkit.testing.canary", "Sighting": "ftkit.testing.canary"}


def __getattr__(name: str) -> object:
    if name not in _LOADED_LATE:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(_LOADED_LATE[name]), name)
