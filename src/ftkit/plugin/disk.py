"""Writing a file so that nobody sees half of it, and telling plainly what a file system refuses."""

from __future__ import annotations

import errno
import os
import sys
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from ftkit.errors import FtkitError, ProviderError, QuotaError

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

_FULL = {errno.ENOSPC, errno.EDQUOT}


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
