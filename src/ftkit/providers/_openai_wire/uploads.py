"""Sending a file: whole, or in parts that are not sent twice.

The service keeps nothing of a file but its name and size. So the key is in the name, and what a process sent that died
before it could write that down is found again: a job is known by its files.
"""

from __future__ import annotations

import hashlib
import logging
import time
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from tqdm import tqdm

from ftkit.errors import ProviderError, ProviderUnavailableError, RateLimitError
from ftkit.providers._openai_wire.bodies import Body, FileBody

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ftkit.plugin.notes import Notes
    from ftkit.providers._openai_wire.line import Line

logger = logging.getLogger("ftkit")

T = TypeVar("T")

WHOLE = 512 * 10**6
"""Largest file that is sent in one piece: 512 MB, OpenAI's Files API. In MB, to be within either reading of it."""
PART = 64 * 10**6
"""Largest part: 64 MB, OpenAI's Uploads API."""

_SHOWN = 8 * 10**6
"""Files from this size on show a progress bar."""
_PURPOSE = "fine-tune"
_FILES = 1000
"""Files on a page, of 10,000 at most (OpenAI's Files API)."""
_STEM = 40
"""Letters of a file's own name that are kept in the name it is sent under."""
_KIND = "application/jsonl"
_TRIES = 5
_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 30.0
_MARGIN_S = 60
_FAILED = frozenset({"error", "deleted", "deleting"})


class UploadBody(Body):
    """An upload in parts."""

    id: str
    expires_at: int = 0
    file: FileBody | None = None


class PartBody(Body):
    """A part of an upload."""

    id: str


class Sender:
    """Sends files to a service.

    Args:
        line: The way there.
        provider: Name of the provider.
        notes: Where the parts are written down that were sent already.
        patience_s: Seconds that a file may be processed.
        whole: Largest file that is sent in one piece, in bytes.
        part: Size of a part, in bytes.
    """

    def __init__(
        self, line: Line, provider: str, notes: Notes, patience_s: float, *, whole: int = WHOLE, part: int = PART
    ) -> None:
        self._line = line
        self._provider = provider
        self._notes = notes
        self._patience_s = patience_s
        self._most = whole
        self._part = part

    def send(self, path: Path, key: str) -> FileBody:
        """Sends a file, and returns when the service has processed it.

        Args:
            path: The file.
            key: Stands for account, content and layout: what was sent under it before is not sent again.

        Raises:
            ProviderError: The service finds fault with the file.
            ProviderUnavailableError: It is not processed in time.
        """
        size, name = path.stat().st_size, _sent_name(path, key)
        there = self._again(partial(self._there, name, size))
        if there is not None:
            return self._processed(there)
        disable = True if size < _SHOWN else None  # None: shown on a terminal only
        with tqdm(total=size, unit="B", unit_scale=True, desc=path.name, disable=disable, leave=False) as bar:
            body = self._whole(path, name, bar) if size <= self._most else self._in_parts(path, name, key, bar)
        return self._processed(body)

    def _there(self, name: str, size: int) -> FileBody | None:
        """Returns the file of a name that the service has, whole and without fault."""
        files = self._line.walk(
            FileBody, self._line.client.files.with_raw_response.list, purpose=_PURPOSE, limit=_FILES
        )
        fits = (body for body in files if (body.filename, body.bytes) == (name, size) and body.status not in _FAILED)
        return next(fits, None)

    def _whole(self, path: Path, name: str, bar: tqdm[Any]) -> FileBody:
        create = self._line.client.files.with_raw_response.create
        with path.open("rb") as file:
            return self._line.ask(FileBody, create, file=(name, _Counted(file, bar), _KIND), purpose=_PURPOSE)

    def _in_parts(self, path: Path, name: str, key: str, bar: tqdm[Any]) -> FileBody:
        begun = self._begun(key)
        if begun is not None:
            try:
                return self._go_on(path, key, bar, *begun)
            except (ProviderUnavailableError, RateLimitError):
                raise
            except ProviderError as error:  # the service has let go of it, though our clock says that it has time yet
                logger.info("%s: what was begun of the upload is gone; beginning anew: %s", self._provider, error)
                bar.reset()
        return self._go_on(path, key, bar, *self._begin(name, key, path.stat().st_size))

    def _go_on(self, path: Path, key: str, bar: tqdm[Any], upload_id: str, parts: list[str]) -> FileBody:
        """Sends the parts that are missing, and returns the file that all become."""
        uploads, size = self._line.client.uploads, path.stat().st_size
        bar.update(min(len(parts) * self._part, size))
        with path.open("rb") as file:
            file.seek(len(parts) * self._part)
            while chunk := file.read(self._part):
                parts.append(self._again(partial(self._send_part, upload_id, chunk)))
                with self._notes.change() as notes:
                    notes[_name(key)]["parts"] = parts
                bar.update(len(chunk))
        complete = uploads.with_raw_response.complete
        done = self._again(lambda: self._line.ask(UploadBody, complete, upload_id, part_ids=parts))
        with self._notes.change() as notes:
            notes.pop(_name(key), None)
        if done.file is None:
            raise ProviderUnavailableError(f"the upload {upload_id} became no file", provider=self._provider)
        return done.file

    def _begin(self, name: str, key: str, size: int) -> tuple[str, list[str]]:
        create = self._line.client.uploads.with_raw_response.create
        asked: dict[str, Any] = {"filename": name, "bytes": size, "mime_type": _KIND, "purpose": _PURPOSE}
        begun = self._again(lambda: self._line.ask(UploadBody, create, **asked))
        with self._notes.change() as notes:
            notes[_name(key)] = {"id": begun.id, "expires_at": begun.expires_at, "part": self._part, "parts": []}
        return begun.id, []

    def _begun(self, key: str) -> tuple[str, list[str]] | None:
        """Returns what was begun before a break, if it can be gone on with."""
        note = self._notes.read().get(_name(key))
        if note is None or note["part"] != self._part or note["expires_at"] < time.time() + _MARGIN_S:
            return None
        return str(note["id"]), list(note["parts"])

    def _send_part(self, upload_id: str, data: bytes) -> str:
        create = self._line.client.uploads.parts.with_raw_response.create
        return self._line.ask(PartBody, create, upload_id, data=("part", data, "application/octet-stream")).id

    def _again(self, send: Callable[[], T]) -> T:
        """Sends something again after a break: it costs nothing, and a part that came twice is used once."""
        for attempt in range(1, _TRIES):
            try:
                return send()
            except (ProviderUnavailableError, RateLimitError) as error:
                asked = error.retry_after_s if isinstance(error, RateLimitError) else None
                time.sleep(min(asked if asked is not None else _PAUSE_S * 2**attempt, _LONGEST_PAUSE_S))
        return send()

    def _processed(self, body: FileBody) -> FileBody:
        """Waits until a file is processed: a job that is made before would fail."""
        retrieve = self._line.client.files.with_raw_response.retrieve
        deadline, pause = time.monotonic() + self._patience_s, _PAUSE_S / 4
        while body.status != "processed":
            if body.status in _FAILED:
                why = body.status_details or f"the file is {body.status}"
                hint = "See the data's rules: client.check() finds most of what is wrong before anything is sent."
                raise ProviderError(f"the file {body.id} was refused: {why}", provider=self._provider, hint=hint)
            if time.monotonic() >= deadline:
                message = f"the file {body.id} is still '{body.status}' after {self._patience_s:g} s"
                raise ProviderUnavailableError(message, provider=self._provider, hint="Run it again later.")
            time.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE_S / 3)
            body = self._again(partial(self._line.ask, FileBody, retrieve, body.id))
        return body


class _Counted:
    """A file whose reading moves a bar."""

    def __init__(self, file: Any, bar: tqdm[Any]) -> None:  # noqa: ANN401 - a file open for reading bytes
        self._file = file
        self._bar = bar

    def read(self, size: int = -1, /) -> bytes:
        """Returns the next bytes."""
        data: bytes = self._file.read(size)
        self._bar.update(len(data))
        return data

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - what the file has
        return getattr(self._file, name)


def _name(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _sent_name(path: Path, key: str) -> str:
    """Returns the name that a file is sent under: its own, and what stands for its key."""
    return f"{path.stem[:_STEM]}-{_name(key)[:16]}{path.suffix}"
