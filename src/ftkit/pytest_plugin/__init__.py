"""A plug-in of pytest that runs the conformance kit, and tells what a provider can do.

    pytest --ftkit acme_hooks:AcmeHooks                    the whole kit on one class of hooks
    pytest --ftkit-abilities                               what was found, also of classes written by hand
    pytest --ftkit-table=abilities.md                      a table of all of them

pytest loads it in every session of everybody who has ftkit. So nothing is loaded here; what works is in the modules
beside this one, and is loaded once it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_IDS = "ftkit::"
_PRINTED = "-"


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Adds the options of ftkit."""
    _leave_as_it_is(pluginmanager)
    group = parser.getgroup("ftkit", "ftkit's conformance kit")
    group.addoption(
        "--ftkit",
        action="append",
        default=[],
        metavar="MODULE:CLASS",
        help="run the whole kit on this subclass of ftkit.testing.ProviderHooks; may be given several times",
    )
    group.addoption(
        "--ftkit-abilities",
        action="store_true",
        help="tell what was found of each provider, also where the kit was subclassed by hand",
    )
    group.addoption(
        "--ftkit-table",
        nargs="?",
        const=_PRINTED,
        metavar="FILE.md",
        help="print a Markdown table of what the providers can do, or write it to a file",
    )
    about = "classes as --ftkit takes them: the kit runs on them unless single files or tests are asked for"
    parser.addini("ftkit_hooks", about, type="linelist", default=[])


def pytest_configure(config: pytest.Config) -> None:
    """Loads what was asked for; nothing if it is nothing."""
    ids = [arg for arg in config.args if arg.startswith(_IDS)]
    config.args[:] = [arg for arg in config.args if not arg.startswith(_IDS)]  # pytest would look for files
    hooks = [("--ftkit", value) for value in cast("list[str]", config.getoption("ftkit"))]
    if ids or any(map(_is_folder, _paths(config))):
        hooks += [("ftkit_hooks", value) for value in cast("list[str]", config.getini("ftkit_hooks"))]
    if ids and not hooks:
        raise pytest.UsageError(f"{ids[0]}: on what class? Name it: --ftkit MODULE:CLASS")
    table, by_hand = cast("str | None", config.getoption("ftkit_table")), bool(config.getoption("ftkit_abilities"))
    if hooks:
        from ftkit.pytest_plugin.collecting import KitCollection
        from ftkit.pytest_plugin.naming import kits_of, load, narrowed

        folders = [config.invocation_params.dir, config.rootpath, *_paths(config), config.rootpath / "tests"]
        kits = kits_of(load(hooks, [folder for folder in folders if _is_folder(folder)]))
        config.pluginmanager.register(KitCollection(narrowed(kits, ids) if ids else kits), "ftkit-collection")
    if hooks or by_hand or table:
        from ftkit.pytest_plugin.finding import Findings
        from ftkit.pytest_plugin.telling import Telling

        findings = Findings()
        told = Telling(findings, table=_table_path(config, table), prints=table == _PRINTED, by_hand=by_hand)
        config.pluginmanager.register(findings, "ftkit-findings")
        if not hasattr(config, "workerinput"):  # a worker of pytest-xdist sends what it found, and tells nothing
            config.pluginmanager.register(told, "ftkit-telling")


def _leave_as_it_is(pluginmanager: pytest.PytestPluginManager) -> None:
    """Keeps pytest from rewriting the asserts of all of ftkit, which it does to every package that has a plug-in.

    There are none in it, and a session that uses a client took 1.05 s in place of 0.77 where no bytecode is kept, as in
    many containers. pytest has no public way to say so: should its set be called otherwise one day, the time is lost.
    """
    marked: object = getattr(pluginmanager.rewrite_hook, "_must_rewrite", None)
    if isinstance(marked, set):
        cast("set[str]", marked).discard("ftkit")


def _paths(config: pytest.Config) -> Sequence[Path]:
    return [config.invocation_params.dir / arg for arg in config.args]


def _is_folder(path: Path) -> bool:
    return path.is_dir()


def _table_path(config: pytest.Config, table: str | None) -> Path | None:
    """Returns where the table goes.

    Raises:
        UsageError: To no Markdown: argparse takes any word that follows the option, also a test that was to be run.
    """
    if table is None or table == _PRINTED:
        return None
    path = config.invocation_params.dir / table
    if path.suffix != ".md" or not path.parent.is_dir():
        message = f"--ftkit-table={table}: name a .md file in a folder that is there, or --ftkit-table=- to print it"
        raise pytest.UsageError(message)
    return path
