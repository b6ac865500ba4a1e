"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import uuid
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, BinaryIO

from ftkit.datasets._values import named
from ftkit.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def atomically(targets: Sequence[Path]) -> Generator[list[BinaryIO]]:
    """Opens files for writing; they take their names when the block ends well, and vanish when it does not.

    Each is written under a temporary name beside its target, and is on disk before it takes that name. Folders that
    are missing are made, and vanish likewise.

    Args:
        targets: The files, in the order in which they are handed out.

    Raises:
        ConfigurationError: They cannot be written: a target is a folder, the disk is full.
    """
    made: list[Path] = []
    temporary: list[Path] = []
    in_block = is_done = False
    try:
        _make_folders(targets, made)
        temporary += [target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp") for target in targets]
        with ExitStack() as stack:
            files: list[BinaryIO] = [stack.enter_context(path.open("xb")) for path in temporary]
            in_block = True
            yield files
            in_block = False
            for file in files:
                file.flush()
                os.fsync(file.fileno())
        for target, path in zip(targets, temporary, strict=True):
            path.replace(target)
        is_done = True
    except OSError as error:
        if in_block and error.errno not in _NO_ROOM:  # it came of reading
            raise
        message = f"{named(targets)} cannot be written: {error.strerror or error}."
        raise ConfigurationError(
            message, hint="Look at the folder, its permissions, and the room on its disk."
        ) from error
    finally:  # also after KeyboardInterrupt
        _remove(temporary, [] if is_done else made)


def _make_folders(targets: Sequence[Path], made: list[Path]) -> None:
    """Makes the folders of the targets, and notes those that were not there, the deepest last.

    Raises:
        ConfigurationError: A target is something other than a file, which a file must not replace.
    """
    for target in targets:
        folder = target.parent
        made += reversed([each for each in (folder, *folder.parents) if not each.exists()])
        folder.mkdir(parents=True, exist_ok=True)
    for target in targets:
        if target.exists() and not target.is_file():
            what = "a folder" if target.is_dir() else "a pipe or a device"
            raise ConfigurationError(f"'{target}' is {what}.", hint="Name a file to write.")


def _remove(files: Sequence[Path], folders: Sequence[Path]) -> None:
    for file in files:
        with contextlib.suppress(OSError):
            file.unlink(missing_ok=True)
    for folder in reversed(folders):
        with contextlib.suppress(OSError):  # somebody else may have put something there by now
            folder.rmdir()
