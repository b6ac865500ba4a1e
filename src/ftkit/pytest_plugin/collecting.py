"""The kit as items of pytest: `ftkit::AcmeHooks::test_create`.

pytest's own classes do nearly all of it: a module, in it two classes, in these the checks. They hang below the folder
that the class of hooks lies in, so that its conftest.py serves them as it serves the tests beside it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence
    from types import ModuleType

    from ftkit.pytest_plugin.naming import Checks, Kit
    from ftkit.testing import ProviderHooks


class KitClass(pytest.Class):
    """The checks of one kit."""

    who: str
    checks: Checks

    def _getobj(self) -> type[ProviderHooks]:
        return self.checks.made

    def funcnamefilter(self, name: str) -> bool:
        """Says what is a check, whatever the author's own tests are called."""
        return name.startswith("test_")

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        """Yields the checks that are wanted."""
        only = self.checks.only
        for node in super().collect():
            if only is None or {node.name, node.name.partition("[")[0]} & only:
                yield node


class KitModule(pytest.Module):
    """The checks on one class of hooks."""

    kit: Kit

    @classmethod
    def of(cls, kit: Kit, parent: pytest.Collector) -> KitModule:
        """Returns the collector. Its id is a word, and its path that of the hooks, for what goes by the path."""
        node = cls.from_parent(parent, path=parent.config.rootpath / "ftkit")  # pyright: ignore[reportUnknownMemberType] - untyped in pytest
        node.kit, node.path = kit, _file_of(kit.module) or parent.path
        return node

    def _getobj(self) -> ModuleType:
        return self.kit.module

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        """Yields the classes, once pytest has found the module's fixtures; its tests, if it has any, are not ours."""
        for _ in super().collect():
            pass
        for name, checks in self.kit.classes.items():
            node = KitClass.from_parent(self, name=name)  # pyright: ignore[reportUnknownMemberType] - likewise
            node.who, node.checks = self.kit.label, checks
            yield node


class KitFolder(pytest.Directory):
    """A folder on the way to the hooks, where pytest itself has not been."""

    then: Sequence[Path]
    kit: Kit

    @classmethod
    def chain(cls, folders: Sequence[Path], kit: Kit, parent: pytest.Collector) -> pytest.Collector:
        """Returns the collector of the first folder, which leads to the next, and at last to the checks."""
        if not folders:
            return KitModule.of(kit, parent)
        node = cls.from_parent(parent, path=folders[0])  # pyright: ignore[reportUnknownMemberType] - untyped in pytest
        node.then, node.kit = folders[1:], kit
        return node

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        """Yields what comes next."""
        yield self.chain(self.then, self.kit, self)


class KitCollection:
    """Adds the checks to what pytest has collected.

    Args:
        kits: The checks.
    """

    def __init__(self, kits: Sequence[Kit]) -> None:
        self._kits = kits
        self._folders: dict[Path, pytest.Collector] = {}

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Notes the folders that pytest goes through; the first collector of one has the fixtures of its conftest.py.

        `--lf` skips every file in which nothing had failed, and ours is none: it picks the checks afterwards.
        """
        report = yield
        if isinstance(collector, pytest.Directory):
            self._folders.setdefault(collector.path, collector)
        if isinstance(collector, KitModule) and report.passed and not report.result:
            report.result = list(collector.collect())
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        """Adds the items, before anybody picks or sorts."""
        for kit in self._kits:
            items += session.genitems(self._root_of(kit, session))

    def _root_of(self, kit: Kit, session: pytest.Session) -> pytest.Collector:
        file = _file_of(kit.module)
        missing: list[Path] = []
        for folder in file.parents if file else ():
            if folder in self._folders:
                return KitFolder.chain(missing, kit, self._folders[folder])
            if folder.is_relative_to(session.config.rootpath):
                missing.insert(0, folder)
        return KitFolder.chain(missing, kit, session)


def _file_of(module: ModuleType) -> Path | None:
    file: Any = getattr(module, "__file__", None)
    return Path(file) if file else None
