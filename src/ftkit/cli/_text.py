"""The words of others, which may hold what a terminal would obey."""

from __future__ import annotations


def plain(text: str) -> str:
    """Returns a text in which every sign can be seen: control characters as Python writes them, but for new lines."""
    return "".join(sign if sign.isprintable() or sign == "\n" else ascii(sign)[1:-1] for sign in text)


def one_line(text: str) -> str:
    """Returns a text as a single line: new lines become spaces."""
    return plain(" ".join(text.split("\n")))
