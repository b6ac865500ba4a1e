"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import os
import uuid
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path


@contextmanager
def atomically(targets: Sequence[Path]) -> Generator[list[BinaryIO]]:
    """Opens files for writing; they take their names when the block ends well, and vanish when it does not.

    Each is written under a temporary name beside its target, and is on disk before it takes that name. Folders that
    are missing are made.

    Args:
        targets: The files, in the order in which they are handed out.
    """
    temporary = [target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp") for target in targets]
    try:
        with ExitStack() as stack:
            files: list[BinaryIO] = []
            for target, path in zip(targets, temporary, strict=True):
                target.parent.mkdir(parents=True, exist_ok=True)
                files.append(stack.enter_context(path.open("xb")))
            yield files
            for file in files:
                file.flush()
                os.fsync(file.fileno())
        for target, path in zip(targets, temporary, strict=True):
            path.replace(target)
    finally:  # also after KeyboardInterrupt
        for path in temporary:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
