"""The Python blocks of a page of the documentation, as one program."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])

_FENCE = re.compile(r"(?P<indent>\s*)(?P<ticks>```+|~~~+)\s*(?P<info>.*?)\s*")
_TITLE = re.compile(r'\w+ title="(?P<name>[\w./-]+)"')
_MARK = re.compile(r"<!-- not run: (?P<reason>\S.*) -->")
_PYTHON = re.compile(r"(python|py|pycon|ipython)\d*\b", re.IGNORECASE)


@dataclass
class Page:
    """What of a page concerns its program.

    Attributes:
        program: Its Python blocks, each on the lines on which it stands in the page; empty if there are none.
        blocks: The same, one by one.
        shown: What stands in blocks of `text`: the program prints it.
        profiles: What stands in blocks of `toml` that hold profiles: it is the `ftkit.toml` of the program.
        files: Files that it shows, by name: blocks with a title. Those of one title are parts of one file, in order.
        commands: Lines of blocks of `sh`.
        excused: Blocks of Python that are not run, each with the reason.
        wrong: Blocks of Python that are neither run nor marked as not run, with their lines.
    """

    program: str = ""
    blocks: list[str] = field(default_factory=list[str])
    shown: list[str] = field(default_factory=list[str])
    profiles: str = ""
    files: dict[str, str] = field(default_factory=dict[str, str])
    commands: list[str] = field(default_factory=list[str])
    excused: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    wrong: list[str] = field(default_factory=list[str])


def read_page(text: str) -> Page:
    """Takes a page apart. A block is not run if `<!-- not run: reason -->` stands just before it."""
    page, lines = Page(), text.splitlines()
    kept: list[str] = []
    n = 0
    while n < len(lines):
        fence = _FENCE.fullmatch(lines[n])
        if fence is None:
            kept.append("")
            n += 1
            continue
        end = next((m for m in range(n + 1, len(lines)) if lines[m].strip() == fence["ticks"]), len(lines))
        body, info = lines[n + 1 : end], fence["info"]
        code = "".join(line + "\n" for line in body)
        before = next((line for line in reversed(lines[:n]) if line.strip()), "")
        mark = _MARK.fullmatch(before)
        runs = info == "python" and not fence["indent"] and not mark
        kept.extend(["", *(body if runs else [""] * len(body)), ""])
        title = None if fence["indent"] else _TITLE.fullmatch(info)
        if runs:
            page.blocks.append(code)
        elif title:
            so_far = page.files.get(title["name"], "")
            gap = "\n" if code.startswith(" ") else "\n\n"  # within a class, or between two
            page.files[title["name"]] = f"{so_far}{gap}{code}" if so_far else code
        elif _PYTHON.match(info) and mark:
            page.excused.append((code, mark["reason"]))
        elif _PYTHON.match(info):
            page.wrong.append(f"line {n + 1}: ```{info}")
        elif info == "sh":
            page.commands.extend(body)
        elif info == "text":
            page.shown.append(code)
        elif info == "toml" and "[profiles." in code:
            page.profiles += code
        n = end + 1
    page.program = "".join(line + "\n" for line in kept) if page.blocks else ""
    return page


def run_page(
    path: Path, folder: Path, given: dict[str, str] | None = None, variables: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs a page's program in an empty folder, in a process of its own. Line numbers are those of the page.

    Args:
        path: The page.
        folder: Where to work.
        given: Files that the page takes for granted, by name.
        variables: What it takes for granted in its environment.
    """
    page, work = read_page(path.read_text(encoding="utf-8")), folder / "empty"
    work.mkdir()
    files = {"ftkit.toml": page.profiles, **(given or {})}
    for name, content in files.items():
        if content:
            (work / name).parent.mkdir(parents=True, exist_ok=True)
            (work / name).write_text(content, encoding="utf-8")
    program = folder / f"{path.stem}_page.py"
    program.write_text(page.program, encoding="utf-8")
    # One thread, no GPU, no network: what a page shows is the same everywhere.
    quiet = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1", "NO_PROXY": "127.0.0.1"}
    command = [sys.executable, "-P", "-W", "error", str(program)]
    environment = without_accounts() | quiet | (variables or {})
    return subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, check=False)


def without_accounts() -> dict[str, str]:
    """Returns the environment without what opens an account: no page asks one, or spends from it."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "AZURE_", "HF_TOKEN"))}
