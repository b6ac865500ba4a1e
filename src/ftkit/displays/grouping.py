"""What of a report people are told, and in which order: the same as text and in a notebook."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Sequence
    from datetime import date

    from ftkit.models import Problem, Report

_LINES_NAMED = 5


def verdict(report: Report, today: date) -> str:
    """Returns whether a job may start, in words.

    Args:
        report: The report.
        today: The date of today, in UTC.
    """
    if not report.ok:
        return "not ready"
    last = report.lifecycle.training_ends if report.lifecycle else None
    if last is not None and last < today:  # what was announced may have been put off
        return "the data is ready, but the model may take no jobs any more"
    return "ready"


def facts(report: Report) -> Iterator[tuple[str, str]]:
    """Yields what is known besides problems, each under its name: a new fact is a new line here."""
    kind = report.kind.value if report.kind else None
    yield "rows", f"{report.rows:,} of {kind}" if kind else f"{report.rows:,}, of no kind that is known"
    if report.tokens is not None:
        yield "tokens", str(report.tokens)
    if report.estimate is not None:
        yield "price", str(report.estimate).removeprefix("price ")
    if report.break_even is not None:
        yield "worth it", str(report.break_even)
    if report.lifecycle is not None:
        is_told = any(problem.code == "ending" for problem in report.problems)  # which has all but the dates
        yield "model", str(report.lifecycle).splitlines()[0] if is_told else str(report.lifecycle)


def sorts(problems: Iterable[Problem]) -> list[tuple[str, list[Problem]]]:
    """Returns problems by their codes, the most frequent sort first."""
    by_code: dict[str, list[Problem]] = {}
    for problem in problems:
        by_code.setdefault(problem.code, []).append(problem)
    return sorted(by_code.items(), key=lambda item: -times(item[1]))


def times(problems: Iterable[Problem]) -> int:
    """Returns how often a sort of problem was found: one that stands for the rest of its sort counts as many times."""
    return sum(problem.count if is_rest(problem) else 1 for problem in problems)


def is_rest(problem: Problem) -> bool:
    """Whether a problem stands for the rest of its sort."""
    return problem.line is None and problem.message.startswith("and ") and problem.count > 0


def telling(problems: Sequence[Problem], most: int) -> list[int]:
    """Returns which problems tell most of their sort: those with other advice, then other words, then the first."""
    advice: dict[str | None, int] = {}
    words: dict[str, int] = {}
    for n, problem in enumerate(problems):
        advice.setdefault(problem.fix, n)
        words.setdefault(problem.message, n)
    return sorted([*dict.fromkeys([*advice.values(), *words.values(), *range(min(len(problems), most))])][:most])


def common_fix(told: Sequence[Problem]) -> str | None:
    """Returns the advice of several problems, if it is the same for all."""
    return told[0].fix if len(told) > 1 and all(problem.fix == told[0].fix for problem in told) else None


def rest_told(problems: Sequence[Problem], told: Sequence[Problem], chosen: Container[int], left: int) -> str:
    """Says how many problems of a sort are not shown, and on which lines the first of them are.

    Args:
        problems: The problems of the sort.
        told: Those of them that do not stand for others.
        chosen: Which of those are shown.
        left: How many are not.
    """
    first = told[0].source if told else None  # lines of another file would be taken for its own
    others = dict.fromkeys(
        p.line for n, p in enumerate(told) if n not in chosen and p.line is not None and p.source == first
    )
    lines = ", ".join(f"{line:,}" for line in islice(others, _LINES_NAMED))
    dots = ", ..." if len(others) > _LINES_NAMED or len(told) < times(problems) else ""
    return f"and {left:,} more{f', on lines {lines}{dots}' if lines else ''}"
