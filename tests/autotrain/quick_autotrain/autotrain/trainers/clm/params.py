"""The parameters of a training."""

from __future__ import annotations

from types import SimpleNamespace


class LLMTrainingParams(SimpleNamespace):
    """Whatever the recipe says."""
