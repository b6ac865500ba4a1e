"""Lines of a file, as bytes and as text. No line is held that is too long to be a row."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from ftkit.datasets import _limits

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK = 64 * 1024


class TooLong(NamedTuple):
    """A line that was passed over.

    Attributes:
        quotes: How many quotes are in it.
    """

    quotes: int


class UnreadableError(Exception):
    """Bytes that cannot be read as the text of a row.

    Attributes:
        what: Code, message and remedy.
    """

    def __init__(self, code: str, message: str, fix: str) -> None:
        super().__init__(message)
        self.what = (code, message, fix)


def raw_lines(file: BinaryIO, most: int) -> Iterator[bytes | bytearray | TooLong]:
    """Yields the lines of a file, and keeps none of them.

    Args:
        file: The file.
        most: Bytes of the longest line that is read. A longer one is passed over, piece by piece.
    """
    while piece := file.readline(_CHUNK):
        yield piece if piece.endswith(b"\n") else _rest_of_line(file, piece, most)


def _rest_of_line(file: BinaryIO, piece: bytes, most: int) -> bytearray | TooLong:
    line, fits, quotes = bytearray(), True, 0
    while piece:
        quotes += piece.count(b'"')
        fits = fits and len(line) + len(piece) <= most
        if fits:
            line += piece
        else:
            line.clear()
        piece = b"" if piece.endswith(b"\n") else file.readline(_CHUNK)
    return line if fits else TooLong(quotes)


def as_text(raw: bytes | bytearray, *, is_first: bool = False) -> str:
    """Returns the text of a row, or of a line of one.

    Args:
        raw: Its bytes.
        is_first: Whether the file begins with them, so that a byte order mark is passed over.

    Raises:
        UnreadableError: They are no text, or take too much memory as one.
    """
    place = raw.find(0)
    if place >= 0:
        fix = "Write the file again: it may have been cut off while it was written."
        raise UnreadableError("bad-encoding", f"byte {place + 1} of the row is NUL, which no text has.", fix)
    try:
        text = raw.decode("utf-8-sig" if is_first else "utf-8")
    except UnicodeDecodeError as error:
        message = f"byte {error.start + 1} of the row is not UTF-8."
        raise UnreadableError("bad-encoding", message, "Save the file as UTF-8.") from error
    size = sys.getsizeof(text)
    if size > _limits.MOST_TEXT:
        message = f"the row takes {size:,} bytes of memory, and at most {_limits.MOST_TEXT:,} are held."
        raise UnreadableError("row-too-long", message, "Shorten it, or leave it out.")
    return text


def too_long(most: int) -> tuple[str, str, str]:
    """Returns what is to be said of a row that is longer than so many bytes: code, message, how to mend it."""
    return "row-too-long", f"the row is longer than {most:,} bytes.", "Write one row on each line."
