"""What a scorer is: a function that says how good an answer is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ftkit.evaluate.questions import Question


class Scorer(Protocol):
    """Says how good an answer is: any function of an answer and its question."""

    def __call__(self, answer: str, question: Question, /) -> float:
        """Returns a score from 0 (wrong) to 1 (right); True and False will do."""
        ...


def name_of(scorer: Scorer) -> str:
    """Returns what a scorer is called in tables: its `name`, or that of the function or class."""
    named = getattr(scorer, "name", None) or getattr(scorer, "__name__", None)
    return str(named or type(scorer).__name__).replace("_", " ")
