"""Writes rows in each format of file, or says what it is about a row that the format cannot hold."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, TypeAlias, cast

from ftkit.datasets._csv_writing import CSVWriter
from ftkit.datasets._encoding import as_json
from ftkit.datasets._opening import zstd
from ftkit.datasets._parquet_writing import ParquetWriter, need_pyarrow
from ftkit.datasets._spool import Spool
from ftkit.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

Says: TypeAlias = Callable[[Mapping[str, Any]], bytes]
"""What a row says, as bytes that are the same just when two rows say the same; a DatasetError if it is no record."""


class Writer(Protocol):
    """Writes rows into a file."""

    def add(self, line: int, row: Mapping[str, Any]) -> None:
        """Takes one more row, which came of that line."""
        ...

    def close(self) -> Iterator[tuple[int, str]]:
        """Writes what is not written yet; yields lines whose rows the format cannot hold, and why."""
        ...


class JSONLinesWriter:
    """Writes an object on each line."""

    def __init__(self, file: BinaryIO, _says: Says, _rows: Spool) -> None:
        self._file = file

    def add(self, line: int, row: Mapping[str, Any]) -> None:
        """Writes a row."""
        del line
        self._file.write(as_json(row).encode() + b"\n")

    def close(self) -> Iterator[tuple[int, str]]:
        """Has nothing left to write."""
        return iter(())


class JSONArrayWriter:
    """Writes one array, with an object on each line."""

    def __init__(self, file: BinaryIO, _says: Says, _rows: Spool) -> None:
        self._file = file
        self._before = b"[\n"

    def add(self, line: int, row: Mapping[str, Any]) -> None:
        """Writes a row."""
        del line
        self._file.write(self._before + as_json(row).encode())
        self._before = b",\n"

    def close(self) -> Iterator[tuple[int, str]]:
        """Ends the array."""
        self._file.write(b"\n]\n")
        return iter(())


_Make: TypeAlias = "Callable[[BinaryIO, Says, Spool], Writer]"
_WRITERS: dict[str, _Make] = {
    ".jsonl": JSONLinesWriter,
    ".ndjson": JSONLinesWriter,
    ".json": JSONArrayWriter,
    ".csv": CSVWriter,
    ".parquet": ParquetWriter,
}
_PACKS: dict[str, Callable[[BinaryIO], BinaryIO]] = {
    # without a name and a time, so that the same rows are the same bytes
    ".gz": lambda file: cast("BinaryIO", gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0)),
    ".zst": lambda file: cast("Any", zstd).open(file, "wb"),
}


@contextmanager
def writing(target: Path, file: BinaryIO, says: Says) -> Generator[Writer]:
    """Yields what writes rows in the format that a name says, and packed if it says so.

    Args:
        target: The name, which `refuse_format` has passed.
        file: Where to.
        says: What a row says.
    """
    pack = _PACKS.get(target.suffix.lower())
    inner = target.with_suffix("") if pack else target
    make = _WRITERS[inner.suffix.lower()]
    with Spool(target.parent) as rows:
        if pack is None:
            yield make(file, says, rows)
        else:
            with pack(file) as packed:
                yield make(packed, says, rows)


def refuse_format(target: Path) -> None:
    """Refuses a name that ends like no format that is written.

    Raises:
        ConfigurationError: It does.
        MissingExtraError: pyarrow is needed and not installed.
    """
    is_packed = target.suffix.lower() in _PACKS
    inner = target.with_suffix("") if is_packed else target
    writer = _WRITERS.get(inner.suffix.lower())
    if writer is ParquetWriter:
        need_pyarrow()
    if writer is None or (is_packed and writer is ParquetWriter):
        known = f"{', '.join(_WRITERS)}; all but the last also with {' or '.join(_PACKS)} after it"
        wrong = "".join(target.suffixes[-2:]) or target.name
        raise ConfigurationError(f"'{wrong}' is no format that is written.", hint=f"Use {known}.")
