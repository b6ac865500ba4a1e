"""Knows the rows in which surely nothing is wrong, many at once. Of all others it says nothing: they are looked at.

A block of lines is decoded by msgspec into types that say what a plain row of its kind holds, and no more: that is
where UTF-8, the syntax of JSON and the names and types of fields are seen to. What those types cannot say is seen to
here, by counting bytes: that no key occurs twice, and that no part of a key is written as an escape.
"""

from __future__ import annotations

import os.path
import re
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, TypeAlias, cast

import msgspec

from ftkit.datasets._counting import contains, count
from ftkit.models import RecordKind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ftkit.models import DatasetRules

Quick: TypeAlias = "QuickText | QuickChat"

_SHORT = re.compile(rb"-?\d{1,15}(?:\.\d{1,15})?|true|false|null")
_SIMPLE = re.compile(r"[A-Za-z0-9_ .-]{1,60}")
"""A name that is written in one way only."""
_PLACE = re.compile(r"`\$\[(\d+)\]|\(byte (\d+)\)$")
"""Where msgspec says that an error is."""
_Text: TypeAlias = Annotated[str, msgspec.Meta(min_length=1)]
_Weight: TypeAlias = Literal[0, 1]
_Absent: TypeAlias = msgspec.UnsetType
_PLAIN_ROLES = frozenset({"system", "developer", "user"})
"""Roles of which nothing is asked but that their content is text."""
_FIELDS = {RecordKind.PROMPT_COMPLETION: ("prompt", "completion"), RecordKind.TEXT: ("text",)}


def quick_of(kind: RecordKind, rules: DatasetRules, beside: Sequence[str] = ()) -> Quick | None:
    """Returns what knows the plain rows of a kind; None where each row has to be looked at.

    Args:
        kind: The kind of the file's records.
        rules: What is asked of them.
        beside: Names of fields that rows may have besides, and that are no part of a record.
    """
    extra = _Beside([name for name in beside if _SIMPLE.fullmatch(name)])
    marks = _Marks(rules, extra.names)
    if kind in _FIELDS:
        return QuickText(_FIELDS[kind], marks, extra)
    if kind is RecordKind.CHAT and rules.needs_assistant and "assistant" in rules.roles:
        return QuickChat(rules, marks, extra)
    return None


class Suspect(NamedTuple):
    """There is a row that has to be looked at.

    Attributes:
        line: The line that it is on, or that follows it, counted from 0; None if that is not known.
    """

    line: int | None


class Plain(NamedTuple):
    """Rows in which surely nothing is wrong.

    Attributes:
        rows: The records, in their canonical form.
        ignored: Names of the fields that are no part of it, for each row that has some.
    """

    rows: list[msgspec.Struct]
    ignored: list[list[str]]


class QuickText:
    """Knows rows of one or two texts, of which the last is what is learnt."""

    def __init__(self, fields: Sequence[str], marks: _Marks, beside: _Beside) -> None:
        texts = [*((name, str) for name in fields[:-1]), (fields[-1], _Text)]
        beside.expect(texts)
        self._keys = [f'"{name}"'.encode() for name in fields]
        self._learnt = cast("Callable[[Any], str]", attrgetter(fields[-1]))
        self._marks, self._beside = marks, beside

    def rows(self, raw: bytes) -> Plain | Suspect:
        """Returns the rows of whole lines, a row on each, or where one is that has to be looked at."""
        rows = self._beside.decoded(raw)
        if isinstance(rows, Suspect):
            return rows
        learnt = self._learnt
        for number, row in enumerate(rows):
            if learnt(row).isspace():
                return Suspect(number)
        is_whole = _one_on_each_line(raw, len(rows)) and not self._marks.are_in(raw)
        if not is_whole or any(count(raw, key) != len(rows) for key in self._keys):
            return Suspect(None)
        return self._beside.told(raw, rows)


class QuickChat:
    """Knows conversations of text that end with an answer."""

    def __init__(self, rules: DatasetRules, marks: _Marks, beside: _Beside) -> None:
        self._answer, messages = _conversation(rules)
        beside.expect([("messages", messages)])
        self._marks, self._beside = marks, beside

    def rows(self, raw: bytes) -> Plain | Suspect:
        """Returns the rows of whole lines, a row on each, or where one is that has to be looked at."""
        rows = self._beside.decoded(raw)
        if isinstance(rows, Suspect):
            return rows
        answer, total = self._answer, 0
        for number, row in enumerate(rows):
            messages = row.messages
            total += len(messages)
            if messages[-1].__class__ is not answer:
                return Suspect(number)
            for message in messages:
                if message.__class__ is answer and message.content.isspace():
                    return Suspect(number)
        names, weights = count(raw, b'"name"'), count(raw, b'"weight"')
        if (names or weights) and not self._are_labelled(rows, names, weights):
            return Suspect(None)
        is_whole = _one_on_each_line(raw, len(rows)) and not self._marks.are_in(raw)
        if not is_whole or not _occur_once(raw, len(rows), total):
            return Suspect(None)
        return self._beside.told(raw, rows)

    def _are_labelled(self, rows: list[Any], names: int, weights: int) -> bool:
        """Whether there are so many names and weights, and an answer in each row that is learnt from."""
        message: Any
        answer: Any = self._answer
        for row in rows:
            is_learnt_from = False
            for message in row.messages:
                names -= message.name is not msgspec.UNSET
                if message.__class__ is answer:
                    weights -= message.weight is not msgspec.UNSET
                    is_learnt_from |= message.weight != 0
            if not is_learnt_from:
                return False
        return not names and not weights


class _Marks:
    """Texts that make a row suspicious wherever they are, and escapes that could hide them, or a part of a key."""

    def __init__(self, rules: DatasetRules, beside: Sequence[str]) -> None:
        marks = list(rules.special_tokens)
        common = os.path.commonprefix(marks)  # noqa: RUF071 - letter by letter is what is wanted
        self._marks = [mark.encode() for mark in ([common] if len(common) > 1 else marks)]  # one search finds all
        letters = {*"az", *"".join([*rules.special_tokens, *beside])}
        self._escapes = sorted({start for letter in letters for start in _escapes_of(letter)})

    def are_in(self, raw: bytes) -> bool:
        """Whether there is any of them."""
        if contains(raw, b"\\u") and any(contains(raw, start) for start in self._escapes):
            return True
        return any(contains(raw, mark) for mark in self._marks)


def _escapes_of(letter: str) -> tuple[bytes, ...]:
    """Returns how an escape of a letter, and of those near it, begins. What writes JSON escapes none of ASCII."""
    digits = f"{ord(letter):04x}"
    if digits < "0080":
        return (f"\\u{digits[:3]}".encode(),)
    first = digits[0] if len(digits) == 4 else "d"  # noqa: PLR2004 - beyond four digits, as a pair of surrogates
    return (f"\\u{first}".encode(), f"\\u{first.upper()}".encode())


class _Beside:
    """Decodes rows that may have fields which are no part of a record.

    Those are left out, and told; in what they hold nothing must be wrong.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names
        self._keys = [f'"{name}"'.encode() for name in names]
        self._of = [attrgetter(f"beside_{n}") for n in range(len(names))]
        self._row: Any = None
        self._fields: Any = None
        self._lines: Any = None

    def expect(self, fields: Sequence[tuple[str, Any]]) -> None:
        """Says what rows hold, beside which they may have those fields."""
        extra = [(f"beside_{n}", msgspec.Raw | _Absent, msgspec.UNSET) for n in range(len(self.names))]
        options: dict[str, Any] = {"forbid_unknown_fields": True, "gc": False}
        self._row = msgspec.defstruct("Row", fields, **options)
        self._fields = attrgetter(*(name for name, _ in fields))
        renamed = {f"beside_{n}": name for n, name in enumerate(self.names)}
        row = msgspec.defstruct("RowAndMore", [*fields, *extra], rename=renamed, **options) if extra else self._row
        self._lines = msgspec.json.Decoder(row).decode_lines

    def decoded(self, raw: bytes) -> list[Any] | Suspect:
        """Returns the rows of lines, or where one is that is none."""
        try:
            rows: list[Any] = self._lines(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            return _suspect(raw, error)
        return rows

    def told(self, raw: bytes, rows: list[Any]) -> Plain | Suspect:
        """Returns the rows without those fields."""
        if not self.names:
            return Plain(rows, [])
        ignored: list[list[str]] = []
        found = [0] * len(self.names)
        for number, row in enumerate(rows):
            said: list[str] = []
            for n, of in enumerate(self._of):
                value = of(row)
                if value is not msgspec.UNSET:
                    found[n] += 1
                    text = bytes(value)
                    if not _is_plain(text):
                        return Suspect(number)
                    if text != b"null":
                        said.append(self.names[n])
            if said:
                ignored.append(said)
        if any(count(raw, key) != times for key, times in zip(self._keys, found, strict=True)):
            return Suspect(None)
        return Plain([self._bare(row) for row in rows], ignored)

    def _bare(self, row: msgspec.Struct) -> msgspec.Struct:
        fields: object = self._fields(row)
        bare: msgspec.Struct = self._row(*fields) if isinstance(fields, tuple) else self._row(fields)
        return bare


def _is_plain(value: bytes) -> bool:
    """Whether a value is a text, a short number, true, false or null. In any other, something may be wrong."""
    if _SHORT.fullmatch(value):
        return True
    try:
        return value.startswith(b'"') and bool(value.decode())
    except UnicodeDecodeError:
        return False


def _occur_once(raw: bytes, rows: int, messages: int) -> bool:
    """Whether no key of a row or a message occurs twice.

    A text that is "role" and nothing else counts as a key as well: its row is looked at, and found to be right.
    """
    return (
        count(raw, b'"role"') == messages and count(raw, b'"content"') == messages and count(raw, b'"messages"') == rows
    )


def _suspect(raw: bytes, error: Exception) -> Suspect:
    """Tells where a row is that could not be decoded, as far as the error says so."""
    place = _PLACE.search(str(error))
    if place is None or isinstance(error, UnicodeDecodeError):
        return Suspect(None)
    row, byte = place.groups()
    return Suspect(int(row) if row else count(raw[: int(byte)], b"\n"))


def _conversation(rules: DatasetRules) -> tuple[type[msgspec.Struct], Any]:
    """Returns the types of an answer and of messages. Their fields are in the order in which they are written."""
    options: dict[str, Any] = {"tag_field": "role", "forbid_unknown_fields": True, "gc": False}
    name = ("name", str | _Absent, msgspec.UNSET)
    # Where weights are not honoured, rows that have some are looked at.
    weight = ("weight", _Weight | _Absent if rules.weights else _Absent, msgspec.UNSET)
    answer = msgspec.defstruct("Answer", [("content", _Text), name, weight], tag="assistant", **options)
    message: Any = answer
    for role in sorted(_PLAIN_ROLES & rules.roles):
        message |= msgspec.defstruct(role.title(), [("content", str), name], tag=role, **options)
    return answer, Annotated[list[message], msgspec.Meta(min_length=1)]


def _one_on_each_line(raw: bytes, rows: int) -> bool:
    """Whether each line holds one whole row.

    There are as many lines as rows, and between two of them nothing but a line end, which no row has between an object
    and the next: there a comma would be.
    """
    end = b"}\r\n" if raw.endswith(b"\r\n") else b"}\n"
    is_one = raw.startswith(b"{") and raw.endswith(end) and count(raw, b"\n") == rows
    return is_one and count(raw, end + b"{") == rows - 1
