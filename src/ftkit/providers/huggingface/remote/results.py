"""What a job has left at the Hub: its folder as of the last checkpoint, and the tuned model."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from pydantic import ValidationError

from ftkit.errors import NotFoundError, ProviderError, ProviderUnavailableError
from ftkit.models import JobEvent
from ftkit.providers._local_jobs import JobState
from ftkit.providers._local_jobs.folder import EVENTS, STATUS
from ftkit.providers.huggingface import checkpoints
from ftkit.providers.huggingface.checkpoints import Mark
from ftkit.providers.huggingface.kinds import NAME

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ftkit.models import JobRequest
    from ftkit.providers._hub_account import HubAccount

BRANCH = "training"
"""Where the job's folder is; `main` is the tuned model."""
TOLD = "ftkit-event: "
"""What a line of a job's log begins with that holds an event."""
_OTHER = re.compile(r"[^A-Za-z0-9]+")
_LONGEST_SUFFIX = 60
_MODEL = re.compile(r"(?P<owner>[\w.-]+)/(?:[\w-]+-)?(?P<job>ftjob-[0-9a-f]{24})", re.ASCII)
_SEALED = re.compile(rf"{checkpoints.FOLDER}/checkpoint-[0-9]{{1,18}}/{checkpoints.MARK}")
_NUMBER = re.compile(r"[0-9]{1,18}")


def repository_of(namespace: str, job: str, request: JobRequest | None) -> str:
    """Returns the Hub's name of the repository of a job, which is that of its model."""
    suffix = _OTHER.sub("-", request.suffix or "").strip("-")[:_LONGEST_SUFFIX].strip("-") if request else ""
    return f"{namespace}/{suffix}-{job}" if suffix else f"{namespace}/{job}"


def job_of_model(namespace: str, model: str) -> str | None:
    """Returns the job that a model came of; None if that cannot be one of this account's."""
    match = _MODEL.fullmatch(model)
    return match["job"] if match and match["owner"] == namespace else None


class JobRepository:
    """The repository of one job.

    Args:
        account: The account.
        name: Its name at the Hub.
        job: The id of the job.
    """

    def __init__(self, account: HubAccount, name: str, job: str) -> None:
        self._account = account
        self._job = job
        self.name = name

    def state(self) -> JobState | None:
        """Reads how far the job was when it last wrote that down; None if it never did."""
        content = self._fetch(STATUS)
        if content is None:
            return None
        try:
            return JobState.model_validate_json(content)
        except ValidationError as error:
            message = f"{STATUS} in {self.name} cannot be read: {error}"
            raise ProviderUnavailableError(message, provider=NAME) from error

    def events(self) -> list[JobEvent]:
        """Reads the events that were written down, oldest first."""
        content = self._fetch(EVENTS) or b""
        return list(_read(content.decode(errors="replace").split("\n"), self._job))

    def checkpoints(self) -> list[Mark]:
        """Lists the checkpoints, newest first."""
        account, api = self._account, self._account.api
        try:
            with account.asked():
                tree = api.list_repo_tree(self.name, checkpoints.FOLDER, recursive=True, revision=BRANCH)
                sealed = [entry.path for entry in tree if _SEALED.fullmatch(entry.path)]
        except NotFoundError:
            return []
        found: list[Mark] = []
        for name in sealed:
            content = self._fetch(name)
            if content is not None:
                found.append(self._mark(name, content))
        return sorted(found, key=lambda mark: mark.step, reverse=True)

    def delete(self) -> None:
        """Deletes the repository: the model, its checkpoints, and what was written down of the job.

        Raises:
            NotFoundError: It is not there.
        """
        self._account.ask(lambda: self._account.api.delete_repo(self.name))

    def _mark(self, name: str, content: bytes) -> Mark:
        try:
            return Mark.model_validate_json(content)
        except ValidationError as error:
            raise ProviderError(f"{name} in {self.name} cannot be read: {error}", provider=NAME) from error

    def _fetch(self, name: str) -> bytes | None:
        try:
            return self._account.fetch(self.name, name, revision=BRANCH)
        except NotFoundError:
            return None


def events_in_log(lines: Iterable[str], job: str) -> list[JobEvent]:
    """Returns the events that are in a log, oldest first."""
    return list(_read((line.removeprefix(TOLD) for line in lines if line.startswith(TOLD)), job))


def words_in_log(lines: Iterable[str], most: int = 15) -> list[str]:
    """Returns the last lines of a log that hold no event."""
    return [line for line in lines if line.strip() and not line.startswith(TOLD)][-most:]


def _read(lines: Iterable[str], job: str) -> Iterator[JobEvent]:
    for line in lines:
        try:
            event = JobEvent.model_validate({**json.loads(line), "job_id": job})
        except (ValueError, TypeError, RecursionError):  # a line that was cut off, or is somebody else's
            continue
        if _NUMBER.fullmatch(event.id):
            yield event
