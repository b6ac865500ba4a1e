"""An evaluation as text, as Markdown and as HTML: one table, the verdict below it."""

from __future__ import annotations

from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING

from ftkit.displays import html
from ftkit.errors import ConfigurationError
from ftkit.models import counted
from ftkit.plugin.disk import place_for

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable

    from ftkit.displays.html import Html
    from ftkit.evaluate.outcome import Evaluation, Standing

_NOTHING = "-"
_WIDTH = 100
"""Letters of a line of text."""
_SHOWN = 10
_LONGEST = 300
_LOOKS = {"yes": "good", "no": "bad", "unproven": "doubtful"}


def columns_of(evaluation: Evaluation) -> list[str]:
    """Returns the head of the table."""
    metrics = [name for each in evaluation.standings[:1] for name in each.scores]
    return ["", *metrics, "tokens in", "tokens out", "seconds", "p95 seconds"]


def cells_of(standing: Standing) -> list[str]:
    """Returns a row of the table."""
    scores = [str(interval) for interval in standing.scores.values()]
    tokens = [_number(standing.prompt_tokens, ",.0f"), _number(standing.completion_tokens, ",.0f")]
    return [standing.name, *scores, *tokens, _number(standing.seconds, ".2f"), _number(standing.slowest_seconds, ".2f")]


def _number(value: float | None, form: str) -> str:
    return _NOTHING if value is None else format(value, form)


def notes_of(evaluation: Evaluation) -> list[str]:
    """Returns what must be known beside the table, line by line."""
    rows = max((each.asked for each in evaluation.standings), default=0)
    confidence = f" {evaluation.verdict.confidence:.0%}" if evaluation.verdict else ""
    tokens = f"tokens are the means of a call, seconds the median, with {evaluation.at_once} at a time"
    notes = [f"{counted(rows, 'row')}; scores with{confidence} intervals; {tokens}."]
    notes += [
        f"{each.name}: {each.unanswered:,} of {each.asked:,} were refused, and count as wrong: {each.refusal}"
        for each in evaluation.standings
        if each.unanswered
    ]
    notes += evaluation.notes
    if evaluation.seen:
        where = "the file that was trained on, or that the examples come from"
        notes.append(f"Beware: {evaluation.seen:,} of the rows stand in {where}. They may be known by heart.")
    if evaluation.verdict is not None:
        notes.append(str(evaluation.verdict))
    if evaluation.break_even is not None:
        notes.append(f"What it costs: {evaluation.break_even}")
    return notes


def as_text(evaluation: Evaluation) -> str:
    """Returns it for a terminal."""
    lines = [columns_of(evaluation), *map(cells_of, evaluation.standings)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    notes = [line for note in notes_of(evaluation) for part in note.splitlines() for line in wrap(part, _WIDTH)]
    return "\n".join([*table, "", *notes])


def as_markdown(evaluation: Evaluation) -> str:
    """Returns it as Markdown."""
    head = columns_of(evaluation)
    lines = [head, ["---"] * len(head), *map(cells_of, evaluation.standings)]
    table = "\n".join(f"| {' | '.join(_escaped(line))} |" for line in lines)
    return (
        "\n\n".join([table, *(" ".join(_escaped([note])).replace("\n", "  \n") for note in notes_of(evaluation))])
        + "\n"
    )


def _escaped(words: Iterable[str]) -> list[str]:
    """Makes text harmless in a table: names and errors may hold what Markdown or HTML would take for its own."""
    return [word.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("`", "'") for word in words]


def as_html(evaluation: Evaluation) -> Html:
    """Returns it as HTML."""
    table = html.table(
        columns_of(evaluation), ([html.text(cell) for cell in cells_of(each)] for each in evaluation.standings)
    )
    models = "; ".join(f"{each.name}: {each.model} ({each.account})" for each in evaluation.standings)
    (about, *notes), verdict = notes_of(evaluation), evaluation.verdict
    parts = [html.head(html.text("Evaluation")), table, html.line(about), html.note(models)]
    if verdict is not None:
        parts.append(
            html.head(html.text(verdict.question), html.marked(verdict.finding.value, _LOOKS[verdict.finding]))
        )
        parts.append(html.line(verdict.why))
    parts += [html.line(note) for note in notes if verdict is None or note != str(verdict)]
    if evaluation.rows:
        parts.append(
            html.folded(
                html.text(f"The first {counted(len(evaluation.rows[:_SHOWN]), 'row')}"),
                _rows(evaluation),
                is_open=False,
            )
        )
    return html.page(*parts)


def _rows(evaluation: Evaluation) -> Html:
    names = [each.name for each in evaluation.standings]
    lines = (
        [
            _short("\n\n".join(filter(None, [row.before, row.asked]))),
            _short(row.wanted),
            *(_answer(row.answers[name], row.scores[name]) for name in names),
        ]
        for row in evaluation.rows[:_SHOWN]
    )
    return html.table(["asked", "wanted", *names], lines, wraps=True)


def _answer(answer: str | None, score: float) -> Html:
    if answer is None:
        return html.marked("not answered", "doubtful")
    return html.marked(_cut(answer), "good" if score >= 1 else "bad" if score <= 0 else "doubtful")


def _short(text: str) -> Html:
    return html.text(_cut(text))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."


def check_target(path: str | os.PathLike[str]) -> None:
    """Refuses a path that an evaluation cannot be written to, before what it is made of was paid.

    Raises:
        ConfigurationError: It has another ending than .md, .html or .json, is a folder, or in one that is not there.
    """
    target = Path(path)
    if target.suffix.lower() not in _WAYS:
        message = f"'{target}' has none of the endings that an evaluation can be written as"
        raise ConfigurationError(message, hint=f"They are {', '.join(_WAYS)}.")
    place_for(target)


def save(evaluation: Evaluation, path: str | os.PathLike[str]) -> None:
    """Writes it to a file, by its ending.

    Raises:
        ConfigurationError: As from `check_target`; or it cannot be written.
    """
    check_target(path)
    target = Path(path)
    try:
        target.write_text(_WAYS[target.suffix.lower()](evaluation), encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"the evaluation cannot be written to '{target}': {error.strerror}") from error


def _page(evaluation: Evaluation) -> str:
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        "<title>Evaluation</title><style>body{font:16px/1.5 sans-serif;margin:2rem;color-scheme:light dark}</style>"
        f"{as_html(evaluation)}</html>\n"
    )


_WAYS: dict[str, Callable[[Evaluation], str]] = {
    ".md": as_markdown,
    ".html": _page,
    ".json": lambda evaluation: evaluation.model_dump_json(indent=2) + "\n",
}
