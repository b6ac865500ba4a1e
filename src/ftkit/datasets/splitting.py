"""Splits a data set into parts that share no row."""

from __future__ import annotations

import random
from array import array
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from ftkit.datasets._locating import is_part_of, source_name
from ftkit.datasets._tallies import Findings
from ftkit.datasets._writing import atomically
from ftkit.datasets.layouts import CANONICAL, not_json
from ftkit.datasets.reading import read
from ftkit.datasets.records import normal
from ftkit.errors import ConfigurationError, DatasetError
from ftkit.models import Problem, RecordKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ftkit.datasets._locating import Source

    Demands = Mapping[str, float] | Mapping[Path, float] | Mapping[str | Path, float]  # a key's type is invariant

_NO_PART = -1
_SLACK = Fraction(1, 10**9)  # 8/17 and 9/17 as floats are a little more than 1


def split(
    source: Source,
    into: Demands,
    *,
    seed: int = 0,
    columns: Mapping[str, str] | None = None,
) -> dict[Path, int]:
    """Writes disjoint parts of a data set, drawn at random, as canonical JSON lines.

    The same file, demands and seed give the same parts on any machine. Within a part, rows keep the order of the
    file. Memory: one integer per row. All parts are written, or none.

    Args:
        source: A file, or a folder saved by `datasets.save_to_disk`.
        into: File to write -> how much: a number of rows (80), or a share of all rows (0.8).
        seed: Another seed draws other rows.
        columns: The file's own column names -> those of the record.

    Returns:
        The files, and the rows that each got.

    Raises:
        DatasetError: A row cannot be read, there are not as many rows as are asked for, or the file changed while it
            was read. Nothing is written.
        ConfigurationError: What is asked for makes no sense: no part, a share above 1, a target that is the source; or
            it cannot be written.
        MissingExtraError: pyarrow is needed and not installed.
    """
    targets = _targets(source, into)
    total = sum(1 for _ in _encoded(source, columns))
    counts = _counts(source_name(source), list(into.values()), total)
    part_of = _draw(counts, total, seed)
    with atomically(targets) as files:
        parts = iter(part_of)
        for encoded in _encoded(source, columns):
            part = next(parts, None)
            if part is None:
                raise _changed(source_name(source))
            if part != _NO_PART:
                files[part].write(encoded)
        if next(parts, None) is not None:
            raise _changed(source_name(source))
    return dict(zip(targets, counts, strict=True))


def _changed(name: str) -> DatasetError:
    problem = Problem(code="changed", message="the file changed while it was read.", fix="Try again.", source=name)
    return DatasetError(f"{name} cannot be split now; nothing was written.", [problem])


def _targets(source: Source, into: Demands) -> list[Path]:
    if not into:
        raise ConfigurationError(
            "there is nothing to split into.", hint="Such as {'train.jsonl': 0.9, 'test.jsonl': 0.1}."
        )
    targets = [Path(target) for target in into]
    times = Counter(target.resolve() for target in targets)
    for target, demand in zip(targets, into.values(), strict=True):
        if is_part_of(source, target):
            raise ConfigurationError(f"'{target}' is the data set itself.", hint="Write to another file.")
        if times[target.resolve()] > 1:
            raise ConfigurationError(f"'{target}' is named twice.", hint="Give each part a file of its own.")
        most = 1 if isinstance(demand, float) else float("inf")
        if isinstance(demand, bool) or not 0 < demand <= most:  # NaN is refused here, too
            hint = "Give a number of rows (80), or a share above 0 and up to 1.0 (0.8)."
            raise ConfigurationError(f"'{target}' cannot get {demand} rows.", hint=hint)
    if sum(Fraction(str(share)) for share in into.values() if isinstance(share, float)) > 1 + _SLACK:
        raise ConfigurationError("the shares add up to more than 1.", hint="No row can be in two parts.")
    return targets


def _encoded(source: Source, columns: Mapping[str, str] | None) -> Iterator[bytes]:
    """Yields the canonical records of a data set, as lines.

    Raises:
        DatasetError: At the end, if a row was no record, or of another kind than the first.
    """
    findings, kind, name = Findings(), None, source_name(source)
    for row in read(source, columns=columns):
        if row.problem is not None:
            findings.add(row.problem)
        if row.record is None:
            continue
        try:
            found = normal(row.record, prefer=() if kind is None else {kind})
        except DatasetError as error:
            for problem in error.problems:
                findings.add(problem.model_copy(update={"source": name, "line": row.line}))
            continue
        if kind not in {None, found.kind}:
            findings.add(_mixed(name, row.line, found.kind, kind))
            continue
        kind = found.kind
        try:
            encoded = CANONICAL.encode(found.record)
        except (TypeError, ValueError) as error:
            findings.add(not_json(name, row.line, error))
            continue
        yield encoded
    if findings.has_error:
        problems = findings.in_order(name)
        raise DatasetError(f"{name} has rows that cannot be read; nothing was written.", problems)


def _mixed(name: str, line: int, found: RecordKind, kind: RecordKind | None) -> Problem:
    message = f"this is a {found.value} record, and those before it are {kind}."
    fix = "Put each kind in a file of its own."
    return Problem(code="mixed-kinds", message=message, fix=fix, source=name, line=line)


def _counts(name: str, demands: Sequence[int | float], total: int) -> list[int]:
    """Returns the rows of each part. Shares are rounded in such a way that 0.7, 0.2 and 0.1 leave no row over."""
    counts: list[int] = []
    share, given = Fraction(0), 0
    for demand in demands:
        if isinstance(demand, float):
            share += Fraction(str(demand))  # as it was written: 0.1 is a tenth
            upto = int(min(share, Fraction(1)) * total + Fraction(1, 2))
            counts.append(upto - given)
            given = upto
        else:
            counts.append(demand)
    if sum(counts) > total or 0 in counts:
        wanted = ", ".join(str(demand) for demand in demands)
        message = f"there are {total:,} rows, too few for parts of {wanted}."
        problem = Problem(code="too-few-rows", message=message, fix="Ask for less.", source=name)
        raise DatasetError(f"{name} cannot be split like that; nothing was written.", [problem])
    return counts


def _draw(counts: Sequence[int], total: int, seed: int) -> array[int]:
    """Returns the part of each row.

    The shuffle is written out, on `Random.random` alone: that is all that Python promises to be the same in every
    version.
    """
    draw = random.Random(seed).random  # noqa: S311 - not for secrets
    order = array("q", range(total))
    for last in range(total - 1, 0, -1):
        other = int(draw() * (last + 1))
        order[last], order[other] = order[other], order[last]
    part_of = array("q", [_NO_PART]) * total
    first = 0
    for part, count in enumerate(counts):
        for row in order[first : first + count]:
            part_of[row] = part
        first += count
    return part_of
