"""What a data set holds, as one hash."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from ftkit.datasets._locating import Format, locate
from ftkit.errors import DatasetError
from ftkit.models import Problem

if TYPE_CHECKING:
    from pathlib import Path

    from ftkit.datasets._locating import Source


def source_hash(source: Source) -> str:
    """Returns "sha256:..." of the bytes of a file; of a folder, of the names and bytes of its data files.

    Args:
        source: A file, or a folder saved by `datasets.save_to_disk`. Its metadata does not count.

    Raises:
        DatasetError: There is no such file, or it is no data set.
    """
    located = locate(source)
    try:
        if located.format is not Format.ARROW:
            return f"sha256:{_digest(located.path)}"
        whole = hashlib.sha256()
        for path in sorted(located.files):
            whole.update(f"{path.name}\0{_digest(path)}\n".encode())
        return f"sha256:{whole.hexdigest()}"
    except OSError as error:
        problem = Problem(code="unreadable-file", message=f"the file cannot be read: {error}.", source=located.name)
        raise DatasetError(f"{located.name} cannot be read.", [problem]) from error


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
