"""Every test has a state folder of its own, and none of the user's environment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ftkit.testing import ProviderAttacks
from ftkit.testing.tally import Tally, record

if TYPE_CHECKING:
    from collections.abc import Generator

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
    """Marks the attacks: those of the kit, and all that lie in their folder.

    What a class names in `only_full` is part of `make full` and `make chaos` alone: it is slow there, and what it would
    find is found on another provider as well.
    """
    for item in items:
        is_kit = isinstance(item, pytest.Function) and item.cls is not None and issubclass(item.cls, ProviderAttacks)
        if is_kit or ATTACKS in item.path.parents:
            item.add_marker("attack")
        if is_kit and item.name in getattr(item.cls, "only_full", ()):
            item.add_marker("full")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Records an attack that did not come to its own tally: one that failed, or could not be tried here."""
    report = yield
    unstruck = report.skipped and "strace" in str(report.longrepr)
    if item.get_closest_marker("attack") is not None and (report.failed or unstruck):
        became = "skipped, for want of strace" if unstruck else "failed"
        record(Tally(f"{item.nodeid.rpartition('/')[2]}: {became}", "-", tries=0, broken=int(report.failed)))
    return report
