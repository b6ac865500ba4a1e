"""The warnings that a check may give besides what the rules say: their names, and those who look for them.

report = check("train.jsonl", rules, watches=watches_for("all", validation="valid.jsonl"))
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, NamedTuple

from ftkit.datasets._across import Contradictions, Leakage, Repeats
from ftkit.datasets._looks import Alone, Look, PersonalData, Roles, ShortAnswers, Tools
from ftkit.datasets._said import Said
from ftkit.errors import ConfigurationError
from ftkit.methods import near

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ftkit.datasets._locating import Source
    from ftkit.datasets.watching import Watch
    from ftkit.models import Problem, RecordKind


class Warn(NamedTuple):
    """A sort of warning.

    Attributes:
        about: What is looked for, in one line.
        across: Whether rows are compared with each other, which costs time and memory; left out by default.
    """

    about: str
    across: bool


WARNINGS: Mapping[str, Warn] = {
    "personal-data": Warn("e-mail addresses, keys, card and account numbers, phone numbers", across=False),
    "short-answers": Warn("answers of a letter or two, where most are longer", across=False),
    "roles": Warn("system messages in some rows only; questions without answers; little to learn", across=False),
    "tools": Warn("calls that nobody answers, and of functions that are not among the tools", across=False),
    "duplicates": Warn("rows that are the same to the letter", across=True),
    "near-duplicates": Warn("rows that are the same but for case, spaces and marks", across=True),
    "contradictions": Warn("different answers to the same prompt", across=True),
    "leakage": Warn("rows and prompts that the validation file has as well", across=True),
}
"""All sorts of warning by name."""

DEFAULT = frozenset(name for name, each in WARNINGS.items() if not each.across)
"""The warnings that are given where none are named; with a validation file, "leakage" besides."""


def chosen(wanted: str | Collection[str], *, has_validation: bool = False) -> frozenset[str]:
    """Returns the names of the warnings that are wanted.

    Args:
        wanted: "default", "all", "none", a name, or several, also as one text with commas.
        has_validation: Whether there is a validation file to compare with.

    Raises:
        ConfigurationError: There is no warning of that name, or "leakage" is named and there is no validation file.
    """
    names: set[str] = set()
    for name in _asked(wanted):
        if name == "default":
            names |= DEFAULT | ({"leakage"} if has_validation else set())
        elif name == "all":
            names |= WARNINGS.keys() if has_validation else WARNINGS.keys() - {"leakage"}
        elif name in WARNINGS:
            names.add(name)
        elif name != "none":
            raise ConfigurationError(f"there is no warning '{name}'{near(name, WARNINGS) or '.'}", hint=_KNOWN)
    if "leakage" in names and not has_validation:
        raise ConfigurationError(
            "for 'leakage' a validation file is needed.",
            hint="Name it as `validation` (on the command line: --validation FILE).",
        )
    return frozenset(names)


def _asked(wanted: str | Collection[str]) -> Iterator[str]:
    """Yields the names in a text, or in several. What comes from a program may be of any type."""
    texts = [wanted] if isinstance(wanted, str) else wanted
    if not (_are_several(texts) and _are_texts(texts)):
        message = f"warnings are named by a text or a list of texts, and this is {wanted!r}."
        raise ConfigurationError(message, hint=_KNOWN)
    for text in texts:
        yield from (name.strip() for name in text.split(","))


def _are_several(value: object) -> bool:
    return isinstance(value, Collection)


def _are_texts(values: Collection[object]) -> bool:
    return all(isinstance(value, str) for value in values)


_KNOWN = f"Use {', '.join(['default', 'all', 'none', *WARNINGS])}."


def watches_for(
    wanted: str | Collection[str] = "default",
    *,
    validation: Source | None = None,
    columns: Mapping[str, str] | None = None,
    most_rows: int | None = None,
) -> tuple[Watch, ...]:
    """Returns those who look for the warnings that are wanted. They are for one check.

    Args:
        wanted: "default", "all", "none", a name of `WARNINGS`, or several, also as one text with commas.
        validation: The validation file, which "leakage" compares with.
        columns: Its own column names -> those of the record.
        most_rows: Different rows that are remembered to be compared with; 3,000,000 by default, which take 64 MiB for
            each of "duplicates", "near-duplicates" and "contradictions", and twice that for "leakage".

    Raises:
        ConfigurationError: There is no such warning.
    """
    names = chosen(wanted, has_validation=validation is not None)
    looks: list[Look] = [make() for name, make in _IN_ROWS.items() if name in names]
    exact, similar = "duplicates" in names, "near-duplicates" in names
    if exact or similar:
        looks.append(Repeats(exact=exact, near=similar, most=most_rows))
    if "contradictions" in names:
        looks.append(Contradictions(most_rows))
    if "leakage" in names and validation is not None:
        looks.append(Leakage(validation, columns, most_rows))
    return (_Watch(looks, names),) if looks else ()


def rows_alone(wanted: list[str]) -> Watch:
    """Returns who looks for warnings of single rows, which are not compared with others."""
    return _Watch([_IN_ROWS[name]() for name in wanted], wanted)


_IN_ROWS: Mapping[str, type[Look]] = {
    "personal-data": PersonalData,
    "short-answers": ShortAnswers,
    "roles": Roles,
    "tools": Tools,
}


class _Watch:
    """All looks together: what they want of a record is made once."""

    def __init__(self, looks: list[Look], names: Collection[str]) -> None:
        self._looks = looks
        self._names = [name for name in _IN_ROWS if name in names]
        self._compares = any(WARNINGS[name].across for name in names)

    def see(self, line: int, kind: RecordKind, record: Mapping[str, Any]) -> Iterable[Problem]:
        said = Said(kind, record)
        found: list[Problem] = []
        for look in self._looks:
            found += look.see(line, said)
        return found

    def end(self) -> Iterator[Problem]:
        for look in self._looks:
            yield from look.end()

    def portable(self) -> tuple[str, dict[str, Any]] | None:
        return None if self._compares else (f"{__name__}:{rows_alone.__name__}", {"wanted": self._names})

    def told(self) -> dict[str, Any]:
        return {"looks": [look.told() for look in self._looks if isinstance(look, Alone)]}

    def take(self, told: Mapping[str, Any], lines: int) -> None:
        for look, each in zip(self._looks, told["looks"], strict=True):
            if isinstance(look, Alone):
                look.take(each, lines)
