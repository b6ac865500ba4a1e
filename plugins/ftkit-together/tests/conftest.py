"""Every test has a state folder of its own, and none of the user's environment."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from ftkit.testing import ProviderAttacks

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Sets FTKIT_HOME to an empty folder, and takes away what would change where Together is."""
    for name in [*os.environ]:
        if name.startswith("TOGETHER_") or (name.startswith("FTKIT_") and not name.startswith("FTKIT_CHAOS")):
            monkeypatch.delenv(name)
    folder = tmp_path / "ftkit-home"
    monkeypatch.setenv("FTKIT_HOME", str(folder))
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the attacks; what a class names in `only_full` is slow there, and found on another provider as well."""
    for item in items:
        if isinstance(item, pytest.Function) and item.cls is not None and issubclass(item.cls, ProviderAttacks):
            item.add_marker("attack")
            if item.name in getattr(item.cls, "only_full", ()):
                item.add_marker("full")
