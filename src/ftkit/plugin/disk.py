"""Writing so that nobody sees half of it, locks that end with their holder, and errors of a disk, told plainly."""

from __future__ import annotations

import errno
import os
import re
import shutil
import sys
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ftkit.errors import ConfigurationError, FtkitError, ProviderError, QuotaError, UnsupportedError
from ftkit.plugin.secrets import masked, surrounding

if TYPE_CHECKING:
    from collections.abc import Generator

_TAIL_LINES = 15
_TAIL_BYTES = 4000
_BAR = re.compile(r"\d+%\|")
"""A progress bar, which says nothing of why something ended."""
GONE = ".gone-"
"""What the name of a folder begins with that is being removed."""
_FULL = {errno.ENOSPC, errno.EDQUOT}


def place_for(path: str | os.PathLike[str]) -> Path:
    """Returns the path of a file that is to be written, if there can be a file.

    Raises:
        ConfigurationError: It can be no path, is a folder, or in one that is not there.
    """
    target = Path(path)
    if not _may_be_path(target):
        raise ConfigurationError(f"{str(target)[:80]!r} can be no path of a file", hint="Give another one.")
    if target.is_dir() or not target.parent.is_dir():
        message = f"'{target}' is a folder" if target.is_dir() else f"there is no folder '{target.parent}'"
        raise ConfigurationError(message, hint="Give the path of a file, in a folder that is there.")
    return target


def _may_be_path(path: Path) -> bool:
    """Whether the system takes it for a path at all: it is not too long, and holds no zero byte."""
    try:
        path.lstat()
    except FileNotFoundError:
        return True
    except (OSError, ValueError):
        return False
    return True


@contextmanager
def landing(target: Path) -> Generator[BinaryIO]:
    """Opens a file that takes its name when the block ends well, and vanishes when it does not.

    It replaces what has that name. What a link of that name points at is left alone: others may write into the folder,
    as into /tmp, and could have put it there. For the same reason nobody can guess the name that it has before.
    """
    partial = target.with_name(f".ftkit-{uuid.uuid4().hex}.partial")
    try:
        with partial.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    if sys.platform != "win32":  # there, a folder cannot be opened
        sync(target.parent)


@contextmanager
def saving(target: Path, provider: str) -> Generator[BinaryIO]:
    """Opens a file to download into: `landing`, and what the disk refuses told by `disk_errors`.

    Args:
        target: Where the file is to be.
        provider: Name of the provider.

    Raises:
        QuotaError: The disk is full.
        ProviderError: It cannot be written.
    """
    with disk_errors(provider, "the file could not be written", target.parent), landing(target) as file:
        yield file


def sync(path: Path) -> None:
    """Returns when a file, or the names in a folder, would survive a loss of power."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
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
    except FtkitError:  # some of ours are an OSError as well: that a vendor did not answer, say
        raise
    except OSError as error:
        message = f"{what} in {folder}: {error.strerror or error}"
        if error.errno in _FULL:
            hint = f"Free some space on the disk that holds {folder}; nothing was left there."
            raise QuotaError(message, provider=provider, hint=hint) from error
        hint = f"See that {folder} can be written."
        raise ProviderError(message, provider=provider, hint=hint) from error


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


def refuse_links(provider: str, *paths: Path) -> None:
    """Sees that names in a folder of ours are no links. We make none there, and follow none.

    Raises:
        ProviderError: One is: whoever made it could have us read, write or delete what lies elsewhere.
    """
    for path in paths:
        if path.is_symlink():
            message = f"{path} is a link, and none is followed there"
            hint = "Remove it, or put what it points at in its place."
            raise ProviderError(message, provider=provider, hint=hint)


def refuse_links_in(provider: str, folder: Path) -> None:
    """Sees that neither a folder of ours nor what lies in it is a link. Errors as for `refuse_links`."""
    refuse_links(provider, folder)
    try:
        inside = [*folder.iterdir()]
    except OSError:  # it is not there, or cannot be read: whoever reads in it says so
        return
    refuse_links(provider, *inside)


def remove_tree(folder: Path) -> None:
    """Removes a folder so that nobody ever takes half of it for the whole. Of a link, only the link goes."""
    gone = folder.with_name(f"{GONE}{folder.name}")
    remove(gone)  # we were killed right here
    if folder.is_dir() and not folder.is_symlink():
        folder.rename(gone)
        shutil.rmtree(gone)
    else:
        folder.unlink(missing_ok=True)


def remove(path: Path) -> None:
    """Removes whatever is there, at once or not. Of a link, only the link goes."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def log_tail(path: Path) -> str:
    """Returns the end of a log, ready to be added to a message; empty if there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            lines = [line for line in file.read().decode(errors="replace").splitlines() if not _BAR.search(line)]
    except FileNotFoundError:
        return ""
    told = ["the end of its log:", *lines[-_TAIL_LINES:]] if lines else []
    return masked("".join(f"\n  {line}" for line in told), surrounding())


def try_lock(path: Path) -> int | None:
    """Takes a lock if it is free, and returns the handle that holds it; it ends when the handle is closed.

    The handle, and with it the lock, is handed on by `exec` once it has been made inheritable.
    """
    import fcntl

    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
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

    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
