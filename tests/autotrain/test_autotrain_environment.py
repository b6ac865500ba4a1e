"""AutoTrain's environment: found, built once, looked at, removed; and nothing is fetched by surprise."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from autotrain_tools import chats, client_of, write

from ftkit import Client, ConfigurationError
from ftkit.errors import FtkitError
from ftkit.providers.autotrain import environment, train

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FTKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def ftkit(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    import os

    command = [sys.executable, "-m", "ftkit", "autotrain", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, env={**os.environ, **variables})


@pytest.mark.usefixtures("cache")
def test_without_it_the_first_upload_is_one_error_with_the_command(tmp_path: Path, model: Path) -> None:
    client = Client("autotrain", jobs_folder=tmp_path / "jobs")
    train = write(tmp_path / "train.jsonl", chats(10))
    assert client.check(train, model=str(model)).ok
    with pytest.raises(ConfigurationError, match="not there yet") as caught:
        client.fine_tune(str(model), train)
    assert "`ftkit autotrain setup`" in str(caught.value.hint)
    assert not (tmp_path / "jobs").exists()


def test_the_users_own_is_taken_and_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTKIT_AUTOTRAIN_PYTHON", sys.executable)
    assert environment.required() == environment.Environment(Path(sys.executable), is_ours=False)
    with pytest.raises(ConfigurationError, match="which ftkit leaves alone"):
        environment.setup(print)
    with pytest.raises(ConfigurationError, match=r"autotrain-advanced is missing"):
        environment.check(environment.required())
    monkeypatch.setenv("FTKIT_AUTOTRAIN_PYTHON", "/no/such/python")
    with pytest.raises(ConfigurationError, match="there is no /no/such/python"):
        environment.required()


def test_other_requirements_are_another_environment(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = environment.folder()
    assert before.parent == cache / "environments"
    other = tmp_path / "other.txt"
    other.write_bytes(environment.REQUIREMENTS.read_bytes() + b"\n")
    monkeypatch.setattr(environment, "REQUIREMENTS", other)
    assert environment.folder() != before


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Puts a `uv` on the path that does what a script says, after it has written down what it was asked for."""

    def make(script: str) -> Path:
        uv, log = tmp_path / "bin" / "uv", tmp_path / "asked.txt"
        uv.parent.mkdir(exist_ok=True)
        uv.write_text(f'#!/bin/sh\necho "$* links=$UV_FIND_LINKS index=$UV_DEFAULT_INDEX" >> {log}\n{script}\n')
        uv.chmod(0o755)
        monkeypatch.setenv("PATH", f"{uv.parent}:/usr/bin:/bin")
        return log

    return make


MAKES_A_FOLDER = 'if [ "$1" = venv ]; then mkdir -p "$5/bin" && ln -s {python} "$5/bin/python"; fi'


@pytest.mark.usefixtures("cache")
def test_what_was_broken_off_is_no_environment_and_goes_on(
    tools: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", "/some/wheels /others")
    monkeypatch.setenv("PIP_INDEX_URL", "https://wheels.example/simple")
    make = MAKES_A_FOLDER.format(python=sys.executable)
    log = tools(f'{make}\nif [ "$1" = pip ]; then exit 1; fi')
    with pytest.raises(FtkitError, match="could not be built") as broken:
        environment.setup(print)
    assert "goes on where it stopped" in str(broken.value.hint)
    assert environment.found() is None
    tools("true")  # this time it "succeeds", and installs nothing: that is seen as well
    with pytest.raises(ConfigurationError, match="autotrain-advanced is missing"):
        environment.setup(print)
    assert environment.found() is None
    venv, install, again = log.read_text().splitlines()
    assert venv.startswith("venv ")
    assert install == again
    assert "links=/some/wheels,/others index=https://wheels.example/simple" in install
    assert install.count(str(environment.REQUIREMENTS)) == 2
    assert environment.remove() == [environment.folder()]
    assert not environment.folder().exists()


def test_a_training_is_not_misled_by_the_users_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """With SPACE_ID set, AutoTrain pauses that Space at the end: the one that ftkit may be running in."""
    for name, value in {"SPACE_ID": "me/mine", "ENDPOINT_ID": "me/it", "CUDA_VISIBLE_DEVICES": "2,3"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("ALLOW_REMOTE_CODE", raising=False)
    env = train._environment(Path("/somewhere/bin/python"))
    assert env.keys().isdisjoint({"SPACE_ID", "ENDPOINT_ID", "VIRTUAL_ENV", "PYTHONPATH"})
    assert env["PATH"].startswith("/somewhere/bin:")
    assert (env["CUDA_VISIBLE_DEVICES"], env["ALLOW_REMOTE_CODE"]) == ("2", "false")
    monkeypatch.setenv("ALLOW_REMOTE_CODE", "true")
    assert train._environment(Path("/somewhere/bin/python"))["ALLOW_REMOTE_CODE"] == "true"


@pytest.mark.slow
def test_the_one_that_is_built_is_whole_and_is_built_once(
    autotrain_python: str, tools: Callable[[str], Path], tmp_path: Path
) -> None:
    built = environment.required()
    assert built == environment.Environment(Path(autotrain_python), is_ours=True)
    environment.check(built)
    log = tools("exit 1")
    assert ftkit("setup").stdout.strip() == autotrain_python
    assert not log.exists()
    told = ftkit("doctor")
    assert told.returncode == 0
    assert "autotrain-advanced: 0.8.36" in told.stdout
    assert "AutoTrain can train with it." in told.stdout
    wrong = ftkit("doctor", FTKIT_AUTOTRAIN_PYTHON=sys.executable)
    assert wrong.returncode == 1
    assert "autotrain-advanced is missing" in wrong.stderr
    assert client_of(tmp_path, autotrain_python).list_jobs().items == ()


def test_ftkit_imports_no_autotrain() -> None:
    """`inside/` alone does, which runs in AutoTrain's environment."""
    source = Path(environment.__file__).parent.parent.parent
    importing = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.strip().startswith(("import autotrain", "from autotrain"))
    }
    assert importing
    assert all(path.startswith("providers/autotrain/inside/") for path in importing)
