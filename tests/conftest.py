"""Every test has a state folder of its own, and none of the user's environment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

CACHE = Path(__file__).parent.parent / ".cache"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Sets FTKIT_HOME to an empty folder. The cache (the model ftkit/small) is shared: it is keyed by its recipe."""
    for name in [*os.environ]:
        if name.startswith("FTKIT_"):
            monkeypatch.delenv(name)
    folder = tmp_path / "ftkit-home"
    monkeypatch.setenv("FTKIT_HOME", str(folder))
    monkeypatch.setenv("FTKIT_CACHE", str(CACHE))
    return folder
