"""What can be told of SQL from its text alone, which need not be right: its pieces, its literals, where it orders."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    Literal = str | int | float

LONGEST = 20_000
"""Characters of the longest query that is run."""
MOST_ROWS = 300
"""Rows of the largest table that a query makes us fill."""
_MOST_LITERALS = 50
_LARGEST = 2**53
_CREATE = re.compile(r"\bcreate\s+(?:temp\s+|temporary\s+)?table\b", re.IGNORECASE)
# What is opened and never closed goes on to the end, so that no text is gone through twice.
_PIECE = re.compile(
    r"""(?P<blank>\s+|--[^\n]*|/\*.*?(?:\*/|\Z))
    |(?P<text>'[^']*(?:''[^']*)*'?)
    |(?P<quoted>"[^"]*(?:""[^"]*)*"?|`[^`]*`?|\[[^\]]*\]?)
    |(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
    |(?P<name>[^\W\d][\w$]*)
    |(?P<sign><=|>=|<>|!=|==|\|\||.)""",
    re.VERBOSE | re.DOTALL,
)
_SIGNS = {"=", "==", "<", ">", "<=", ">=", "<>", "!="}


class Piece(NamedTuple):
    """A word, number, text or sign; how deep it stands in parentheses, and where."""

    kind: str
    text: str
    depth: int
    start: int
    end: int

    def is_word(self, *words: str) -> bool:
        """Whether it is one of some words, in any case."""
        return self.kind == "name" and self.text.lower() in words


def pieces(sql: str, start: int = 0) -> Iterator[Piece]:
    """Yields the pieces of SQL, without white space and comments."""
    depth = 0
    for found in _PIECE.finditer(sql, start):
        kind, text = found.lastgroup or "", found[0]
        if kind == "blank":
            continue
        depth -= text == ")"
        yield Piece(kind, text, depth, found.start(), found.end())
        depth += text == "("


def normal(sql: str) -> str:
    """Returns a query in one spelling: blanks, comments, the case of words and a semicolon at the end do not matter."""
    found = [each.text.lower() if each.kind == "name" else each.text for each in pieces(sql)]
    while found and found[-1] == ";":
        found.pop()
    return " ".join(found)


def tables_in(text: str) -> str:
    """Returns the CREATE TABLE statements in a text, as a script; what else it says is passed over."""
    found: list[str] = []
    at = _CREATE.search(text)
    while at:
        end = next((each.end for each in pieces(text, at.start()) if each.text == ")" and not each.depth), None)
        if end is None:
            break
        found.append(f"{text[at.start() : end]};")
        at = _CREATE.search(text, end)
    return "\n".join(found)


class Order(NamedTuple):
    """How a query orders and cuts what it gives.

    Attributes:
        orders: Whether it orders at all.
        uncut: The query without its LIMIT.
        offset: Rows that are left out at the beginning; None if what is cut cannot be told from the text.
        is_cut: Whether it has a LIMIT.
    """

    orders: bool
    uncut: str
    offset: int | None
    is_cut: bool

    def with_ties(self, columns: int, direction: str) -> str:
        """Returns the query without its LIMIT, with rows that tie in the order of their columns."""
        return self.uncut + "".join(f", {n} {direction}" for n in range(1, columns + 1))


def order_of(sql: str) -> Order:
    """Tells how a query orders: at its end, and not in one of its parts."""
    found = [each for each in pieces(sql) if each.text != ";"]
    flat = [each for each in found if not each.depth]
    orders = any(one.is_word("order") and two.is_word("by") for one, two in pairwise(flat))
    limit = next((n for n, each in enumerate(flat) if each.is_word("limit")), None)
    end = flat[limit].start if limit is not None else (found[-1].end if found else 0)
    return Order(orders, sql[:end], _offset(flat[limit + 1 :] if limit is not None else ()), limit is not None)


def orders_anywhere(sql: str) -> bool:
    """Whether a query orders, be it in one of its parts."""
    return any(each.is_word("order") for each in pieces(sql))


def _offset(after_limit: Sequence[Piece]) -> int | None:
    match [each.text.lower() for each in after_limit]:
        case []:
            return 0
        case [few] if few.isdecimal():
            return 0
        case [few, "offset", skipped] if few.isdecimal() and skipped.isdecimal():
            return int(skipped)
        case [skipped, ",", few] if few.isdecimal() and skipped.isdecimal():
            return int(skipped)
        case _:
            return None


class Hints(NamedTuple):
    """What values a query asks for.

    Attributes:
        by_column: Name of a column, in small letters -> the literals that stand next to it.
        loose: All literals.
        rows: How many rows of a table it takes for its LIMIT or HAVING to matter.
    """

    by_column: dict[str, list[Literal]]
    loose: list[Literal]
    rows: int


def hints_of(queries: Collection[str], columns: Collection[str]) -> Hints:
    """Collects the literals of queries.

    Args:
        queries: The queries.
        columns: The names of all columns and tables, in small letters.
    """
    hints = Hints({}, [], 0)
    rows = 0
    for query in queries:
        found = list(pieces(query))
        literals = [n for n, each in enumerate(found) if _is_literal(each, columns)]
        for n in literals[:_MOST_LITERALS]:
            value = _value(found, n)
            rows = max(rows, _rows_for(found, n, value))
            near = _columns_near(found, n, columns)
            for name in near:
                hints.by_column.setdefault(name, []).append(value)
            hints.loose.append(value)
    return hints._replace(rows=min(rows, MOST_ROWS))


def _bare(piece: Piece) -> str:
    return (piece.text[1:-1] if piece.kind in {"quoted", "text"} else piece.text).lower()


def _is_literal(piece: Piece, columns: Collection[str]) -> bool:
    """SQLite takes a name in double quotes that is the name of nothing for a text."""
    is_text = piece.kind == "text" or (piece.text.startswith('"') and _bare(piece) not in columns)
    return is_text or piece.kind == "number"


def _value(found: Sequence[Piece], n: int) -> Literal:
    piece = found[n]
    if piece.kind != "number":
        return piece.text[1:-1].replace("''", "'")
    value = float(piece.text)
    value = -value if n and found[n - 1].text == "-" else value
    return int(value) if value.is_integer() and abs(value) < _LARGEST else value


def _columns_near(found: Sequence[Piece], n: int, columns: Collection[str]) -> list[str]:
    """Returns the column before a literal (it may be the third of a list), and the one that is compared after it."""
    before = next((_bare(each) for each in reversed(found[:n]) if _names(each) and _bare(each) in columns), None)
    near = [before] if before is not None else []
    if n + 1 < len(found) and found[n + 1].text in _SIGNS:
        near += [_bare(each) for each in found[n + 2 : n + 5] if _names(each) and _bare(each) in columns]
    return near


def _names(piece: Piece) -> bool:
    return piece.kind in {"name", "quoted"}


def _rows_for(found: Sequence[Piece], n: int, value: Literal) -> int:
    if not isinstance(value, int) or value < 0:
        return 0
    if any(each.is_word("limit") for each in found[max(0, n - 3) : n]):
        return value + 5
    if any(each.is_word("having") for each in found[:n]):
        return 3 * value + 5
    return 0
