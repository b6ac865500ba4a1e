"""A project of a provider's author, for the tests of the plug-in: hooks in its tests folder, and no test."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

SETTINGS = """
[tool.pytest.ini_options]
addopts = ["-p", "no:schemathesis", "--strict-config", "--strict-markers"]
filterwarnings = ["error"]
"""
HOOKS = """
import pytest
from ftkit.testing import MemoryProvider, MemoryVendor, ProviderAttacks, ProviderConformance, ProviderHooks
from memory_kit import API_KEY, MemoryHooks


class Acme(MemoryProvider):
    def cancel_job(self, job_id):
        return self.get_job(job_id)


@pytest.fixture
def of_the_module():
    return "module"


class AcmeHooks(MemoryHooks):
    __test__ = False  # the way to keep pytest from hooks that are called Test...
    orders = 3
    expected_failures = {
        "test_cancel": "Acme cancels at noon only",
        "test_empty_ledger": "nothing of Acme's is elsewhere",
    }

    def make_provider(self):
        return Acme(MemoryVendor(api_key=API_KEY), name="acme", api_key=API_KEY)

    @pytest.fixture
    def provider(self, of_the_module, of_the_folder, tmp_path):
        assert (of_the_module, of_the_folder) == ("module", "folder") and tmp_path.is_dir()
        return self.make_provider()


class ShyHooks(MemoryHooks):
    def make_provider(self):
        raise ConnectionError("nobody is there")


class LeakyHooks(MemoryHooks):
    @pytest.fixture
    def provider(self):
        yield self.make_provider()
        raise ConnectionError("it cannot be tidied up")


class Unfinished(ProviderHooks):
    def make_provider(self):
        return Acme()


class WithInit(MemoryHooks):
    def __init__(self):
        pass


class Stranger(MemoryHooks):
    expected_failures = {"test_tea": "there is none"}


class NoReason(MemoryHooks):
    expected_failures = {"test_cancel": " "}


class Overrides(MemoryHooks):
    def test_cancel(self):
        pass


class Ready(MemoryHooks, ProviderConformance):
    pass
"""
FOLDER = """
import pytest


@pytest.fixture
def of_the_folder():
    return "folder"
"""
BY_HAND = """
from acme_hooks import AcmeHooks, of_the_module
from ftkit.testing import ProviderConformance


class TestByHand(AcmeHooks, ProviderConformance):
    __test__ = True
    expected_failures = {"test_cancel": "Acme cancels at noon only"}
"""


def make_project(pytester: pytest.Pytester) -> None:
    """Writes it."""
    tests = pytester.mkdir("tests")
    shutil.copy(Path(__file__).with_name("memory_kit.py"), tests)
    (tests / "acme_hooks.py").write_text(HOOKS, encoding="utf-8")
    (tests / "conftest.py").write_text(FOLDER, encoding="utf-8")
    pytester.makepyprojecttoml(SETTINGS)
