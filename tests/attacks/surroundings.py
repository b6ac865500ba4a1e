"""A folder with what is ours and what is not: what is not ours is neither read nor changed, whatever names say."""

from __future__ import annotations

import hashlib
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

_watching: list[Surroundings] = []


def _on_event(event: str, arguments: tuple[object, ...]) -> None:
    """Python tells each file that is opened, before it is. A hook cannot be taken back: this one is made once."""
    if event == "open" and _watching and isinstance(arguments[0], str):
        _watching[-1].notice(arguments[0])


sys.addaudithook(_on_event)

CANARY = "canary-that-nobody-may-read-4711"


class Surroundings:
    """`ours` and what lies around it.

    Attributes:
        parent: Holds both.
        ours: What ftkit may write to.
        outside: A folder that it may not; put there what a hostile name could mean.
    """

    def __init__(self, parent: Path) -> None:
        self.parent = parent
        self.ours = parent / "a" / "b" / "ours"  # deep enough for some `..`
        self.outside = parent / "outside"
        for folder in (self.ours, self.outside):
            folder.mkdir(parents=True)
        for place in (parent, parent / "a", self.ours.parent, self.outside):
            for name in ("x", "x.json", "x.jsonl", "files", "passwd"):
                (place / name).write_text(f'{{"canary": "{CANARY}"}}\n')
        self._opened: list[str] = []

    @contextmanager
    def untouched(self, what: str) -> Generator[None]:
        """Sees that nothing outside is opened, made, changed or deleted meanwhile."""
        before = self._seen()
        self._opened.clear()
        _watching.append(self)
        try:
            yield
        finally:
            _watching.pop()
        assert self._opened == [], f"{what} opened what lies out of its folder"
        now = self._seen()
        names = before | now
        changed = {name: (before.get(name), now.get(name)) for name in names if before.get(name) != now.get(name)}
        assert changed == {}, f"{what} reached out of its folder"

    def notice(self, path: str) -> None:
        """Keeps a path that is opened and is not ours, wherever it is by its name."""
        real = Path(os.path.realpath(path))
        if real.is_relative_to(self.parent) and not real.is_relative_to(self.ours):
            self._opened.append(path)

    def _seen(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for folder, names, files in os.walk(self.parent):
            place = Path(folder)
            if place == self.ours.parent:
                names.remove(self.ours.name)
            for path in [place, *(place / name for name in (*names, *files))]:
                found[str(path.relative_to(self.parent))] = _state(path)
        return found


def _state(path: Path) -> str:
    """What a change shows in: kind, content, mode, time of the last change, and to where a link leads."""
    seen = path.lstat()
    if path.is_symlink():
        return f"-> {path.readlink()}"
    if path.is_dir():
        return f"folder {seen.st_mode:o} {seen.st_mtime_ns}"
    return f"{hashlib.sha256(path.read_bytes()).hexdigest()} {seen.st_mode:o} {seen.st_mtime_ns} {seen.st_nlink}"
