"""Looks a whole data set over in one pass, and tells every problem at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from ftkit.datasets._locating import Format, locate, source_name
from ftkit.datasets._passing import Pass, Records
from ftkit.datasets._ranges import Ranges, worth_sharing
from ftkit.datasets._showing import shown
from ftkit.datasets._tallies import Tokens
from ftkit.datasets.reading import read
from ftkit.errors import DatasetError, FtkitError
from ftkit.models import DatasetRules, Problem, RecordKind, Report

if TYPE_CHECKING:
    from ftkit.datasets._locating import Located, Source
    from ftkit.datasets.records import Record
    from ftkit.datasets.watching import Watch

CountTokens: TypeAlias = Callable[[Iterator[Mapping[str, Any]]], Iterator[tuple[int, int]]]
"""Yields (tokens, tokens learnt from) of each record, in order."""


def check(
    source: Source,
    rules: DatasetRules,
    *,
    columns: Mapping[str, str] | None = None,
    count_tokens: CountTokens | None = None,
    watches: Sequence[Watch] = (),
    processes: int | None = None,
    progress: bool = False,
) -> Report:
    """Looks a data set over. A file that cannot be read at all is a problem in the report as well.

    Args:
        source: A file, or a folder saved by `datasets.save_to_disk`.
        rules: What the provider asks of it.
        columns: The file's own column names -> those of the record.
        count_tokens: Counts the tokens of records as the training would; it gets them in the kind that is written.
        watches: Who looks at every good record besides.
        processes: How many processes may work on a large file of lines; as many as there are cores if None. The report
            is the same. Where tokens are counted, somebody watches, or the file is packed, it is one.
        progress: Whether to show on a terminal how far it is, if it takes more than two seconds.

    Returns:
        What was found. Its `kind` is that of the rows, whatever they can be written as.

    Raises:
        ConfigurationError: `columns` or `rules.layout` names what there is not.
        MissingExtraError: pyarrow is needed and not installed.
    """
    found, _ = examine(
        source,
        rules,
        columns=columns,
        count_tokens=count_tokens,
        watches=watches,
        processes=processes,
        progress=progress,
    )
    return found


def examine(
    source: Source,
    rules: DatasetRules,
    *,
    columns: Mapping[str, str] | None = None,
    count_tokens: CountTokens | None = None,
    watches: Sequence[Watch] = (),
    write: Callable[[bytes], object] | None = None,
    processes: int | None = None,
    progress: bool = False,
) -> tuple[Report, RecordKind | None]:
    """Does what `check` does, and writes what is good as it goes, until something is wrong.

    Args:
        source: The data set.
        rules: What the provider asks of it.
        columns: The file's own column names -> those of the record.
        count_tokens: Counts tokens.
        watches: Who looks at every good record besides.
        write: Takes the lines of the provider's layout.
        processes: How many processes may work on it.
        progress: Whether to show on a terminal how far it is.

    Returns:
        The report, and the kind of record that was written.
    """
    try:
        located = locate(source)
        with shown(located, progress=progress) as advance:
            pass_ = Pass(
                located.name,
                rules,
                write,
                watches,
                hands_on=count_tokens is not None,
                measures=_is_near(located, rules.max_bytes),
                advance=advance,
            )
            records = _records(located, columns, rules, pass_, 1 if count_tokens or watches or write else processes)
            tokens = Tokens(rules)
            _run(records, pass_, tokens, count_tokens)
    except DatasetError as error:
        return Report(source=source_name(source), problems=error.problems), None
    return _report(located.name, rules, pass_, tokens, watches), pass_.target


def _is_near(source: Located, most: int | None) -> bool:
    """Whether a file may come to more bytes than are accepted. Lines are never written longer than they were."""
    is_as_long = source.format is Format.JSONL and source.packing is None
    return most is not None and not (is_as_long and source.path.stat().st_size <= most)


def _records(
    source: Located, columns: Mapping[str, str] | None, rules: DatasetRules, pass_: Pass, processes: int | None
) -> Records:
    if source.format is not Format.JSONL or columns:
        return pass_.records(read(source.path, columns=columns))
    if source.packing is None and worth_sharing(source.path.stat().st_size, rules, processes):
        return Ranges(source, rules, pass_, processes).records()
    return pass_.lines_of(source)


def _run(records: Records, pass_: Pass, tokens: Tokens, count_tokens: CountTokens | None) -> None:
    """Goes through all rows, counting tokens in lockstep."""
    if count_tokens is not None:
        waiting: deque[int] = deque()  # lines that the counter has, and has not answered: it may work in batches
        try:
            for line, count, trained in _counted(records, waiting, count_tokens):
                tokens.add(line, count, trained)
                if trained == 0:
                    message = "not one token of the row is learnt from."
                    fix = "Write an answer, or leave the row out."
                    pass_.findings.add(_problem(pass_.source, "nothing-to-learn", message, fix, line))
        except DatasetError as error:  # what the rules let pass, and the training cannot take
            pass_.findings.add(_cannot_be_learnt(pass_.source, waiting, error))
    for _ in records:
        pass


def _counted(records: Records, waiting: deque[int], count_tokens: CountTokens) -> Iterator[tuple[int, int, int]]:
    """Yields line, tokens, and tokens learnt from, of each record."""

    def handed_out() -> Iterator[Record]:
        for line, record in records:
            waiting.append(line)
            yield record

    for count, trained in count_tokens(handed_out()):
        if not waiting:
            raise FtkitError("the token counter answered for more records than it was given.")
        yield waiting.popleft(), count, trained
    if waiting or next(records, None) is not None:
        raise FtkitError("the token counter answered for fewer records than it was given.")


def _report(name: str, rules: DatasetRules, pass_: Pass, tokens: Tokens, watches: Sequence[Watch]) -> Report:
    """Returns what was found, with what can be said only of the whole."""
    for problem in _about_the_whole(name, rules, pass_, tokens, watches):
        pass_.findings.add(problem)
    problems = pass_.findings.in_order(name)
    return Report(source=name, kind=pass_.kind, rows=pass_.rows, problems=problems, tokens=tokens.stats())


def _about_the_whole(
    name: str, rules: DatasetRules, pass_: Pass, tokens: Tokens, watches: Sequence[Watch]
) -> Iterator[Problem]:
    if pass_.kind is not None:
        yield from pass_.ignored.problems(name, pass_.kind)
    yield from tokens.problems(name)
    for watch in watches:
        yield from (noticed.model_copy(update={"source": name}) for noticed in watch.end())
    if pass_.rows < max(rules.min_rows, 1):
        message = f"there are {pass_.rows:,} rows, and at least {max(rules.min_rows, 1):,} are needed."
        yield _problem(name, "too-few-rows", message, "Add more.")
    if rules.max_bytes is not None and pass_.bytes > rules.max_bytes:
        message = f"the file would have {pass_.bytes:,} bytes, and at most {rules.max_bytes:,} are accepted."
        yield _problem(name, "file-too-big", message, "Leave rows out.")


def _cannot_be_learnt(source: str, waiting: Sequence[int], error: DatasetError) -> Problem:
    line = waiting[0] if len(waiting) == 1 else None
    where = f"in one of the lines {waiting[0]} to {waiting[-1]}: " if len(waiting) > 1 else ""
    fix = "Mend the row, or leave it out. No tokens were counted after it."
    return _problem(source, "cannot-be-learnt", f"{where}{error.message}", fix, line)


def _problem(source: str, code: str, message: str, fix: str, line: int | None = None) -> Problem:
    return Problem(source=source, line=line, code=code, message=message, fix=fix)
