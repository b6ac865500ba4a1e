"""How far the reading of a data set is, shown on a terminal where it takes long."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tqdm import tqdm

from ftkit.datasets._locating import Format

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from ftkit.datasets._locating import Located

_AFTER_S = 2


@contextmanager
def shown(source: Located, *, progress: bool) -> Generator[Callable[[int], object]]:
    """Opens a bar, which is there on a terminal only, and after two seconds.

    Args:
        source: The data set.
        progress: Whether there is one at all.

    Yields:
        What is told how much more was read: bytes of a file of lines, rows of any other.
    """
    in_bytes = source.format is Format.JSONL
    total = source.path.stat().st_size if in_bytes and source.packing is None else None
    with tqdm(
        total=total,
        desc=source.path.name,
        unit="B" if in_bytes else " rows",
        unit_scale=in_bytes,
        delay=_AFTER_S,
        disable=None if progress else True,  # None: unless it is a terminal
        dynamic_ncols=True,
        leave=False,
    ) as bar:
        yield bar.update
