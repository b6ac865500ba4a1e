"""What was answered, and the file that keeps it: an answer costs, so it is not asked for twice."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from filelock import FileLock
from pydantic import Field, ValidationError

from ftkit.errors import ConfigurationError
from ftkit.models import Noun, UtcDatetime

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from ftkit.models import ChatMessage

VERSION = 1
"""Of what is hashed into a key: another one asks everything again."""


class Answer(Noun):
    """What a model answered to a question.

    Attributes:
        key: A hash of the account, the model, the messages and the options: the same is not asked twice.
        asked: A hash of the messages alone.
        account: The account that was asked.
        model: What was asked there.
        options: How it was to answer, but for what was left to the provider.
        text: The answer; None if there was none.
        error: Why there was none: the provider refused the question.
        seconds: How long it took, from the request to the whole answer, in seconds.
        prompt_tokens: Tokens of the prompt, where the provider tells.
        completion_tokens: Tokens of the answer, likewise.
        asked_at: When.
    """

    key: str
    asked: str
    account: str
    model: str
    options: dict[str, Any] = Field(default_factory=dict[str, Any])
    text: str | None = None
    error: str | None = None
    seconds: float
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    asked_at: UtcDatetime


def asked_of(messages: Sequence[ChatMessage]) -> str:
    """Returns a hash of what is sent."""
    return _hashed([message.model_dump(mode="json", exclude_none=True) for message in messages])


def key_of(account: str, model: str, asked: str, options: Mapping[str, Any]) -> str:
    """Returns what an answer is known by.

    Args:
        account: The account.
        model: What is asked there.
        asked: The hash of the messages.
        options: How it is to be answered, but for what is left to the provider.
    """
    return _hashed([VERSION, account, model, asked, dict(options)])


def _hashed(whole: object) -> str:
    text = json.dumps(whole, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def read_answers(path: Path) -> list[Answer]:
    """Reads the answers in a file, and does not write to it.

    Raises:
        ConfigurationError: The file is none of answers, or cannot be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"the answers in '{path}' cannot be read: {error.strerror}") from error
    return _parsed(path, content[: content.rfind(b"\n") + 1])


def _parsed(path: Path, content: bytes) -> list[Answer]:
    found: list[Answer] = []
    for number, line in enumerate(content.splitlines(), 1):
        try:
            found.append(Answer.model_validate_json(line))
        except ValidationError as error:
            message = f"'{path}', line {number}: it is no answer that was recorded here"
            raise ConfigurationError(message, hint="Name another file, or none.") from error
    return found


class Record:
    """The answers so far, in a file of one answer a line, which grows with each.

    A line that a dying process did not finish is dropped: that question is asked again. What was asked may be private,
    so nobody else can read the file.

    Args:
        path: The file, made if it is not there; None keeps nothing beyond this run.

    Raises:
        ConfigurationError: The file is none of answers, or cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self._path = None if path is None else Path(path)
        self._lock = threading.Lock()
        self._known: dict[str, Answer] = {}
        if self._path is not None:
            self._read(self._path)

    def __len__(self) -> int:
        return len(self._known)

    @property
    def path(self) -> Path | None:
        """Where the answers are kept."""
        return self._path

    def get(self, key: str) -> Answer | None:
        """Returns the answer to a question, if there is one."""
        return self._known.get(key)

    def recall(self, account: str, model: str, asked: str) -> Answer | None:
        """Returns the newest answer of a model to some messages, with whatever options it was asked."""
        found = (a for a in self._known.values() if (a.account, a.model, a.asked) == (account, model, asked))
        return max(found, key=lambda answer: answer.asked_at, default=None)

    def add(self, answer: Answer) -> None:
        """Keeps an answer."""
        line = answer.model_dump_json(exclude_none=True).encode() + b"\n"
        with self._lock:
            self._known[answer.key] = answer
            if self._path is not None:
                with self._writable(self._path) as file:
                    os.write(file.fileno(), line)

    @contextmanager
    def alone(self) -> Generator[None]:
        """Keeps other programs from asking with this file; what they have written meanwhile is known then."""
        if self._path is None:
            yield
            return
        with FileLock(self._path.with_name(f".{self._path.name}.lock"), mode=0o600):
            self._read(self._path)
            yield

    def _read(self, path: Path) -> None:
        with self._writable(path) as file:
            content = file.read()
            half = len(content) - (content.rfind(b"\n") + 1)
            if half:
                file.truncate(len(content) - half)
        for answer in _parsed(path, content[: len(content) - half]):
            self._known[answer.key] = answer

    @staticmethod
    def _writable(path: Path) -> BinaryIO:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
            return cast("BinaryIO", os.fdopen(descriptor, "r+b", buffering=0))
        except OSError as error:
            message = f"the answers cannot be kept in '{path}': {error.strerror}"
            raise ConfigurationError(message, hint="Name a file in a folder that is there.") from error
