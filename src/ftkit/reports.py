"""A report as text for people: grouped, so that a file with thousands of problems is told on a screen.

train.jsonl: not ready

  rows      1,204 of chat
  found     2,003 errors, 14 warnings, 1 note

ERRORS

  unknown-role: 2,000 times
    line 2  messages[1].role
      unknown role 'bot'. Use 'assistant'.
    and 1,999 more, on lines 3, 5, 8, 9, 12, ...

Lines have 80 letters, or as many as are asked for. There is no colour in it: it reads the same in a log.
"""

from __future__ import annotations

import shlex
import textwrap
from typing import TYPE_CHECKING

from ftkit.displays.grouping import common_fix, facts, is_rest, rest_told, sorts, telling, times, verdict
from ftkit.lifecycles import today_utc
from ftkit.models import Severity, counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ftkit.datasets.mending import Mended
    from ftkit.models import Problem, Report

WIDTH = 80
_SHOWN = 3
"""Problems of a sort that are shown in full."""
_LABEL = 10
_MENDABLE = frozenset({"unknown-role", "bad-weight", "bad-json"})
"""Codes of what `ftkit.datasets.mend` may be able to mend."""
_TITLES = {Severity.ERROR: "ERRORS", Severity.WARNING: "WARNINGS", Severity.NOTE: "NOTES"}


def render(report: Report, *, width: int = WIDTH, shown: int = _SHOWN) -> str:
    """Returns a report as text.

    Args:
        report: The report.
        width: Letters of a line; a word that is longer than that is not broken.
        shown: Problems of a sort that are shown in full; the others are counted.
    """
    blocks = [f"{report.source}: {verdict(report, today_utc())}", _facts(report, width)]
    for severity, title in _TITLES.items():
        problems = [problem for problem in report.problems if problem.severity is severity]
        if problems:
            blocks.append("\n\n".join([title, *groups(problems, width=width, shown=shown)]))
    if any("\n    and " in block for block in blocks):
        blocks.append("\n".join(_wrapped("The same command with --json tells those that are not shown.", 0, width)))
    if any(problem.code in _MENDABLE and problem.source == report.source for problem in report.errors):
        file = shlex.quote(report.source)
        target = "mended.jsonl" if report.source != "mended.jsonl" else "mended-again.jsonl"
        blocks.append(f"What of it is safe to mend is mended in a copy by:\n  ftkit check {file} --fix {target}")
    return "\n\n".join(blocks)


def groups(problems: Sequence[Problem], *, width: int = WIDTH, shown: int = _SHOWN) -> Iterator[str]:
    """Yields problems as text, those of a sort together, the most frequent sort first.

    Args:
        problems: The problems, of one severity.
        width: Letters of a line.
        shown: Problems of a sort that are shown in full.
    """
    for code, some in sorts(problems):
        yield "\n".join(_group(code, some, width, shown))


def _group(code: str, problems: Sequence[Problem], width: int, shown: int) -> Iterator[str]:
    number = times(problems)
    told = [problem for problem in problems if not is_rest(problem)]
    yield f"  {code}" if number == 1 else f"  {code}: {number:,} times"
    fix = common_fix(told)
    chosen = telling(told, shown)
    for n in chosen:
        yield from _problem(told[n], width, with_fix=fix is None)
    left = number - len(chosen)
    if left:
        yield from _wrapped(rest_told(problems, told, chosen, left), 4, width)
    if fix:
        yield from _wrapped(f"-> {fix}", 4, width)


def _problem(problem: Problem, width: int, *, with_fix: bool) -> Iterator[str]:
    where = [f"line {problem.line:,}"] if problem.line is not None else []
    where += [problem.field] if problem.field else []
    if where:
        yield f"    {'  '.join(where)}"
    yield from _wrapped(problem.message, 6 if where else 4, width)
    if problem.excerpt:
        yield from _wrapped(f"| {problem.excerpt}", 6 if where else 4, width)
    if with_fix and problem.fix:
        yield from _wrapped(f"-> {problem.fix}", 6 if where else 4, width)


def _wrapped(text: str, indent: int, width: int) -> list[str]:
    first = " " * indent
    hanging = first + "   " * text.startswith("-> ") + "  " * text.startswith("| ")
    return textwrap.wrap(
        text,
        max(width, 20),
        initial_indent=first,
        subsequent_indent=hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )


# -- what is known besides problems ------------------------------------------------------------------------------------


def _facts(report: Report, width: int) -> str:
    rows, *others = facts(report)
    pairs = [rows, ("found", _found(report)), *others]
    lines: list[str] = []
    for label, value in pairs:
        head = f"  {label:<{_LABEL}}"
        for line in value.splitlines():
            plain = line.lstrip()
            inner = " " * (_LABEL + 2 + len(line) - len(plain))
            lines += textwrap.wrap(plain, width, initial_indent=head or inner, subsequent_indent=inner)
            head = ""
    return "\n".join(lines)


def _found(report: Report) -> str:
    found = {
        severity: times(problem for problem in report.problems if problem.severity is severity) for severity in Severity
    }
    said = [counted(number, severity.value) for severity, number in found.items() if number]
    return ", ".join(said) or "nothing"


def render_mended(mended: Mended, *, width: int = WIDTH) -> str:
    """Returns what was mended, and the report of the copy, as text."""
    head = f"{mended.target}: {mended.written:,} of {counted(mended.rows, 'row')}, {counted(mended.mends, 'change')}"
    changes = ["\n\n".join(["CHANGES", *groups(mended.changes, width=width)])] if mended.changes else []
    return "\n\n".join([head, *changes, render(mended.report, width=width)])
