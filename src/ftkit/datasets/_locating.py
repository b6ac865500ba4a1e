"""Where a data set is and which format it has; what cannot be one is refused before a row is read."""

from __future__ import annotations

import codecs
import difflib
import os
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from pathlib import Path
from typing import NoReturn

from ftkit.datasets._opening import BrokenOffError, first_bytes
from ftkit.datasets._packed import FIRST_BYTES, packed, reads
from ftkit.datasets._refusing import refuse
from ftkit.datasets._saved_folders import arrow_files
from ftkit.datasets._values import named, printable
from ftkit.errors import DatasetError

Source = str | os.PathLike[str]


class Format(Enum):
    """The formats that are read."""

    JSONL = "jsonl"
    JSON = "json"
    CSV = "csv"
    PARQUET = "parquet"
    ARROW = "arrow"  # a folder saved by datasets.save_to_disk


_SUFFIXES = {
    ".jsonl": Format.JSONL,
    ".ndjson": Format.JSONL,
    ".json": Format.JSON,
    ".csv": Format.CSV,
    ".parquet": Format.PARQUET,
}
_TEXT = {Format.JSONL, Format.JSON, Format.CSV}
_PARQUET = b"PAR1"
_MOST_SEEN = 10_000
"""Files of a folder among which one that was meant is looked for."""
_WRITE_AS_PACKED = "Packed, .jsonl, .ndjson, .json and .csv are read; name it after them, such as train.jsonl.gz."
_WRITE_AS = "Give a .jsonl, .ndjson, .json, .csv or .parquet file, or a folder saved by datasets.save_to_disk."


@dataclass(frozen=True, slots=True)
class Located:
    """A data set that is there.

    Attributes:
        name: The source, as the user named it.
        path: The same as a path.
        format: Its format.
        files: The files that hold its rows, in order.
        packing: How the file is packed: "gzip", "zstd", or None.
    """

    name: str
    path: Path
    format: Format
    files: tuple[Path, ...]
    packing: str | None = None


def source_name(source: Source) -> str:
    """Returns a source as its user named it, fit to be printed."""
    return printable(os.fspath(source))


def locate(source: Source) -> Located:
    """Finds a data set.

    Args:
        source: A file, or a folder saved by `datasets.save_to_disk`.

    Raises:
        DatasetError: It is not there, cannot be read, is empty, or is no data set; one problem says which.
    """
    name, path = source_name(source), Path(source)
    try:
        if path.is_dir():
            return Located(name, path, Format.ARROW, arrow_files(name, path, _SUFFIXES))
        if not path.exists():
            _refuse_missing(name, path)
        if not path.is_file():
            refuse(name, "unreadable-file", "this is a pipe or a device, which is read once.", "Write a file first.")
        with path.open("rb") as file:
            start = file.read(FIRST_BYTES)
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL byte, which no file has
        if isinstance(error, DatasetError):
            raise
        refuse(name, "unreadable-file", f"the file cannot be read: {error}.", "Look at its permissions.")
    if not start:
        refuse(name, "empty-file", "the file is empty.", "Write at least one row.")
    packing = reads(path, start)
    is_packed = None if packing else packed(path, start)
    if is_packed is not None:
        refuse(name, "unknown-format", *is_packed)
    inner = path.with_suffix("") if packing else path
    known = _SUFFIXES.get(inner.suffix.lower())
    if known is None or (packing and known not in _TEXT):
        message = f"'{''.join(path.suffixes[-2:]) or path.name}' is no format that can be read."
        refuse(name, "unknown-format", message, _WRITE_AS_PACKED if packing else _WRITE_AS)
    located = Located(name, path, known, (path,), packing)
    if known in _TEXT:
        _refuse_other_bytes(name, _unpacked_start(located) if packing else start)
    return located


def _unpacked_start(located: Located) -> bytes:
    """Returns the first bytes of a packed file, unpacked."""
    try:
        start = first_bytes(located, FIRST_BYTES)
    except BrokenOffError as error:
        refuse(located.name, *error.what)
    except OSError as error:
        refuse(located.name, "unreadable-file", f"the file cannot be read: {error}.", "Look at its permissions.")
    if not start:
        refuse(located.name, "empty-file", "the file unpacks to nothing.", "Write at least one row.")
    return start


def _refuse_other_bytes(name: str, start: bytes) -> None:
    """Refuses a file that begins as no text in UTF-8 does."""
    if start.startswith(_PARQUET):
        message = "the file is a Parquet file, whatever its name says."
        refuse(name, "unknown-format", message, "Give it the name that its format has.")
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or 0 in start[:4]:
        refuse(name, "bad-encoding", "the file is UTF-16 or UTF-32, or no text at all.", "Save it as UTF-8.")


def _refuse_missing(name: str, path: Path) -> NoReturn:
    if path.is_symlink():
        refuse(name, "missing-file", f"the link leads to '{path.readlink()}', where no file is.", "Mend the link.")
    folder = path.parent
    if not folder.is_dir():
        refuse(name, "missing-file", f"there is no folder '{folder}'.", "Look at the path.")
    others = sorted(entry.name for entry in islice(folder.iterdir(), _MOST_SEEN))
    near = difflib.get_close_matches(path.name, others, n=3)
    fix = f"Did you mean {named(near)}?" if near else f"The folder is {named([folder.resolve()])}."
    refuse(name, "missing-file", "there is no such file.", fix)


def is_part_of(source: Source, target: Path) -> bool:
    """Whether writing to a file would change a data set."""
    path, to = Path(source), Path(target)
    try:
        if to.exists() and path.exists() and to.samefile(path):
            return True
        return path.is_dir() and to.resolve().is_relative_to(path.resolve())
    except (OSError, ValueError):
        return False
