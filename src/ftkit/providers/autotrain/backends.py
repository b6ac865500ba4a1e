"""Where AutoTrain 0.8.36 can train, in its own words, as far as ftkit lets it."""

from __future__ import annotations

NAME = "autotrain"
"""The provider's name."""
LOCAL = ("local", "local-cli", "local-ui")
"""On this machine."""
SPACES = tuple(
    f"spaces-{hardware}"
    for hardware in (
        *("cpu-basic", "cpu-upgrade", "t4-small", "t4-medium", "l4x1", "l4x4", "l40sx1", "l40sx4", "l40sx8"),
        *("a10g-small", "a10g-large", "a10g-largex2", "a10g-largex4", "a100-large"),
    )
)
"""In a Space of the Hub, on this hardware."""
