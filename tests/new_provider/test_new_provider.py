"""`ftkit new-provider`: the package that it writes works as it is, and it is written as a whole or not at all."""

from __future__ import annotations

import compileall
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import ftkit.new_provider
from ftkit.errors import ConfigurationError
from ftkit.new_provider import FILES, new_provider, next_steps

ROOT = Path(__file__).parent.parent.parent
TEMPLATE = Path(ftkit.new_provider.__file__).parent / "template"
MYPY_CACHE = ROOT / ".cache" / "mypy-of-new-provider"
LEFT_BY_TOOLS = {"__pycache__", ".hypothesis", ".mypy_cache", ".pytest_cache", ".ruff_cache"}
LONGEST = "a-name-as-long-as-it-may-be-ab"


def run(*command: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Runs a module of this Python, as the author of a plug-in would in that folder."""
    return subprocess.run(
        [sys.executable, "-B", *command],
        cwd=cwd,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def pytest_in(package: Path, *args: str) -> subprocess.CompletedProcess[str]:
    quiet = ("-p", "no:schemathesis", "-p", "no:cacheprovider")  # one is slow to start, the other writes
    return run("-m", "pytest", "-W", "error", *quiet, *args, cwd=package, PYTHONPATH=str(package / "src"))


def files_in(folder: Path) -> dict[str, bytes]:
    """Returns what is in a folder, but for what tools leave there."""
    found = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    return {name.as_posix(): path.read_bytes() for name, path in found.items() if not LEFT_BY_TOOLS & {*name.parts}}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return new_provider("nova", tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module")
def ftkit_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wheel_of(ROOT, tmp_path_factory.mktemp("wheel"))


def wheel_of(package: Path, folder: Path) -> Path:
    done = run("-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), cwd=package)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))


# -- what is made ----------------------------------------------------------------------------------------------------


def test_it_passes_its_own_tests(made: Path) -> None:
    done = pytest_in(made)
    assert done.returncode == 0, done.stdout
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) > 40  # type: ignore[index]  # the assert says so
    skipped = re.findall(r"^SKIPPED .*?: (.*)$", done.stdout, re.MULTILINE)
    in_processes = {"elsewhere() makes no provider in another process", "vendor_url() names no server on loopback"}
    assert in_processes < set(skipped)  # the vendor lives in one process
    # The rest are abilities: its witness has all that a witness can have.
    assert all(re.fullmatch(r"nova has no \w+", why) for why in set(skipped) - in_processes)


@pytest.mark.parametrize(
    ("whole", "broken", "check"),
    [
        ('"labels": {**request.metadata, LABEL: key}', '"labels": dict(request.metadata)', "test_find_job"),
        ('"failed": JobStatus.FAILED', '"failed": JobStatus.QUEUED', "test_status_words"),
    ],
)
def test_its_tests_find_what_is_broken(whole: str, broken: str, check: str, tmp_path: Path) -> None:
    made = new_provider("nova", tmp_path)
    source = made / "src" / "ftkit_nova" / "__init__.py"
    text = source.read_text()
    assert whole in text
    source.write_text(text.replace(whole, broken))
    done = pytest_in(made, "-k", check)
    assert done.returncode == 1, done.stdout


@pytest.mark.parametrize("name", ["x", "open-nova_2", LONGEST])
def test_it_is_in_order_by_any_name(name: str, tmp_path: Path) -> None:
    made = new_provider(name, tmp_path)
    for command in (("check",), ("format", "--check")):
        done = run("-m", "ruff", *command, "--no-cache", ".", cwd=made)
        assert done.returncode == 0, done.stdout


def test_it_is_typed(made: Path) -> None:
    done = run("-m", "mypy", "--strict", "--cache-dir", str(MYPY_CACHE), cwd=made, MYPYPATH="src")
    assert done.returncode == 0, done.stdout
    assert "no issues found in 3 source files" in done.stdout


def test_installed_it_is_found_by_its_name(made: Path, tmp_path: Path) -> None:
    wheel, place = wheel_of(made, tmp_path / "wheel"), tmp_path / "place"
    done = run("-m", "pip", "install", "--no-deps", "--no-index", "--target", str(place), str(wheel), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    code = (
        "from ftkit import Client; from ftkit.registry import make_provider, provider_names\n"
        "print('nova' in provider_names(), make_provider('nova', {}), sorted(Client('nova').abilities))"
    )
    done = run("-c", code, cwd=tmp_path, PYTHONPATH=str(place), NOVA_API_KEY="for-tests")
    assert done.stdout.split(" ", 1)[0] == "True", done.stderr
    assert "NovaProvider('https://api.vendor.example/v1') ['Cancels', 'Chats', 'Deploys', 'ListsEvents'" in done.stdout
    done = run("-c", "from ftkit import Client; Client('nova')", cwd=tmp_path, PYTHONPATH=str(place))
    assert done.stderr.endswith("nova: there is no key\n  -> Set NOVA_API_KEY, or give api_key=...\n")


def test_no_word_of_the_template_is_left(tmp_path: Path) -> None:
    made = new_provider("open-nova", tmp_path, class_name="NovaFineTuning")
    files = files_in(made)
    assert made.name == "ftkit-open-nova"
    assert {"src/ftkit_open_nova/__init__.py", "src/ftkit_open_nova/py.typed", "tests/test_open_nova.py"} < files.keys()
    assert b"acme" not in b"\n".join(files.values()).lower()
    assert b'open-nova = "ftkit_open_nova:NovaFineTuning"' in files["pyproject.toml"]
    source = files["src/ftkit_open_nova/__init__.py"]
    assert all(word in source for word in (b"class NovaFineTuning(", b"NovaFineTuningOptions", b'"OPEN_NOVA_API_KEY"'))


# -- the template ----------------------------------------------------------------------------------------------------


def test_the_template_is_itself_what_is_made(tmp_path: Path) -> None:
    there = files_in(TEMPLATE)
    assert there.keys() == set(FILES)
    assert files_in(new_provider("acme", tmp_path)) == there


def test_it_is_made_of_a_wheel_as_well(made: Path, ftkit_wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(ftkit_wheel) as archive:
        archive.extractall(tmp_path / "site")
    assert {f"ftkit/new_provider/template/{path}" for path in FILES} <= files_in(tmp_path / "site").keys()
    compileall.compile_dir(tmp_path / "site" / "ftkit" / "new_provider", quiet=1)  # as pip does
    code = "from ftkit.new_provider import new_provider; print(new_provider('nova'))"
    done = run("-c", code, cwd=tmp_path, PYTHONPATH=str(tmp_path / "site"))
    assert done.stdout == f"{tmp_path / 'ftkit-nova'}\n", done.stderr
    assert files_in(tmp_path / "ftkit-nova") == files_in(made)


# -- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        *(
            "",
            "Nova",
            "nova cloud",
            "nova.cloud",
            "nova/x",
            "../nova",
            "-nova",
            "nova-",
            "nova--x",
            "2nova",
            "n\u00f6va",
        ),
        *("nova\n", "x" * 31, "class", "test", "ftkit", "openai", "memory"),
    ],
)
def test_a_name_that_cannot_be_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        new_provider(name, tmp_path)
    assert caught.value.hint
    assert "\n" not in caught.value.message
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("class_name", ["", "nova", "Nova-Provider", "None", "Provider", "HoldsKey"])
def test_a_class_that_cannot_be_is_refused(class_name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        new_provider("nova", tmp_path, class_name=class_name)
    assert not list(tmp_path.iterdir())


def test_a_name_that_would_hide_another_takes_another_class(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="ChatOptions"):
        new_provider("chat", tmp_path)
    made = new_provider("chat", tmp_path, class_name="ChattingProvider")
    done = pytest_in(made, "-k", "test_contract")
    assert "1 passed" in done.stdout, done.stdout


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    mine = tmp_path / "ftkit-nova" / "mine.txt"
    mine.parent.mkdir()
    mine.write_text("mine")
    with pytest.raises(ConfigurationError, match="there already"):
        new_provider("nova", tmp_path)
    assert files_in(tmp_path) == {"ftkit-nova/mine.txt": b"mine"}
    (tmp_path / "ftkit-luna").write_text("a file")
    with pytest.raises(ConfigurationError, match="there already"):
        new_provider("luna", tmp_path)


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "ftkit-nova").mkdir()
    assert files_in(new_provider("nova", tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["ftkit-nova"]


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file or directory"):
        new_provider("nova", tmp_path / "nowhere")


@pytest.mark.skipif(sys.platform == "win32", reason="there is no limit on the size of a file")
def test_what_is_half_written_is_removed(tmp_path: Path) -> None:
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))\n"  # some files fit, one does not
        "from ftkit.new_provider import new_provider; new_provider('nova')"
    )
    done = run("-c", code, cwd=tmp_path)
    assert re.search(r"ConfigurationError: .*ftkit-nova cannot be made: File too large\n  -> ", done.stderr)
    assert not list(tmp_path.iterdir())


def test_the_next_steps_can_be_pasted(tmp_path: Path) -> None:
    steps = next_steps(tmp_path / "my plug-ins" / "ftkit-nova").splitlines()
    assert steps == [f"cd '{tmp_path}/my plug-ins/ftkit-nova'", "pip install -e '.[dev]'", "pytest"]
