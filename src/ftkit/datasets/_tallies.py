"""What is counted while a file is read once: problems, tokens, lengths."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING

from ftkit.datasets._values import named, one_line
from ftkit.models import Problem, Severity, TokenStats

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ftkit.models import DatasetRules, RecordKind

_MOST_OF_A_CODE = 1000
_MOST_NAMES = 1000
_LONGEST_NAME = 400  # characters: a name is kept as long as the file is read
_MOST_LINES_NAMED = 5


class Findings:
    """Problems, of which no more than a thousand of each sort are kept."""

    def __init__(self) -> None:
        self._kept: list[Problem] = []
        self._counts: Counter[tuple[Severity, str]] = Counter()
        self.has_error = False

    def add(self, problem: Problem) -> None:
        """Takes one more problem."""
        sort = (problem.severity, problem.code)
        self._counts[sort] += 1
        self.has_error |= problem.severity is Severity.ERROR
        if self._counts[sort] <= _MOST_OF_A_CODE:
            self._kept.append(problem)

    def in_order(self, source: str) -> tuple[Problem, ...]:
        """Returns the problems by line, then those of the whole file, then how many were not kept."""
        kept = sorted(self._kept, key=lambda p: (p.line is None, p.line or 0))
        for (severity, code), count in self._counts.items():
            if count > _MOST_OF_A_CODE:
                rest = count - _MOST_OF_A_CODE
                message = f"and {rest:,} more like these: {code}."
                kept.append(Problem(severity=severity, code=code, message=message, source=source, count=rest))
        return tuple(kept)


class Ignored:
    """Fields that are no part of a record, and the rows that have them."""

    def __init__(self) -> None:
        self._rows = 0
        self._names: dict[str, None] = {}

    def add(self, names: Iterable[str]) -> None:
        """Takes the fields of one row."""
        found = tuple(names)
        self._rows += bool(found)
        for name in islice(found, _MOST_NAMES - len(self._names)):
            self._names[one_line(name, _LONGEST_NAME)] = None

    def problems(self, source: str, kind: RecordKind) -> list[Problem]:
        """Returns the one warning that names them all."""
        if not self._rows:
            return []
        rows = "1 row" if self._rows == 1 else f"{self._rows:,} rows"
        return [
            Problem(
                severity=Severity.WARNING,
                code="ignored-columns",
                message=f"no part of a {kind.value} record, and ignored in {rows}: {named(self._names)}.",
                fix="Map what is needed with columns={...}.",
                source=source,
                count=self._rows,
            )
        ]


class Tokens:
    """Lengths of the examples, in tokens."""

    def __init__(self, rules: DatasetRules) -> None:
        self._most = rules.max_tokens
        self._what_happens = rules.too_long
        self._rows = self._total = self._trained = 0
        self._longest = self._longest_line = 0
        self._too_long = 0
        self._first_lines: list[int] = []

    def add(self, line: int, tokens: int, trained: int) -> None:
        """Takes the length of one row, and how much of it is learnt from."""
        self._rows += 1
        self._total += tokens
        self._trained += trained
        if tokens > self._longest:
            self._longest, self._longest_line = tokens, line
        if self._most is not None and tokens > self._most:
            self._too_long += 1
            if len(self._first_lines) < _MOST_LINES_NAMED:
                self._first_lines.append(line)

    def stats(self) -> TokenStats | None:
        """Returns the sums, if there was a row to count."""
        if not self._rows:
            return None
        return TokenStats(
            total=self._total, trained=self._trained, longest=self._longest, mean=self._total / self._rows
        )

    def problems(self, source: str) -> list[Problem]:
        """Returns the one problem that stands for all rows that are too long."""
        if not self._too_long:
            return []
        none_left = self._what_happens == "dropped" and self._too_long == self._rows
        refused = self._what_happens == "refused" or none_left
        would = "are refused" if self._what_happens == "refused" else f"would be {self._what_happens}"
        lines = ", ".join(f"{line}" for line in self._first_lines)
        more = (
            f" and {self._too_long - len(self._first_lines):,} more" if self._too_long > len(self._first_lines) else ""
        )
        message = (
            f"{self._too_long:,} of {self._rows:,} rows are longer than {self._most:,} tokens and {would}"
            f"{', so that none is left' if none_left else ''}: lines {lines}{more}; "
            f"the longest is line {self._longest_line} with {self._longest:,}."
        )
        return [
            Problem(
                severity=Severity.ERROR if refused else Severity.WARNING,
                code="too-long",
                message=message,
                fix="Shorten them, split them, or choose a model that takes longer ones.",
                source=source,
                count=self._too_long,
            )
        ]
