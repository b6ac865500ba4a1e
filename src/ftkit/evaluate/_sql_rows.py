"""Made-up rows for tables of which only the columns are known, such that two queries that differ give different rows.

Few different values, so that there are ties, groups and doubles; those that the queries ask for, and their neighbours,
so that conditions hold for some rows and only just fail for others; the same values in all tables, so that joins find
partners; and NULL. Several databases of the kind stand for all that there could be: this is the idea of test suite
accuracy (Zhong, Yu and Klein, "Semantic Evaluation for Text-to-SQL with Distilled Test Suites", EMNLP 2020,
https://arxiv.org/abs/2010.02840), which distils its databases with queries near to the wanted one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from random import Random

    from ftkit.evaluate._sql_text import Hints, Literal

    Cell = Literal | None

_WORDS = ("amber", "Birch", "cobalt", "Dover", "ember", "Fjord", "garnet", "Hazel", "indigo", "Juno")
_DAYS = ("2019-12-31", "2020-01-01", "2020-02-29", "2021-06-15", "2022-11-30")
_ASKED, _NEAR = 0.45, 0.3  # shares of the cells of a column that a query asks for; the rest is made up
_NULL = (0.0, 0.1, 0.5)
"""Shares of NULL, one of which each column has: so few that it hides nothing, and so many that it is everywhere."""
_KEYS_END = ("id", "_key", "_no", "code")
_LARGEST = 2**62


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        name: Its name.
        type: The type that it is declared with, in capitals.
        is_needed: Whether it may not be NULL.
        is_key: Whether it is the only column of the primary key.
        refers: Whether it refers to another table.
    """

    name: str
    type: str
    is_needed: bool = False
    is_key: bool = False
    refers: bool = False

    @property
    def kind(self) -> str:
        """What is written there: integer, real, text, day or any (https://sqlite.org/datatype3.html, 3.1)."""
        if "INT" in self.type or "BOOL" in self.type:
            return "integer"
        if "DATE" in self.type or "TIME" in self.type or (self._is_text and "date" in self.name.lower()):
            return "day"
        if self._is_text:
            return "text"
        if any(word in self.type for word in ("REAL", "FLOA", "DOUB", "NUM", "DEC", "MONEY")):
            return "real"
        return "any"

    @property
    def _is_text(self) -> bool:
        return any(word in self.type for word in ("CHAR", "CLOB", "TEXT", "STRING"))

    @property
    def joins(self) -> bool:
        """Whether it looks as if it were there to be joined with another."""
        return self.is_key or self.refers or self.name.lower().endswith(_KEYS_END)


def rows_of(columns: Sequence[Column], hints: Hints, count: int, pick: Random, *, few: bool) -> list[list[Cell]]:
    """Makes up the rows of a table.

    Args:
        columns: Its columns.
        hints: What the queries ask for.
        count: How many rows.
        pick: Where chance comes from.
        few: Whether there are few different values, and so many ties; otherwise there are hardly any.
    """
    drawn = [_drawn(column, hints, count, pick, few=few) for column in columns]
    return [list(row) for row in zip(*drawn, strict=True)]


def _drawn(column: Column, hints: Hints, count: int, pick: Random, *, few: bool) -> list[Cell]:
    asked = _fitting(column.kind, hints.by_column.get(column.name.lower(), ()))
    if column.is_key:
        others = [value for value in _plain(column, count, pick, few=False) if value not in asked]
        keys = [*asked[: count // 2], *others][:count]
        pick.shuffle(keys)
        return list(keys)
    near = list(dict.fromkeys(chain.from_iterable(map(_neighbours, asked))))
    plain = [*_plain(column, count, pick, few=few), *_some(_fitting(column.kind, hints.loose), pick)]
    null = 0.0 if column.is_needed else pick.choice(_NULL)
    cells: list[Cell] = []
    for _ in range(count):
        at = pick.random()
        pool = asked if at < _ASKED else near if at < _ASKED + _NEAR else plain
        cells.append(None if pick.random() < null else pick.choice(pool or plain))
    return cells


def _some(values: Sequence[Literal], pick: Random) -> list[Literal]:
    return pick.sample(values, min(2, len(values)))


def _plain(column: Column, count: int, pick: Random, *, few: bool) -> list[Literal]:
    """Returns the values that a column has when nothing else is asked for."""
    most = pick.randint(2, 4) if few else 3 * count
    if "BOOL" in column.type:
        return [0, 1]
    match column.kind:
        case "integer" | "any":
            if column.joins:
                return list(range(1, (most if few else count) + 2))
            return list(pick.sample(range(1, 3 * count + 3), most))
        case "real":
            return [n / 4 for n in pick.sample(range(1, 12 * count), most)]
        case "day":
            days = [*_DAYS, *(str(date(2000, 1, 1) + timedelta(days=37 * n)) for n in range(most))]
            return list(pick.sample(days, min(most, len(days))))
        case _:
            words = [*_WORDS, *(f"{_WORDS[n % len(_WORDS)]} {n}" for n in range(most - len(_WORDS)))]
            return list(words[:most] if column.joins else pick.sample(words, most))


def _fitting(kind: str, values: Iterable[Literal]) -> list[Literal]:
    """Returns the values that can stand in a column of a kind, each once."""
    found: dict[Literal, None] = {}
    for value in values:
        if kind in {"integer", "real"}:
            number = _number(value)
            if number is not None:
                found[number] = None
        elif kind == "any":
            found[value] = None
        elif isinstance(value, str):
            found.update(dict.fromkeys(_texts(value)))
        else:
            found[str(value)] = None
    return list(found)


def _number(value: Literal) -> Literal | None:
    if not isinstance(value, str):
        return value
    if re.fullmatch(r"-?\d{1,15}", value, re.ASCII):
        return int(value)
    return float(value) if re.fullmatch(r"-?\d{1,15}\.\d{1,15}", value, re.ASCII) else None


def _texts(value: str) -> list[str]:
    """Returns the texts that a literal stands for, which may be a pattern of LIKE."""
    if "%" not in value and "_" not in value:
        return [value]
    core = value.replace("%", "").replace("_", "a")
    return [core, f"{core}z", f"z{core}", f"z{core}z", value.replace("%", " and ").replace("_", "b")]


def _neighbours(value: Literal) -> list[Literal]:
    """Returns values that a condition only just takes, or only just does not."""
    if isinstance(value, str):
        day = _day(value)
        if day is not None:
            return [str(day + timedelta(days=n)) for n in (-1, 1)]
        return [value.swapcase(), f"{value}s", f"a {value}"]
    if abs(value) > _LARGEST:
        return []
    wide: list[Literal] = [value - 1, value + 1, value * 2, value // 2]
    return wide if isinstance(value, int) else [*wide, round(value - 0.01, 6), round(value + 0.01, 6)]


def _day(value: str) -> date | None:
    try:
        day = date.fromisoformat(value)
    except ValueError:
        return None
    return day if date(1, 1, 2) <= day <= date(9999, 12, 30) and str(day) == value else None
