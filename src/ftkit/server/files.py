"""The files: their bytes in a folder, under ids that we make; what else is known of them in the store."""

from __future__ import annotations

import csv
import io
import os
from typing import TYPE_CHECKING, Protocol

from ftkit.plugin.disk import remove, sync
from ftkit.server.errors import TOO_LARGE, ApiError, missing
from ftkit.server.records import FileRecord, new_id, now
from ftkit.server.store import ALL, Filter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ftkit.models import Metrics
    from ftkit.server.settings import Settings
    from ftkit.server.store import Slice, Store

TRAINING = "fine-tune"
RESULTS = "fine-tune-results"

_CHUNK = 2**20
_COLUMNS = {
    "step": "step",
    "train_loss": "train_loss",
    "train_accuracy": "train_mean_token_accuracy",
    "valid_loss": "valid_loss",
    "valid_mean_token_accuracy": "valid_mean_token_accuracy",
    "full_valid_loss": "full_valid_loss",
    "full_valid_mean_token_accuracy": "full_valid_mean_token_accuracy",
}
"""Columns of a results file, as OpenAI writes them, and what they are called among our metrics."""


class Readable(Protocol):
    """Bytes that are read piece by piece."""

    def read(self, size: int, /) -> bytes:
        """Returns the next bytes, at most `size`; none at the end."""
        ...


class Files:
    """The files of a server.

    Args:
        settings: Where they lie, and how many and how large they may be.
        store: What is known of them.
    """

    def __init__(self, settings: Settings, store: Store) -> None:
        self._folder = settings.files_folder
        self._incoming = settings.incoming_folder
        self._limits = settings.limits
        self._store = store
        for folder in (self._folder, self._incoming):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def add(self, source: Readable, filename: str, purpose: str, expires_s: int | None = None) -> FileRecord:
        """Takes a copy of a file.

        Args:
            source: Its bytes, read to the end.
            filename: Its name, for people.
            purpose: What it is for.
            expires_s: Seconds to live.

        Raises:
            ApiError: There are too many files, or a line of a training file is too long.
        """
        self.demand_room()
        record_id = new_id("file-")
        check = self._demand_short_lines if purpose == TRAINING else None
        size = keep(source, self._incoming / record_id, self.path(record_id), check)
        made = now()
        expires = None if expires_s is None else made + expires_s
        record = FileRecord(
            id=record_id, filename=filename, purpose=purpose, size=size, created_at=made, expires_at=expires
        )
        self._store.add(record)
        return record

    def add_results(self, rows: Sequence[Metrics]) -> FileRecord:
        """Writes the metrics of a job as a results file."""
        text = io.StringIO(newline="")
        table = csv.writer(text, lineterminator="\n")
        table.writerow(_COLUMNS)
        table.writerows([getattr(row, name) for name in _COLUMNS.values()] for row in rows)
        return self.add(io.BytesIO(text.getvalue().encode()), "step_metrics.csv", RESULTS)

    def demand_room(self) -> None:
        """Raises if there are as many files as may be.

        Raises:
            ApiError: There are.
        """
        if self._store.count(FileRecord) >= self._limits.files:
            raise ApiError(f"There are {self._limits.files} files already; delete some first.", code="file_limit")

    def get(self, file_id: str) -> FileRecord:
        """Returns what is known of a file.

        Raises:
            ApiError: There is none of that id, or its time is over.
        """
        record = self._store.find(FileRecord, file_id)
        if record is None or (record.expires_at is not None and record.expires_at <= now()):
            raise missing("File object", file_id)
        if self.path(record.id).is_symlink():  # none of ours: it would have us read what lies elsewhere
            raise missing("File object", file_id)
        return record

    def page(self, part: Slice, purpose: str | None) -> tuple[list[FileRecord], bool]:
        """Returns part of the list, and whether more follows."""
        return self._store.page(FileRecord, part, Filter(under=purpose))

    def path(self, file_id: str) -> Path:
        """Returns where the bytes of a file lie. The id is one of ours: it comes from a record."""
        return self._folder / f"{file_id}.jsonl"

    def name(self, file_id: str) -> str:
        """Returns the name that a file was sent under; its id if it is gone."""
        record = self._store.find(FileRecord, file_id)
        return record.filename if record is not None else file_id

    def delete(self, file_id: str) -> None:
        """Deletes a file. Jobs that were made with it and are past their check keep what they need.

        Raises:
            ApiError: There is none of that id.
        """
        self._remove(self.get(file_id))

    def tidy(self) -> None:
        """Deletes the files whose time is over."""
        for record in self._store.page(FileRecord, ALL, Filter(due=now()))[0]:
            self._remove(record)

    def sweep(self) -> None:
        """Removes what an earlier process left half-written, and bytes that no record knows. Asked at the start."""
        for path in self._incoming.iterdir():
            remove(path)
        known = {record.id for record in self._store.everything(FileRecord)}
        for path in self._folder.iterdir():
            if path.stem not in known:
                remove(path)

    def _remove(self, record: FileRecord) -> None:
        self._store.delete(FileRecord, record.id)
        self.path(record.id).unlink(missing_ok=True)

    def _demand_short_lines(self, chunk: bytes, begun: int) -> int:
        """Raises if a line is too long.

        Args:
            chunk: The next bytes.
            begun: Bytes of the line that they go on with.

        Returns:
            Bytes of the line that they leave open.
        """
        most, at = self._limits.line_bytes, -begun  # where the open line began, counted from this chunk
        while len(chunk) - at > most:
            end = chunk.rfind(b"\n", max(at, 0), at + most + 1)  # as far as may be: no need to look at every line
            if end < 0:
                raise ApiError(f"A line of the file is longer than {most} bytes.", param="file", code="line_too_long")
            at = end + 1
        last = chunk.rfind(b"\n", max(at, 0))
        return len(chunk) - (at if last < 0 else last + 1)


def keep(source: Readable, partial: Path, target: Path, check: Callable[[bytes, int], int] | None = None) -> int:
    """Copies bytes to where they stay, and returns how many when they would survive a loss of power.

    Args:
        source: The bytes.
        partial: Where they lie until all are there; on the same disk.
        target: Where they stay.
        check: Looks at each chunk, with what it returned for the one before (0 at first), and may raise.
    """
    seen = 0
    try:
        with partial.open("xb") as file:
            while chunk := source.read(_CHUNK):
                seen = check(chunk, seen) if check is not None else 0
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        partial.rename(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync(target.parent)
    return size


def too_large(most: int, param: str | None = None) -> ApiError:
    """Returns the error of a body or file that is too large."""
    return ApiError(f"That is more than {most} bytes.", status=TOO_LARGE, param=param, code="request_too_large")
