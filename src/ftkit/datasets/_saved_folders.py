"""Folders that Hugging Face's `datasets` saved with `save_to_disk`."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit.datasets._refusing import refuse
from ftkit.datasets._strict_json import StrictJSON
from ftkit.datasets._values import is_list, is_object, named, repeated

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_LONGEST_STATE = 2**24
"""Bytes of the longest state.json; a line or two for each of its files."""
_MOST_SEEN = 10_000
"""Files of a folder among which one is looked for to be named."""


def arrow_files(name: str, folder: Path, suffixes: Collection[str]) -> tuple[Path, ...]:
    """Returns the data files of a folder, in order.

    Args:
        name: The folder, as its user named it.
        folder: The same as a path.
        suffixes: Of the files that can be read by themselves, and are named where the folder is another.

    Raises:
        DatasetError: It was not saved like that, or not everything is there.
    """
    splits = _json_file(folder / "dataset_dict.json").get("splits")
    if is_list(splits) and len(splits) > 1:
        places = named(str(Path(name) / str(split)) for split in splits)
        refuse(name, "several-splits", "the folder holds several data sets.", f"Name one of them: {places}.")
    if is_list(splits) and splits:
        only = Path(str(splits[0])).name
        if only in {"", ".."} or (folder / only / "dataset_dict.json").exists():
            refuse(name, "not-a-dataset", "dataset_dict.json names no data set inside the folder.", "Save it again.")
        return arrow_files(str(Path(name) / only), folder / only, suffixes)
    state = _json_file(folder / "state.json")
    if state.get("_indices_data_files") or state.get("_indices_files"):  # else all rows were read, in another order
        fix = "Load it, and save it again with `datasets` 2 or later."
        refuse(name, "not-a-dataset", "the folder holds a selection of rows, as `datasets` 1 saved it.", fix)
    listed = state.get("_data_files")
    if not is_list(listed):
        files = named(_readable(name, folder, suffixes))
        fix = f"Name one of its files: {files}." if files else "Give a file, or a folder that save_to_disk wrote."
        refuse(name, "not-a-dataset", "the folder was not saved by datasets.save_to_disk.", fix)
    return _all_there(name, folder, listed)


def _all_there(name: str, folder: Path, listed: list[Any]) -> tuple[Path, ...]:
    names = [entry.get("filename") if is_object(entry) else None for entry in listed]
    files = [Path(each).name for each in names if isinstance(each, str)]
    if not files or len(files) < len(names) or repeated(files):
        refuse(name, "not-a-dataset", "state.json names no file where it should, or one twice.", "Save it again.")
    gone = [each for each in files if not (folder / each).is_file()]
    if gone:
        message = f"state.json names files that are not there, or are no files: {named(gone)}."
        refuse(name, "missing-file", message, "Save it again.")
    return tuple(folder / each for each in files)


def _readable(name: str, folder: Path, suffixes: Collection[str]) -> list[str]:
    """Returns the files of a folder, and of those in it, that can be read by themselves."""

    def inside() -> Iterator[Path]:
        yield from folder.glob("*")
        yield from folder.glob("*/*")

    seen = islice(inside(), _MOST_SEEN)
    return sorted(str(Path(name) / p.relative_to(folder)) for p in seen if p.suffix.lower() in suffixes and p.is_file())


def _json_file(path: Path) -> dict[str, Any]:
    """Returns the object in a small JSON file; an empty one if there is none."""
    try:
        if not path.is_file() or path.stat().st_size > _LONGEST_STATE:  # a pipe is waited for, a device has no end
            return {}
        decoded = StrictJSON().whole(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError):
        return {}
    return decoded.value if decoded.flaw is None and is_object(decoded.value) else {}
