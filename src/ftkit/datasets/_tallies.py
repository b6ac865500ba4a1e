"""What is counted while a file is read once: problems, tokens, lengths."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from itertools import accumulate, islice
from typing import TYPE_CHECKING, Any

from ftkit.datasets._values import named, one_line
from ftkit.models import Problem, Severity, Spread, TokenStats, counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

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

    def merge(self, later: Findings, lines: int) -> None:
        """Takes what was found in what follows so many lines."""
        seen: Counter[tuple[Severity, str]] = Counter()
        for problem in later._kept:
            sort = (problem.severity, problem.code)
            seen[sort] += 1
            if self._counts[sort] + seen[sort] <= _MOST_OF_A_CODE:
                self._kept.append(problem.model_copy(update={"line": (problem.line or 0) + lines}))
        for sort, count in later._counts.items():
            self._counts[sort] += count
        self.has_error |= later.has_error

    def told(self) -> dict[str, Any]:
        """Returns what was found as plain values, for another process."""
        counts = [(severity.value, code, count) for (severity, code), count in self._counts.items()]
        return {"kept": [p.model_dump(mode="json", exclude_defaults=True) for p in self._kept], "counts": counts}

    @classmethod
    def heard(cls, told: dict[str, Any]) -> Findings:
        """Returns what another process told."""
        found = cls()
        found._kept = [Problem.model_validate(problem) for problem in told["kept"]]
        found._counts.update({(Severity(severity), code): count for severity, code, count in told["counts"]})
        found.has_error = any(severity is Severity.ERROR for severity, _ in found._counts)
        return found

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

    def merge(self, later: Ignored) -> None:
        """Takes what was ignored in what follows."""
        self._rows += later._rows
        for name in islice(later._names, _MOST_NAMES - len(self._names)):
            self._names[name] = None

    def told(self) -> dict[str, Any]:
        """Returns what was ignored as plain values, for another process."""
        return {"rows": self._rows, "names": list(self._names)}

    @classmethod
    def heard(cls, told: dict[str, Any]) -> Ignored:
        """Returns what another process told."""
        ignored = cls()
        ignored._rows, ignored._names = told["rows"], dict.fromkeys(told["names"])
        return ignored

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
    """Lengths of the examples, in tokens.

    How often each length occurs is kept, so that what is told is exact. That takes little room: for n different lengths
    there must be n * n / 2 tokens, and a file of a gigabyte has some 20,000 of them at most.
    """

    def __init__(self, rules: DatasetRules) -> None:
        self._most = rules.max_tokens
        self._what_happens = rules.too_long
        self._lengths: Counter[int] = Counter()
        self._learnt: Counter[int] = Counter()
        self._learnt_after = 0
        self._longest = self._longest_line = 0
        self._first_lines: list[int] = []
        self._answerless = 0
        self._first_answerless: list[int] = []

    def add(self, line: int, tokens: int, trained: int) -> None:
        """Takes the length of one row, and how much of it is learnt from."""
        if tokens > self._longest:
            self._longest, self._longest_line = tokens, line
        self._lengths[tokens] += 1
        self._learnt[trained] += 1
        left = self._left_to_learn(tokens, trained)
        self._learnt_after += left
        if self._is_too_long(tokens) and len(self._first_lines) < _MOST_LINES_NAMED:
            self._first_lines.append(line)
        if trained and not left and self._what_happens == "truncated":
            self._answerless += 1
            if len(self._first_answerless) < _MOST_LINES_NAMED:
                self._first_answerless.append(line)

    def told(self) -> dict[str, Any]:
        """Returns what was counted as plain values, for another process."""
        return {
            "lengths": list(self._lengths.items()),
            "learnt": list(self._learnt.items()),
            "longest": (self._longest, self._longest_line),
            "first_lines": self._first_lines,
            "learnt_after": self._learnt_after,
            "answerless": self._answerless,
            "first_answerless": self._first_answerless,
        }

    def take(self, told: Mapping[str, Any], lines: int) -> None:
        """Takes what another process counted in the lines that follow so many."""
        self._lengths += Counter(dict(told["lengths"]))
        self._learnt += Counter(dict(told["learnt"]))
        longest, line = told["longest"]
        if longest > self._longest:
            self._longest, self._longest_line = longest, line + lines
        self._learnt_after += told["learnt_after"]
        self._answerless += told["answerless"]
        for ours, theirs in ((self._first_lines, "first_lines"), (self._first_answerless, "first_answerless")):
            ours += [each + lines for each in told[theirs][: _MOST_LINES_NAMED - len(ours)]]

    def stats(self) -> TokenStats | None:
        """Returns the sums and how they are spread, if there was a row to count."""
        if not self._lengths:
            return None
        lengths, answers = _spread(self._lengths), _spread(self._learnt)
        return TokenStats(
            total=_sum(self._lengths),
            trained=_sum(self._learnt),
            longest=lengths.max,
            mean=lengths.mean,
            capped=sum(self._trained_on(length) * count for length, count in self._lengths.items()),
            lengths=lengths,
            answers=answers,
            capped_trained=self._learnt_after,
            rows=self._lengths.total(),
        )

    def problems(self, source: str) -> list[Problem]:
        """Returns a problem that stands for all rows that are too long, and one for those that lose their answers."""
        return [*self._too_long(source), *self._without_answers(source)]

    def _too_long(self, source: str) -> list[Problem]:
        too_long = sum(count for length, count in self._lengths.items() if self._is_too_long(length))
        if not too_long:
            return []
        rows = self._lengths.total()
        none_left = self._what_happens == "dropped" and too_long == rows
        refused = self._what_happens == "refused" or none_left
        would = "are refused" if self._what_happens == "refused" else f"would be {self._what_happens}"
        message = (
            f"{too_long:,} of {rows:,} rows are longer than {self._most:,} tokens and {would}"
            f"{', so that none is left' if none_left else ''}: {_lines(self._first_lines, too_long)}; "
            f"the longest is line {self._longest_line} with {self._longest:,}."
        )
        return [
            Problem(
                severity=Severity.ERROR if refused else Severity.WARNING,
                code="too-long",
                message=message,
                fix="Shorten them, split them, or choose a model that takes longer ones.",
                source=source,
                count=too_long,
            )
        ]

    def _without_answers(self, source: str) -> list[Problem]:
        if not self._answerless:
            return []
        message = (
            f"in {counted(self._answerless, 'row')} nothing is left to learn from after {self._most:,} tokens, if the "
            f"answer stands at the end: {_lines(self._first_answerless, self._answerless)}."
        )
        return [
            Problem(
                severity=Severity.WARNING,
                code="answer-cut-off",
                message=message,
                fix="Shorten the prompts: tokens are paid for that teach nothing.",
                source=source,
                count=self._answerless,
            )
        ]

    def _left_to_learn(self, tokens: int, trained: int) -> int:
        """Returns how much of an example is learnt from after it was cut, if its answer stands at the end."""
        if self._most is None or tokens <= self._most or self._what_happens == "refused":
            return trained
        return max(0, trained - (tokens - self._most)) if self._what_happens == "truncated" else 0

    def _is_too_long(self, length: int) -> bool:
        return self._most is not None and length > self._most

    def _trained_on(self, length: int) -> int:
        """Returns how many tokens of an example are trained on."""
        if self._most is None or length <= self._most or self._what_happens == "refused":
            return length
        return self._most if self._what_happens == "truncated" else 0


def _lines(first: list[int], of: int) -> str:
    """Names the first lines of so many."""
    more = f" and {of - len(first):,} more" if of > len(first) else ""
    return f"lines {', '.join(map(str, first))}{more}"


def _sum(counts: Counter[int]) -> int:
    return sum(value * count for value, count in counts.items())


def _spread(counts: Counter[int]) -> Spread:
    """Tells how values are spread, of which it is known how often each occurs."""
    values = sorted(counts)
    upto = list(accumulate(counts[value] for value in values))
    rows = upto[-1]

    def quantile(share: float) -> float:
        """As `numpy.quantile`: on the straight line between the two rows that it lies between."""
        place = share * (rows - 1)
        low = int(place)
        first, second = (values[bisect_right(upto, at)] for at in (low, min(low + 1, rows - 1)))
        return first + (second - first) * (place - low)

    return Spread(
        min=values[0],
        max=values[-1],
        mean=_sum(counts) / rows,
        median=quantile(0.5),
        p5=quantile(0.05),
        p95=quantile(0.95),
    )
