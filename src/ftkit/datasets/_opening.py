"""A data set as bytes. What is packed with gzip or zstd is unpacked on the way, up to a bound."""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from typing import TYPE_CHECKING, BinaryIO, cast

from ftkit.datasets import _limits

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Protocol

    from ftkit.datasets._locating import Located

    class _Unpacks(Protocol):
        def open(self, path: Path, mode: str) -> BinaryIO: ...

        ZstdError: type[Exception]


if sys.version_info >= (3, 14):
    from compression import zstd as _zstd  # pyright: ignore[reportUnreachable, reportMissingImports]
else:
    from backports import zstd as _zstd

zstd = cast("_Unpacks", _zstd)

_BUFFER = 1 << 18
_UNPACKS: dict[str, Callable[[Path], BinaryIO]] = {
    "gzip": lambda path: cast("BinaryIO", gzip.GzipFile(path, "rb")),
    "zstd": lambda path: zstd.open(path, "rb"),
}
_DAMAGED = (EOFError, zlib.error, zstd.ZstdError, gzip.BadGzipFile)


class BrokenOffError(Exception):
    """A file cannot be unpacked any further.

    Attributes:
        what: Code, message and remedy.
    """

    def __init__(self, code: str, message: str, fix: str) -> None:
        super().__init__(message)
        self.what = (code, message, fix)


def opened(source: Located) -> BinaryIO:
    """Opens the one file of a data set, to be read from its beginning.

    What is read from it may raise `BrokenOffError`, besides OSError.
    """
    if source.packing is None:
        return source.path.open("rb", buffering=_BUFFER)
    unpacked = _Bounded(_UNPACKS[source.packing](source.path), source)
    return io.BufferedReader(unpacked, _BUFFER)


def first_bytes(source: Located, count: int) -> bytes:
    """Returns how a file begins, unpacked.

    Raises:
        OSError: It cannot be read.
        BrokenOffError: It cannot be unpacked.
    """
    with opened(source) as file:
        return file.read(count)


def why_broken_off(error: OSError | BrokenOffError) -> tuple[str, str, str]:
    """Returns what is to be said of a file that can be read no further: code, message, how to mend it."""
    if isinstance(error, BrokenOffError):
        return error.what
    message = f"the file cannot be read any further: {error.strerror or error}."
    return "unreadable-file", message, "Look at the file and its disk; nothing was lost."


class _Bounded(io.RawIOBase):
    """A file that is unpacked, up to a bound: a few bytes can unpack to more than any disk holds."""

    def __init__(self, file: BinaryIO, source: Located) -> None:
        self._file = file
        self._most = _limits.MOST_UNPACKED + _limits.TIMES_PACKED * source.path.stat().st_size
        self._packing = source.packing
        self._count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        try:
            piece = self._file.read(len(buffer))
        except _DAMAGED as error:
            message = f"the file cannot be unpacked any further: {error or type(error).__name__}."
            raise BrokenOffError("unreadable-file", message, "Pack it again: it may have been cut off.") from error
        self._count += len(piece)
        if self._count > self._most:
            message = f"the file unpacks to more than {self._most:,} bytes, {_limits.TIMES_PACKED} times its own size."
            fix = f"Unpack it, and see what is in it: {self._packing} files of text are not so small."
            raise BrokenOffError("unpacks-to-too-much", message, fix)
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        self._file.close()
        super().close()
