"""Scorers that compare an answer with the one that is wanted, without asking anybody: as text, as JSON, as a set."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ftkit.datasets._strict_json import StrictJSON
from ftkit.datasets._values import is_list, is_object, one_line
from ftkit.errors import ConfigurationError

if TYPE_CHECKING:
    from ftkit.evaluate.questions import Question

_HINT = "Mend the row, or score such answers with exact_match."


def exact_match(answer: str, question: Question) -> float:
    """Whether an answer is the wanted text, white space at both ends aside."""
    return float(answer.strip() == question.wanted.strip())


def json_match(answer: str, question: Question) -> float:
    """Whether an answer is the wanted JSON value, however it is written.

    The order of keys does not matter, nor does 1 or 1.0; the order of a list does. An answer that is no strict JSON
    scores 0: text around it, a key that occurs twice, NaN.

    Raises:
        ConfigurationError: The wanted answer is no JSON.
    """
    wanted, flaw = _parsed(question.wanted)
    if flaw:
        raise ConfigurationError(f"row {question.line}: the wanted answer is no JSON: {flaw}", hint=_HINT)
    given, flaw = _parsed(answer)
    return float(not flaw and _same(given, wanted))


def set_f1(answer: str, question: Question) -> float:
    """How well a JSON list of texts and numbers has the wanted ones: the F1 of both as sets.

    F1 is twice the number of common members, divided by the number of members of both sets: 1 if all are there and
    nothing else, 0 if none is. Neither case nor white space at the ends of a text matters. Two empty sets score 1, and
    an answer that is no such list scores 0.

    Raises:
        ConfigurationError: The wanted answer is no such list.
    """
    wanted = _members(question.wanted)
    if wanted is None:
        message = f"row {question.line}: the wanted answer is no JSON list of texts and numbers"
        raise ConfigurationError(message, hint=_HINT)
    given = _members(answer)
    if given is None:
        return 0.0
    together = len(given) + len(wanted)
    return 2 * len(given & wanted) / together if together else 1.0


def _parsed(text: str) -> tuple[Any, str | None]:
    """Returns a value, and what is wrong with its JSON."""
    try:
        value, flaw = StrictJSON().whole(text)
    except json.JSONDecodeError as error:
        return None, one_line(str(error))
    return value, one_line(flaw.message) if flaw else None


def _same(one: object, other: object) -> bool:
    """Whether two values are equal. No recursion: the caller may have used up most of the stack."""
    left: list[tuple[object, object]] = [(one, other)]
    while left:
        a, b = left.pop()
        if is_object(a) and is_object(b):
            if a.keys() != b.keys():
                return False
            left += ((value, b[key]) for key, value in a.items())
        elif is_list(a) and is_list(b):
            if len(a) != len(b):
                return False
            left += zip(a, b, strict=True)
        elif isinstance(a, bool) or isinstance(b, bool):  # to Python, true is 1
            if a is not b:
                return False
        elif a != b:
            return False
    return True


def _members(text: str) -> set[Any] | None:
    """Returns the members of a list of texts and numbers; None if it is something else."""
    value, flaw = _parsed(text)
    if flaw or not is_list(value):
        return None
    if any(isinstance(each, (bool, dict, list)) or each is None for each in value):
        return None
    return {each.strip().casefold() if isinstance(each, str) else each for each in value}
