"""For tests: a provider in memory, and the kit that every provider must pass.

Users test their own code against `MemoryProvider`, which needs nothing but ftkit. Authors of a provider subclass
`ProviderConformance`, which needs pytest: so it is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftkit.testing.memory import MemoryOptions, MemoryProvider
from ftkit.testing.table import abilities_table
from ftkit.testing.vendor import MemoryVendor
from ftkit.testing.witness import AddsEvents, CountsRequests, LosesReplies, Witness

if TYPE_CHECKING:
    from ftkit.testing.kit import ProviderConformance

__all__ = [
    "AddsEvents",
    "CountsRequests",
    "LosesReplies",
    "MemoryOptions",
    "MemoryProvider",
    "MemoryVendor",
    "ProviderConformance",
    "Witness",
    "abilities_table",
]


def __getattr__(name: str) -> object:
    if name != "ProviderConformance":
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    from ftkit.testing.kit import ProviderConformance

    return ProviderConformance
