"""Every Python block of the documentation runs, or says why not; and prints what the page says that it prints."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from pages import PAGES, ROOT, read_page, run_page, without_accounts
from served import Served

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

ROW = {"messages": [{"role": "user", "content": "How many singers?"}, {"role": "assistant", "content": "SELECT 1"}]}

EXAMPLES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in sorted((ROOT / "examples").rglob("*"))
    if path.suffix in {".csv", ".jsonl", ".yml"}
}
TUTORIALS = "docs/tutorials/"
"""Pages that are read in a checkout, beside its examples."""

GUIDE = "docs/write-a-provider.md"
"""The page that makes a package."""

SERVED = {"docs/serve.md", *(f"{TUTORIALS}{name}.md" for name in ("index", "recipes", "sarcastic-chatbot"))}
"""Pages whose programs are for a server that runs already."""

TRAINS = {"README.md", "docs/index.md", "docs/providers/huggingface.md", f"{TUTORIALS}text-to-sql.md", *SERVED}
"""Pages that train for real, and need the extra `local`."""

NAMES = [path.relative_to(ROOT).as_posix() for path in PAGES]
LOCAL = all(importlib.util.find_spec(name) for name in ("torch", "transformers", "trl", "peft", "starlette"))
POSIX = sys.platform != "win32"


def given(name: str) -> dict[str, str]:
    """Returns the files that a page takes for granted, by name."""
    if name.startswith(TUTORIALS):
        return EXAMPLES
    return {"train.jsonl": (json.dumps(ROW) + "\n") * 12} if name in {"README.md", "docs/serve.md"} else {}


def programs() -> list[object]:
    found: list[object] = []
    for path, name in zip(PAGES, NAMES, strict=True):
        if read_page(path.read_text(encoding="utf-8")).program:
            can = pytest.mark.skipif(not (LOCAL and POSIX), reason="local training is not to be had here")
            found.append(pytest.param(name, marks=[pytest.mark.slow, can] if name in TRAINS else []))
    return found


@contextmanager
def serving(name: str, folder: Path) -> Generator[dict[str, str]]:
    """Runs the server that a page is for, if it is for one, and yields what the page says to set."""
    if name not in SERVED:
        yield {}
        return
    server = Served(folder / "home", "--model", "gpt-4o-mini-2024-07-18=ftkit/small")
    server.start()
    try:
        yield {
            "OPENAI_BASE_URL": f"{server.url}/v1",
            "OPENAI_API_KEY": server.key,
            "AZURE_OPENAI_ENDPOINT": server.url,
            "AZURE_OPENAI_API_KEY": server.key,
        }
    finally:
        server.end()


@contextmanager
def packaged(name: str, folder: Path) -> Generator[dict[str, str]]:
    """Installs the package that a page makes, if it makes one, beside the page's program, and yields where it is."""
    if name != GUIDE:
        yield {}
        return
    package = written(folder)
    yield {"PYTHONPATH": f"{installed(package, folder)}{os.pathsep}{package / 'tests'}"}


def written(folder: Path) -> Path:
    """Writes the files of the guide, as its reader does."""
    package = folder / "ftkit-acme"
    for name, content in read_page((ROOT / GUIDE).read_text(encoding="utf-8")).files.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(content, encoding="utf-8")
    return package


def installed(package: Path, folder: Path) -> Path:
    """Installs a package into a folder of its own, and returns that."""
    place = folder / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--target", str(place), str(package)], check=True, capture_output=True)
    return place


def in_the_package(arguments: list[str], package: Path, place: Path) -> subprocess.CompletedProcess[str]:
    """Runs a command of the guide in its package, with what is installed for it."""
    environment = os.environ | {"PYTHONPATH": str(place)}
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, cwd=package, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", NAMES)
def test_every_block_is_run_or_says_why_not(name: str) -> None:
    assert read_page((ROOT / name).read_text(encoding="utf-8")).wrong == []


@pytest.mark.parametrize("name", programs())
def test_the_blocks_of_a_page_run_in_order_in_an_empty_folder(name: str, tmp_path: Path) -> None:
    with serving(name, tmp_path) as variables, packaged(name, tmp_path) as paths:
        done = run_page(ROOT / name, tmp_path, given(name), variables | paths)
    assert done.returncode == 0, done.stderr
    assert name in TRAINS or done.stderr == ""  # progress is shown there
    shown = read_page((ROOT / name).read_text(encoding="utf-8")).shown
    assert [text for text in shown if text not in done.stdout] == [], done.stdout


def test_pages_that_train_are_known() -> None:
    client = 'Client("huggingface")'
    train = {n for n in NAMES if client in read_page((ROOT / n).read_text(encoding="utf-8")).program}
    assert train | SERVED == TRAINS


@pytest.mark.parametrize(
    "path", [path for path in PAGES if path.parent.name == "providers"], ids=lambda path: path.stem
)
def test_each_providers_page_tells_what_one_must_know_before_one_pays(path: Path) -> None:
    wanted = [f"\n## {each}\n" for each in ("Set it up", "What it costs", "Limits", "What was tried, and what was not")]
    if path.stem == "plug-ins":  # two in a table, each with a page of its own beside its code
        wanted = [f"| {each} |" for each in ("set it up", "what it costs", "limits", "what was tried", "what was not")]
    places = [path.read_text(encoding="utf-8").find(each) for each in wanted]
    assert -1 not in places
    assert places == sorted(places)


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith(TUTORIALS)])
def test_what_a_tutorial_shows_of_a_script_stands_in_that_script(name: str) -> None:
    for code, reason in read_page((ROOT / name).read_text(encoding="utf-8")).excused:
        for script in re.findall(r"examples/\w+\.py", reason):
            assert code in (ROOT / script).read_text(encoding="utf-8")


def test_the_recipe_on_the_page_is_the_recipe_of_the_examples() -> None:
    (shown,) = re.findall(
        r"```yaml\n(.*?)```", (ROOT / TUTORIALS / "no-code.md").read_text(encoding="utf-8"), re.DOTALL
    )
    assert EXAMPLES["examples/no_code.yml"].endswith(shown)


def test_the_tutorial_tells_the_price_that_the_command_tells(tmp_path: Path) -> None:
    page = ROOT / TUTORIALS / "recipes.md"
    (tmp_path / "examples" / "data").mkdir(parents=True)
    (tmp_path / "examples/data/recipes.csv").write_text(EXAMPLES["examples/data/recipes.csv"], encoding="utf-8")
    prepare = "".join(read_page(page.read_text(encoding="utf-8")).blocks[:2])
    subprocess.run([sys.executable, "-c", prepare], cwd=tmp_path, check=True, capture_output=True)
    told: dict[str, str] = {}
    for model in ("small", "gpt-4.1-mini"):
        command = ["-m", "ftkit", "check", "recipes_train.jsonl", "-p", "openai", "--model", model, "--n-epochs", "3"]
        done = subprocess.run(
            [sys.executable, *command], cwd=tmp_path, env=without_accounts(), capture_output=True, text=True, check=True
        )
        told[model] = re.sub(r"\s+", " ", done.stdout)
    shown = re.sub(r"\s+", " ", page.read_text(encoding="utf-8"))
    price = re.search(r"price .* \(as of [\d-]+\)", told["small"])
    assert price is not None
    assert price[0] in shown
    assert "price 0.15 USD for 30,570 billed tokens" in told["gpt-4.1-mini"]
    assert "0.15 USD for gpt-4.1-mini: 30,570 billed tokens" in shown


def test_the_kit_of_the_page_is_a_kit_that_passes(tmp_path: Path) -> None:
    page = read_page((ROOT / "docs" / "conformance-kit.md").read_text(encoding="utf-8"))
    (block,) = [block for block in page.blocks if "ProviderConformance" in block]
    (tmp_path / "test_memory.py").write_text(block, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", "test_memory.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


def test_the_guide_makes_a_package_that_passes_the_kit(tmp_path: Path) -> None:
    commands = read_page((ROOT / GUIDE).read_text(encoding="utf-8")).commands
    assert commands == ["pip install -e '.[dev]'", "pytest", "ftkit providers"]
    package = written(tmp_path)
    place = installed(package, tmp_path)
    kit = in_the_package(["pytest", "-q", "-W", "error", "-k", "not UnderAttack"], package, place)
    assert kit.returncode == 0, kit.stdout
    tidy = in_the_package(["ruff", "format", "--check", "--line-length", "120", "."], package, place)
    assert tidy.returncode == 0, tidy.stdout
    listed = in_the_package(["ftkit", "providers"], package, place)
    assert "acme  (ftkit-acme 0.1.0)  needs\n  needs: acme: there is no key -> Set ACME_API_KEY" in listed.stdout


@pytest.mark.full
def test_the_guide_makes_a_package_that_withstands_the_attacks(tmp_path: Path) -> None:
    package = written(tmp_path)
    kit = in_the_package(["pytest", "-q", "-W", "error", "-k", "UnderAttack"], package, installed(package, tmp_path))
    assert kit.returncode == 0, kit.stdout


PAGE = """\
# A page

```python
first = 1
```

```text
1
```
<!-- not run: it costs money -->

```python
second = 2
```
"""


def test_a_block_is_passed_over_only_with_a_reason() -> None:
    marked, bare = read_page(PAGE), read_page(PAGE.replace(": it costs money", ""))
    assert (marked.blocks, marked.shown, marked.wrong) == (["first = 1\n"], ["1\n"], [])
    assert (bare.blocks, bare.wrong) == (["first = 1\n", "second = 2\n"], [])


def test_lines_of_the_program_are_lines_of_the_page() -> None:
    page = PAGE.replace("not run", "run")
    program, lines = read_page(page).program.splitlines(), page.splitlines()
    assert len(program) == len(lines)
    assert {n for n, line in enumerate(program) if line} == {lines.index("first = 1"), lines.index("second = 2")}


@pytest.mark.parametrize("opening", ["```py", "```python title=a", "  ```python", "~~~pycon"])
def test_a_block_that_would_escape_is_wrong(opening: str) -> None:
    closing = "~~~" if "~" in opening else "```"
    page = read_page(f"{opening}\nx = 1\n{closing}\n")
    assert (page.blocks, len(page.wrong)) == ([], 1)
