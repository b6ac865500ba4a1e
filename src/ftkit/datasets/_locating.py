"""Where a data set is and which format it has; what cannot be one is refused before a row is read."""

from __future__ import annotations

import codecs
import difflib
import json
import os
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, NoReturn

from ftkit.datasets._values import is_list, is_object, named, printable
from ftkit.errors import DatasetError
from ftkit.models import Problem

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
_PACKED = {".bz2", ".gz", ".xz", ".zip", ".zst"}
_OTHER_BYTES = {
    b"\x1f\x8b": "packed with gzip",
    b"\x28\xb5\x2f\xfd": "packed with zstd",
    b"PK\x03\x04": "a zip archive, as .xlsx is",
    b"PAR1": "a Parquet file",
}
_WRITE_AS = "Give a .jsonl, .ndjson, .json, .csv or .parquet file, or a folder saved by datasets.save_to_disk."


@dataclass(frozen=True, slots=True)
class Located:
    """A data set that is there.

    Attributes:
        name: The source, as the user named it.
        path: The same as a path.
        format: Its format.
        files: The files that hold its rows, in order.
    """

    name: str
    path: Path
    format: Format
    files: tuple[Path, ...]


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
            return Located(name, path, Format.ARROW, _arrow_files(name, path))
        if not path.exists():
            _refuse_missing(name, path)
        if not path.is_file():
            _refuse(name, "unreadable-file", "this is a pipe or a device, which is read once.", "Write a file first.")
        known = _SUFFIXES.get(path.suffix.lower())
        if known is None:
            fix = "Unpack it first." if path.suffix.lower() in _PACKED else _WRITE_AS
            _refuse(name, "unknown-format", f"'{path.suffix or path.name}' is no format that can be read.", fix)
        with path.open("rb") as file:
            start = file.read(4)
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL byte, which no file has
        if isinstance(error, DatasetError):
            raise
        _refuse(name, "unreadable-file", f"the file cannot be read: {error}.", "Look at its permissions.")
    if not start:
        _refuse(name, "empty-file", "the file is empty.", "Write at least one row.")
    if known in _TEXT:
        _refuse_other_bytes(name, start)
    return Located(name, path, known, (path,))


def _refuse(name: str, code: str, message: str, fix: str) -> NoReturn:
    raise DatasetError(
        f"{name} cannot be read as a data set.", [Problem(code=code, message=message, fix=fix, source=name)]
    )


def _refuse_other_bytes(name: str, start: bytes) -> None:
    """Refuses a file that begins as no text in UTF-8 does."""
    other = next((what for magic, what in _OTHER_BYTES.items() if start.startswith(magic)), None)
    if other is not None:
        fix = "Unpack it, or give it the name that its format has."
        _refuse(name, "unknown-format", f"the file is {other}, whatever its name says.", fix)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or 0 in start:
        _refuse(name, "bad-encoding", "the file is UTF-16 or UTF-32, or no text at all.", "Save it as UTF-8.")


def _refuse_missing(name: str, path: Path) -> NoReturn:
    if path.is_symlink():
        _refuse(name, "missing-file", f"the link leads to '{path.readlink()}', where no file is.", "Mend the link.")
    folder = path.parent
    if not folder.is_dir():
        _refuse(name, "missing-file", f"there is no folder '{folder}'.", "Look at the path.")
    others = sorted(entry.name for entry in folder.iterdir())
    near = difflib.get_close_matches(path.name, others, n=3)
    fix = f"Did you mean {named(near)}?" if near else f"The folder is '{folder.resolve()}'."
    _refuse(name, "missing-file", "there is no such file.", fix)


def _arrow_files(name: str, folder: Path) -> tuple[Path, ...]:
    """Returns the data files of a folder that `datasets.save_to_disk` wrote."""
    splits = _json_file(folder / "dataset_dict.json").get("splits")
    if is_list(splits) and len(splits) > 1:
        places = named(str(Path(name) / str(split)) for split in splits)
        _refuse(name, "several-splits", "the folder holds several data sets.", f"Name one of them: {places}.")
    if is_list(splits) and splits:
        only = Path(str(splits[0])).name
        return _arrow_files(str(Path(name) / only), folder / only)
    state = _json_file(folder / "state.json")
    if state.get("_indices_data_files") or state.get("_indices_files"):  # else all rows were read, in another order
        fix = "Load it, and save it again with `datasets` 2 or later."
        _refuse(name, "not-a-dataset", "the folder holds a selection of rows, as `datasets` 1 saved it.", fix)
    listed = state.get("_data_files")
    if not is_list(listed):
        inside = [path for path in (*folder.glob("*"), *folder.glob("*/*")) if path.suffix.lower() in _SUFFIXES]
        files = named(sorted(str(Path(name) / path.relative_to(folder)) for path in inside if path.is_file()))
        fix = f"Name one of its files: {files}." if files else _WRITE_AS
        _refuse(name, "not-a-dataset", "the folder was not saved by datasets.save_to_disk.", fix)
    found = tuple(folder / Path(str(entry.get("filename"))).name for entry in listed if is_object(entry))
    gone = [file.name for file in found if not file.is_file()]
    if gone:
        _refuse(name, "missing-file", f"state.json names files that are not there: {named(gone)}.", "Save it again.")
    return found


def _json_file(path: Path) -> dict[str, Any]:
    """Returns the object in a small JSON file; an empty one if there is none."""
    try:
        value: object = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if is_object(value) else {}


def is_part_of(source: Source, target: Path) -> bool:
    """Whether writing to a file would change a data set."""
    path, to = Path(source), Path(target)
    try:
        if to.exists() and path.exists() and to.samefile(path):
            return True
        return path.is_dir() and to.resolve().is_relative_to(path.resolve())
    except (OSError, ValueError):
        return False
