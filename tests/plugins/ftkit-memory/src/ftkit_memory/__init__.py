"""The whole of a plug-in: an entry point that names a factory, and the factory."""

from __future__ import annotations

import functools

from ftkit.testing import MemoryProvider, MemoryVendor


@functools.cache
def vendor() -> MemoryVendor:
    """Returns the one vendor of this process, so that all of its clients see the same jobs."""
    return MemoryVendor()


def provider(*, api_key: str | None = None) -> MemoryProvider:
    """Makes the provider `memory`.

    Args:
        api_key: What it shows to the vendor, which takes any.
    """
    return MemoryProvider(vendor(), api_key=api_key)
