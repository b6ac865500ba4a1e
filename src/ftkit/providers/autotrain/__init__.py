"""AutoTrain 0.8.36, frozen since January 2025, kept alive in an environment of its own.

Importing this loads nothing of it: ftkit talks to it through a process in that environment.
"""

from __future__ import annotations

from ftkit.providers.autotrain.local import AutoTrainProvider

__all__ = ["AutoTrainProvider"]
