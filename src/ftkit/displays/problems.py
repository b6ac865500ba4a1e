"""A report in a notebook: a head, what is known, and the problems, those of a sort together."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ftkit.displays import html
from ftkit.displays.grouping import common_fix, facts, is_rest, rest_told, sorts, telling, times, verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ftkit.displays.html import Html
    from ftkit.models import Problem, Report

_SHOWN = 5
"""Problems of a sort that are shown in full."""
_MOST = 100
"""Problems of a report that are shown in full."""
_TITLES = {"error": ("errors", "bad"), "warning": ("warnings", "doubtful"), "note": ("notes", "going")}


def report_html(report: Report) -> Html:
    """Returns a report as HTML."""
    said = verdict(report, datetime.now(UTC).date())
    look = "good" if said == "ready" else "bad" if not report.ok else "doubtful"
    parts = [
        html.head(html.text(f"{report.source}:"), html.marked(said, look)),
        html.pairs((name, html.text(fact)) for name, fact in facts(report)),
        *_problems(report),
    ]
    return html.page(*parts)


def _problems(report: Report) -> Iterator[Html]:
    room, untold = _MOST, 0
    for severity, (title, look) in _TITLES.items():
        of_it = [problem for problem in report.problems if problem.severity.value == severity]
        groups: list[Html] = []
        for code, some in sorts(of_it):
            told = telling([problem for problem in some if not is_rest(problem)], min(_SHOWN, room))
            if room:
                groups.append(_group(code, some, told, report.source))
            else:
                untold += times(some)
            room -= len(told)
        if of_it:
            number = times(of_it)
            heading = f"{number:,} {title if number > 1 else severity}"
            yield html.folded(html.marked(heading, look), *groups, is_open=severity != "note")
    if untold:
        yield html.note(f"and {untold:,} more problems of other sorts: they are in report.problems")


def _group(code: str, problems: Sequence[Problem], chosen: Sequence[int], source: str) -> Html:
    told = [problem for problem in problems if not is_rest(problem)]
    number, fix = times(problems), common_fix(told)
    parts = [html.head(html.text(code), html.text(f"{number:,} times" if number > 1 else ""))]
    parts += [html.line(f"-> {fix}")] if fix else []
    parts.append(_table([told[n] for n in chosen], source, with_fix=fix is None))
    if number > len(chosen):
        parts.append(html.note(rest_told(problems, told, chosen, number - len(chosen))))
    return html.Html(f'<div style="margin:2px 0 6px 1em">{"".join(parts)}</div>')


def _table(problems: Sequence[Problem], source: str, *, with_fix: bool) -> Html:
    """Returns problems as a table: a column for all that is known of one of them."""
    columns: dict[str, list[str | None]] = {
        "file": [problem.source for problem in problems],
        "line": [f"{problem.line:,}" if problem.line is not None else None for problem in problems],
        "field": [problem.field for problem in problems],
        "what": [problem.message for problem in problems],
        "there": [problem.excerpt for problem in problems],
        "mend it": [problem.fix if with_fix else None for problem in problems],
    }
    if {*columns["file"]} <= {source, None}:  # which the head names
        del columns["file"]
    kept = {name: cells for name, cells in columns.items() if any(cells)}
    rows = zip(*kept.values(), strict=True)
    return html.table([*kept], ([html.text(cell or "") for cell in row] for row in rows), wraps=True)
