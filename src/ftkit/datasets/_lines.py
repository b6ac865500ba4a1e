"""Lines of a file, as bytes and as text. No line is held that is too long to be a row."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, TypeAlias

from ftkit.datasets import _limits

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK = 32 * 1024
"""Bytes that are read at once. What is made of them is still in the processor's cache when it is looked at."""


class TooLong(NamedTuple):
    """A line that was passed over.

    Attributes:
        quotes: How many quotes are in it.
    """

    quotes: int


Block: TypeAlias = bytes | bytearray | TooLong
"""Whole lines, as bytes; or one long line, as a bytearray; or one that is too long."""


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


def blocks(file: BinaryIO, most: int, end: int | None = None) -> Iterator[Block]:
    """Yields the lines of a file, many at once: bytes that are whole lines, or one long line.

    Args:
        file: The file.
        most: Bytes of the longest line that is read.
        end: Where the last line begins before, if not at the end of the file; only of a file that tells its place.
    """
    rest = b""
    while piece := file.read(_CHUNK if end is None else max(0, min(_CHUNK, end - file.tell()))):
        held = rest + piece
        cut = held.rfind(b"\n") + 1
        if cut:
            yield held[:cut]
            rest = held[cut:]
        else:
            yield _rest_of_line(file, held, most)
            rest = b""
    if rest:
        yield _rest_of_line(file, rest, most)


def lines_in(block: Block) -> list[bytes] | list[bytearray | TooLong]:
    """Returns the lines of a block, one by one."""
    return block.split(b"\n")[:-1] if isinstance(block, bytes) else [block]


def parted(lines: bytes, number: int | None) -> list[bytes]:
    """Returns whole lines in parts: those before a line, that line, those after it; or two halves if no line is named.

    Args:
        lines: At least two lines.
        number: Which line, counted from 0; the last one if there are not so many.
    """
    if number is None:
        end = lines.find(b"\n", len(lines) // 2) + 1
        if end == len(lines):  # the second half is within the last line
            end = lines.rfind(b"\n", 0, -1) + 1
        return [lines[:end], lines[end:]]
    start = 0
    for _ in range(number):
        start = lines.find(b"\n", start) + 1 or start
    if start == len(lines):
        start = lines.rfind(b"\n", 0, -1) + 1
    end = lines.find(b"\n", start) + 1
    return [part for part in (lines[:start], lines[start:end], lines[end:]) if part]


def go_to_line(file: BinaryIO, start: int, end: int) -> bool:
    """Goes to the first line that begins at a place or after it, and tells whether one begins up to another place."""
    if start == 0:
        return True
    file.seek(start - 1)
    while file.tell() < end and (piece := file.readline(min(_CHUNK, end - file.tell()))):
        if piece.endswith(b"\n"):
            return True
    return False


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
