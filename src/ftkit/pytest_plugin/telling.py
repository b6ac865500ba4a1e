"""What is told at the end: a block for each provider, and the table."""

from __future__ import annotations

import textwrap
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from ftkit.provider import ABILITIES
from ftkit.pytest_plugin.finding import EXPECTED, FAILED, PASSED, SKIPPED
from ftkit.testing.table import abilities_table

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import pytest

    from ftkit.pytest_plugin.finding import Findings, Ran

_HEAD = 12


class Telling:
    """Tells what was found.

    Args:
        findings: What was found.
        table: Where the table is written.
        prints: Whether it is printed.
        by_hand: Whether classes that were written by hand are told of, and not only those that were named.
    """

    def __init__(self, findings: Findings, *, table: Path | None, prints: bool, by_hand: bool) -> None:
        self._findings = findings
        self._table = table
        self._prints = prints
        self._by_hand = by_hand

    def pytest_sessionfinish(self) -> None:
        """Writes the table, if there is something in it."""
        text = table_of(self._findings.providers())
        if self._table is not None and text:
            self._table.write_text(text, encoding="utf-8")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Prints the blocks, and the table or where it is."""
        everything = list(self._findings.providers())
        blocks = [block_of(ran) for ran in everything if ran.named or self._by_hand]
        text = table_of(everything)
        if blocks:
            terminalreporter.section("ftkit: what was found")
            terminalreporter.write("\n".join(blocks))
        if self._prints or self._table is not None:
            terminalreporter.section("ftkit: what providers can do")
            where = "" if self._prints or not text else f"It is in {self._table}.\n"
            terminalreporter.write(where or text or "The kit ran on no provider, so there is no table.\n")


def block_of(ran: Ran) -> str:
    """Returns what is told of one provider."""
    by = ", ".join(ran.who)
    if ran.found is None:
        return f"{by}: no check came so far as to have a provider\n{_lines('checks', _counts(ran))}"
    order = [ability.__name__ for ability in ABILITIES]
    lacks = [name for name in order if name not in ran.found.abilities]
    unable = {f"{ran.found.name} has no {name}" for name in lacks}
    skipped = Counter(ending.reason for ending in ran.of(SKIPPED) if ending.reason not in unable)
    lines = [
        f"{ran.found.name} ({by})\n",
        _lines("methods", ", ".join(sorted(ran.found.methods)) or "none"),
        _lines("has", ", ".join(name for name in order if name in ran.found.abilities) or "no ability"),
        _lines("has not", ", ".join(lacks) or "nothing: it has them all"),
        _lines("checks", _counts(ran)),
        *(_lines("skipped", f"{n}: {reason}") for reason, n in skipped.items()),
        *(_lines("expected", f"{ending.check}: {ending.reason}") for ending in ran.of(EXPECTED)),
    ]
    return "".join(lines)


def table_of(everything: Iterable[Ran]) -> str:
    """Returns the table of all providers, with what is expected to fail below it; nothing if there are none."""
    known = [(ran, ran.found) for ran in everything if ran.found is not None]
    if not known:
        return ""
    times = Counter(found.name for _, found in known)
    heads = [found.name if times[found.name] == 1 else f"{found.name} ({', '.join(ran.who)})" for ran, found in known]
    columns = [replace(found, name=head) for (_, found), head in zip(known, heads, strict=True)]
    notes = [
        f"- {head}, `{ending.check}`: {ending.reason}\n"
        for (ran, _), head in zip(known, heads, strict=True)
        for ending in ran.of(EXPECTED)
    ]
    below = "".join(["\n\\* A check is expected to fail:\n\n", *notes]) if notes else ""
    return abilities_table(columns) + below


def _counts(ran: Ran) -> str:
    told = {kind: len(ran.of(kind)) for kind in (PASSED, FAILED, SKIPPED, EXPECTED)}
    return ", ".join(f"{n} {kind}" for kind, n in told.items() if n or kind == PASSED)


def _lines(head: str, text: str) -> str:
    indent = " " * _HEAD
    return textwrap.fill(text, 100, initial_indent=f"  {head}".ljust(_HEAD), subsequent_indent=indent) + "\n"
