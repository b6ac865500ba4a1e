"""Pieces of HTML. What they are made of is either text, which they escape, or `Html`, which one of them made."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, NewType

from ftkit.errors import without_keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Html = NewType("Html", str)
"""HTML that was made here, and is not escaped again."""

_MOST_LETTERS = 2000
_LINE = "1px solid rgba(128,128,128,.35)"  # half-way between black and white: seen on both
_CELL = f"text-align:left;vertical-align:top;padding:2px 8px;border:0;border-bottom:{_LINE}"
_VALUE = f"{_CELL};white-space:pre-wrap;overflow-wrap:anywhere;min-width:6ch"
_COLUMN = f"{_CELL};white-space:nowrap"
_TABLE = "border-collapse:collapse;margin:2px 0;font-size:inherit;color:inherit;background:transparent;border:0"
_ROW = "background:transparent"
_MARKS = {"good": "#009E73", "bad": "#D55E00", "doubtful": "#CC7A00", "going": "#0080C0"}
"""Colours of a dot beside a word; each of them is seen on white as on black, and the word says it all."""


def text(value: object) -> Html:
    """Returns text as HTML: escaped, without what looks like a key, and not endless."""
    plain = without_keys(str(value))
    more = len(plain) - _MOST_LETTERS
    if more > 0:
        plain = f"{plain[:_MOST_LETTERS]} ... and {more:,} more letters"
    return Html(escape("".join(letter if letter.isprintable() or letter in "\n\t" else "\ufffd" for letter in plain)))


def marked(word: object, look: str) -> Html:
    """Returns a word, and a dot of a colour before it if it looks "good", "bad", "doubtful" or "going"."""
    dot = f'<span aria-hidden="true" style="color:{_MARKS[look]}">&#9679;</span> ' if look in _MARKS else ""
    return Html(f"{dot}{text(word)}")


def head(title: Html, *more: Html) -> Html:
    """Returns a line that begins with a title in bold."""
    return Html(f'<div style="margin:2px 0"><b>{title}</b>{"".join(f" {each}" for each in more)}</div>')


def line(words: object) -> Html:
    """Returns a line of text."""
    return Html(f'<div style="margin:2px 0">{text(words)}</div>')


def note(words: object) -> Html:
    """Returns a line in small letters."""
    return Html(f'<div style="margin:2px 0;font-size:smaller;opacity:.8">{text(words)}</div>')


def pairs(rows: Iterable[tuple[str, Html]]) -> Html:
    """Returns a table of names and values."""
    name = f"{_COLUMN};font-weight:normal;opacity:.8"
    lines = (
        f'<tr style="{_ROW}"><th scope="row" style="{name}">{text(label)}</th><td style="{_VALUE}">{value}</td></tr>'
        for label, value in rows
    )
    return Html(f'<table style="{_TABLE}"><tbody>{"".join(lines)}</tbody></table>')


def table(columns: Sequence[str], rows: Iterable[Sequence[Html]], *, wraps: bool = False) -> Html:
    """Returns a table with a head. It scrolls sideways if it is wider than the page.

    Args:
        columns: What stands in the head.
        rows: The cells.
        wraps: Whether the cells hold words, and break into lines.
    """
    cell = _VALUE if wraps else _COLUMN
    titles = "".join(f'<th scope="col" style="{_COLUMN};font-weight:bold">{text(column)}</th>' for column in columns)
    lines = ("".join(f'<td style="{cell}">{value}</td>' for value in row) for row in rows)
    body = "".join(f'<tr style="{_ROW}">{line}</tr>' for line in lines)
    return Html(f'<table style="{_TABLE}"><thead><tr style="{_ROW}">{titles}</tr></thead><tbody>{body}</tbody></table>')


def folded(title: Html, *inside: Html, is_open: bool = True) -> Html:
    """Returns a part that can be folded away."""
    opened = " open" if is_open else ""
    summary = f'<summary style="cursor:pointer">{title}</summary>'
    return Html(f'<details{opened} style="margin:2px 0">{summary}{"".join(inside)}</details>')


def page(*parts: Html) -> Html:
    """Returns all of a display."""
    return Html(f'<div style="max-width:100%;overflow-x:auto">{"".join(parts)}</div>')
