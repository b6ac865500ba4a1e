"""Uploads: files that come in parts, and are whole only when all parts are there."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from typing import TYPE_CHECKING, BinaryIO

from ftkit.server.errors import ApiError, missing
from ftkit.server.files import keep
from ftkit.server.records import PartRecord, UploadRecord, UploadWord, new_id, now

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ftkit.server.files import Files, Readable
    from ftkit.server.records import FileRecord
    from ftkit.server.settings import Settings
    from ftkit.server.store import Store

_CHUNK = 2**20


class Uploads:
    """The uploads of a server.

    Args:
        settings: Where parts lie, and how large they may be.
        store: What is known of them.
        files: Where they end.
    """

    def __init__(self, settings: Settings, store: Store, files: Files) -> None:
        self._folder = settings.parts_folder
        self._incoming = settings.incoming_folder
        self._limits = settings.limits
        self._store = store
        self._files = files
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def begin(self, filename: str, purpose: str, size: int, file_seconds: int | None) -> UploadRecord:
        """Begins an upload.

        Raises:
            ApiError: It would be too large, or there are too many files.
        """
        if size > self._limits.upload_bytes:
            message = f"An upload has at most {self._limits.upload_bytes} bytes."
            raise ApiError(message, param="bytes", code="invalid_value")
        self._files.demand_room()
        record = UploadRecord(
            id=new_id("upload_"),
            filename=filename,
            purpose=purpose,
            size=size,
            created_at=now(),
            expires_at=now() + self._limits.upload_s,
            file_seconds=file_seconds,
        )
        self._store.add(record)
        return record

    def get(self, upload_id: str) -> UploadRecord:
        """Returns an upload; one whose time is over is expired.

        Raises:
            ApiError: There is none of that id.
        """
        record = self._store.find(UploadRecord, upload_id)
        if record is None:
            raise missing("Upload", upload_id)
        if record.word is UploadWord.PENDING and record.expires_at <= now():
            record = self._end(record, UploadWord.EXPIRED)
        return record

    def add_part(self, upload_id: str, source: Readable, size: int) -> PartRecord:
        """Takes a copy of a part.

        Raises:
            ApiError: The upload is not pending, or the part does not fit in.
        """
        upload = self._pending(upload_id)
        if size > self._limits.part_bytes:
            message = f"A part has at most {self._limits.part_bytes} bytes."
            raise ApiError(message, param="data", code="invalid_value")
        record = PartRecord(id=new_id("part_"), upload_id=upload_id, size=size, created_at=now())
        keep(source, self._incoming / record.id, self._path(record))
        try:
            with self._store.transaction():
                self._pending(upload_id)
                self._demand_space(upload, size)
                self._store.add(record)
        except BaseException:
            self._path(record).unlink()
            raise
        return record

    def complete(self, upload_id: str, part_ids: Sequence[str], md5: str | None) -> tuple[UploadRecord, FileRecord]:
        """Puts the parts together, in the order given. Asked again, it answers again.

        Raises:
            ApiError: A part is not of this upload, the bytes are not as many as announced, or not those announced.
        """
        upload = self.get(upload_id)
        if upload.word is UploadWord.COMPLETED and upload.file_id is not None:
            return upload, self._files.get(upload.file_id)
        self._pending(upload_id)
        parts = [self._part(upload, part_id) for part_id in part_ids]
        size = sum(part.size for part in parts)
        if size != upload.size:
            message = f"The parts have {size} bytes, and {upload.size} were announced."
            raise ApiError(message, param="part_ids", code="invalid_value")
        self._demand_md5(parts, md5)
        with ExitStack() as opened:
            joined = _Joined([opened.enter_context(self._path(part).open("rb")) for part in parts])
            file = self._files.add(joined, upload.filename, upload.purpose, upload.file_seconds)
        with self._store.transaction():
            now_there = self.get(upload_id)
            if now_there.word is UploadWord.PENDING:
                return self._end(upload, UploadWord.COMPLETED, file.id), file
        self._files.delete(file.id)  # it was asked twice at once, and the other one was faster
        return self.complete(upload_id, part_ids, md5)

    def cancel(self, upload_id: str) -> UploadRecord:
        """Ends an upload; no part can be added to it any more.

        Raises:
            ApiError: It has ended already.
        """
        return self._end(self._pending(upload_id), UploadWord.CANCELLED)

    def tidy(self) -> None:
        """Ends the uploads whose time is over."""
        for record in self._store.everything(UploadRecord, under=UploadWord.PENDING.value):
            self.get(record.id)

    def _pending(self, upload_id: str) -> UploadRecord:
        upload = self.get(upload_id)
        if upload.word is not UploadWord.PENDING:
            raise ApiError(f"The upload {upload_id} is {upload.word.value}.", param="upload_id", code="invalid_value")
        return upload

    def _part(self, upload: UploadRecord, part_id: str) -> PartRecord:
        part = self._store.find(PartRecord, part_id)
        if part is None or part.upload_id != upload.id or self._path(part).is_symlink():
            raise missing("part of this upload", part_id, "part_ids")
        return part

    def _demand_space(self, upload: UploadRecord, size: int) -> None:
        there = sum(part.size for part in self._store.everything(PartRecord, under=upload.id))
        if there + size > upload.size:
            message = f"{upload.size} bytes were announced, {there} are there, and this part has {size} more."
            raise ApiError(message, param="data", code="invalid_value")

    def _demand_md5(self, parts: Sequence[PartRecord], md5: str | None) -> None:
        if md5 is None:
            return
        digest = hashlib.md5(usedforsecurity=False)
        for part in parts:
            with self._path(part).open("rb") as file:
                while chunk := file.read(_CHUNK):
                    digest.update(chunk)
        if digest.hexdigest() != md5.lower():
            message = f"The MD5 of the bytes is {digest.hexdigest()}."
            raise ApiError(message, param="md5", code="invalid_value")

    def _end(self, upload: UploadRecord, word: UploadWord, file_id: str | None = None) -> UploadRecord:
        news = {"word": word, "file_id": file_id}
        ended = self._store.change(UploadRecord, upload.id, lambda record: record.model_copy(update=news))
        for part in self._store.everything(PartRecord, under=upload.id):
            self._path(part).unlink(missing_ok=True)
        self._store.delete_under(PartRecord, upload.id)
        return ended

    def _path(self, part: PartRecord) -> Path:
        return self._folder / part.id


class _Joined:
    """Reads several files as if they were one."""

    def __init__(self, files: Sequence[BinaryIO]) -> None:
        self._files = list(files)

    def read(self, size: int, /) -> bytes:
        """Returns the next bytes; none at the end."""
        while self._files:
            if chunk := self._files[0].read(size):
                return chunk
            self._files.pop(0)
        return b""
