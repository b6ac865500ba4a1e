from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from strangers import install

from ftkit.errors import ConfigurationError, UnknownProviderError
from ftkit.registry import check_contract, make_provider, provider_names, unreadable
from ftkit.testing import MemoryProvider

if TYPE_CHECKING:
    from pathlib import Path


def test_the_built_in_providers_come_through_entry_points() -> None:
    assert "huggingface" in provider_names()


def test_a_stranger_is_found_by_the_same_path() -> None:
    assert "memory" in provider_names()
    assert make_provider("memory", {}).name == "memory"


def test_an_unknown_name_tells_near_ones() -> None:
    with pytest.raises(UnknownProviderError, match="did you mean 'memory'"):
        make_provider("memry", {})


def test_an_unknown_option_tells_near_ones() -> None:
    with pytest.raises(ConfigurationError, match="no option 'computee'; did you mean 'compute'"):
        make_provider("huggingface", {"computee": "local"})


def test_two_packages_with_one_name_are_refused_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "first_pkg", "twice", "make = None", monkeypatch)
    install(tmp_path, "second_pkg", "twice", "make = None", monkeypatch)
    with pytest.raises(ConfigurationError, match="first_pkg and second_pkg"):
        make_provider("twice", {})


def test_a_plug_in_that_fails_to_load_is_not_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "broken_pkg", "broken", "import nothing_of_that_name", monkeypatch)
    with pytest.raises(ConfigurationError, match=r"'broken_pkg' cannot be loaded: .*nothing_of_that_name") as told:
        make_provider("broken", {})
    assert f"{tmp_path / 'broken_pkg.py'}, line 1)" in str(told.value)
    assert "Install what brings 'nothing_of_that_name'" in str(told.value)


def test_another_version_of_the_contract_is_refused() -> None:
    class Future(MemoryProvider):
        contract = 2

    with pytest.raises(ConfigurationError, match="speaks version 2"):
        check_contract(Future())


@pytest.mark.parametrize(
    ("version", "older"), [(2, "Upgrade ftkit: new_pkg is newer"), (0, "Upgrade new_pkg: ftkit is")]
)
def test_it_is_told_which_of_the_two_is_older(
    version: int, older: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = f"class make:\n    contract = {version}"
    install(tmp_path, "new_pkg", "new", code, monkeypatch)
    with pytest.raises(ConfigurationError, match=rf"'new' of the package 'new_pkg' speaks version {version}") as told:
        make_provider("new", {})
    assert older in str(told.value)


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("def make(): raise KeyError('region')", r"'bad_pkg' could not be made: KeyError: 'region'"),
        ("def make(): raise SystemExit(3)", r"'bad_pkg' could not be made: SystemExit: 3"),
        ("raise SystemExit(3)", r"'bad_pkg' cannot be loaded: SystemExit: 3"),
        ("def make(): return 42", r"'bad' of the package 'bad_pkg' is no provider"),
        ("def make(): return dict", r"dict is a class"),
    ],
)
def test_a_factory_that_breaks_down_is_named(
    code: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "bad_pkg", "bad", code, monkeypatch)
    with pytest.raises(ConfigurationError, match=why):
        make_provider("bad", {})


def test_a_package_with_broken_metadata_disturbs_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "torn_pkg", "torn", "", monkeypatch)
    (tmp_path / "torn_pkg-1.0.dist-info" / "entry_points.txt").write_text("[ftkit.providers]\nno equals sign\n")
    assert unreadable() == ("torn_pkg",)
    assert make_provider("memory", {}).name == "memory"
    assert "torn" not in provider_names()


def test_what_a_provider_lacks_is_named() -> None:
    class Empty:
        contract = 1
        name = "empty"

    with pytest.raises(ConfigurationError, match=r"'Empty' lacks .*create_job.*find_job"):
        check_contract(Empty())


def test_a_missing_extra_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"  # what an environment without torch looks like to an import
        "import importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'torch' else find(name, *a)\n"
        "from ftkit import Client\n"
        "Client('huggingface')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip().endswith("-> pip install 'ftkit[local]'")
    assert "MissingExtraError" in done.stderr


def test_what_is_no_factory_is_a_configuration_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "empty_pkg", "empty", "make = None", monkeypatch)
    with pytest.raises(ConfigurationError, match=r"'empty_pkg' brings no factory: empty_pkg:make"):
        make_provider("empty", {})


def test_an_option_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "def make(*args, account, region='eu', **rest): raise AssertionError"
    install(tmp_path, "needy_pkg", "needy", code, monkeypatch)
    with pytest.raises(ConfigurationError, match=r"'needy' needs account\n  -> Client\('needy', account=\.\.\.\)"):
        make_provider("needy", {"region": "us"})


def test_a_class_and_a_stranger_are_no_providers() -> None:
    with pytest.raises(ConfigurationError, match=r"MemoryProvider is a class"):
        check_contract(MemoryProvider)
    with pytest.raises(ConfigurationError, match="'object' is no provider"):
        check_contract(object())
