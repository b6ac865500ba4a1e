"""The answers of tuned models to their validation files, kept while they can be asked, to hold a new model against."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tqdm import tqdm

from ftkit.archive._trying import walk
from ftkit.archive.layout import ANSWERS, account_name
from ftkit.archive.reading import Archive
from ftkit.errors import FtkitError
from ftkit.evaluate import Candidate, Record, ask, questions_of
from ftkit.models import JobStatus, Noun, counted

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from ftkit.client import Client
    from ftkit.evaluate import Question
    from ftkit.evaluate.questions import Rows
    from ftkit.models import FineTuningJob

MOST_ROWS = 100


class Answered(Noun):
    """What a job's model has answered. `str(answered)` is one line.

    Attributes:
        job_id: Id of the job.
        answers: How many rows have an answer.
        asked: How many of them were asked now, and not before.
        why: Why there are none.
        later: Whether it can be asked later: it has not ended, or its model did not answer.
    """

    job_id: str
    answers: int = 0
    asked: int = 0
    why: str | None = None
    later: bool = False

    def __str__(self) -> str:
        there = "" if self.asked == self.answers else f" ({self.answers - self.asked:,} there already)"
        what = f"not asked: {self.why}" if self.why else f"{counted(self.answers, 'answer')} recorded{there}"
        return f"{self.job_id}: {what}"


def record_answers(
    client: Client,
    folder: str | os.PathLike[str],
    jobs: Iterable[str] | None = None,
    *,
    rows: Rows | None = None,
    limit: int = MOST_ROWS,
    max_tokens: int | None = None,
    at_once: int = 4,
    progress: bool = True,
) -> list[Answered]:
    """Asks tuned models their validation files, or other rows, and keeps the answers in the archive.

    It costs what answers cost. A model that has to be deployed for it stands for as long as it is asked. What is
    recorded is not asked again.

    Args:
        client: The client of the account, whose jobs were exported before.
        folder: Folder of the archive.
        jobs: Ids of the jobs; None for all of the account that are in the archive.
        rows: The rows to ask of each model; those of its own validation file if None.
        limit: The most rows of a file to ask.
        max_tokens: The most tokens of an answer.
        at_once: How many questions are out at a time.
        progress: Show on a terminal how far it is.

    Returns:
        What came of each job: one whose model cannot be asked is told, and the others go on.

    Raises:
        ConfigurationError: There is no such archive, or the answers cannot be written.
    """
    name = account_name(client.provider.name, client.identity())
    archive = Archive(folder, account=name)
    record = Record(Path(folder) / name / ANSWERS)
    how = _How(questions_of(rows, limit=limit) if rows is not None else None, limit, max_tokens, at_once)
    found: list[Answered] = []
    with tqdm(desc="asking", unit=" answers", disable=None if progress else True) as bar:  # None: unless a terminal
        for job in _jobs(archive, jobs):
            try:
                answers = _ask(client, archive, job, record, how, bar)
            except FtkitError as error:
                found.append(Answered(job_id=job.id, why=error.message, later=True))
            else:
                found.append(answers)
    return found


class _How(NamedTuple):
    """How models are asked.

    Attributes:
        questions: What all are asked; None for the rows of each one's validation file.
        limit: The most rows of such a file.
        max_tokens: The most tokens of an answer.
        at_once: How many questions are out at a time.
    """

    questions: tuple[Question, ...] | None
    limit: int
    max_tokens: int | None
    at_once: int


def _jobs(archive: Archive, jobs: Iterable[str] | None) -> Iterable[FineTuningJob]:
    if jobs is not None:
        return map(archive.get_job, jobs)
    return walk(lambda after: archive.list_jobs(after=after, limit=MOST_ROWS))


def _ask(client: Client, archive: Archive, job: FineTuningJob, record: Record, how: _How, bar: tqdm[Any]) -> Answered:
    if job.status is not JobStatus.SUCCEEDED:
        return Answered(job_id=job.id, why=f"it is {job.status.value}", later=not job.status.is_terminal)
    questions = how.questions
    if questions is None:
        if job.validation_file is None:
            return Answered(job_id=job.id, why="it has no validation file: name rows to ask, rows=... (--test FILE)")
        with tempfile.TemporaryDirectory(prefix="ftkit-") as place:
            file = archive.download_file(job.validation_file, Path(place) / "validation.jsonl")
            questions = questions_of(file, limit=how.limit)
    before = len(record)
    options = {"temperature": 0.0, "max_tokens": how.max_tokens}
    answers = ask(
        [Candidate("old", job, client)],
        questions,
        options,
        record=record,
        at_once=how.at_once,
        told=lambda _name, _place, _answer: bar.update(),
    )
    given = sum(each.text is not None for each in answers["old"])
    return Answered(job_id=job.id, answers=given, asked=min(given, len(record) - before))
