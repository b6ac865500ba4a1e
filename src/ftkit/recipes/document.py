"""The text of a recipe: YAML or TOML, with variables of the environment in it."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ftkit.errors import ConfigurationError
from ftkit.methods import names_secret

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_QUOTED = re.compile(r"(?<=')[^'<]{10,}(?=')")
"""What PyYAML quotes of a file, where a token may stand."""
_GONE = object()


def read_document(source: str) -> dict[str, Any]:
    """Reads the file as it is written.

    Raises:
        ConfigurationError: There is no such file, or it is no YAML (no TOML, if its name ends so), or no recipe.
    """
    try:
        text = Path(source).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        why = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else error
        raise ConfigurationError(f"the recipe '{source}' cannot be read: {why}") from None
    document = _toml(source, text) if Path(source).suffix.lower() == ".toml" else _parsed(source, text)
    if not isinstance(document, dict):
        message = f"{source} is no recipe: at its top stand keys with values, such as task: llm-sft"
        raise ConfigurationError(message)
    return {str(key): value for key, value in cast("dict[object, Any]", document).items()}


def _toml(source: str, text: str) -> object:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        failed = f"{source}: this is no TOML: {_QUOTED.sub('...', str(error))}"
    raise ConfigurationError(failed)  # alone: the error before it may hold the whole file, and a token with it


def _parsed(source: str, text: str) -> object:
    import yaml

    failed: str | None = None
    try:
        root: Any = yaml.compose(text, Loader=yaml.SafeLoader)
        twice = [] if root is None else list(_repeated(root))
        parsed: object = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark: Any = getattr(error, "problem_mark", None)
        where = "" if mark is None else f", line {mark.line + 1}, column {mark.column + 1}"
        problem = getattr(error, "problem", None) or "it cannot be parsed"
        failed = f"{source}{where}: this is no YAML: {_QUOTED.sub('...', problem)}"
        twice, parsed = [], None
    if failed:
        raise ConfigurationError(failed)
    if twice:
        raise ConfigurationError("\n".join(f"{source}, {line}" for line in twice), hint="Leave each of them once.")
    return parsed


def _repeated(node: Any) -> Iterator[str]:  # noqa: ANN401 - a node of any kind
    """Yields the keys that stand twice in one section: YAML would take the last of them."""
    if node.id == "mapping":
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            if name in seen:
                yield f"line {key.start_mark.line + 1}: '{name}' stands here for the second time."
            seen.add(name)
            yield from _repeated(value)
    elif node.id == "sequence":
        for item in node.value:
            yield from _repeated(item)


def fill(document: Mapping[str, Any], wrong: list[str], *, but: Collection[str]) -> dict[str, Any]:
    """Returns a recipe with `${NAME}` filled in. A value whose variable is not set is told, and left out.

    Args:
        document: The recipe.
        wrong: Where to tell it.
        but: Keys that are left out, since nobody reads them.
    """
    return cast("dict[str, Any]", _filled(document, "", wrong, but))


def _filled(value: object, place: str, wrong: list[str], but: Collection[str]) -> object:
    if isinstance(value, str):
        return _text(value, place, wrong)
    if not isinstance(value, Mapping):
        return value
    found: dict[str, object] = {}
    for key, inner in cast("Mapping[object, object]", value).items():
        below = f"{place}.{key}" if place else str(key)
        filled = _GONE if below in but else _filled(inner, below, wrong, but)
        if filled is not _GONE:
            found[str(key)] = filled
    return found


def _text(value: str, place: str, wrong: list[str]) -> object:
    names: list[str] = _VARIABLE.findall(value)
    bad = [_problem(name) for name in names if _problem(name)]
    wrong += [f"{place}: {problem}" for problem in bad]
    return _GONE if bad else _VARIABLE.sub(lambda match: os.environ[match[1]], value)


def _problem(name: str) -> str | None:
    if names_secret(name):
        return f"${{{name}}} looks like a secret, which has no place here. Take it out."
    if name not in os.environ:
        return f"the environment variable {name} is not set. Set it, or write the value itself."
    return None
