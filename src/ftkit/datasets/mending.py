"""Writes a copy of a data set in which is mended what can be mended safely, and says what was done.

done = mend("train.jsonl", Path("mended.jsonl"), rules)
print(done)

A row that needs no mending is copied byte for byte. What is learnt never changes: a row is left out only if that is
asked for, and what cannot be mended stays as it is and is told in `done.report`.
"""

from __future__ import annotations

import codecs
import json
import re
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, get_args

from ftkit.datasets import _limits
from ftkit.datasets._json_rows import jsonl_row
from ftkit.datasets._lines import TooLong, UnreadableError, as_text, raw_lines, too_long
from ftkit.datasets._locating import Format, is_part_of, locate, source_name
from ftkit.datasets._mends import Mend, mended
from ftkit.datasets._opening import BrokenOffError, opened, why_broken_off
from ftkit.datasets._passing import Pass
from ftkit.datasets._python_rows import python_row
from ftkit.datasets._rows import of_element
from ftkit.datasets._said import key_of
from ftkit.datasets._seen import Seen
from ftkit.datasets._strict_json import BLANK, StrictJSON
from ftkit.datasets._tallies import Findings
from ftkit.datasets._values import is_object, named
from ftkit.datasets._writing import atomically
from ftkit.datasets.checking import check
from ftkit.datasets.layouts import CANONICAL, not_json
from ftkit.datasets.reading import read
from ftkit.datasets.records import without_ignored
from ftkit.errors import ConfigurationError, DatasetError
from ftkit.methods import near
from ftkit.models import DatasetRules, Noun, Problem, Report, Severity, counted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from ftkit.datasets._locating import Located, Source
    from ftkit.datasets.watching import Watch

Drop: TypeAlias = Literal["duplicates", "errors", "columns"]
"""What is left out if that is asked for: rows that came before, rows with errors, and columns that mean nothing."""
_COMMA = Mend("comma", "a comma after the object is gone.")
_ESCAPED = Mend("control-character", "tabs and the like, which stood in a text as they are, are written as escapes.")
_TEXT = re.compile(r'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_CONTROL = re.compile(r"\\.|[\x00-\x1f]", re.DOTALL)
_CONTROL_ALONE = re.compile(r"[\x00-\x1f]")


class Mended(Noun):
    """What `mend` did.

    Attributes:
        source: The data set, as the user named it.
        target: The copy.
        rows: Rows of the data set, those that could not be read among them.
        written: Rows of the copy.
        changes: What was done, by line of the data set; of one sort, the first thousand.
        report: The check of the copy: what could not be mended is still there.
    """

    source: str
    target: str
    rows: int
    written: int
    changes: tuple[Problem, ...] = ()
    report: Report

    def __str__(self) -> str:
        head = f"{self.target}: {self.written:,} of {counted(self.rows, 'row')}, {counted(self.mends, 'change')}"
        return "\n".join([head, *(f"  {change}" for change in self.changes), str(self.report)])

    @property
    def mends(self) -> int:
        """How many things were done."""
        return sum(change.count for change in self.changes)


class _Line(NamedTuple):
    """A row, on its way to the copy.

    Attributes:
        number: Its line.
        nth: Which element of an array it is, where its line does not tell.
        raw: Its bytes as they are, without the line end; None where they must be written anew.
        row: What it holds; None if it could not be read.
        done: What was done to it already.
    """

    number: int
    raw: bytes | None
    row: dict[str, Any] | None
    done: tuple[Mend, ...] = ()
    nth: int | None = None


def mend(
    source: Source,
    target: Path,
    rules: DatasetRules,
    *,
    columns: Mapping[str, str] | None = None,
    drop: Drop | Collection[Drop] = (),
    watches: Sequence[Watch] = (),
) -> Mended:
    """Writes a mended copy of a data set as JSON lines.

    These are mended: roles by another name or spelling (human -> user), weights that are not written as 0 or 1, rows
    that Python printed (with single quotes), commas after a row, byte order marks, blank lines.

    Args:
        source: A file, or a folder saved by `datasets.save_to_disk`.
        target: The file to write. It is there whole, or not at all.
        rules: What is asked of the data.
        columns: The file's own column names -> those of the record; the copy has the latter.
        drop: What to leave out: "duplicates", "errors", "columns"; one of them, or several.
        watches: Who looks at every good record of the copy besides the rules.

    Returns:
        What was done, and the report of the copy.

    Raises:
        DatasetError: The data set cannot be read, or has a row that can neither be read nor copied. Nothing is written.
        ConfigurationError: The target is the data set, or cannot be written; or `drop` names what there is not.
        MissingExtraError: pyarrow is needed and not installed.
    """
    wanted: Collection[str] = [drop] if isinstance(drop, str) else drop
    for word in wanted:
        if word not in get_args(Drop):
            known = get_args(Drop)
            raise ConfigurationError(
                f"'{word}' cannot be dropped{near(word, known) or '.'}", hint=f"Drop {', '.join(known)}."
            )
    if is_part_of(source, target):
        raise ConfigurationError(f"'{target}' is the data set itself.", hint="Write to another file.")
    if target.suffix.lower() not in {".jsonl", ".ndjson"}:
        raise ConfigurationError(f"'{target}' would hold JSON lines.", hint="Give it a name that ends in .jsonl.")
    located = locate(source)
    copy = _Copy(source_name(source), rules, frozenset(wanted))
    lines = _lines(located, copy) if located.format is Format.JSONL and not columns else _rows(source, columns, copy)
    with atomically([target]) as (file,):
        for line in lines:
            encoded = copy.row(line)
            if encoded is not None:
                file.write(encoded)
        copy.demand()
    return Mended(
        source=copy.name,
        target=source_name(target),
        rows=copy.rows,
        written=copy.written,
        changes=copy.changes.in_order(copy.name),
        report=check(target, rules, watches=watches),
    )


class _Copy:
    """The rows of a copy as they come, and what was done to them.

    Attributes:
        name: The data set.
        rows: Rows of it so far.
        written: Rows of the copy so far.
        changes: What was done.
    """

    def __init__(self, name: str, rules: DatasetRules, drop: frozenset[str]) -> None:
        self.name = name
        self.rows = self.written = 0
        self.changes = Findings()
        self._failures = Findings()
        self._rules = rules
        self._drop = drop
        self._seen = Seen()
        self._judge = Pass(name, rules) if "errors" in drop else None
        self._strict = StrictJSON()

    def note(self, line: int | None, mend: Mend, nth: int | None = None) -> None:
        """Notes what was done."""
        done = Problem(severity=Severity.NOTE, code=mend.code, message=mend.message, source=self.name, line=line)
        self.changes.add(of_element(done.model_copy(update={"field": mend.field}), nth))

    def fail(self, problem: Problem, *, is_row: bool = True) -> None:
        """Notes a row that can neither be read nor copied, unless rows with errors are left out."""
        self.rows += is_row
        if "errors" in self._drop:
            self.note(problem.line, Mend("dropped", f"the row is left out: {problem.message}"))
        else:
            self._failures.add(problem)

    def demand(self) -> None:
        """Raises what keeps the copy from being written.

        Raises:
            DatasetError: There are rows that can neither be read nor copied.
        """
        if self._failures.has_error:
            problems = self._failures.in_order(self.name)
            summary = f"{self.name} has rows that can neither be mended nor copied; nothing was written."
            raise DatasetError(summary, problems)

    def row(self, line: _Line) -> bytes | None:
        """Returns the line of a row in the copy; None if it is left out."""
        self.rows += 1
        row, done = (line.row, []) if line.row is None else mended(line.row, self._rules)
        if row is not None and "columns" in self._drop:
            row, gone = _without_columns(row, self._rules)
            done += gone
        wrong = self._is_wrong(line, row)
        if wrong is not None:
            self.note(line.number, Mend("dropped", f"the row is left out: {wrong}"), line.nth)
            return None
        encoded = self._encoded(line, row, is_changed=bool(done))
        if encoded is None:
            return None
        place, word = (line.number, "line") if line.nth is None else (line.nth, "element")
        before = self._seen.first(key_of(_canonical(row, encoded)), place) if "duplicates" in self._drop else None
        if before is not None:
            same = f"the row is left out: it is the same as that of {word} {before[0]}."
            self.note(line.number, Mend("dropped", same), line.nth)
            return None
        for each in (*line.done, *done):
            self.note(line.number, each, line.nth)
        self.written += 1
        return encoded

    def _encoded(self, line: _Line, row: dict[str, Any] | None, *, is_changed: bool) -> bytes | None:
        if line.raw is not None and not is_changed:
            return line.raw + b"\n"
        try:
            return CANONICAL.encode(row or {})
        except (TypeError, ValueError) as error:
            self.rows -= 1  # it is counted with those that fail
            self.fail(of_element(not_json(self.name, line.number, error), line.nth))
            return None

    def _is_wrong(self, line: _Line, row: dict[str, Any] | None) -> str | None:
        """Returns the first error that a check of the copy would find in a row, if rows with errors are left out."""
        if self._judge is None:
            return None
        if row is not None:
            wrong = self._judge.first_error(line.number, row)
            return None if wrong is None else wrong.message
        unread = None if line.raw is None else jsonl_row(self.name, line.number, line.raw, self._strict)
        return "it is no JSON." if unread is None or unread.problem is None else unread.problem.message


def _canonical(row: dict[str, Any] | None, encoded: bytes) -> bytes:
    """Returns what two rows have in common that say the same: their order of keys, and spaces, say nothing."""
    if row is None:
        return encoded
    try:
        return json.dumps(row, sort_keys=True, default=str).encode()
    except (TypeError, ValueError):
        return encoded


def _without_columns(row: dict[str, Any], rules: DatasetRules) -> tuple[dict[str, Any], list[Mend]]:
    """Leaves out the columns of a row that are no part of its record."""
    try:
        kept, gone = without_ignored(row, prefer=rules.accepts)
    except DatasetError:
        return row, []
    return (kept, [Mend("column", f"the column {named([name])} is left out.", name) for name in gone])


# -- rows to be mended -------------------------------------------------------------------------------------------------


def _rows(source: Source, columns: Mapping[str, str] | None, copy: _Copy) -> Iterator[_Line]:
    """Yields the rows of any format. One that cannot be read cannot be copied."""
    for row in read(source, columns=columns):
        if row.record is None:
            assert row.problem is not None  # noqa: S101 - a row has the one or the other
            copy.fail(row.problem, is_row=row.is_row)
        else:
            yield _Line(row.line, None, row.record, nth=row.nth)


def _lines(located: Located, copy: _Copy) -> Iterator[_Line]:
    """Yields the lines of a file of JSON lines. One that cannot be read is copied as it is."""
    strict = StrictJSON()
    blank = returns = 0
    number = 0
    try:
        with opened(located) as file:
            for number, raw in enumerate(raw_lines(file, _limits.LONGEST_ROW), 1):
                if isinstance(raw, TooLong):
                    copy.fail(_at(located.name, number, too_long(_limits.LONGEST_ROW)))
                    continue
                returns += raw.endswith(b"\r\n")
                line = _line(number, bytes(raw).removesuffix(b"\n").removesuffix(b"\r"), strict)
                if line is None:
                    blank += 1
                else:
                    yield line
    except (OSError, BrokenOffError) as error:  # it was there, and its end is not
        problem = _at(located.name, number + 1, why_broken_off(error))
        raise DatasetError(f"{located.name} cannot be read to its end; nothing was written.", [problem]) from error
    if returns:
        copy.note(None, Mend("line-ends", f"the ends of {counted(returns, 'line')} are written as one byte, not two."))
    if blank:
        copy.note(None, Mend("blank-lines", f"{counted(blank, 'blank line')} left out."))


def _at(name: str, line: int, what: tuple[str, str, str]) -> Problem:
    code, message, fix = what
    return Problem(code=code, message=message, fix=fix, source=name, line=line)


def _line(number: int, raw: bytes, strict: StrictJSON) -> _Line | None:
    """Returns the row of a line; None if it is blank."""
    done: list[Mend] = []
    if raw.startswith(codecs.BOM_UTF8):  # at the start of the file, or where files were joined
        raw = raw.removeprefix(codecs.BOM_UTF8)
        done.append(Mend("byte-order-mark", "the byte order mark is gone."))
    try:
        text = as_text(raw)
    except UnreadableError:
        return _Line(number, raw, None, tuple(done))
    if not text.strip(BLANK):
        return None
    row = _object(text, strict)
    if row is None:
        for almost, mends in _almost(text):
            row = _object(almost, strict)
            if row is not None:
                return _Line(number, almost.encode(), row, (*done, *mends))
        row = python_row(text)
        if row is not None:
            done.append(Mend("python", "the row was printed by Python, and is written as JSON."))
            return _Line(number, None, row, tuple(done))
    return _Line(number, raw, row, tuple(done))


def _almost(text: str) -> Iterator[tuple[str, list[Mend]]]:
    """Yields what a line may have been meant as, which is no JSON by a comma or by tabs, and what has to be done."""
    whole = text.rstrip(BLANK)
    bare = whole[:-1] if whole.endswith("},") else None
    if bare is not None:
        yield bare, [_COMMA]
    if _CONTROL_ALONE.search(text):
        yield _escaped(text), [_ESCAPED]
        if bare is not None:
            yield _escaped(bare), [_COMMA, _ESCAPED]


def _escaped(text: str) -> str:
    """Returns JSON with what its texts hold of control characters as escapes; one after a backslash stays an error."""

    def escape(found: re.Match[str]) -> str:
        return found[0] if found[0].startswith("\\") else json.dumps(found[0])[1:-1]

    return _TEXT.sub(lambda inner: _CONTROL.sub(escape, inner[0]), text)


def _object(text: str, strict: StrictJSON) -> dict[str, Any] | None:
    try:
        decoded = strict.whole(text)
    except json.JSONDecodeError:
        return None
    value: object = decoded.value
    return value if is_object(value) and decoded.flaw is None else None
