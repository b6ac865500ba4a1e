"""Writing so that nobody sees half of it, and locks that end with their holder."""

from __future__ import annotations

import errno
import os
import re
import shutil
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ftkit.errors import ProviderError, QuotaError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

_TAIL_LINES = 15
_TAIL_BYTES = 4000
_FULL = {errno.ENOSPC, errno.EDQUOT}
_BAR = re.compile(r"\d+%\|")
"""A progress bar, which says nothing of why something ended."""
GONE = ".gone-"
"""What the name of a folder begins with that is being removed."""


def require_posix() -> None:
    """Raises where detached jobs cannot be had.

    Raises:
        UnsupportedError: This is Windows.
    """
    if sys.platform == "win32":
        raise UnsupportedError("local training needs Linux or macOS", hint="Use WSL, or a remote provider.")


def write_atomically(path: Path, text: str, *, durable: bool = False) -> None:
    """Writes a file under another name and renames it.

    Args:
        path: The file.
        text: Its content.
        durable: Return only when it would survive a loss of power.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with partial.open("w", encoding="utf-8") as file:
            file.write(text)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    if durable:
        sync(path.parent)


def take(source: Path, target: Path) -> None:
    """Puts a file into a folder: at no cost where both are on one disk. Nobody ever writes into either again."""
    try:
        target.hardlink_to(source)
    except OSError:  # another disk, or a file system without links
        shutil.copyfile(source, target)


def remove_tree(folder: Path) -> None:
    """Removes a folder so that nobody ever takes half of it for the whole."""
    gone = folder.with_name(f"{GONE}{folder.name}")
    if gone.exists():  # we were killed right here
        shutil.rmtree(gone)
    if folder.is_dir():
        folder.rename(gone)
        shutil.rmtree(gone)
    else:
        folder.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Returns when a file, or the names in a folder, would survive a loss of power."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def log_tail(path: Path) -> str:
    """Returns the end of a log, ready to be added to a message; empty if there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            lines = [line for line in file.read().decode(errors="replace").splitlines() if not _BAR.search(line)]
    except FileNotFoundError:
        return ""
    return "".join(f"\n  {line}" for line in ["the end of its log:", *lines[-_TAIL_LINES:]]) if lines else ""


def try_lock(path: Path) -> int | None:
    """Takes a lock if it is free, and returns the handle that holds it; it ends when the handle is closed.

    The handle, and with it the lock, is handed on by `exec` once it has been made inheritable.
    """
    import fcntl

    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    except BaseException:
        os.close(handle)
        raise
    return handle


@contextmanager
def locked(path: Path) -> Generator[None]:
    """Holds a lock that others hold for moments only, and waits for it."""
    import fcntl

    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextmanager
def disk_errors(provider: str, what: str, folder: Path) -> Generator[None]:
    """Turns what the file system refuses into an error that says where, and how to mend it.

    Args:
        provider: Name of the provider.
        what: What could not be done, such as "the job could not be written".
        folder: Where.

    Raises:
        QuotaError: The disk is full.
        ProviderError: Anything else.
    """
    try:
        yield
    except OSError as error:
        message = f"{what} in {folder}: {error.strerror or error}"
        if error.errno in _FULL:
            hint = f"Free some space on the disk that holds {folder}; nothing was left there."
            raise QuotaError(message, provider=provider, hint=hint) from error
        hint = f"See that {folder} can be written."
        raise ProviderError(message, provider=provider, hint=hint) from error
