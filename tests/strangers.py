"""Packages of strangers, laid where Python finds them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def install(folder: Path, package: str, entry: str, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lays a package of a stranger on the path, as pip would: a module, and metadata with an entry point."""
    (folder / f"{package}.py").write_text(code)
    metadata = folder / f"{package}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[ftkit.providers]\n{entry} = {package}:make\n")
    monkeypatch.delitem(sys.modules, package, raising=False)  # of another test, which lies elsewhere
    if str(folder) not in sys.path:
        monkeypatch.syspath_prepend(str(folder))
