"""Training files at the Hub: each a private data set, named by its key, with a note of what it is."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pydantic import ValidationError

from ftkit.errors import NotFoundError, ProviderError
from ftkit.models import Page, TrainingFile
from ftkit.providers.huggingface.kinds import NAME

if TYPE_CHECKING:
    from pathlib import Path

    from ftkit.providers._hub_account import HubAccount

DATA = "data.jsonl"
"""The name of the content, in its repository."""
_NOTE = "ftkit.json"
_PREFIX = "ftkit-file-"
_ID = re.compile(rf"{_PREFIX}[0-9a-f]{{24}}")
_DATASET = "dataset"


class HubFiles:
    """The training files of one account.

    Args:
        account: The account.
        identity: The same, for our nouns.
    """

    def __init__(self, account: HubAccount, identity: str) -> None:
        self._account = account
        self._identity = identity

    def add(self, path: Path, key: str) -> TrainingFile:
        """Puts a file on the Hub. What was sent of it before is not sent again; the same key is the same data set.

        Raises:
            ProviderError: The Hub refuses it.
            ProviderUnavailableError: The Hub cannot be reached.
        """
        from huggingface_hub import CommitOperationAdd

        account, api = self._account, self._account.api
        file_id = f"{_PREFIX}{hashlib.sha256(key.encode()).hexdigest()[:24]}"
        repo = self.repo(file_id)
        file = TrainingFile(
            id=file_id,
            provider=NAME,
            identity=self._identity,
            filename=path.name,
            size=path.stat().st_size,
            created_at=datetime.now(UTC),
            provider_status="processed",
        )
        account.insist(lambda: api.create_repo(repo, repo_type=_DATASET, private=True, exist_ok=True))
        note = file.model_dump_json(indent=2, exclude_none=True).encode()
        # One commit: where the note is, the content is whole. Its parts that the Hub has already are not sent again.
        parts = [CommitOperationAdd(DATA, path), CommitOperationAdd(_NOTE, note)]
        message = "A training file, sent by ftkit"
        account.insist(lambda: api.create_commit(repo, parts, commit_message=message, repo_type=_DATASET))
        return file

    def get(self, file_id: str) -> TrainingFile:
        """Reads what is known of a file.

        Raises:
            NotFoundError: There is none of that id.
            ProviderError: What is known of it cannot be read.
        """
        if not _ID.fullmatch(file_id):
            raise self._unknown(file_id)
        try:
            note = self._account.fetch(self.repo(file_id), _NOTE, repo_type=_DATASET)
        except NotFoundError:
            raise self._unknown(file_id) from None
        try:
            file = TrainingFile.model_validate_json(note)
        except ValidationError as error:
            message = f"the note of file '{file_id}' is damaged: {error}"
            raise ProviderError(message, provider=NAME, hint="Upload the file again.") from error
        if file.id != file_id:  # it would have us read, and delete, what has that id
            message = f"the note of file '{file_id}' is damaged: it is for {file.id[:80]!r}"
            raise ProviderError(message, provider=NAME, hint="Upload the file again.")
        return file

    def list_files(self, after: str | None, limit: int) -> Page[TrainingFile]:
        """Lists files, newest first.

        Args:
            after: The last file of the page before.
            limit: Most files on the page.
        """
        api, owner = self._account.api, self._account.namespace
        with self._account.asked():
            listed = list(api.list_datasets(author=owner, search=_PREFIX, expand=["createdAt"]))
        made = {
            info.id.partition("/")[2]: info.created_at or datetime.fromtimestamp(0, UTC)
            for info in listed
            if info.id.partition("/")[0] == owner and _ID.fullmatch(info.id.partition("/")[2])
        }
        ids = sorted(made, key=lambda file_id: (made[file_id], file_id), reverse=True)
        if after is not None:
            if after not in made:
                raise self._unknown(after)
            ids = ids[ids.index(after) + 1 :]
        found: list[TrainingFile] = []
        for file_id in ids:
            if len(found) > limit:
                break
            try:
                found.append(self.get(file_id))
            except NotFoundError:
                continue  # deleted as we looked, or only its repository was made
        page = tuple(found[:limit])
        return Page(items=page, next=page[-1].id if len(found) > limit else None)

    def download(self, file_id: str, path: Path) -> None:
        """Writes the content of a file to `path`. Errors as for `get`, and one if it cannot be written."""
        self._account.download(self.repo(self.get(file_id).id), DATA, path, repo_type=_DATASET)

    def delete(self, file_id: str) -> None:
        """Deletes a file. Errors as for `get`."""
        repo = self.repo(self.get(file_id).id)
        self._account.ask(lambda: self._account.api.delete_repo(repo, repo_type=_DATASET))

    def repo(self, file_id: str) -> str:
        """Returns the Hub's name of a file's repository."""
        return f"{self._account.namespace}/{file_id}"

    @staticmethod
    def _unknown(file_id: str) -> NotFoundError:
        return NotFoundError(f"no file {file_id[:80]!r}", provider=NAME, hint="Upload it again.")
