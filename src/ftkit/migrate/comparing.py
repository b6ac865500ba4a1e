"""Holds a new model against the old one that it is to replace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from ftkit.archive import Archive
from ftkit.errors import NotFoundError
from ftkit.evaluate import Candidate, Record, compare, suited
from ftkit.evaluate.answers import asked_of
from ftkit.evaluate.verdicts import REPLACES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ftkit.client import Client
    from ftkit.evaluate import Evaluation, Question, Scorer
    from ftkit.evaluate.questions import Rows
    from ftkit.migrate.planning import Source
    from ftkit.models import FineTuningJob

OLD, UNTUNED, NEW = "old", "new, untuned", "new"
ANSWERS = "answers.jsonl"
MOST_ROWS = 100
AS_GOOD = -0.05
"""How much worse the new model may be, as a share, to count as as good as the old one."""
_GONE = "The old model cannot be asked any more"
_INSTEAD = "The new one is compared with its base model."


@dataclass(frozen=True)
class Comparison:
    """How old and new are compared.

    Attributes:
        rows: The rows that they are asked; the validation file of the old job if None.
        metric: What says how good an answer is; one that suits the rows if None.
        limit: The most rows to ask.
        max_tokens: The most tokens of an answer.
        as_good: How much the new model's score may differ at least: -0.05 lets it be five points worse.
        at_once: How many questions are out at a time.
    """

    rows: Rows | None = None
    metric: Scorer | Sequence[Scorer] | None = None
    limit: int | None = MOST_ROWS
    max_tokens: int | None = None
    as_good: float = AS_GOOD
    at_once: int = 4


AS_USUAL = Comparison()


def compared(
    old_job: FineTuningJob,
    new_job: FineTuningJob,
    source: Source,
    client: Client,
    questions: Sequence[Question],
    folder: Path,
    comparison: Comparison,
    *,
    progress: bool,
) -> tuple[Evaluation, str | None]:
    """Asks old and new the same questions.

    Returns:
        What came of it. Where the old model cannot be asked any more, the new one is held against its own base model,
        and the second value says why.
    """
    record = Record(folder / ANSWERS)
    old = _old(source, old_job, record)
    answered = [each for each in questions if old.client is not None or _has_answered(old, each, record)]
    new = [Candidate(UNTUNED, new_job.model, client), Candidate(NEW, new_job, client)]
    how: dict[str, Any] = {
        "subject": NEW,
        "metric": suited(questions) if comparison.metric is None else comparison.metric,
        "max_tokens": comparison.max_tokens,
        "at_once": comparison.at_once,
        "record": record,
        "progress": progress,
    }
    if not answered:
        return compare(questions, new, **how), f"{_GONE}: none of its answers to these rows were recorded. {_INSTEAD}"
    replaces: dict[str, Any] = {"rivals": [OLD], "question": REPLACES, "least_gain": comparison.as_good}
    try:
        found = compare(answered, [old, *new], **replaces, **how)
    except NotFoundError as error:
        return compare(questions, new, **how), f"{_GONE}: {error.message}. {_INSTEAD}"
    few = len(answered) < len(questions)
    why = f"The old model has answered {len(answered)} of these {len(questions)} rows: only those are compared."
    return found, why if few else None


def _has_answered(old: Candidate, question: Question, record: Record) -> bool:
    return record.recall(old.account, old.model, asked_of(question.messages)) is not None


def _old(source: Source, job: FineTuningJob, record: Record) -> Candidate:
    """Returns the old model: behind its client, or as far as it answered while it could."""
    if not isinstance(source, Archive):
        return Candidate(OLD, job, cast("Client", source))
    for answer in source.answers(job):
        if record.get(answer.key) is None:
            record.add(answer)
    return Candidate(OLD, job)
