"""From "acme_hooks:AcmeHooks" to the classes of checks that are run on it, or to one line that says what is wrong."""

from __future__ import annotations

import inspect
import sys
import traceback
import types
from collections import Counter
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn, cast

import pytest

from ftkit.testing import ProviderAttacks, ProviderConformance, ProviderHooks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

_KITS = ((ProviderConformance, ""), (ProviderAttacks, "UnderAttack"))


@dataclass(frozen=True, slots=True)
class Named:
    """A class of hooks that was named.

    Attributes:
        given: By what it was named, to say so in an error.
        hooks: The class.
        module: The module that it was named in: its fixtures serve the checks.
    """

    given: str
    hooks: type[ProviderHooks]
    module: types.ModuleType


@dataclass(frozen=True, slots=True)
class Checks:
    """The checks of one kit on a class of hooks.

    Attributes:
        made: The class that has both.
        only: The names of those that are wanted; all of them if None.
    """

    made: type[ProviderHooks]
    only: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Kit:
    """All that is run on one class of hooks.

    Attributes:
        label: What the class of hooks is called.
        module: The module that it was named in.
        classes: The checks, by the name that the class has in their ids.
    """

    label: str
    module: types.ModuleType
    classes: Mapping[str, Checks]


def load(values: Iterable[tuple[str, str]], folders: Sequence[Path]) -> list[Named]:
    """Loads the classes that were named, each once.

    Args:
        values: What named them, an option or a setting, and its value.
        folders: Where their modules may lie, besides `sys.path`. The first is looked into first of all.
    """
    for folder in map(str, folders[1:]):
        if folder not in sys.path:
            sys.path.append(folder)
    if str(folders[0]) not in sys.path:
        sys.path.insert(0, str(folders[0]))  # as `python -m pytest` does
    named = [_load(f"{source} {value}", value.strip(), folders) for source, value in values]
    return list({each.hooks: each for each in reversed(named)}.values())[::-1]


def kits_of(named: Sequence[Named]) -> list[Kit]:
    """Returns the checks on each class of hooks. Where two have one name, the modules tell them apart."""
    times = Counter(each.hooks.__name__ for each in named)
    return [_kit(each, qualified=times[each.hooks.__name__] > 1) for each in named]


def narrowed(kits: Sequence[Kit], ids: Sequence[str]) -> list[Kit]:
    """Returns what is left of the kits where ids were asked for, such as `ftkit::AcmeHooks::test_create`.

    Raises:
        UsageError: There is no such check.
    """
    known = {name: checks.made for kit in kits for name, checks in kit.classes.items()}
    asked: dict[str, set[str]] = {}
    for each in ids:
        _, name, *check = each.split("::")
        if name not in known:
            raise pytest.UsageError(f"not found: {each}; there is {', '.join(f'ftkit::{name}' for name in known)}")
        if len(check) > 1 or not all(_is_check(known[name], what) for what in check):
            raise pytest.UsageError(f"not found: {each}; `--collect-only -q` tells all checks")
        asked.setdefault(name, set()).update(check or [""])
    only = {name: None if "" in checks else frozenset(checks) for name, checks in asked.items()}
    left = [{name: Checks(known[name], only[name]) for name in kit.classes if name in only} for kit in kits]
    return [replace(kit, classes=classes) for kit, classes in zip(kits, left, strict=True) if classes]


def _is_check(made: type[ProviderHooks], name: str) -> bool:
    return name.startswith("test_") and hasattr(made, name.partition("[")[0])


def _load(given: str, value: str, folders: Sequence[Path]) -> Named:
    module_name, colon, name = value.partition(":")
    if not (colon and module_name and name.isidentifier()):
        _refuse(given, "that is no MODULE:CLASS, such as acme_hooks:AcmeHooks")
    module = _module(given, module_name, folders)
    hooks = getattr(module, name, None)
    if hooks is None:
        there = [key for key, each in vars(module).items() if _is_hooks(each) and each is not ProviderHooks]
        _refuse(given, f"{module_name} has no {name}; it has {', '.join(there) or 'no class of hooks'}")
    if not _is_hooks(hooks):
        _refuse(given, f"{name} must be a subclass of ftkit.testing.ProviderHooks")
    kits = [kit.__name__ for kit, _ in _KITS if issubclass(hooks, kit)]
    if kits:
        _refuse(given, f"{name} brings the checks of {kits[0]} already: name the class of hooks that it is made of")
    if inspect.isabstract(hooks):
        _refuse(given, f"{name} must have {', '.join(sorted(hooks.__abstractmethods__))}")
    if hooks.__init__ is not object.__init__:
        _refuse(given, f"{name} has an __init__, and pytest makes no tests of such a class; use a fixture")
    return Named(given, cast("type[ProviderHooks]", hooks), module)


def _module(given: str, name: str, folders: Sequence[Path]) -> types.ModuleType:
    if name not in sys.modules:
        pytest.register_assert_rewrite(name)  # an assert in a witness is then told like one in a test
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            _refuse(given, _told(name, error), error)
        where = ", ".join(dict.fromkeys(map(str, folders)))
        _refuse(given, f"there is no module {error.name} in {where}, nor elsewhere on sys.path", error)
    except (Exception, pytest.skip.Exception) as error:  # noqa: BLE001 - whatever the author's module does, it is told
        _refuse(given, _told(name, error), error)


def _told(name: str, error: BaseException) -> str:
    """Says why a module cannot be loaded, and at which of its lines: a usage error shows no traceback."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.name == "<module>"]
    place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    if isinstance(error, SyntaxError):
        place = f"{error.filename}:{error.lineno}"
    return f"{name} cannot be imported: {type(error).__name__}: {error} ({place})"


def _kit(named: Named, *, qualified: bool) -> Kit:
    hooks = named.hooks
    label = f"{named.module.__name__}.{hooks.__name__}" if qualified else hooks.__name__
    checks = {kit: frozenset(name for name in dir(kit) if name.startswith("test_")) for kit, _ in _KITS}
    unknown = [name for name in hooks.expected_failures if not any(name in each for each in checks.values())]
    if unknown:
        _refuse(named.given, f"expected_failures names {unknown[0]!r}, which is a check of neither kit")
    classes: dict[str, Checks] = {}
    for kit, suffix in _KITS:
        expected = {name: why for name, why in hooks.expected_failures.items() if name in checks[kit]}
        inside = {"expected_failures": expected, "__module__": named.module.__name__, "__test__": True}
        try:
            made = types.new_class(f"Test{hooks.__name__}{suffix}", (hooks, kit), exec_body=_body(inside))
        except TypeError as error:  # a check is overridden, or expected to fail for no reason
            _refuse(named.given, str(error), error)
        classes[f"{label}{suffix}"] = Checks(made)
    return Kit(label, named.module, classes)


def _body(inside: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
    def fill(namespace: dict[str, Any]) -> None:
        namespace.update(inside)

    return fill


def _is_hooks(candidate: object) -> bool:
    return isinstance(candidate, type) and issubclass(candidate, ProviderHooks)


def _refuse(given: str, why: str, cause: BaseException | None = None) -> NoReturn:
    raise pytest.UsageError(f"{given}: {why}") from cause
