"""What came of an evaluation: how each model stands, and whether it was worth it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from ftkit.evaluate import telling
from ftkit.evaluate.intervals import Interval
from ftkit.models import BreakEven, Noun

if TYPE_CHECKING:
    import os


class Standing(Noun):
    """How a model did. Scores are of all questions; what it did not answer is wrong.

    Attributes:
        name: What the model is called in this evaluation.
        model: What was asked: a job or a checkpoint by its id, or a model by its name.
        account: In which account.
        scores: Each metric's mean, by its name, with its interval.
        asked: Questions that it was asked.
        unanswered: Questions that its provider refused.
        refusal: What the first refusal said.
        prompt_tokens: Mean tokens of a prompt, where the provider tells.
        completion_tokens: Mean tokens of an answer, likewise.
        seconds: Median time of an answer, in seconds; None if there was none.
        slowest_seconds: The time that 95 % of the answers took at most, in seconds.
    """

    name: str
    model: str
    account: str
    scores: dict[str, Interval]
    asked: int
    unanswered: int = 0
    refusal: str | None = None
    prompt_tokens: float | None = None
    completion_tokens: float | None = None
    seconds: float | None = None
    slowest_seconds: float | None = None


class Finding(StrEnum):
    """What an evaluation shows: YES, it is better; NO, it is not; UNPROVEN, there are too few rows to tell."""

    YES = "yes"
    NO = "no"
    UNPROVEN = "unproven"


class Verdict(Noun):
    """Whether one model is better than the best of the others. `str(verdict)` says it in a sentence.

    Attributes:
        finding: The answer.
        question: What was to be known.
        subject: The model that it is about.
        rival: The best of the others.
        metric: The metric that decides.
        difference: Score of the subject less that of the rival, over the same questions, with its interval.
        least_gain: What the difference must be above.
        confidence: How sure the interval is to hold the true difference.
        why: The reason, in words.
        rows_needed: About how many questions would tell, where these are too few.
    """

    finding: Finding
    question: str
    subject: str
    rival: str
    metric: str
    difference: Interval
    least_gain: float
    confidence: float
    why: str
    rows_needed: int | None = None

    def __str__(self) -> str:
        return f"{self.question} {self.finding.value.capitalize()}: {self.why}"


class Judged(Noun):
    """A question, and what each model answered.

    Attributes:
        line: Line of the question in its file, counted from 1.
        asked: The text of its last message.
        before: The text of what stands before that, such as a system message.
        wanted: The answer that is wanted.
        answers: Each model's answer, by the model's name; None where there was none.
        scores: Each model's score by the metric that decides.
    """

    line: int
    asked: str
    before: str = ""
    wanted: str
    answers: dict[str, str | None]
    scores: dict[str, float]


class Evaluation(Noun):
    """Models side by side, on the same questions. `str(evaluation)` is a table with the verdict below it.

    Attributes:
        standings: How each model did, in the order in which they were named.
        verdict: Whether it was worth it; None where there is nothing to compare.
        rows: Each question with all answers.
        at_once: How many questions were out at a time: the times are those under that load.
        seen: How many questions stand among the rows that were trained on, or that examples were drawn from: the tuned
            model may know them by heart.
        notes: What else must be known of it.
        break_even: After how many calls the training has paid for itself, where prices are known: with the prompt that
            is needed without it (the few-shot one, if that was asked), and the tokens that were counted here.
    """

    standings: tuple[Standing, ...]
    verdict: Verdict | None = None
    rows: tuple[Judged, ...] = ()
    at_once: int = 1
    seen: int = 0
    notes: tuple[str, ...] = ()
    break_even: BreakEven | None = None

    def __str__(self) -> str:
        return telling.as_text(self)

    def __getitem__(self, name: str) -> Standing:
        """Returns how a model did, by its name."""
        for standing in self.standings:
            if standing.name == name:
                return standing
        raise KeyError(name)

    @property
    def markdown(self) -> str:
        """The table and the verdict as Markdown."""
        return telling.as_markdown(self)

    @property
    def html(self) -> str:
        """The table, the verdict and the first questions as HTML: a piece of a page, without scripts."""
        return telling.as_html(self)

    def _repr_html_(self) -> str:
        """Returns what a notebook shows."""
        return self.html

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes it to a file: .md, .html or .json, by its ending.

        Raises:
            ConfigurationError: The path has another ending, or cannot be written.
        """
        telling.save(self, path)
