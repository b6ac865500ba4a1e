"""One pass over the rows of a data set, or of a part of it: what is good is handed on, what is wrong is noted."""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING, Any

import msgspec

from ftkit.datasets import _limits
from ftkit.datasets._json_rows import jsonl_row
from ftkit.datasets._lines import Block, TooLong, blocks, go_to_line, lines_in, parted
from ftkit.datasets._lockstep import CountTokens, Records, cannot_be_learnt, in_lockstep
from ftkit.datasets._opening import BrokenOffError, opened, why_broken_off
from ftkit.datasets._quick import Plain, Quick, Suspect, quick_of
from ftkit.datasets._rows import Row, bad_row, of_element
from ftkit.datasets._shapes import LossError, in_place
from ftkit.datasets._strict_json import StrictJSON
from ftkit.datasets._tallies import Findings, Ignored, Tokens
from ftkit.datasets._values import one_line
from ftkit.datasets.converting import converted, reachable
from ftkit.datasets.layouts import encoded, layout_named, not_json
from ftkit.datasets.records import FIELD_NAMES, Normal, Record, normal
from ftkit.datasets.rules import flaws
from ftkit.datasets.watching import Shares, Watch
from ftkit.errors import ConfigurationError, DatasetError
from ftkit.models import DatasetRules, Problem, RecordKind, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ftkit.datasets._locating import Located
    from ftkit.datasets._shapes import At

_METHOD_OF = {RecordKind.PREFERENCE: "DPO()", RecordKind.ITEM: "Reinforcement(...)"}
_OF_SUPERVISED = frozenset({RecordKind.CHAT, RecordKind.PROMPT_COMPLETION, RecordKind.TEXT})
_MOST_BESIDE = 16
"""Fields beside the record that are known at once. Each takes time, and there may be another one in each row."""
_LINES = msgspec.json.Encoder()
_OWN_LINE = re.compile(r"(?<!its )\bline(?= \d)")


class Pass:
    """Goes through rows, as often as it is given some.

    Args:
        source: The data set, as its user named it.
        rules: What is asked of it.
        write: Takes the lines of the provider's layout, until something is wrong.
        watches: Who looks at every good record besides.
        count_tokens: Counts the tokens of the records.
        measures: Whether the bytes that would be written are counted exactly, and not as those that are read.
        advance: Told how much more was read: bytes of lines, else rows.

    Attributes:
        kind: The kind of the rows; None before one could be read.
        target: The kind of record that they are written as; None if they cannot be.
        findings: What is wrong with them.
        ignored: What is no part of a record.
        tokens: How long the records are.
        rows: How many there were.
        lines: Lines that were read.
        bytes: Bytes that are written, or would be; at most, if they are not measured.
        measures: Whether they are.
        advance: As it was given.
    """

    def __init__(
        self,
        source: str,
        rules: DatasetRules,
        write: Callable[[bytes], object] | None = None,
        watches: Sequence[Watch] = (),
        count_tokens: CountTokens | None = None,
        *,
        measures: bool = True,
        advance: Callable[[int], object] = lambda _: None,
    ) -> None:
        self.kind: RecordKind | None = None
        self.target: RecordKind | None = None
        self.findings = Findings()
        self.ignored = Ignored()
        self.tokens = Tokens(rules)
        self.rows = self.lines = self.bytes = 0
        self.source = source
        self._rules = rules
        self._write = write
        self._watches = watches
        self._count_tokens = count_tokens
        self.advance = advance
        self.measures = measures or write is not None
        self._layout = layout_named(rules.layout)
        self._accepted = rules.accepts & self._layout.kinds
        self._quick: Quick | None = None
        self._beside: list[str] = []
        self._strict = StrictJSON()
        self._nth: int | None = None
        self._path: Callable[[At], str] = _as_it_is
        if not self._accepted:
            kinds = ", ".join(sorted(rules.accepts)) or "nothing"
            message = f"the rules accept {kinds}, which the layout '{rules.layout}' cannot hold."
            raise ConfigurationError(message, hint="The provider's rules must name a layout of such records.")

    def begin(self, kind: RecordKind) -> None:
        """Fixes the kind of the rows, which is that of the first readable one."""
        self.kind = kind
        self.target = reachable(kind, self._accepted)
        if self.target is kind:
            self._quick = quick_of(kind, self._rules)

    def run(self, records: Records) -> None:
        """Goes through records to their end, and counts their tokens."""
        if self._count_tokens is not None:
            waiting: deque[int] = deque()
            try:
                for line, tokens, trained in in_lockstep(records, waiting, self._count_tokens):
                    self.tokens.add(line, tokens, trained)
                    if trained == 0:
                        message = "not one token of the row is learnt from."
                        fix = "Write an answer, or leave the row out."
                        self._add(line, code="nothing-to-learn", message=message, fix=fix)
            except DatasetError as error:  # what the rules let pass, and the training cannot take
                self.findings.add(cannot_be_learnt(self.source, waiting, error))
        for _ in records:
            pass

    def first_error(self, line: int, record: Record) -> Problem | None:
        """Returns the first error of a row, which is one more if there is none, and else as if it had never been."""
        was_begun = self.kind is not None
        self.findings = Findings()
        for _ in self._looked_at(Row(line, record)):
            pass
        error = next((p for p in self.findings.in_order(self.source) if p.severity is Severity.ERROR), None)
        if error is not None and not was_begun:
            self.kind = self.target = self._quick = None
        return error

    def records(self, rows: Iterator[Row]) -> Records:
        """Goes through rows. Yields those in which nothing is wrong."""
        for row in rows:
            yield from self._looked_at(row)
            self.advance(1)

    def lines_of(self, source: Located, start: int = 0, end: int | None = None) -> Records:
        """Goes through a file of lines, or the lines of it that begin between two places. Yields likewise."""
        with opened(source) as file:
            if end is not None and not go_to_line(file, start, end):
                return
            for block in _until_broken_off(blocks(file, _limits.LONGEST_ROW, end)):
                if isinstance(block, Exception):
                    yield from self._looked_at(bad_row(self.source, self.lines + 1, *why_broken_off(block)))
                else:
                    yield from self._block(block)
                    self.advance(0 if isinstance(block, TooLong) else len(block))

    def told(self) -> dict[str, Any]:
        """Returns what was found as plain values, for another process."""
        return {
            "rows": self.rows,
            "lines": self.lines,
            "bytes": self.bytes,
            "findings": self.findings.told(),
            "ignored": self.ignored.told(),
            "tokens": self.tokens.told(),
            "watches": [watch.told() for watch in self._watches if isinstance(watch, Shares)],
        }

    def take(self, told: Mapping[str, Any]) -> None:
        """Takes what another process found in the lines that follow."""
        self.findings.merge(Findings.heard(told["findings"]), self.lines)
        self.ignored.merge(Ignored.heard(told["ignored"]))
        self.tokens.take(told["tokens"], self.lines)
        for watch, noticed in zip(self._watches, told["watches"], strict=True):
            if isinstance(watch, Shares):
                watch.take(noticed, self.lines)
        self.rows += told["rows"]
        self.lines += told["lines"]
        self.bytes += told["bytes"]

    def _block(self, block: Block) -> Records:
        """Goes through lines: the plain rows among them at once, the others one by one."""
        left = [block]
        while left:
            lines = left.pop()
            rows = self._known(lines)
            if isinstance(rows, Plain):
                yield from self._plain(rows, len(lines))
            elif rows is not None and isinstance(lines, bytes) and lines.count(b"\n") > 1:
                left += reversed(parted(lines, rows.line))
            else:
                for line in lines_in(lines):
                    self.lines += 1
                    row = jsonl_row(self.source, self.lines, line, self._strict)
                    if row is not None:
                        yield from self._looked_at(row)

    def _known(self, lines: Block) -> Plain | Suspect | None:
        """Returns the rows of lines if all are plain, or where one is not; None if each has to be looked at."""
        if isinstance(lines, bytes) and self.kind is None:
            return Suspect(0)  # the first one tells the kind
        return self._quick.rows(lines) if self._quick and isinstance(lines, bytes) else None

    def _plain(self, found: Plain, size: int) -> Records:
        """Takes rows in which surely nothing is wrong, one on each line."""
        first, rows = self.lines + 1, found.rows
        self._nth, self._path = None, _as_it_is
        self.lines += len(rows)
        self.rows += len(rows)
        for names in found.ignored:
            self.ignored.add(names)
        if not self._layout.is_canonical:
            for line, row in enumerate(rows, first):
                yield from self._good(line, msgspec.to_builtins(row))
            return
        if self.measures:
            self._put_bytes(_LINES.encode_lines(rows))
        else:
            self.bytes += size
        if self.kind is not None and (self._watches or self._count_tokens):
            for line, row in enumerate(rows, first):
                record: Record = msgspec.to_builtins(row)
                self._show(line, self.kind, record)
                yield line, record

    def _looked_at(self, row: Row) -> Records:
        self.rows += row.is_row
        self._nth = row.nth
        if row.problem is not None:
            self.findings.add(row.problem)
        record = None if row.record is None else self._judged(row.line, row.record)
        if record is not None:
            yield from self._good(row.line, record)

    def _judged(self, line: int, raw: Mapping[str, Any]) -> Record | None:
        """Returns the record of a row, or None after noting what is wrong with it."""
        try:
            found = normal(raw, prefer=self._accepted if self.kind is None else {self.kind})
        except DatasetError as error:
            self._note(line, error)
            return None
        if self.kind is None:
            self.begin(found.kind)
            self._tell_kind(line, found.kind)
        if found.kind is not self.kind:
            message = f"this is a {found.kind.value} record, and those before it are {self.kind}."
            self._add(line, code="mixed-kinds", message=message, fix="Put each kind in a file of its own.")
            return None
        self.ignored.add(found.ignored)
        self._path = found.path
        if self._quick is not None:
            self._learn(raw)
        return None if self._has_flaw(line, found) else found.record

    def _learn(self, raw: Mapping[str, Any]) -> None:
        """Lets rows be known at once, from now on, that have fields besides as this one has."""
        new = [name for name in raw if name not in FIELD_NAMES and name not in self._beside]
        new = new[: _MOST_BESIDE - len(self._beside)]
        if new and self.kind is not None:
            self._beside += new
            self._quick = quick_of(self.kind, self._rules, self._beside)

    def _good(self, line: int, record: Record) -> Records:
        """Hands on a record, after it was written if it is to be."""
        if self.kind is None or self.target is None:
            return
        self._show(line, self.kind, record)
        try:
            record = converted(self.kind, record, self.target)
        except DatasetError as error:
            self._note(line, error)
            return
        if self._put(line, record):
            yield line, record

    def _show(self, line: int, kind: RecordKind, record: Record) -> None:
        """Lets those see a record who watch."""
        for watch in self._watches:
            for noticed in watch.see(self._nth or line, kind, record):
                if self._nth is not None:  # what it calls lines are the elements that it was shown
                    message = _OWN_LINE.sub("element", noticed.message)
                    noticed = noticed.model_copy(update={"message": message})  # noqa: PLW2901
                self._tell(noticed.model_copy(update={"source": self.source, "line": line}))

    def _tell_kind(self, line: int, kind: RecordKind) -> None:
        if self.target is None:
            accepted = ", ".join(sorted(self._accepted))
            message = f"{kind.value} records are not accepted here."
            method = _METHOD_OF.get(kind, None if _OF_SUPERVISED & self._accepted else "Supervised()")
            fix = f"For {kind.value} records, ask for the method {method}." if method else ""
            self._add(line, code="kind-not-accepted", message=message, fix=f"Accepted: {accepted}. {fix}".rstrip())
        elif self.target is not kind:
            message = f"the rows are {kind.value}, and are written as {self.target.value}; nothing is lost."
            self._add(None, code="converted", message=message, severity=Severity.NOTE)

    def _has_flaw(self, line: int, found: Normal) -> bool:
        """Notes what is wrong with a record, and returns whether any of it is an error."""
        wrong = False
        for flaw in flaws(found.kind, found.record, self._rules):
            wrong |= flaw.severity is Severity.ERROR
            self._add(
                line,
                code=flaw.code,
                message=flaw.message,
                fix=flaw.fix,
                severity=flaw.severity,
                field=found.path(flaw.at),
                excerpt=flaw.excerpt,
            )
        return wrong

    def _put(self, line: int, record: Record) -> bool:
        """Writes a record, and returns whether it can be: a check without writing says the same as one with it."""
        if not self._rules.weights:
            record = _without_weights(record)
        try:
            row = self._layout.written(record)
        except DatasetError as error:
            self._note(line, error)
            return False
        except ValueError as error:
            self._lost(line, error)
            return False
        try:
            line_of_row = encoded(row)
        except (TypeError, ValueError) as error:  # a table may hold what is no JSON, such as dates and bytes
            self._tell(not_json(self.source, line, error))
            return False
        self._put_bytes(line_of_row)
        return True

    def _lost(self, line: int, error: ValueError) -> None:
        """Notes what of a record its layout has no place for, in its own words."""
        field = fix = None
        what = f"{str(error).rstrip('.')}."
        if isinstance(error, LossError):
            is_at_hand = self.kind is self.target  # else the row is another one than the record that was refused
            what, fix, field = error.message, error.fix or None, self._path(error.at) if is_at_hand else None
        message = one_line(f"'{self._layout.name}' would lose {what}")
        self._add(line, code="lossy-conversion", field=field, message=message, fix=fix or "Leave it, or the row, out.")

    def _put_bytes(self, encoded: bytes) -> None:
        self.bytes += len(encoded)
        if self._write is not None and not self.findings.has_error:
            self._write(encoded)

    def _note(self, line: int, error: DatasetError) -> None:
        for problem in error.problems:
            self._tell(problem.model_copy(update={"source": self.source, "line": line}))

    def _add(self, line: int | None, **problem: Any) -> None:
        self._tell(Problem(source=self.source, line=line, **problem))

    def _tell(self, problem: Problem) -> None:
        self.findings.add(problem if problem.line is None else of_element(problem, self._nth))


def _until_broken_off(found: Iterator[Block]) -> Iterator[Block | OSError | BrokenOffError]:
    """Passes blocks on, and at last why there are no more, if it is not the end of the file."""
    try:
        yield from found
    except (OSError, BrokenOffError) as error:
        yield error


def _without_weights(record: Record) -> Record:
    """Leaves out the weights, which are all 1 by now, where a provider does not know the field."""
    return {
        key: [{k: v for k, v in m.items() if k != "weight"} for m in value] if key in _CONVERSATIONS else value
        for key, value in record.items()
    }


_CONVERSATIONS = {"messages", "chosen", "rejected"}


def _as_it_is(at: At) -> str:
    """Returns the path of a place in a row that is as the canonical record is."""
    return in_place({}, {}, at)
