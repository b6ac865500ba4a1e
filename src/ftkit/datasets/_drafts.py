"""A file that is read back before it takes its name."""

from __future__ import annotations

import contextlib
import shutil
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ftkit.datasets._values import printable
from ftkit.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path


@contextmanager
def draft_of(target: Path) -> Generator[Path]:
    """Yields where to write a file; it takes the target's place when the block ends well, and vanishes otherwise.

    It has the target's own name, since a name says how a file is read, in a folder of its own beside it. Folders that
    were missing vanish likewise.

    Args:
        target: The file.

    Raises:
        ConfigurationError: Something else than a file is there, or it cannot be replaced.
    """
    made = _missing_folders(target)
    folder = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
    try:
        yield folder / target.name
        _take_place(folder / target.name, target)
        made.clear()
    finally:  # also after KeyboardInterrupt
        shutil.rmtree(folder, ignore_errors=True)
        for each in made:
            with contextlib.suppress(OSError):  # somebody else may have put something there by now
                each.rmdir()


def _missing_folders(target: Path) -> list[Path]:
    """Returns the folders that have to be made, the deepest first."""
    try:
        if target.exists() and not target.is_file():
            what = "a folder" if target.is_dir() else "a pipe or a device"
            raise ConfigurationError(f"'{target}' is {what}.", hint="Name a file to write.")
        return [folder for folder in target.parents if not folder.exists()]
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL byte, which no file has
        if isinstance(error, ConfigurationError):
            raise
        raise _unwritable(target, error) from error


def _unwritable(target: Path, error: Exception) -> ConfigurationError:
    why = error.strerror if isinstance(error, OSError) else None
    message = f"'{printable(str(target))}' cannot be written: {why or error}."
    return ConfigurationError(message, hint="Look at the name, the folder and its permissions.")


def _take_place(draft: Path, target: Path) -> None:
    try:
        draft.replace(target)
    except OSError as error:
        raise _unwritable(target, error) from error
