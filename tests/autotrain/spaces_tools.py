"""What the tests of AutoTrain on Spaces share."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hub_standin import USER, HubStandIn
from hubs.wire import ending

from ftkit.providers.autotrain.spaces import AutoTrainSpaces

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

QUICK = Path(__file__).parent / "quick_autotrain"
SEEN = "seen"
MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct"


def quick_python(folder: Path) -> Path:
    """Writes an interpreter that finds, in place of AutoTrain, one that makes the same requests and starts at once."""
    return script(folder / "python", f'PYTHONPATH="{QUICK}" exec "{sys.executable}" -S "$@"')


def watched(folder: Path, python: Path | str) -> Path:
    """Writes an interpreter that keeps what it was called with, and all that lies in its folder at the end."""
    seen = folder / SEEN
    seen.mkdir(parents=True)
    lines = [f'echo "$@" > "{seen}/argv"', f'"{python}" "$@"', "status=$?", f'cp -r . "{seen}/work"', "exit $status"]
    return script(folder / "python", *lines)


def script(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in ("#!/bin/sh", *lines)), encoding="utf-8")
    path.chmod(0o755)
    return path


def files_with(folder: Path, secret: str) -> list[Path]:
    """Returns the files below a folder that hold a secret."""
    return [path for path in folder.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]


def standing() -> AbstractContextManager[HubStandIn]:
    """Returns a stand-in for the time of a `with` block."""
    return ending(HubStandIn())


def spaces_of(hub: HubStandIn, python: Path | str, /, **options: Any) -> AutoTrainSpaces:
    given = {"backend": "spaces-t4-small", "username": USER, "hub": hub.api(), "python": python, **options}
    return AutoTrainSpaces(**given)
