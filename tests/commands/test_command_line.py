"""What all commands have in common: --json, help, statuses, what a shell completes; and the page that tells of it."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer
from lab_provider import ftkit
from talker import Person, laid, path_with, trained

from ftkit import Client, __version__
from ftkit.cli import Status, app
from ftkit.cli._completing import join_words
from ftkit.cli._nouns import Place, ServerKey, Version, WrittenPackage
from ftkit.doctor import Finding
from ftkit.installed import Installed
from ftkit.models import Report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ftkit.testing import MemoryVendor

PAGE = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text(encoding="utf-8")
WITHOUT_JSON = {
    "serve": "it runs until it is stopped, and its address is in the folder of the server",
    "autotrain": "a group, which does nothing by itself",
    "vllm": "likewise",
    "keys": "likewise",
}


def commands() -> Iterator[tuple[str, Any]]:
    """All commands and groups by their words; they are click's own, under whatever name Typer has them."""

    def below(words: str, command: Any) -> Iterator[tuple[str, Any]]:
        yield words, command
        for name, inner in getattr(command, "commands", {}).items():
            yield from below(f"{words} {name}".strip(), inner)

    yield from below("", typer.main.get_command(app))


ALL = dict(commands())


@pytest.mark.parametrize("words", ALL)
def test_every_command_prints_json_and_explains_itself(words: str) -> None:
    command = ALL[words]
    options = {option for parameter in command.params for option in parameter.opts}
    assert ("--json" in options) != (words in WITHOUT_JSON)
    assert command.help
    assert command.help[0].isupper()
    assert [parameter.name for parameter in command.params if not getattr(parameter, "help", None)] == []
    shown = ftkit(*words.split(), "--help")
    assert (shown.status, shown.errors) == (0, "")


def test_the_page_tells_every_command() -> None:
    rows = re.findall(r"^\| `ftkit ([a-z -]+)` \|", PAGE, re.MULTILINE)
    groups = {words for words, command in ALL.items() if hasattr(command, "commands")} - {"jobs"}
    assert sorted(rows) == sorted({*ALL} - groups)


def test_the_page_tells_every_status_and_no_other() -> None:
    rows = re.findall(r"^\| (\d+) \| ([A-Z]+) \| \S.* \|$", PAGE, re.MULTILINE)
    assert [(int(number), name) for number, name in rows] == [(each.value, each.name) for each in Status]


def test_the_lines_of_the_page_are_lines_that_the_commands_take() -> None:
    lines = [line for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
    assert len(lines) > 15
    for line in lines:
        tokens = shlex.split(line.removeprefix("$ "), comments=True)
        said = tokens[tokens.index("ftkit") + 1 :]
        said = said[: said.index("|")] if "|" in said else said
        words = max((words for words in ALL if " ".join(said).startswith(words)), key=len)
        if words:
            ALL[words].make_context("ftkit", said[len(words.split()) :])  # which raises at what it does not know
    with pytest.raises(Exception, match="No such option"):
        ALL["deploy"].make_context("ftkit", ["openai:ftjob-1", "--ttls", "3"])


# -- JSON of what asks nobody --------------------------------------------------------------------------------------


def test_the_version() -> None:
    assert Version.model_validate_json(ftkit("--version", "--json").output).version == __version__
    assert ftkit("--version").output == f"ftkit {__version__}\n"
    misplaced = ftkit("--json", "providers")
    assert (misplaced.status, misplaced.output) == (2, "")
    assert "behind the command" in re.sub(r"[\s│]+", " ", misplaced.errors)


def test_what_is_installed_and_what_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Installed.model_validate_json(ftkit("providers", "--json").output).providers
    found = [Finding.model_validate_json(line) for line in ftkit("doctor", "memory", "--json").output.splitlines()]
    assert all(each.ok for each in found)
    made = WrittenPackage.model_validate_json(ftkit("new-provider", "nova", "--json").output)
    assert (Path(made.folder), made.next[-1]) == (tmp_path / "ftkit-nova", "pytest")
    again = ftkit("new-provider", "nova", "--json")
    assert (again.status, json.loads(again.errors)["error"]["type"]) == (2, "ConfigurationError")


def test_data_that_is_written_in_another_layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in.jsonl").write_text('{"prompt": "One?", "completion": "Two."}\n' * 2)
    report = Report.model_validate_json(ftkit("convert", "in.jsonl", "out.jsonl", "--to", "chat", "--json").output)
    assert (report.rows, report.ok, Path("out.jsonl").read_text().count("\n")) == (2, True, 2)
    wrong = ftkit("convert", "in.jsonl", "x.jsonl", "--to", "chatt", "--json")
    assert (wrong.output, json.loads(wrong.errors)["error"]["type"]) == ("", "ConfigurationError")


def test_the_keys_of_a_server(tmp_path: Path) -> None:
    pytest.importorskip("fastapi")
    from ftkit.server.office import open_store

    open_store(tmp_path).close()
    home = ["--home", tmp_path, "--json"]
    made = ServerKey.model_validate_json(ftkit("keys", "create", "laptop", *home).output)
    assert f"{made.key}".startswith("sk-ftkit-")
    assert f"{made.key}" not in repr(made)
    listed = ftkit("keys", "list", *home)
    assert ServerKey.model_validate_json(listed.output) == made.model_copy(update={"key": None})
    assert listed.errors == ""
    gone = ServerKey.model_validate_json(ftkit("keys", "revoke", "laptop", *home).output)
    assert (gone.name, gone.revoked) == ("laptop", True)
    missing = ftkit("keys", "revoke", "laptop", *home)
    assert (missing.status, json.loads(missing.errors)["error"]["type"]) == (1, "NotFoundError")


def test_an_environment_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTKIT_CACHE", str(tmp_path))
    done = ftkit("autotrain", "doctor", "--json")
    (found,) = map(Finding.model_validate_json, done.output.splitlines())
    assert (done.status, found.ok, "ftkit autotrain setup" in f"{found.fix}") == (1, False, True)
    text = ftkit("autotrain", "doctor")
    assert (text.status, text.output, text.errors.startswith("error: AutoTrain has")) == (1, "", True)
    old = tmp_path / "environments" / "autotrain-old"
    old.mkdir(parents=True)
    removed = Place.model_validate_json(ftkit("autotrain", "setup", "--remove", "--json").output)
    assert (Path(removed.path), removed.state, old.exists()) == (old, "removed", False)


# -- completion ----------------------------------------------------------------------------------------------------


@pytest.fixture
def talking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MemoryVendor:
    return laid(tmp_path, monkeypatch)


def completed(*words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Completes the last word, as bash asks for it: with each run of colons, and each =, as a word of its own."""
    parted = [part for word in ("ftkit", *words) for part in re.split(r"(:+|=)", word) if part or not word]
    capsys.readouterr()
    with monkeypatch.context() as asked:
        asked.setenv("_FTKIT_COMPLETE", "complete_bash")
        asked.setenv("_FTKIT_HEAD", "")
        asked.setenv("COMP_WORDS", "\n".join(parted))
        asked.setenv("COMP_CWORD", str(len(parted) - 1))
        join_words()
        with pytest.raises(SystemExit):
            app(prog_name="ftkit")
    return capsys.readouterr().out.split()


@pytest.mark.usefixtures("talking")
def test_names_are_completed_and_nobody_is_asked(
    talking: MemoryVendor, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = trained()
    Client("talker").deploy("base", name="tea")
    Path("ftkit.toml").write_text('[profiles.night]\nprovider = "talker"\n')
    before = talking.calls.total()

    def offers(*words: str) -> list[str]:
        return completed(*words, capsys=capsys, monkeypatch=monkeypatch)

    assert offers("deploy", "-p", "tal") == ["talker"]
    assert offers("deploy", "--provider=nig") == ["night"]
    assert offers("deployments", "tal") == ["talker"]
    assert offers("undeploy", "tal") == ["talker:tea", "talker:"]
    assert offers("undeploy", "night:x", "night:") == ["tea"]
    assert offers("undeploy", "night:te") == ["tea"]
    assert offers("undeploy", "-p", "night", "") == ["tea"]
    assert offers("chat", "talker:") == ["tea"]
    assert offers("chat", "--deploy", "talker:jo") == offers("deploy", "talker:jo") == [job.id]
    assert offers("deploy", "mem") == ["memory:"]
    assert offers("check", "x.jsonl", "--method", "sup") == ["supervised"]
    assert offers("convert", "a", "b", "--to", "chatt") == offers("convert", "a", "b", "--to", "x") == []
    assert offers("convert", "a", "b", "--to", "alpaca-") == ["alpaca-preference"]
    assert offers("undep") == ["undeploy"]
    assert talking.calls.total() == before


@pytest.mark.usefixtures("talking")
def test_what_is_wrong_completes_nothing_and_mends_nothing(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def offers(*words: str) -> list[str]:
        return completed(*words, capsys=capsys, monkeypatch=monkeypatch)

    assert offers("undeploy", "talk") == ["talker:"]
    assert not home.exists()
    home.mkdir()
    assert offers("undeploy", "talk") == ["talker:"]
    assert [*home.iterdir()] == []
    (home / "ledger.sqlite3").write_bytes(b"no database, but longer than a header of one" * 9)
    assert offers("undeploy", "talk") == ["talker:"]
    assert [path.name for path in home.iterdir()] == ["ledger.sqlite3"]
    Path("ftkit.toml").write_text("[profiles.torn")
    assert offers("undeploy", "talk") == offers("deploy", "-p", "talk") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell_is_shown(shell: str) -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("ftkit"), "--show-completion", shell],
        env={**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"_FTKIT_COMPLETE=complete_{shell}" in done.stdout


@pytest.mark.skipif(sys.platform == "win32" or shutil.which("bash") is None, reason="there is no bash here")
@pytest.mark.usefixtures("talking")
def test_bash_completes_a_name_with_a_colon_in_it(tmp_path: Path) -> None:
    Client("talker").deploy("base", name="tea")
    scripts = str(Path(sys.executable).parent)
    variables = {"PYTHONPATH": path_with(tmp_path), "PATH": f"{scripts}:{os.environ['PATH']}", "PS1": "$ "}
    person = Person(["bash", "--noprofile", "--norc", "-i"], {**os.environ, **variables, "TERM": "dumb"})
    person.sees("$ ")
    person.types('eval "$(ftkit --show-completion bash)"; echo rea""dy\n')
    person.sees("ready")
    person.sees("$ ")
    person.types("ftkit undeploy talker:t\t")
    person.sees("talker:tea ")
    person.types("\x15exit 7\n")
    assert person.status() == 7
