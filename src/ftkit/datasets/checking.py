"""Looks a whole data set over in one pass, and tells every problem at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftkit.datasets._locating import Format, locate, source_name
from ftkit.datasets._passing import Pass
from ftkit.datasets._ranges import share_of
from ftkit.datasets._showing import shown
from ftkit.datasets.reading import read
from ftkit.errors import DatasetError
from ftkit.models import DatasetRules, Problem, RecordKind, Report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ftkit.datasets._locating import Located, Source
    from ftkit.datasets._lockstep import CountTokens
    from ftkit.datasets.watching import Watch


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
            is the same. It is one where the file is packed, where rows are compared with each other, and where tokens
            are counted by what cannot be sent to another process (`ftkit.datasets.watching.Portable`).
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
                count_tokens,
                measures=_is_near(located, rules.max_bytes),
                advance=advance,
            )
            share = None if columns or write else share_of(located, rules, processes, watches, count_tokens)
            if share is not None:
                share.run(pass_)
            elif located.format is Format.JSONL and not columns:
                pass_.run(pass_.lines_of(located))
            else:
                pass_.run(pass_.records(read(source, columns=columns)))
    except DatasetError as error:
        return Report(source=source_name(source), problems=error.problems), None
    return _report(located.name, rules, pass_, watches), pass_.target


def _is_near(source: Located, most: int | None) -> bool:
    """Whether a file may come to more bytes than are accepted. Lines are never written longer than they were."""
    is_as_long = source.format is Format.JSONL and source.packing is None
    return most is not None and not (is_as_long and source.path.stat().st_size <= most)


def _report(name: str, rules: DatasetRules, pass_: Pass, watches: Sequence[Watch]) -> Report:
    """Returns what was found, with what can be said only of the whole."""
    for problem in _about_the_whole(name, rules, pass_, watches):
        pass_.findings.add(problem)
    problems = pass_.findings.in_order(name)
    return Report(source=name, kind=pass_.kind, rows=pass_.rows, problems=problems, tokens=pass_.tokens.stats())


def _about_the_whole(name: str, rules: DatasetRules, pass_: Pass, watches: Sequence[Watch]) -> Iterator[Problem]:
    if pass_.kind is not None:
        yield from pass_.ignored.problems(name, pass_.kind)
    yield from pass_.tokens.problems(name)
    for watch in watches:
        yield from (noticed.model_copy(update={"source": name}) for noticed in watch.end())
    if pass_.rows < max(rules.min_rows, 1):
        message = f"there are {pass_.rows:,} rows, and at least {max(rules.min_rows, 1):,} are needed."
        yield _problem(name, "too-few-rows", message, "Add more.")
    if rules.max_bytes is not None and pass_.bytes > rules.max_bytes:
        message = f"the file would have {pass_.bytes:,} bytes, and at most {rules.max_bytes:,} are accepted."
        yield _problem(name, "file-too-big", message, "Leave rows out.")


def _problem(source: str, code: str, message: str, fix: str) -> Problem:
    return Problem(source=source, code=code, message=message, fix=fix)
