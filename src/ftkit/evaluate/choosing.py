"""Metrics by their names, and the one that suits the rows."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from ftkit.datasets._values import is_list, is_object
from ftkit.errors import ConfigurationError
from ftkit.evaluate.matching import exact_match, json_match, set_f1
from ftkit.evaluate.sql import ExecutionMatch
from ftkit.methods import near

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ftkit.evaluate.questions import Question
    from ftkit.evaluate.scoring import Scorer

_QUERY = re.compile(r"\s*(select|with)\b", re.IGNORECASE)
_TABLE = re.compile(r"\bcreate\s+table\b", re.IGNORECASE)

METRICS: dict[str, Callable[[], Scorer]] = {
    "exact": lambda: exact_match,
    "json": lambda: json_match,
    "set-f1": lambda: set_f1,
    "sql": ExecutionMatch,
}
"""The metrics that need no more than the rows, by the names that commands have for them."""


def metric_named(name: str) -> Scorer:
    """Returns a metric by its name.

    Raises:
        ConfigurationError: There is no such metric.
    """
    made = METRICS.get(name)
    if made is None:
        message = f"there is no metric '{name}'{near(name, METRICS) or '.'}"
        raise ConfigurationError(message, hint=f"There are: {', '.join(METRICS)}.")
    return made()


def suited(questions: Sequence[Question]) -> Scorer:
    """Returns the metric for rows by what is wanted.

    Queries on tables that the question names are run; lists of words are sets, other JSON is JSON; all else is text.
    """
    if all(_QUERY.match(each.wanted) and _TABLE.search(each.text) for each in questions):
        return ExecutionMatch()
    found = [_json(each.wanted) for each in questions]
    if all(is_list(each) and all(isinstance(item, str) for item in each) for each in found):
        return set_f1
    return json_match if all(is_list(each) or is_object(each) for each in found) else exact_match


def check_wanted(scorer: Scorer, questions: Sequence[Question]) -> None:
    """Lets a metric see the wanted answers before anything is asked. One of a user's own may cost, and is not called.

    Raises:
        ConfigurationError: A wanted answer is none that it can compare with.
    """
    if scorer in {json_match, set_f1} or isinstance(scorer, ExecutionMatch):
        for question in questions:
            scorer(question.wanted, question)


def _json(text: str) -> object:
    try:
        value: object = json.loads(text)
    except ValueError:
        return None
    return value
