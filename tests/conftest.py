"""Every test has a state folder of its own, and none of the user's environment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ftkit.testing import ProviderAttacks

CACHE = Path(__file__).parent.parent / ".cache"
ATTACKS = Path(__file__).parent / "attacks"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Sets FTKIT_HOME to an empty folder. The cache (the model ftkit/small) is shared: it is keyed by its recipe."""
    for name in [*os.environ]:
        if name.startswith("FTKIT_") and not name.startswith("FTKIT_CHAOS"):
            monkeypatch.delenv(name)
    folder = tmp_path / "ftkit-home"
    monkeypatch.setenv("FTKIT_HOME", str(folder))
    monkeypatch.setenv("FTKIT_CACHE", str(CACHE))
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the attacks: those of the kit, and all that lie in their folder."""
    for item in items:
        is_kit = isinstance(item, pytest.Function) and item.cls is not None and issubclass(item.cls, ProviderAttacks)
        if is_kit or ATTACKS in item.path.parents:
            item.add_marker("attack")
