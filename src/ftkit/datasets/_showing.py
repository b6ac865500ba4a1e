"""How far the reading of a data set is, shown on a terminal where it takes long."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from tqdm import tqdm

from ftkit.datasets._locating import Format

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from ftkit.datasets._locating import Located

T = TypeVar("T")

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
    unit = {"unit": "B", "unit_scale": True} if in_bytes else {"unit": " rows"}
    with _bar(source.path.name, progress=progress, total=total, leave=False, **unit) as bar:
        yield bar.update


def counted(rows: Iterable[T], what: str, *, progress: bool) -> Iterable[T]:
    """Passes rows on, and shows how many there were, likewise.

    Args:
        rows: The rows.
        what: What is done with them.
        progress: Whether it is shown at all.
    """
    shown_rows: Iterable[T] = _bar(what, progress=progress, iterable=rows, unit=" rows")
    return shown_rows


def _bar(what: str, *, progress: bool, **more: Any) -> Any:  # noqa: ANN401 - tqdm has no such type
    # None: unless it is a terminal
    return tqdm(desc=what, delay=_AFTER_S, disable=None if progress else True, dynamic_ncols=True, **more)
