"""What the tests of AutoTrain on Spaces share."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hub_standin import USER, HubStandIn

from ftkit.providers.autotrain.spaces import AutoTrainSpaces

if TYPE_CHECKING:
    from collections.abc import Generator

    import pytest

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


def online(patch: pytest.MonkeyPatch, home: Path) -> None:
    """Lets huggingface_hub ask the stand-in: here, and in AutoTrain's environment, which gets an empty cache."""
    patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    patch.delenv("HF_HUB_OFFLINE", raising=False)
    patch.delenv("HF_TOKEN", raising=False)
    patch.setenv("HF_HOME", str(home))
    for name in [name for name in os.environ if name.lower() in {"http_proxy", "https_proxy", "all_proxy"}]:
        patch.delenv(name)


@contextmanager
def standing() -> Generator[HubStandIn]:
    """Yields a stand-in, ends it, and sees that nothing was sent that nobody should send."""
    hub = HubStandIn()
    try:
        yield hub
    finally:
        hub.stop()
    assert hub.strange == []


def spaces_of(hub: HubStandIn, python: Path | str, /, **options: Any) -> AutoTrainSpaces:
    given = {"backend": "spaces-t4-small", "username": USER, "hub": hub.api(), "python": python, **options}
    return AutoTrainSpaces(**given)
