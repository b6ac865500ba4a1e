"""Writes a data set in another layout and another format of file, exactly or not at all."""

from __future__ import annotations

import hashlib
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ftkit.datasets._comparing import differences, said
from ftkit.datasets._drafts import draft_of
from ftkit.datasets._locating import is_part_of, source_name
from ftkit.datasets._rows import of_element
from ftkit.datasets._shapes import At, LossError
from ftkit.datasets._showing import counted
from ftkit.datasets._tallies import Findings, Ignored
from ftkit.datasets._values import is_list, is_object, named, one_line
from ftkit.datasets._writers import refuse_format, writing
from ftkit.datasets._writing import atomically
from ftkit.datasets.converting import converted, reachable
from ftkit.datasets.layouts import Layout, layout_named, not_json
from ftkit.datasets.reading import read
from ftkit.datasets.records import Normal, Record, normal
from ftkit.datasets.rules import flaws
from ftkit.errors import ConfigurationError, DatasetError
from ftkit.models import DatasetRules, Problem, RecordKind, Report, Severity

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from ftkit.datasets._locating import Source
    from ftkit.datasets._rows import Row

_ANY = DatasetRules(layout="ftkit", accepts=frozenset(RecordKind))
_NO_MESSAGE = {"not-a-message", "missing-role", "missing-content", "not-text"}
"""What is wrong with a record that no layout can write. What else is wrong with it can be written, and checked then."""
_WHOLE = {
    RecordKind.CHAT: "chat",
    RecordKind.PROMPT_COMPLETION: "prompt-completion",
    RecordKind.PREFERENCE: "trl-preference",
    RecordKind.TEXT: "text",
    RecordKind.ITEM: "openai-item",
}
"""A layout that has a place for all that a record of a kind may say."""


def transcribe(
    source: Source,
    target: Source,
    *,
    to: str,
    columns: Mapping[str, str] | None = None,
    without: Collection[str] = (),
    progress: bool = False,
) -> Report:
    """Writes a data set in another layout, and in the format that the name of the file says.

    What is written says exactly what was read: it is read back before it takes its name, and every record is compared.
    What would be lost in any row is an error. The file is there whole, or not at all. Memory does not grow with it.

    Args:
        source: A file, or a folder saved by `datasets.save_to_disk`.
        target: The file to write: .jsonl, .json, .csv or .parquet; all but the last also packed, as .jsonl.gz or .zst.
        to: The name of a layout, such as "chat", "sharegpt" or "alpaca"; `LAYOUTS` has all of them.
        columns: The file's own column names -> those of the record.
        without: Columns that are no part of a record, and may be lost; also those within messages, such as
            "messages[].refusal".
        progress: Whether to show on a terminal how far it is, if it takes more than two seconds.

    Returns:
        What was found; there is no error in it. Its `kind` is the one that was written.

    Raises:
        DatasetError: Rows cannot be read, or would lose something; it holds all of them, and the report. Nothing is
            written.
        ConfigurationError: There is no such layout, column or format, or `target` is the source, or cannot be written.
        MissingExtraError: pyarrow is needed and not installed.
    """
    layout, path = layout_named(to), Path(target)
    refuse_format(path)
    if is_part_of(source, path):
        raise ConfigurationError(f"'{path}' is the data set itself.", hint="Write to another file.")
    transcript = _Transcript(source_name(source), layout, without)
    with draft_of(path) as draft:
        with atomically([draft]) as (file,), writing(draft, file, transcript.says) as out:
            for passed in transcript.records(counted(read(source, columns=columns), "read", progress=progress)):
                if not transcript.findings.has_error:
                    out.add(passed.line, passed.row)
            transcript.end()
            transcript.refuse(out.close() if not transcript.findings.has_error else ())
        if transcript.digest != _digest(transcript.again(counted(read(draft), "read back", progress=progress))):
            twin = _Transcript(transcript.source, layout, without)
            transcript.tell(twin.records(read(source, columns=columns)), transcript.again(read(draft)))
    return transcript.report()


class _Passed(NamedTuple):
    """A row that loses nothing."""

    line: int
    row: Record
    said: bytes


class _Back(NamedTuple):
    """A row as it was read back: what it says, or why it cannot be read."""

    said: bytes
    problem: Problem | None


def _digest(rows: Iterator[_Back]) -> bytes:
    whole = hashlib.blake2b()
    for row in rows:
        whole.update(row.said)
    return whole.digest()


class _Transcript:
    """One data set on its way into a layout.

    Attributes:
        source: Its name.
        findings: What was found in it.
        kind: The kind of record that is written; None while it is not known, or if there is none.
    """

    def __init__(self, source: str, layout: Layout, without: Collection[str]) -> None:
        self.source = source
        self.findings = Findings()
        self.kind: RecordKind | None = None
        self._layout = layout
        self._without = frozenset(without)
        self._found: RecordKind | None = None
        self._ignored = Ignored()
        self._rows = 0
        self._nth: int | None = None
        self._whole = hashlib.blake2b()

    @property
    def digest(self) -> bytes:
        """What all records say that were passed on."""
        return self._whole.digest()

    def records(self, rows: Iterable[Row]) -> Iterator[_Passed]:
        """Yields the rows that lose nothing, and notes what is wrong with the others."""
        for row in rows:
            self._rows += row.is_row
            self._nth = row.nth
            if row.problem is not None:
                self.findings.add(row.problem)
            passed = None if row.record is None else self._passed(row.line, row.record)
            if passed is not None:
                self._whole.update(_framed(passed.said))
                yield passed

    def end(self) -> None:
        """Notes what can be said only of the whole."""
        self._nth = None
        if self._found is not None:
            for problem in self._ignored.problems(self.source, self._found):
                fix = "Map what is needed with columns={...}, and say what may be lost with without=[...]."
                lost = {"severity": Severity.ERROR, "code": "lost-columns", "fix": fix}
                self.findings.add(problem.model_copy(update=lost))
        if not self._rows:
            self._add(None, code="too-few-rows", message="there are no rows.", fix="Give at least one.")

    def report(self) -> Report:
        """Returns what was found."""
        problems = self.findings.in_order(self.source)
        return Report(source=self.source, kind=self.kind, rows=self._rows, problems=problems)

    def refuse(self, unfit: Iterable[tuple[int, str]] = ()) -> None:
        """Raises if anything is wrong.

        Args:
            unfit: Lines whose rows the format cannot hold, and why.
        """
        for line, why in unfit:
            self._add(line, code="lossy-conversion", message=why, fix="Leave it out, or write a .jsonl file.")
        if self.findings.has_error:
            report = self.report()
            errors = report.errors
            count = f"{len(errors):,} error{'' if len(errors) == 1 else 's'}"
            raise DatasetError(f"{self.source} has {count}; nothing was written.", errors, report)

    def says(self, row: Mapping[str, Any]) -> bytes:
        """Returns what a row of the layout says.

        Raises:
            DatasetError: It is no record.
        """
        return said(normal(row, prefer=() if self.kind is None else {self.kind}).record)

    def again(self, rows: Iterable[Row]) -> Iterator[_Back]:
        """Yields what was written, as it is read."""
        for row in rows:
            problem = row.problem
            says = b""
            if row.record is not None:
                try:
                    says = _framed(self.says(row.record))
                except DatasetError as error:
                    problem = error.problems[0]
            yield _Back(says, problem)

    def tell(self, mine: Iterable[_Passed], theirs: Iterable[_Back]) -> None:
        """Refuses the rows that read back as something else.

        Raises:
            DatasetError: Always.
        """
        for passed, back in zip_longest(mine, theirs):
            if passed is not None and back is not None and _framed(passed.said) == back.said:
                continue
            line = None if passed is None else passed.line
            why = "" if back is None or back.problem is None else f": {back.problem.message}"
            message = one_line(f"what was written does not read back as what was there{why}").rstrip(".")
            self._add(line, code="lossy-conversion", message=f"{message}.", fix="Leave it out, or write a .jsonl file.")
        if not self.findings.has_error:
            message = "the file changed while it was read."
            self._add(None, code="changed", message=message, fix="Try again.")
        self.refuse()

    def _passed(self, line: int, raw: Mapping[str, Any]) -> _Passed | None:
        """Returns a row as it is written, or None after noting what is wrong with it."""
        found: Normal | None = None
        try:
            found = normal(raw, prefer=self._layout.kinds if self._found is None else {self._found})
            if not self._is_of_kind(line, found) or self.kind is None:
                return None
            record = converted(found.kind, found.record, self.kind)
        except DatasetError as error:
            for problem in error.problems:
                mend = {"fix": self._otherwise(found.kind)} if found and problem.code == "lossy-conversion" else {}
                self._tell(problem.model_copy(update={"source": self.source, "line": line, **mend}))
            return None
        self._ignored.add([name for name in found.ignored if name not in self._without])
        return self._written(line, found, record)

    def _is_of_kind(self, line: int, found: Normal) -> bool:
        """Whether a record is of the file's kind, which is that of its first row, and can be written at all."""
        if self._found is None:
            self._found = found.kind
            self.kind = reachable(found.kind, self._layout.kinds)
            if self.kind is None:
                converted(found.kind, found.record, min(self._layout.kinds))  # which says why it cannot be
            elif self.kind is not found.kind:
                message = f"the rows are {found.kind.value}, and are written as {self.kind.value}; nothing is lost."
                self._add(None, code="converted", message=message, severity=Severity.NOTE)
        elif found.kind is not self._found:
            message = f"this is a {found.kind.value} record, and those before it are {self._found.value}."
            self._add(line, code="mixed-kinds", message=message, fix="Put each kind in a file of its own.")
            return False
        return _is_sound(found.record) or not self._notes_flaws(line, found)

    def _notes_flaws(self, line: int, found: Normal) -> bool:
        """Notes what no layout can write, and returns whether there is any."""
        wrong = [flaw for flaw in flaws(found.kind, found.record, _ANY) if flaw.code in _NO_MESSAGE]
        for flaw in wrong:
            self._add(line, code=flaw.code, field=found.path(flaw.at), message=flaw.message, fix=flaw.fix)
        return bool(wrong)

    def _written(self, line: int, found: Normal, record: Record) -> _Passed | None:
        try:
            mine = said(record)
        except (TypeError, ValueError) as error:
            self._tell(not_json(self.source, line, error))
            return None
        try:
            row = self._layout.written(record)
        except LossError as error:
            self._lost(line, found, [error.at], error.message, error.fix)
            return None
        except DatasetError as error:
            for problem in error.problems:
                self._tell(problem.model_copy(update={"source": self.source, "line": line}))
            return None
        except ValueError as error:  # of a plug-in's layout
            self._lost(line, found, [], f"{str(error).rstrip('.')}.")
            return None
        try:
            back = normal(row, prefer={self._kind(found)})
        except DatasetError as error:
            self._lost(line, found, [], f"what it says: read back, {error.problems[0].message}")
        else:
            if back.kind is self.kind and said(back.record) == mine:
                return _Passed(line, row, mine)
            self._lost(line, found, [*differences(record, back.record)], "")
        return None

    def _kind(self, found: Normal) -> RecordKind:
        return self.kind or found.kind

    def _lost(self, line: int, found: Normal, places: list[At], what: str, fix: str = "") -> None:
        """Notes what of a record its layout has no place for."""
        kind = self._kind(found)
        paths = [found.path(at) for at in places] if kind is found.kind else []
        what = what or (f"{named(dict.fromkeys(paths))}." if paths else "what it says.")
        self._add(
            line,
            code="lossy-conversion",
            field=paths[0] if paths else None,
            message=one_line(f"'{self._layout.name}' would lose {what}"),
            fix=fix or self._otherwise(kind),
        )

    def _otherwise(self, kind: RecordKind) -> str:
        whole = _WHOLE[kind]
        other = f", or write '{whole}', which holds it" if whole != self._layout.name else ""
        return f"Leave it, or the row, out{other}."

    def _add(self, line: int | None, **problem: Any) -> None:
        self._tell(Problem(source=self.source, line=line, **problem))

    def _tell(self, problem: Problem) -> None:
        self.findings.add(problem if problem.line is None else of_element(problem, self._nth))


def _is_sound(record: Record) -> bool:
    """Whether all that is said is text, or messages: then there is no need to look any closer."""
    return all(
        isinstance(value, str) or (is_list(value) and all(_is_message(each) for each in value))
        for value in map(record.get, ("messages", "prompt", "completion", "chosen", "rejected", "text"))
        if value is not None
    )


def _is_message(message: object) -> bool:
    return is_object(message) and isinstance(message.get("role"), str) and message.get("content") is not None


def _framed(says: bytes) -> bytes:
    """Returns what a record says, and its end, so that two records are not taken for another two."""
    return says + b"\n"
