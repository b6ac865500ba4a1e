"""Every test has a state folder of its own, and none of the user's AWS. The plug-in need not be installed."""

from __future__ import annotations

import os
import sys
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

import pytest

from ftkit.testing import ProviderAttacks

PLUGIN = Path(__file__).parents[1]

if find_spec("ftkit_bedrock") is None:
    sys.path.insert(0, str(PLUGIN / "src"))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Sets FTKIT_HOME to an empty folder, and hides the credentials of AWS."""
    for name in [*os.environ]:
        if name.startswith("AWS_") or (name.startswith("FTKIT_") and not name.startswith("FTKIT_CHAOS")):
            monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "no-such-file"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    folder = tmp_path / "ftkit-home"
    monkeypatch.setenv("FTKIT_HOME", str(folder))
    return folder


@pytest.fixture
def by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets `Client("bedrock")` find the plug-in by its entry point, as if it were installed."""
    if "bedrock" not in {entry.name for entry in entry_points(group="ftkit.providers")}:
        folder = tmp_path / "installed" / "ftkit_bedrock-0.1.0.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: ftkit-bedrock\nVersion: 0.1.0\n")
        (folder / "entry_points.txt").write_text("[ftkit.providers]\nbedrock = ftkit_bedrock:BedrockProvider\n")
        monkeypatch.syspath_prepend(str(folder.parent))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the attacks; what a class names in `only_full` is slow there, and found on another provider as well."""
    for item in items:
        if isinstance(item, pytest.Function) and item.cls is not None and issubclass(item.cls, ProviderAttacks):
            item.add_marker("attack")
            if item.name in getattr(item.cls, "only_full", ()):
                item.add_marker("full")
