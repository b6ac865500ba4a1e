"""What an attack came to, one line each; `python -m ftkit.testing.tally FILE` prints the table.

Tests record their tallies when FTKIT_CHAOS_REPORT names a file, as `make chaos` does. The table's last line sums it
up, and the exit code is 1 if anything was paid twice, lost, seen, or otherwise broken; 2 if there is no such file.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

REPORT = "FTKIT_CHAOS_REPORT"
"""Environment variable: the file that tallies are added to."""
ALL = "FTKIT_CHAOS"
"""Environment variable: "all" tries every point of an attack, in place of a sample."""
SAMPLE = 20


@dataclass(frozen=True, slots=True)
class Tally:
    """What one attack on one provider came to.

    Attributes:
        attack: What was done.
        provider: To which provider; "any" where none is concerned.
        tries: How often.
        wanted: How many jobs (or deployments) there should be at the vendor's after all tries.
        made: How many there are. More than `wanted` means that something was paid twice.
        lost: How many of those that were paid came back to nobody.
        secrets: How often a secret was seen where none may be.
        broken: How many tries broke a promise: these, and whatever else an attack looks at.
    """

    attack: str
    provider: str
    tries: int
    wanted: int = 0
    made: int = 0
    lost: int = 0
    secrets: int = 0
    broken: int = 0


def record(tally: Tally) -> None:
    """Adds a tally to the file that FTKIT_CHAOS_REPORT names; does nothing where it names none."""
    if path := os.environ.get(REPORT):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(tally)) + "\n")


def in_chaos() -> bool:
    """Whether all points of an attack are tried, and not a sample of them."""
    return os.environ.get(ALL) == "all"


def points(total: int, sample: int = SAMPLE) -> list[int]:
    """Returns the points at which to strike, counted from 1: a sample, spread over all; or all of them in chaos."""
    if in_chaos() or total <= sample:
        return list(range(1, total + 1))
    return sorted({round(1 + n * (total - 1) / max(1, sample - 1)) for n in range(sample)})


def table(tallies: Iterable[Tally]) -> str:
    """Returns the table as text, a line for each attack on each provider; its last line sums it up."""
    tallies = merged(tallies)
    numbers = [[str(value) for value in asdict(tally).values()] for tally in tallies]
    rows = [[f"jobs {n}" if n in {"wanted", "made", "lost"} else n for n in (f.name for f in fields(Tally))], *numbers]
    rows[0][-2:] = ["secrets seen", "tries broken"]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join([*lines, "", summary(tallies)])


def merged(tallies: Iterable[Tally]) -> list[Tally]:
    """Returns one tally for each attack on each provider, in order: what several tests have told of it is added up."""
    sums: dict[tuple[str, str], Tally] = {}
    numbers = [f.name for f in fields(Tally)][2:]
    for told in tallies:
        key = (told.attack, told.provider)
        before = sums.get(key, Tally(*key, tries=0))
        sums[key] = Tally(*key, **{name: getattr(before, name) + getattr(told, name) for name in numbers})
    return [sums[key] for key in sorted(sums)]


def summary(tallies: Iterable[Tally]) -> str:
    """Returns the one line that says what all attacks came to."""
    tallies = list(tallies)
    twice = sum(max(0, tally.made - tally.wanted) for tally in tallies)
    names = ("tries", "lost", "secrets", "broken")
    tries, lost, seen, broken = (sum(getattr(tally, name) for tally in tallies) for name in names)
    came = f"{twice} jobs paid twice, {lost} lost, {seen} secrets seen, {broken} tries broken"
    attacks = len({tally.attack for tally in tallies})
    return f"{attacks} attacks on {len(tallies)} targets, {tries} tries: {came}."


def is_clean(tallies: Iterable[Tally]) -> bool:
    """Whether nothing was paid twice, lost, seen or broken, and everything that was wanted was made."""
    return all(t.made == t.wanted and not (t.lost or t.secrets or t.broken) for t in tallies)


def read(path: Path) -> list[Tally]:
    """Reads a file of tallies.

    Raises:
        ValueError: A line of it is none; or there is none at all.
    """
    tallies: list[Tally] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            tallies.append(Tally(**json.loads(line)))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path}, line {number}: this is no tally ({error})") from error
    if not tallies:
        raise ValueError(f"{path}: nothing was recorded; run the attacks with {REPORT}={path}")
    return tallies


def main(arguments: list[str]) -> int:
    """Prints the table of a file of tallies, and returns the exit code."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print("usage: python -m ftkit.testing.tally FILE", file=sys.stderr)  # noqa: T201 - a program
        return 2
    try:
        tallies = read(Path(arguments[0]))
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - likewise
        return 2
    print(table(tallies))  # noqa: T201 - it is what this program is for
    return 0 if is_clean(tallies) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
