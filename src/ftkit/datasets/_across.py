"""What is noticed across rows: repetitions, contradictions, and what the validation file has as well.

Rows are told apart by a hash of 64 bits. That any two different ones of three million rows have the same has a
probability of less than one in a million.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ftkit.datasets._locating import source_name
from ftkit.datasets._looks import warning
from ftkit.datasets._said import Said, bare, key_of
from ftkit.datasets._seen import Seen
from ftkit.datasets._values import is_list, is_object
from ftkit.datasets.converting import converted
from ftkit.datasets.reading import read
from ftkit.datasets.records import normal
from ftkit.errors import DatasetError
from ftkit.models import Problem, RecordKind, Severity, counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ftkit.datasets._locating import Source

_BETWEEN = b"\x1f"


def _bound(name: str, seen: Seen) -> Iterator[Problem]:
    """Says so if not all rows were remembered."""
    if seen.left_out:
        message = f"{name}: each row was compared with the first {seen.kept:,} different ones, and no others."
        yield Problem(severity=Severity.NOTE, code="not-all-compared", message=message)


class Repeats:
    """Rows that came before: the same to the letter, or but for case, spaces and marks.

    Args:
        exact: Look for the same rows.
        near: Look for rows that are near-identical; those that are the same are among them if nobody else tells them.
        most: Rows that are remembered.
    """

    def __init__(self, *, exact: bool, near: bool, most: int | None = None) -> None:
        self._exact = Seen(most) if exact else None
        self._near = Seen(most) if near else None

    def see(self, line: int, said: Said) -> Iterator[Problem]:
        """Looks for an earlier row."""
        if self._exact is not None:
            before = self._exact.first(key_of(said.whole), line)
            if before is not None:
                message = f"the row is the same as that of line {before[0]}."
                yield warning("duplicate", message, "Leave one of them out: it is learnt as often as it is there.")
                return
        if self._near is not None:
            before = self._near.first(key_of(said.bare), line)
            if before is not None:
                message = f"but for case, spaces and marks, the row is that of line {before[0]}."
                yield warning("near-duplicate", message, "Leave one of them out, if they are not meant to differ.")

    def end(self) -> Iterator[Problem]:
        """Says so if not all rows were remembered."""
        if self._exact is not None:
            yield from _bound("duplicates", self._exact)
        if self._near is not None:
            yield from _bound("near-duplicates", self._near)


class Contradictions:
    """Different answers to the same prompt; and an answer that is preferred here and rejected there."""

    def __init__(self, most: int | None = None) -> None:
        self._seen = Seen(most)

    def see(self, line: int, said: Said) -> Iterator[Problem]:
        """Looks for an earlier row with the same prompt."""
        if said.kind is RecordKind.PREFERENCE:
            yield from self._preference(line, said)
        elif said.halves is not None:
            mark = key_of(said.bare_answer)
            before = self._seen.first(key_of(said.halves[0]), line, mark)
            if before is not None and before[1] != mark & 0xFFFFFFFF:
                message = f"line {before[0]} has the same prompt, and another answer."
                yield warning("contradiction", message, "Keep one of them, if only one is right.")

    def _preference(self, line: int, said: Said) -> Iterator[Problem]:
        prompt, chosen = said.halves or ("", "")
        rejected = Said(said.kind, {**said.record, "chosen": said.record["rejected"]}).halves or ("", "")
        head = prompt.encode("utf-8", "surrogatepass")
        good, bad = bare(chosen), bare(rejected[1])

        def key(sign: bytes, answer: bytes) -> int:
            return key_of(_BETWEEN.join((head, sign, answer)))

        before = self._seen.find(key(b"-", good)) or self._seen.find(key(b"+", bad))
        if before is not None:
            message = f"line {before[0]} has the same prompt, and prefers what is rejected here, or rejects the other."
            yield warning("contradiction", message, "Keep one of them.")
        self._seen.first(key(b"+", good), line)
        self._seen.first(key(b"-", bad), line)

    def end(self) -> Iterator[Problem]:
        """Says so if not all rows were remembered."""
        yield from _bound("contradictions", self._seen)


class Leakage:
    """Rows, or prompts, that the validation file has as well: what is measured there is then no measure.

    Args:
        validation: The validation file. It is read when the first row comes.
        columns: Its own column names -> those of the record.
        most: Rows of it that are remembered.
    """

    def __init__(self, validation: Source, columns: Mapping[str, str] | None, most: int | None = None) -> None:
        self._source = validation
        self._name = source_name(validation)
        self._columns = columns
        self._rows, self._prompts = Seen(most), Seen(most)
        self._is_read = False
        self._failure: str | None = None
        self._others = _Others()

    def see(self, line: int, said: Said) -> Iterator[Problem]:
        """Looks for a row in the validation file."""
        del line
        if not self._is_read:
            self._read(said.kind)
        before = self._rows.find(key_of(said.bare))
        if before is not None:
            message = f"the row is in the validation file as well, on its line {before[0]}."
            yield warning("leak", message, "Leave it out of one of them.")
        elif said.halves is not None:
            before = self._prompts.find(key_of(said.bare_prompt))
            if before is not None:
                message = f"the prompt is in the validation file as well, on its line {before[0]}."
                yield warning("leak", message, "Leave it out of one of them, if the answer can be known from it.")

    def end(self) -> Iterator[Problem]:
        """Says so if the validation file could not be read, or not all of it was remembered."""
        if self._failure is not None:
            message = f"the validation file could not be compared: {self._failure}"
            yield Problem(code="not-compared", message=message, fix="Name another file.")
        elif self._is_read:
            yield from self._others.told(self._rows.kept + self._rows.left_out)
        yield from _bound("leakage", self._rows)

    def _read(self, kind: RecordKind) -> None:
        self._is_read = True
        try:
            for line, record in _records(self._source, self._columns, kind, self._others):
                said = Said(kind, record)
                self._rows.first(key_of(said.bare), line)
                if said.halves is not None:
                    self._prompts.first(key_of(said.bare_prompt), line)
        except DatasetError as error:
            self._failure = " ".join(str(problem) for problem in error.problems) or error.message


class _Others:
    """Rows of the validation file that are not compared: how many, and why the first of them is not.

    Those that are no good records are told of when that file is checked, unless it has no others.
    """

    def __init__(self) -> None:
        self._lossy = self._bad = 0
        self._why_lossy = self._why_bad = ""

    def lossy(self, line: int, error: DatasetError) -> None:
        """Takes a row of another kind that cannot become one of this."""
        self._why_lossy = self._why_lossy or f"line {line}: {_why(error)}"
        self._lossy += 1

    def bad(self, line: int, why: str) -> None:
        """Takes a row that is no good record."""
        self._why_bad = self._why_bad or f"line {line}: {why}"
        self._bad += 1

    def told(self, compared: int) -> Iterator[Problem]:
        """Tells of them, if so many others were compared."""
        for number, why in ((self._lossy, self._why_lossy), (0 if compared else self._bad, self._why_bad)):
            if number:
                rows = f"{counted(number, 'row')} of the validation file" if compared else "the validation file"
                message = f"{rows} could not be compared with these. {why[:1].upper()}{why[1:]}"
                yield Problem(severity=Severity.NOTE, code="not-compared", message=message)


def _why(error: DatasetError) -> str:
    return error.problems[0].message if error.problems else error.message


def _records(
    source: Source, columns: Mapping[str, str] | None, kind: RecordKind, others: _Others
) -> Iterable[tuple[int, dict[str, Any]]]:
    """Yields the good records of the validation file, as a kind; `others` takes the rest."""
    for row in read(source, columns=columns):
        if row.record is None:
            others.bad(row.line, row.problem.message if row.problem else "it cannot be read.")
            continue
        try:
            found = normal(row.record, prefer={kind})
        except DatasetError as error:
            others.bad(row.line, _why(error))
            continue
        if not _is_sound(found.kind, found.record):
            others.bad(row.line, "it is no good record.")
            continue
        try:
            record = converted(found.kind, found.record, kind)
        except DatasetError as error:
            others.lossy(row.line, error)
        else:
            yield row.line, record


def _is_sound(kind: RecordKind, record: Mapping[str, Any]) -> bool:
    """Whether a record is built as its kind has to be, whatever it says. Nobody has looked at it before."""
    texts, conversations = _BUILT[kind]
    return all(isinstance(record[name], str) for name in texts) and all(
        is_list(record[name]) and record[name] and all(map(_is_message, record[name])) for name in conversations
    )


_BUILT: Mapping[RecordKind, tuple[tuple[str, ...], tuple[str, ...]]] = {
    RecordKind.TEXT: (("text",), ()),
    RecordKind.PROMPT_COMPLETION: (("prompt", "completion"), ()),
    RecordKind.CHAT: ((), ("messages",)),
    RecordKind.ITEM: ((), ("messages",)),
    RecordKind.PREFERENCE: ((), ("prompt", "chosen", "rejected")),
}
"""The texts and the conversations that records of a kind are made of."""


def _is_message(value: object) -> bool:
    return is_object(value) and isinstance(value.get("role"), str) and "content" in value
