"""`ftkit providers` and `ftkit doctor`: what is installed, what it needs, and whether it would work."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from strangers import install
from typer.testing import CliRunner

from ftkit.cli import app
from ftkit.doctor import examine
from ftkit.installed import Installed, InstalledProvider, ProviderState, installed
from ftkit.models import Problem, Severity
from ftkit.testing import MemoryProvider, MemoryVendor

if TYPE_CHECKING:
    from pathlib import Path

BROKEN = {
    "badimport": "import nothing_of_that_name",
    "exits": "raise SystemExit(1)",
    "wrongclass": "class make: pass",
    "nothing": "",
    "older": "class make:\n    contract = 0",
    "raises": "def make(): raise RuntimeError('no')",
}
NEEDS = {
    "keyless": "from ftkit.errors import CredentialsError as E\ndef make(): raise E('there is no key', hint='Set it')",
    "needy": "def make(*, account): raise AssertionError",
    "extra": "from ftkit.errors import MissingExtraError\nraise MissingExtraError('It', 'azure')",
}


def run(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, [*arguments])
    return done.exit_code, done.stdout, done.stderr


def named(found: Installed) -> dict[str, InstalledProvider]:
    return {each.name: each for each in found.providers}


@pytest.fixture
def strangers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, code in (BROKEN | NEEDS).items():
        install(tmp_path, f"{name}_pkg", name, code, monkeypatch)
    for package in ("one_pkg", "other_pkg"):
        install(tmp_path, package, "twice", "raise AssertionError('neither is used')", monkeypatch)


@pytest.mark.usefixtures("strangers")
def test_broken_plug_ins_are_named_and_disturb_no_other() -> None:
    found = installed()
    all_of_them = named(found)
    states = {name: each.state for name, each in all_of_them.items()}
    assert {name for name, state in states.items() if state is ProviderState.BROKEN} == {*BROKEN, "twice"}
    assert {*NEEDS} <= {name for name, state in states.items() if state is ProviderState.NEEDS}
    assert states["memory"] is states["huggingface"] is ProviderState.READY
    assert not found.ok
    assert [each.package for each in found.providers if each.name == "twice"] == ["one_pkg", "other_pkg"]
    for name in BROKEN:
        assert f"{name}_pkg" in f"{all_of_them[name].told}", name


@pytest.mark.usefixtures("strangers")
def test_the_command_tells_them_and_ends_with_status_1() -> None:
    status, shown, _ = run("providers")
    assert status == 1
    assert "badimport  (badimport_pkg 1.0)  broken\n  broken: the provider 'badimport' of the package" in shown
    assert "extra  (extra_pkg 1.0)  needs\n  needs: It needs packages that are not installed. -> pip install" in shown
    assert "two packages bring a provider named 'twice': one_pkg and other_pkg" in shown
    assert "memory  (ftkit-memory 0.1.0)  ready\n  methods: dpo, supervised\n  can: cancel jobs," in shown


def test_a_class_whose_methods_are_none_disturbs_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "class make:\n    methods = frozenset({'supervised'})\n    def __init__(self, account): ..."
    install(tmp_path, "texts_pkg", "texts", code, monkeypatch)
    found = named(installed())
    assert (found["texts"].state, found["texts"].methods) == (ProviderState.NEEDS, ())
    assert found["memory"].state is ProviderState.READY


def test_an_extra_that_is_missing_is_no_fault_of_the_package() -> None:
    code = (
        "import sys; sys.modules['openai'] = None\n"  # what an environment without it looks like to an import
        "from ftkit.installed import installed\n"
        "found = {each.name: each for each in installed().providers}\n"
        "print(found['openai'].state.value, found['openai'].fix, found['azure'].fix, found['memory'].state.value)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "needs pip install 'ftkit[openai]' pip install 'ftkit[azure]' ready\n"


def test_what_can_be_told_without_an_account_is_told() -> None:
    azure = named(installed())["azure"]
    assert azure.state is ProviderState.NEEDS
    assert "AZURE_OPENAI_ENDPOINT" in f"{azure.fix}"
    assert {"Deploys", "Pauses", "Chats"} <= {*azure.abilities}
    assert azure.methods == ("dpo", "reinforcement", "supervised")


def test_as_json_and_as_a_table() -> None:
    status, shown, _ = run("providers", "--json")
    assert (status, Installed.model_validate_json(shown)) == (0, installed())
    status, shown, _ = run("providers", "--table")
    head, _, *rows = shown.splitlines()
    names = [each.strip() for each in head.split("|")][2:-1]
    assert status == 0
    assert {"autotrain", "azure", "huggingface", "memory", "openai"} <= {*names}
    pauses = next(row for row in rows if row.startswith("| `Pauses` |"))
    able = dict(zip(names, (each.strip() for each in pauses.split("|")[2:-1]), strict=True))
    assert (able["autotrain"], able["azure"], able["openai"]) == ("-", "yes", "yes")


def test_a_package_whose_metadata_is_broken_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "torn_pkg", "torn", "", monkeypatch)
    (tmp_path / "torn_pkg-1.0.dist-info" / "entry_points.txt").write_text("[ftkit.providers]\nno equals sign\n")
    status, shown, error = run("providers")
    assert status == 1
    assert "memory  (ftkit-memory 0.1.0)  ready" in shown
    assert error == "error: the metadata of the package 'torn_pkg' cannot be read\n"


def test_a_profile_is_told_with_its_provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ftkit.toml").write_text('[profiles.cheap]\nprovider = "memory"\n')
    monkeypatch.chdir(tmp_path)
    assert named(installed())["memory"].profiles == ("cheap",)
    findings = [*examine("cheap")]
    assert findings[0].told == "profile 'cheap' of the provider 'memory'"
    assert all(finding.ok for finding in findings)


def test_nothing_is_imported_but_what_the_providers_import() -> None:
    code = "import sys; from ftkit.installed import installed; installed(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


# -- doctor --------------------------------------------------------------------------------------------------------


class Ailing(MemoryProvider):
    """A provider that knows what is wrong with its configuration."""

    def examine(self) -> list[Problem]:
        return [
            Problem(code="no-region", field="region", message="mars has no fine-tuning.", fix="Choose earth."),
            Problem(severity=Severity.WARNING, code="slow", message="it is slow today."),
        ]


def make_ailing(api_key: str = "sk-right-0123456789") -> Ailing:
    return Ailing(MemoryVendor(api_key="sk-right-0123456789"), api_key=api_key)


@pytest.fixture
def ailing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "ailing_pkg", "ailing", f"from {__name__} import make_ailing as make", monkeypatch)


def test_a_provider_that_is_well() -> None:
    status, shown, _ = run("doctor", "memory")
    assert status == 0
    whats = [line.split()[1] for line in shown.splitlines()]
    assert whats == ["name:", "package:", "provider:", "ledger:", "account:", "jobs:"]


@pytest.mark.usefixtures("ailing")
def test_what_the_provider_itself_finds_is_told() -> None:
    status, shown, _ = run("doctor", "ailing")
    assert status == 1
    assert "WRONG  region: mars has no fine-tuning.\n    -> Choose earth.\nnote   configuration: it is slow" in shown


@pytest.mark.usefixtures("ailing")
def test_a_key_that_is_refused_is_found_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTKIT_AILING_API_KEY", "sk-wrong-0123456789")
    status, shown, error = run("doctor", "ailing", "--json")
    findings = [json.loads(line) for line in shown.splitlines()]
    jobs = next(finding for finding in findings if finding["what"] == "jobs")
    assert (status, jobs["ok"]) == (1, False)
    assert "api_key" in next(finding["told"] for finding in findings if finding["what"] == "options")
    assert "sk-wrong" not in shown + error


@pytest.mark.usefixtures("ailing")
def test_nobody_is_asked_where_that_is_not_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError

    for verb in ("authorize", "list_jobs"):
        monkeypatch.setattr(MemoryVendor, verb, never)
    status, shown, _ = run("doctor", "ailing", "--no-ask")
    assert status == 0
    assert "account:" not in shown


@pytest.mark.usefixtures("strangers")
@pytest.mark.parametrize("name", [*BROKEN, *NEEDS, "twice", "nobody"])
def test_what_cannot_be_made_is_one_finding_and_no_traceback(name: str) -> None:
    *_, last = examine(name)
    assert last.ok is False
    assert last.fix
    status, shown, error = run("doctor", name)
    assert (status, error) == (1, "")
    assert shown.count("WRONG") == 1


@pytest.mark.usefixtures("ailing")
def test_the_doctor_only_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    vendor = MemoryVendor(api_key="sk-right-0123456789")
    monkeypatch.setattr(f"{__name__}.MemoryVendor", lambda **_: vendor)
    assert run("doctor", "ailing")[0] == 1
    assert set(vendor.calls) == {"list_jobs"}


# -- what the providers of this machine find -----------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="local training needs Linux or macOS")
def test_training_here_tells_what_trains_and_how_much_room_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    findings = {finding.what: finding for finding in examine("huggingface")}
    assert "the CPU trains, with torch" in findings["hardware"].told
    assert findings["jobs_folder"].ok is True
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1_000_000))
    full = next(finding for finding in examine("huggingface") if finding.what == "jobs_folder")
    assert full.ok is None
    assert "1,000,000 bytes left" in full.told


@pytest.mark.skipif(sys.platform == "win32", reason="local training needs Linux or macOS")
def test_autotrain_tells_that_its_environment_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTKIT_CACHE", str(tmp_path))
    *_, last = examine("autotrain")
    assert (last.what, last.ok) == ("configuration", False)
    assert "ftkit autotrain setup" in f"{last.fix}"
