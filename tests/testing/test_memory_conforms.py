"""MemoryProvider keeps the whole contract; also when the vendor's lists lag."""

from __future__ import annotations

from memory_kit import GiftedProvider, MemoryConformance, MemoryUnderAttack


class TestMemory(MemoryConformance):
    pass


class TestMemoryWithLaggingLists(MemoryConformance):
    list_lag_s = 0.15


class TestGifted(MemoryConformance):
    provider_class = GiftedProvider


class TestMemoryUnderAttack(MemoryUnderAttack):
    pass
