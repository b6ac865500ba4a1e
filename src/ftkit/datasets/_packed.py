"""Files that are packed: what they are is told by their first bytes and by their names.

Texts packed with gzip or zstd are read as they are; of all others it is said how they are unpacked.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

FIRST_BYTES = 512
"""How many bytes of a file tell what it is; a tar archive says so 257 bytes after its beginning."""


@dataclass(frozen=True, slots=True)
class _Packing:
    """One way to pack a file.

    Attributes:
        what: What such a file is, after "the file is".
        suffixes: How its name ends.
        magic: How it begins, or what is in it at `at`.
        command: What unpacks it; {file} is the file, and {to} the one that comes out.
        at: Where the magic bytes are.
    """

    what: str
    suffixes: frozenset[str]
    magic: tuple[bytes, ...]
    command: str
    at: int = 0


_PACKINGS = (
    _Packing("packed with gzip", frozenset({".gz", ".tgz"}), (b"\x1f\x8b",), "gzip -dc < {file} > {to}"),
    _Packing(
        "packed with bzip2", frozenset({".bz2"}), tuple(b"BZh%d" % n for n in range(1, 10)), "bzip2 -dc < {file} > {to}"
    ),
    _Packing("packed with xz", frozenset({".xz"}), (b"\xfd7zXZ\0",), "xz -dc < {file} > {to}"),
    _Packing("packed with zstd", frozenset({".zst"}), (b"\x28\xb5\x2f\xfd",), "zstd -dc < {file} > {to}"),
    _Packing("packed with lz4", frozenset({".lz4"}), (b"\x04\x22\x4d\x18",), "lz4 -dc < {file} > {to}"),
    _Packing(
        "a zip archive, as .xlsx is",
        frozenset({".zip", ".xlsx", ".ods"}),
        (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08"),
        "unzip {file}, or save a spreadsheet as .csv",
    ),
    _Packing("a 7-Zip archive", frozenset({".7z"}), (b"7z\xbc\xaf\x27\x1c",), "7z x {file}"),
    _Packing("a RAR archive", frozenset({".rar"}), (b"Rar!\x1a\x07",), "unrar x {file}"),
    _Packing("a tar archive", frozenset({".tar"}), (b"ustar",), "tar -xf {file}", at=257),
)


_READ = {b"\x1f\x8b": ("gzip", ".gz"), b"\x28\xb5\x2f\xfd": ("zstd", ".zst")}


def reads(path: Path, start: bytes) -> str | None:
    """Returns how a file is packed, if it is read as it is and is named so; else None.

    Args:
        path: The file, for its name.
        start: Its first bytes.
    """
    suffix = path.suffix.lower()
    return next((name for magic, (name, end) in _READ.items() if start.startswith(magic) and suffix == end), None)


def packed(path: Path, start: bytes) -> tuple[str, str] | None:
    """Returns what a packed file is, and how to unpack it; None for a file that is not packed.

    Args:
        path: The file, for its name.
        start: Its first bytes, `FIRST_BYTES` of them if it has so many.
    """
    suffix = path.suffix.lower()
    for packing in _PACKINGS:
        if start.startswith(packing.magic, packing.at):
            names_it = "" if suffix in packing.suffixes else ", whatever its name says"
            return f"the file is {packing.what}{names_it}.", f"Unpack it: {_command(packing, path)}"
    for packing in _PACKINGS:
        if suffix in packing.suffixes:
            fix = "Name it as what it is: .jsonl, .ndjson, .json, .csv or .parquet."
            return f"its name says that the file is {packing.what}, and its first bytes do not.", fix
    return None


def _command(packing: _Packing, path: Path) -> str:
    named_so = path.suffix.lower() in packing.suffixes
    to = path.stem if named_so and "." in path.stem else f"unpacked-{path.name}"
    return packing.command.format(file=shlex.quote(path.name), to=shlex.quote(to))
