"""Vendors with jobs to save: one in memory, and OpenAI's wire, whose stand-in is in another folder of tests."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest
from archivist import Archivist

from ftkit import Client
from ftkit.testing import MemoryVendor

for _folder in ("attacks", "openai"):
    _path = str(Path(__file__).parents[1] / _folder)
    if _path not in sys.path:
        sys.path.append(_path)


@pytest.fixture
def vendor() -> MemoryVendor:
    return MemoryVendor(account="tests", finish_after=None)


@pytest.fixture
def provider(vendor: MemoryVendor) -> Archivist:
    return Archivist(vendor)


@pytest.fixture
def client(provider: Archivist) -> Client:
    return Client(provider)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets a read be tried again at once."""

    def at_once(seconds: float) -> None:
        del seconds

    monkeypatch.setattr(time, "sleep", at_once)
