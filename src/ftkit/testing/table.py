"""The table of what each provider can do, made from the providers themselves, so that it cannot drift."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from ftkit.methods import Method
from ftkit.provider import ABILITIES, abilities

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ftkit.provider import Provider


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a provider can do, by name: all of it can be sent to another process.

    Attributes:
        name: The head of its column.
        methods: The types of its fine-tuning methods.
        abilities: The optional abilities that it has.
        doubted: Those of them of which a check is expected to fail.
    """

    name: str
    methods: frozenset[str] = frozenset()
    abilities: frozenset[str] = frozenset()
    doubted: frozenset[str] = frozenset()


def capabilities(provider: object) -> Capabilities:
    """Returns what a provider, or its class, can do. One that breaks the contract is told as far as it can be."""
    told = cast("object", getattr(provider, "methods", ()))
    methods = cast("Iterable[object]", told if isinstance(told, frozenset | set | list | tuple) else ())
    types = {_type_of(each) for each in methods if isinstance(each, type) and issubclass(each, Method)}
    name = str(getattr(provider, "name", type(provider).__name__))
    return Capabilities(name, frozenset(types), abilities(provider))


def abilities_table(providers: Iterable[Provider | Capabilities]) -> str:
    r"""Returns a Markdown table: a row for each method and ability, a column for each provider.

    "yes \*" stands where a provider has the ability, and a check of it is expected to fail.
    """
    columns = [each if isinstance(each, Capabilities) else capabilities(each) for each in providers]
    methods = [column.methods for column in columns]
    rows = [
        ["", *(column.name for column in columns)],
        ["---", *(":-:" for _ in columns)],
        *(_marks(f"method `{method}`", method, methods) for method in sorted(frozenset[str]().union(*methods))),
        *(_ability(ability.__name__, columns) for ability in ABILITIES),
    ]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _ability(name: str, columns: Sequence[Capabilities]) -> list[str]:
    head, *marks = _marks(f"`{name}`", name, [column.abilities for column in columns])
    doubted = [name in column.doubted and mark == "yes" for column, mark in zip(columns, marks, strict=True)]
    return [head, *(f"{mark} \\*" if doubt else mark for mark, doubt in zip(marks, doubted, strict=True))]


def _marks(head: str, wanted: str, columns: Sequence[frozenset[str]]) -> list[str]:
    return [head, *("yes" if wanted in column else "-" for column in columns)]


def _type_of(method: type[Method]) -> str:
    return str(method.model_fields["type"].default)
