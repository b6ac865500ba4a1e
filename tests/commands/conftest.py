"""The provider `lab` behind two profiles, `night` and `day`, and a folder with data.

Reconstructed: the first version of this file was overwritten by mistake, and this one is written from what the tests
beside it ask for. Whoever wrote the first one should look it over.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from lab_provider import VENDORS, Lab, Labbook, make
from strangers import install

from ftkit import Client

if TYPE_CHECKING:
    from collections.abc import Generator

    from ftkit.testing import MemoryVendor

for _folder in ("attacks", "openai"):  # what stands in for vendors, and starts scripts, is in other folders of tests
    _path = str(Path(__file__).parents[1] / _folder)
    if _path not in sys.path:
        sys.path.append(_path)

ROWS = [
    {"messages": [{"role": "user", "content": f"What follows {n}?"}, {"role": "assistant", "content": f"{n + 1}."}]}
    for n in range(12)
]
PROFILES = "".join(
    f'[profiles.{name}]\nprovider = "lab"\noptions = {{ account = "{name}" }}\n' for name in ("night", "day")
)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[dict[str, MemoryVendor]]:
    """Installs the provider `lab` and the tracker `labbook`; yields the vendors behind the profiles, once asked."""
    install(tmp_path, "lab_pkg", "lab", "from lab_provider import make", monkeypatch)
    points = tmp_path / "lab_pkg-1.0.dist-info" / "entry_points.txt"
    points.write_text(f"{points.read_text()}\n[ftkit.trackers]\nlabbook = lab_provider:Labbook\n")
    (tmp_path / "ftkit.toml").write_text(PROFILES)
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Lab, "blind", False)
    monkeypatch.setattr(Labbook, "broken", False)
    for of_earlier_tests in (VENDORS, Labbook.lines):
        of_earlier_tests.clear()
    yield VENDORS
    VENDORS.clear()


@pytest.fixture
def vendor(lab: dict[str, MemoryVendor]) -> MemoryVendor:
    """The vendor behind the profile `night`."""
    make(account="night")
    return lab["night"]


@pytest.fixture
def night(vendor: MemoryVendor) -> Client:
    """A client of the profile `night`, before that vendor."""
    del vendor
    return Client("night")
