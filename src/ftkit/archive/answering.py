"""The answers of tuned models to their validation files, kept while they can be asked, to hold a new model against."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

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
    from ftkit.models import FineTuningJob

MOST_ROWS = 100


class Answered(Noun):
    """What a job's model has answered. `str(answered)` is one line.

    Attributes:
        job_id: Id of the job.
        answers: How many rows of its validation file have an answer.
        why: Why there are none.
    """

    job_id: str
    answers: int = 0
    why: str | None = None

    def __str__(self) -> str:
        what = f"not asked: {self.why}" if self.why else f"{counted(self.answers, 'answer')} recorded"
        return f"{self.job_id}: {what}"


def record_answers(
    client: Client,
    folder: str | os.PathLike[str],
    jobs: Iterable[str] | None = None,
    *,
    limit: int = MOST_ROWS,
    max_tokens: int | None = None,
    at_once: int = 4,
) -> list[Answered]:
    """Asks tuned models their validation files, and keeps the answers in the archive. It costs what answers cost.

    A model that has to be deployed for it stands for as long as it is asked. What is recorded is not asked again.

    Args:
        client: The client of the account, whose jobs were exported before.
        folder: Folder of the archive.
        jobs: Ids of the jobs; None for all of the account that are in the archive.
        limit: The most rows of a file to ask.
        max_tokens: The most tokens of an answer.
        at_once: How many questions are out at a time.

    Returns:
        What came of each job: one whose model cannot be asked is told, and the others go on.

    Raises:
        ConfigurationError: There is no such archive, or the answers cannot be written.
    """
    name = account_name(client.provider.name, client.identity())
    archive = Archive(folder, account=name)
    record = Record(Path(folder) / name / ANSWERS)
    found: list[Answered] = []
    for job in _jobs(archive, jobs):
        try:
            answers = _ask(client, archive, job, record, limit, {"temperature": 0.0, "max_tokens": max_tokens}, at_once)
        except FtkitError as error:
            found.append(Answered(job_id=job.id, why=error.message))
        else:
            found.append(answers)
    return found


def _jobs(archive: Archive, jobs: Iterable[str] | None) -> Iterable[FineTuningJob]:
    if jobs is not None:
        return map(archive.get_job, jobs)
    return walk(lambda after: archive.list_jobs(after=after, limit=MOST_ROWS))


def _ask(
    client: Client,
    archive: Archive,
    job: FineTuningJob,
    record: Record,
    limit: int,
    options: dict[str, float | int | None],
    at_once: int,
) -> Answered:
    if job.status is not JobStatus.SUCCEEDED:
        return Answered(job_id=job.id, why=f"it is {job.status.value}")
    if job.validation_file is None:
        return Answered(job_id=job.id, why="it has no validation file")
    with tempfile.TemporaryDirectory(prefix="ftkit-") as place:
        file = archive.download_file(job.validation_file, Path(place) / "validation.jsonl")
        questions = questions_of(file, limit=limit)
    answers = ask([Candidate("old", job, client)], questions, options, record=record, at_once=at_once)
    return Answered(job_id=job.id, answers=sum(each.text is not None for each in answers["old"]))
