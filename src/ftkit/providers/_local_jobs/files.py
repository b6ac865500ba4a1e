"""Training files on this machine: copies in a folder, each with a note of what it is."""

from __future__ import annotations

import hashlib
import re
import shutil
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from pydantic import ValidationError

from ftkit.errors import NotFoundError, ProviderError
from ftkit.models import Page, TrainingFile
from ftkit.plugin.disk import disk_errors, landing, refuse_links, write_atomically

if TYPE_CHECKING:
    from pathlib import Path

_ID = re.compile(r"file-[0-9a-f]{24}")


class LocalFiles:
    """The files of one account.

    Args:
        folder: Holds them.
        provider: Name of the provider.
        identity: The account.
    """

    def __init__(self, folder: Path, provider: str, identity: str) -> None:
        self._folder = folder
        self._provider = provider
        self._identity = identity

    def add(self, path: Path, key: str) -> TrainingFile:
        """Takes a copy of a file. The same key again replaces it by the same content.

        Raises:
            QuotaError: The disk is full.
            ProviderError: It cannot be written.
        """
        file_id = f"file-{hashlib.sha256(key.encode()).hexdigest()[:24]}"
        refuse_links(self._provider, self._folder)
        with disk_errors(self._provider, f"'{path.name}' could not be copied", self._folder):
            self._folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # `mode` is not for parents
            self._folder.mkdir(mode=0o700, exist_ok=True)
            self._copy(path, self._data(file_id))
            file = TrainingFile(
                id=file_id,
                provider=self._provider,
                identity=self._identity,
                filename=path.name,
                size=self._data(file_id).stat().st_size,
                created_at=datetime.now(UTC),
                provider_status="processed",
            )
            write_atomically(self._note(file_id), file.model_dump_json(indent=2, exclude_none=True), durable=True)
        return file

    def get(self, file_id: str) -> TrainingFile:
        """Reads what is known of a file.

        Raises:
            NotFoundError: There is none of that id, or its content is not whole.
            ProviderError: What is known of it cannot be read.
        """
        if _ID.fullmatch(file_id):
            refuse_links(self._provider, self._folder, self._note(file_id), self._data(file_id))
            try:
                file = TrainingFile.model_validate_json(self._note(file_id).read_bytes())
                if file.id == file_id and self._data(file_id).stat().st_size == file.size:
                    return file
            except FileNotFoundError:
                pass
            except ValidationError as error:
                message = f"{self._note(file_id)} is damaged: {error}"
                raise ProviderError(message, provider=self._provider, hint="Upload the file again.") from error
        message = f"no file {file_id[:80]!r} in {self._folder}"
        raise NotFoundError(message, provider=self._provider, hint="Upload it again.")

    def path(self, file_id: str) -> Path:
        """Returns where the content of a file is. Errors as for `get`."""
        return self._data(self.get(file_id).id)

    def list_files(self, after: str | None, limit: int) -> Page[TrainingFile]:
        """Lists files, newest first.

        Args:
            after: The last file of the page before.
            limit: Most files on the page.
        """
        found: list[TrainingFile] = []
        for note in self._folder.glob("file-*.json"):
            with suppress(NotFoundError):  # deleted as we looked, or only half of it is there
                if note.is_symlink() or self._data(note.stem).is_symlink():  # none of ours
                    continue
                found.append(self.get(note.stem))
        found.sort(key=lambda file: (file.created_at or datetime.min.replace(tzinfo=UTC), file.id), reverse=True)
        if after is not None:
            ids = [file.id for file in found]
            found = found[ids.index(self.get(after).id) + 1 :]
        page = tuple(found[:limit])
        return Page(items=page, next=page[-1].id if len(found) > limit else None)

    def download(self, file_id: str, path: Path) -> None:
        """Writes the content of a file to `path`. Errors as for `get`, and a ProviderError if it cannot be written."""
        source = self.path(file_id)
        with disk_errors(self._provider, "the file could not be written", path.parent):
            self._copy(source, path)

    def delete(self, file_id: str) -> None:
        """Deletes a file. Errors as for `get`."""
        self.get(file_id)
        self._note(file_id).unlink(missing_ok=True)  # what has no note is nothing
        self._data(file_id).unlink(missing_ok=True)

    def _copy(self, source: Path, target: Path) -> None:
        with source.open("rb") as one, landing(target) as other:
            shutil.copyfileobj(one, other)

    def _data(self, file_id: str) -> Path:
        return self._folder / f"{file_id}.jsonl"

    def _note(self, file_id: str) -> Path:
        return self._folder / f"{file_id}.json"


class Files(Protocol):
    """Where the files of an account are kept."""

    def add(self, path: Path, key: str) -> TrainingFile:
        """Takes a copy of a file."""
        ...

    def get(self, file_id: str) -> TrainingFile:
        """Reads what is known of a file."""
        ...

    def list_files(self, after: str | None, limit: int) -> Page[TrainingFile]:
        """Lists files, newest first."""
        ...

    def download(self, file_id: str, path: Path) -> None:
        """Writes the content of a file to `path`."""
        ...

    def delete(self, file_id: str) -> None:
        """Deletes a file."""
        ...


class KeepsFiles:
    """The verbs of files, for a provider that has a place where it keeps them."""

    @cached_property
    def _files(self) -> Files:
        raise NotImplementedError

    def get_file(self, file_id: str) -> TrainingFile:
        """Reads what is known of a file."""
        return self._files.get(file_id)

    def list_files(self, after: str | None, limit: int) -> Page[TrainingFile]:
        """Lists files, newest first."""
        return self._files.list_files(after, limit)

    def download_file(self, file_id: str, path: Path) -> None:
        """Writes the content of a file to `path`."""
        self._files.download(file_id, path)

    def delete_file(self, file_id: str) -> None:
        """Deletes a file. What a job was made with, it keeps."""
        self._files.delete(file_id)
