"""What a record says: its texts, and its prompt and answer. Each is looked for once, and only if somebody wants it."""

from __future__ import annotations

import json
import re
import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ftkit.datasets._counting import contains
from ftkit.datasets._values import is_list, is_object
from ftkit.models import RecordKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

T = TypeVar("T")

_BETWEEN = "\x1f"
_APART = (f"{_BETWEEN},", f"{_BETWEEN}:")
_PLAIN = {"role", "content"}
_PLAIN_SIZE = len(_PLAIN)
_BLANKS = bytes(n for n in range(128) if n != ord(_BETWEEN) and not chr(n).isprintable()) + b" "
_MARKS = b"!\"'(),-.:;?`"
"""Marks as they stand in sentences. All others are symbols, which say something: C++ is not C#, and 5 % is not 5."""
_IGNORED = _BLANKS + _MARKS
_LOWER = bytes(range(256)).lower()
_HALF = sys.maxsize + 1
_OTHER_MARKS = {
    mark.encode(): plain.encode()
    for marks, plain in (
        ("\u00a0\u202f\u3000", " "),
        ("\u00ab\u00bb\u201c\u201d\u201e\u300c\u300d", '"'),
        ("\u2018\u2019", "'"),
        ("\u2010\u2013\u2014", "-"),
        ("\u2026\u3002", "."),
        ("\u3001\uff0c", ","),
        ("\uff01\u00a1", "!"),
        ("\uff1a", ":"),
        ("\uff1f\u00bf", "?"),
    )
    for mark in marks
}
"""Spaces, quotes, dashes and stops that are no ASCII, as people write them -> the same in ASCII."""
_BEGINNINGS = {mark[:-1]: [each for each in _OTHER_MARKS if each[:-1] == mark[:-1]] for mark in _OTHER_MARKS}
"""How they begin, as UTF-8 -> those that do: most texts are done with after these few."""
_END = _BETWEEN.encode()
_NOTHING = 2 * _END
"""A text of which nothing is left."""
_SOME_BLANKS = re.compile(rb"\s+")
_NUMBER = re.compile(rb"([0-9]+)")
_SHORT = 4
"""Bytes between two numbers of a table, of which there are few different ones."""
_DIGITS = b"0123456789"
_CONVERSATIONS = {
    RecordKind.CHAT: ("messages",),
    RecordKind.ITEM: ("messages",),
    RecordKind.PREFERENCE: ("prompt", "chosen", "rejected"),
}
_ANSWERS = {RecordKind.PREFERENCE: "chosen", RecordKind.CHAT: "messages"}
_TEXTS = {RecordKind.PROMPT_COMPLETION: ("prompt", "completion"), RecordKind.TEXT: ("text",)}


class _Once(Generic[T]):
    """`functools.cached_property` without its lock, which takes longer than most of what is looked for here."""

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make = make
        self._name = make.__name__
        self.__doc__ = make.__doc__

    def __get__(self, said: Any, owner: type) -> T:  # noqa: ANN401 - whatever has it
        value = said.__dict__[self._name] = self._make(said)
        return value


class Said:
    """One canonical record, as those see it who look for what is no error.

    Attributes:
        kind: Its kind.
        record: The record.
    """

    def __init__(self, kind: RecordKind, record: Mapping[str, Any]) -> None:
        self.kind = kind
        self.record = record

    @_Once
    def raw(self) -> bytes:
        """All texts after one another, as UTF-8; those of tool calls among them."""
        if self.kind is RecordKind.CHAT and self.is_plain:
            return "\n".join([message["content"] for message in self.messages]).encode("utf-8", "surrogatepass")
        return "\n".join([text for _, text in self.texts()]).encode("utf-8", "surrogatepass")

    @_Once
    def is_plain(self) -> bool:
        """Whether it is made of texts alone: prompt and completion, or messages that have role and text."""
        if self.kind in _TEXTS:
            return True
        if self.kind is not RecordKind.CHAT or len(self.record) > 1:
            return False
        for message in self.messages:
            if len(message) != _PLAIN_SIZE or message["content"].__class__ is not str:
                return False
        return True

    def texts(self) -> Iterator[tuple[str, str]]:
        """Yields where a text stands, and the text."""
        for name in _TEXTS.get(self.kind, ()):
            yield name, self.record[name]
        for name in _CONVERSATIONS.get(self.kind, ()):
            for index, message in enumerate(self.record[name]):
                content = message.get("content")
                if isinstance(content, str):
                    yield f"{name}[{index}].content", content
                if len(message) > _PLAIN_SIZE or is_list(content):
                    yield from _others(f"{name}[{index}]", message)

    @_Once
    def messages(self) -> list[dict[str, Any]]:
        """The messages of a chat or an item, or the prompt of a preference; none in other records."""
        fields = _CONVERSATIONS.get(self.kind)
        messages: list[dict[str, Any]] = self.record[fields[0]] if fields else []
        return messages

    @_Once
    def halves(self) -> tuple[str, str] | None:
        """The prompt and the answer that is learnt, each as one text; None where a record has no such halves.

        The answer of a chat is its last message if that is the assistant's, and what a grader reads is that of an item.
        """
        if self.kind is RecordKind.PROMPT_COMPLETION:
            return self.record["prompt"], self.record["completion"]
        if self.kind is RecordKind.PREFERENCE:
            return _joined(self.messages), _joined(self.record["chosen"])
        if self.kind is RecordKind.ITEM:
            return _joined(self.messages), _dumped({k: v for k, v in self.record.items() if k != "messages"})
        if self.kind is RecordKind.CHAT and self.messages and self.messages[-1].get("role") == "assistant":
            return _joined(self.messages[:-1]), _joined(self.messages[-1:])
        return None

    @_Once
    def answer(self) -> tuple[str, int | None, str] | None:
        """The field in which the answer is, which message of it, and its text; None where there is none in words."""
        if self.kind is RecordKind.PROMPT_COMPLETION:
            return "completion", None, self.record["completion"]
        field = _ANSWERS.get(self.kind)
        if field is None:
            return None
        messages = self.record[field]
        for index in range(len(messages) - 1, -1, -1):
            message = messages[index]
            if message.get("role") == "assistant" and isinstance(message.get("content"), str):
                return field, index, message["content"]
        return None

    @_Once
    def whole(self) -> str:
        """All of the record as one text: two records are the same if these are."""
        if self.is_plain:
            return _BETWEEN.join(self.halves) if self.halves else self._only_half
        return _dumped(self.record)

    @_Once
    def bare(self) -> bytes:
        """What two records have in common that are near-identical."""
        if self.is_plain and self.halves:
            return self.bare_prompt + b"\0" + self.bare_answer
        return bare(self.whole)

    @_Once
    def bare_prompt(self) -> bytes:
        """The same of the prompt, if there are halves."""
        return bare(self.halves[0]) if self.halves else b""

    @_Once
    def bare_answer(self) -> bytes:
        """The same of the answer, if there are halves."""
        return bare(self.halves[1]) if self.halves else b""

    @property
    def _only_half(self) -> str:
        return self.record["text"] if self.kind is RecordKind.TEXT else _joined(self.messages)


def _others(place: str, message: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yields the texts of a message that are in parts of it, or in its calls of tools."""
    content: object = message.get("content")
    for index, part in enumerate(content) if is_list(content) else ():
        if is_object(part) and isinstance(part.get("text"), str):
            yield f"{place}.content[{index}].text", part["text"]
    for index, call in enumerate(message.get("tool_calls") or ()):
        yield f"{place}.tool_calls[{index}].function.arguments", call["function"]["arguments"]


def _joined(messages: Sequence[dict[str, Any]]) -> str:
    """Returns messages as one text, with the quick way for those that have role and text alone."""
    pieces: list[str] = []
    for message in messages:
        content = message.get("content")
        if len(message) == _PLAIN_SIZE and isinstance(content, str):
            pieces += (message["role"], content)
        else:
            return _dumped(list(messages))
    return _BETWEEN.join(pieces)


def _dumped(value: object) -> str:
    """Returns a value as JSON, in which what stands between texts is what no text of JSON can hold."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=_APART, default=str)


def key_of(text: str | bytes) -> int:
    """Returns 64 bits that stand for a text while this process lives: Python's own hash, which is quick. Never 0.

    It is keyed by a secret of the process (PEP 456), so that nobody can write a file of rows that seem to be the same.
    """
    return hash(text) + _HALF or 1


def bare(text: str) -> bytes:
    """Returns a text in lower case without spaces and marks: two texts are near-identical if these are the same.

    Marks stay where they belong to a number, and where there is nothing else.
    """
    raw = text.encode() if text.isascii() else _with_plain_marks(text)
    if len(raw.translate(None, _DIGITS)) == len(raw):
        short = raw.translate(_LOWER, _IGNORED)
        if _NOTHING not in b"".join((_END, short, _END)):
            return short
    return _END.join([_bare(part) for part in raw.translate(_LOWER).split(_END)])


def _with_plain_marks(text: str) -> bytes:
    raw = text.casefold().encode("utf-8", "surrogatepass")
    for beginning, marks in _BEGINNINGS.items():
        if contains(raw, beginning):
            for mark in marks:
                if contains(raw, mark):
                    raw = raw.replace(mark, _OTHER_MARKS[mark])
    return raw


def _bare(part: bytes) -> bytes:
    """Returns what is left of one text, in lower case already."""
    gaps = _NUMBER.split(part)
    if len(gaps) == 1:
        return part.translate(None, _IGNORED) or b" ".join(part.split())  # marks alone are what it says
    last = len(gaps) - 1
    for n in range(0, last + 1, 2):
        left = _short_gap if len(gaps[n]) <= _SHORT else _gap
        gaps[n] = left(gaps[n], n > 0, n < last)
    return b"".join(gaps)


def _gap(gap: bytes, after: bool, before: bool) -> bytes:  # noqa: FBT001 - keywords cost time, a million times
    """Returns what is left of what stands after a number, before one, or between two."""
    if after and before and not gap.strip(_IGNORED):  # 1.5 is neither 15 nor 1 5
        return b"-" if gap.strip(_BLANKS) == b"-" else _SOME_BLANKS.sub(b" ", gap)
    first = last = b""
    if after:  # 3 - x is not 3 x, and 3! is not 3; but a number may end a sentence
        first = b"-" if gap.lstrip(_BLANKS).startswith(b"-") else b"!" if gap.startswith(b"!") else b""
    if before:  # -5 is not 5, and .5 neither
        marks = gap[len(gap.rstrip(_IGNORED)) :]
        last = marks[len(marks.rstrip(_MARKS)) :] or (b"-" if b"-" in marks else b"")
    return first + gap.translate(None, _IGNORED) + last


_short_gap = lru_cache(4096)(_gap)
