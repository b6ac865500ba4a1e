"""The table of what each provider can do, made from the providers themselves, so that it cannot drift."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftkit.provider import ABILITIES, abilities

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ftkit.provider import Provider


def abilities_table(providers: Iterable[Provider]) -> str:
    """Returns a Markdown table: a row for each method and ability, a column for each provider."""
    columns = list(providers)
    methods = [{str(method.model_fields["type"].default) for method in p.methods} for p in columns]
    names = [abilities(p) for p in columns]
    rows = [
        ["", *(p.name for p in columns)],
        ["---", *(":-:" for _ in columns)],
        *(_marks(f"method `{method}`", method, methods) for method in sorted(set[str]().union(*methods))),
        *(_marks(f"`{ability.__name__}`", ability.__name__, names) for ability in ABILITIES),
    ]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _marks(head: str, wanted: str, columns: Sequence[set[str] | frozenset[str]]) -> list[str]:
    return [head, *("yes" if wanted in column else "-" for column in columns)]
