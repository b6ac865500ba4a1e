"""Looks a whole data set over in one pass, and tells every problem at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from ftkit.datasets._locating import source_name
from ftkit.datasets._tallies import Findings, Ignored, Tokens
from ftkit.datasets.converting import converted, reachable
from ftkit.datasets.layouts import layout_named, not_json
from ftkit.datasets.reading import read
from ftkit.datasets.records import Normal, Record, normal
from ftkit.datasets.rules import flaws
from ftkit.errors import ConfigurationError, DatasetError, FtkitError
from ftkit.models import DatasetRules, Problem, RecordKind, Report, Severity

if TYPE_CHECKING:
    from ftkit.datasets._locating import Source
    from ftkit.datasets._rows import Row
    from ftkit.datasets.watching import Watch

CountTokens: TypeAlias = Callable[[Iterator[Mapping[str, Any]]], Iterator[tuple[int, int]]]
"""Yields (tokens, tokens learnt from) of each record, in order."""
_METHOD_OF = {RecordKind.PREFERENCE: "DPO()", RecordKind.ITEM: "Reinforcement(...)"}
_OF_SUPERVISED = frozenset({RecordKind.CHAT, RecordKind.PROMPT_COMPLETION, RecordKind.TEXT})


def check(
    source: Source,
    rules: DatasetRules,
    *,
    columns: Mapping[str, str] | None = None,
    count_tokens: CountTokens | None = None,
    watches: Sequence[Watch] = (),
) -> Report:
    """Looks a data set over. A file that cannot be read at all is a problem in the report as well.

    Args:
        source: A file, or a folder saved by `datasets.save_to_disk`.
        rules: What the provider asks of it.
        columns: The file's own column names -> those of the record.
        count_tokens: Counts the tokens of records as the training would; it gets them in the kind that is written.
        watches: Who looks at every good record besides.

    Returns:
        What was found. Its `kind` is that of the rows, whatever they can be written as.

    Raises:
        ConfigurationError: `columns` or `rules.layout` names what there is not.
        MissingExtraError: pyarrow is needed and not installed.
    """
    return examine(source, rules, columns=columns, count_tokens=count_tokens, watches=watches)[0]


def examine(
    source: Source,
    rules: DatasetRules,
    *,
    columns: Mapping[str, str] | None = None,
    count_tokens: CountTokens | None = None,
    watches: Sequence[Watch] = (),
    write: Callable[[bytes], object] | None = None,
) -> tuple[Report, RecordKind | None]:
    """Does what `check` does, and writes what is good as it goes, until something is wrong.

    Args:
        source: The data set.
        rules: What the provider asks of it.
        columns: The file's own column names -> those of the record.
        count_tokens: Counts tokens.
        watches: Who looks at every good record besides.
        write: Takes the lines of the provider's layout.

    Returns:
        The report, and the kind of record that was written.
    """
    pass_ = _Pass(source_name(source), rules, write, watches)
    try:
        rows = read(source, columns=columns)
    except DatasetError as error:
        return Report(source=source_name(source), problems=error.problems), None
    pass_.run(rows, count_tokens)
    return pass_.report(), pass_.target


class _Pass:
    """One pass over a data set.

    Attributes:
        target: The kind of record that the rows are written as; None if they cannot be.
    """

    def __init__(
        self, source: str, rules: DatasetRules, write: Callable[[bytes], object] | None, watches: Sequence[Watch]
    ) -> None:
        self.target: RecordKind | None = None
        self._source = source
        self._rules = rules
        self._write = write
        self._watches = watches
        self._layout = layout_named(rules.layout)
        self._accepted = rules.accepts & self._layout.kinds
        if not self._accepted:
            kinds = ", ".join(sorted(rules.accepts)) or "nothing"
            message = f"the rules accept {kinds}, which the layout '{rules.layout}' cannot hold."
            raise ConfigurationError(message, hint="The provider's rules must name a layout of such records.")
        self._findings = Findings()
        self._ignored = Ignored()
        self._tokens = Tokens(rules)
        self._kind: RecordKind | None = None
        self._rows = 0
        self._bytes = 0

    def run(self, rows: Iterator[Row], count_tokens: CountTokens | None) -> None:
        """Goes through all rows, counting tokens in lockstep."""
        records = self._records(rows)
        if count_tokens is None:
            for _ in records:
                pass
            return
        waiting: deque[int] = deque()  # lines that the counter has, and has not answered: it may work in batches

        def handed_out() -> Iterator[Record]:
            for line, record in records:
                waiting.append(line)
                yield record

        try:
            for tokens, trained in count_tokens(handed_out()):
                if not waiting:
                    raise FtkitError("the token counter answered for more records than it was given.")
                self._count(waiting.popleft(), tokens, trained)
        except DatasetError as error:  # what the rules let pass, and the training cannot take
            self._cannot_be_learnt(waiting, error)
            for _ in records:
                pass
            return
        if waiting or next(records, None) is not None:
            raise FtkitError("the token counter answered for fewer records than it was given.")

    def report(self) -> Report:
        """Returns what was found, with what can be said only of the whole."""
        for problem in self._about_the_whole():
            self._findings.add(problem)
        return Report(
            source=self._source,
            kind=self._kind,
            rows=self._rows,
            problems=self._findings.in_order(self._source),
            tokens=self._tokens.stats(),
        )

    def _records(self, rows: Iterator[Row]) -> Iterator[tuple[int, Record]]:
        """Yields the rows in which nothing is wrong, in the kind that is written."""
        for row in rows:
            self._rows += 1
            if row.problem is not None:
                self._findings.add(row.problem)
            if row.record is None:
                continue
            record = self._good(row.line, row.record)
            if record is None:
                continue
            if self._put(row.line, record):
                yield row.line, record

    def _good(self, line: int, raw: Mapping[str, Any]) -> Record | None:
        """Returns the record of a row as it is written, or None after noting what is wrong with it."""
        try:
            found = normal(raw, prefer=self._accepted if self._kind is None else {self._kind})
        except DatasetError as error:
            self._note(line, error)
            return None
        if self._kind is None:
            self._begin(line, found.kind)
        if found.kind is not self._kind:
            message = f"this is a {found.kind.value} record, and those before it are {self._kind}."
            self._add(line, code="mixed-kinds", message=message, fix="Put each kind in a file of its own.")
            return None
        self._ignored.add(found.ignored)
        if self._has_flaw(line, found) or self.target is None:
            return None
        for watch in self._watches:
            for noticed in watch.see(line, found.kind, found.record):
                self._findings.add(noticed.model_copy(update={"source": self._source, "line": line}))
        try:
            return converted(found.kind, found.record, self.target)
        except DatasetError as error:
            self._note(line, error)
            return None

    def _begin(self, line: int, kind: RecordKind) -> None:
        """Fixes the kind of the file, which is that of its first readable row."""
        self._kind = kind
        self.target = reachable(kind, self._accepted)
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
            encoded = self._layout.encode(record)
        except (TypeError, ValueError) as error:  # a table may hold what is no JSON, such as dates and bytes
            self._findings.add(not_json(self._source, line, error))
            return False
        self._bytes += len(encoded)
        if self._write is not None and not self._findings.has_error:
            self._write(encoded)
        return True

    def _count(self, line: int, tokens: int, trained: int) -> None:
        self._tokens.add(line, tokens, trained)
        if trained == 0:
            message = "not one token of the row is learnt from."
            self._add(line, code="nothing-to-learn", message=message, fix="Write an answer, or leave the row out.")

    def _cannot_be_learnt(self, waiting: Sequence[int], error: DatasetError) -> None:
        line = waiting[0] if len(waiting) == 1 else None
        where = f"in one of the lines {waiting[0]} to {waiting[-1]}: " if len(waiting) > 1 else ""
        fix = "Mend the row, or leave it out. No tokens were counted after it."
        self._add(line, code="cannot-be-learnt", message=f"{where}{error.message}", fix=fix)

    def _about_the_whole(self) -> Iterator[Problem]:
        if self._kind is not None:
            yield from self._ignored.problems(self._source, self._kind)
        yield from self._tokens.problems(self._source)
        for watch in self._watches:
            yield from (noticed.model_copy(update={"source": self._source}) for noticed in watch.end())
        rules = self._rules
        if self._rows < max(rules.min_rows, 1):
            message = f"there are {self._rows:,} rows, and at least {max(rules.min_rows, 1):,} are needed."
            yield Problem(code="too-few-rows", message=message, fix="Add more.", source=self._source)
        if rules.max_bytes is not None and self._bytes > rules.max_bytes:
            message = f"the file would have {self._bytes:,} bytes, and at most {rules.max_bytes:,} are accepted."
            yield Problem(code="file-too-big", message=message, fix="Leave rows out.", source=self._source)

    def _note(self, line: int, error: DatasetError) -> None:
        for problem in error.problems:
            self._findings.add(problem.model_copy(update={"source": self._source, "line": line}))

    def _add(self, line: int | None, **problem: Any) -> None:
        self._findings.add(Problem(source=self._source, line=line, **problem))


def _without_weights(record: Record) -> Record:
    """Leaves out the weights, which are all 1 by now, where a provider does not know the field."""
    return {
        key: [{k: v for k, v in m.items() if k != "weight"} for m in value] if key in _CONVERSATIONS else value
        for key, value in record.items()
    }


_CONVERSATIONS = {"messages", "chosen", "rejected"}
