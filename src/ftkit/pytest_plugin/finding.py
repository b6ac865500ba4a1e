"""What is found while the kit runs: whose check it was, what the provider can do, how it ended.

A check's report carries it, so that it comes from the workers of pytest-xdist as well. It is an attribute of the
report, and no user property: those end up in every JUnit file.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypedDict, cast

import pytest

from ftkit.provider import ABILITIES
from ftkit.pytest_plugin.collecting import KitClass
from ftkit.testing import ProviderHooks
from ftkit.testing.table import Capabilities, capabilities

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

PASSED, FAILED, SKIPPED, EXPECTED = "passed", "failed", "skipped", "expected to fail"
_NOTE = "ftkit"
_NAMES = frozenset(ability.__name__ for ability in ABILITIES)


class Note(TypedDict):
    """What a report carries."""

    group: str
    who: str
    named: bool
    check: str
    ability: str
    provider: tuple[str, list[str], list[str]] | None


@dataclass(frozen=True, slots=True)
class Ending:
    """How a check ended.

    Attributes:
        kind: One of the four words above.
        check: Its name.
        reason: Why it was skipped, or is expected to fail.
        ability: The ability that it is about.
    """

    kind: str
    check: str
    reason: str = ""
    ability: str = ""


@dataclass(slots=True)
class Ran:
    """What is known of one provider.

    Attributes:
        who: The classes that it was tested by.
        named: Whether one of them was named by an option or a setting.
        found: What it can do; None if no check came so far as to have a provider.
        endings: How each check ended, by its id.
    """

    who: list[str] = field(default_factory=list[str])
    named: bool = False
    found: Capabilities | None = None
    endings: dict[str, Ending] = field(default_factory=dict[str, Ending])

    def of(self, kind: str) -> list[Ending]:
        """Returns the checks that ended in this way."""
        return [ending for ending in self.endings.values() if ending.kind == kind]


class Findings:
    """Sees the reports: where the checks run, and where they are told."""

    def __init__(self) -> None:
        self._groups: dict[str, Ran] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Puts on the report of a check what its provider can do."""
        report = yield
        if isinstance(item, pytest.Function) and item.cls is not None and issubclass(item.cls, ProviderHooks):
            vars(report)[_NOTE] = _note(item, with_provider=report.when == "setup")
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Takes it from the report, here or from a worker."""
        note = cast("Note | None", vars(report).get(_NOTE))
        if note is None:
            return
        ran = self._groups.setdefault(note["group"], Ran([note["who"]], note["named"]))
        if note["provider"] is not None:
            name, methods, has = note["provider"]
            ran.found = Capabilities(name, frozenset(methods), frozenset(has))
        ending = _ending(report, note)
        before = ran.endings.get(report.nodeid)
        if ending is not None and (before is None or ending.kind == FAILED):
            ran.endings[report.nodeid] = ending

    def providers(self) -> Iterator[Ran]:
        """Yields what is known of each provider: classes whose providers can do the same under one name are one."""
        together: dict[object, Ran] = {}
        for group, ran in self._groups.items():
            one = together.setdefault(ran.found or group, Ran(found=ran.found))
            one.who += [who for who in ran.who if who not in one.who]
            one.named |= ran.named
            one.endings |= ran.endings
        for one in together.values():
            if one.found is not None:
                one.found = replace(one.found, doubted=frozenset(ending.ability for ending in one.of(EXPECTED)))
            yield one


def _note(item: pytest.Function, *, with_provider: bool) -> Note:
    parent = item.getparent(pytest.Class)
    kit = parent if isinstance(parent, KitClass) else None
    provider: Any = item.funcargs.get("provider") if with_provider else None
    found = None if provider is None else capabilities(provider)
    return {
        "group": parent.nodeid if parent is not None else item.nodeid,
        "who": kit.who if kit is not None else cast("type", item.cls).__qualname__,
        "named": kit is not None,
        "check": item.name,
        "ability": _ability_of(cast("object", item.obj)),
        "provider": None if found is None else (found.name, sorted(found.methods), sorted(found.abilities)),
    }


def _ability_of(check: object) -> str:
    """Returns the ability that a check is about: the first that its code names, as that is what it asks for."""
    code = getattr(inspect.unwrap(cast("Any", check)), "__code__", None)
    return next((name for name in getattr(code, "co_names", ()) if name in _NAMES), "")


def _ending(report: pytest.TestReport, note: Note) -> Ending | None:
    """Returns how a check ended, if this report of it (of setup, call or teardown) says so."""
    if report.failed:
        return Ending(FAILED, note["check"])
    if report.skipped and hasattr(report, "wasxfail"):
        return Ending(EXPECTED, note["check"], str(report.wasxfail), note["ability"])
    if report.skipped:
        told = report.longrepr[2] if isinstance(report.longrepr, tuple | list) else str(report.longrepr)
        return Ending(SKIPPED, note["check"], told.removeprefix("Skipped: "))
    return Ending(PASSED, note["check"]) if report.when == "call" else None
