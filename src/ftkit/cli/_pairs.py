"""What is written as NAME=VALUE, and the options for a method that several commands have."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from ftkit.cli import _completing
from ftkit.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

MethodName = Annotated[
    str | None,
    typer.Option(
        "--method",
        help="supervised, dpo, reinforcement, orpo, reward, ...; supervised if left out.",
        autocompletion=_completing.methods,
    ),
]
Epochs = Annotated[int | None, typer.Option("--n-epochs", min=1, help="Times the training file is gone through.")]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="A hyperparameter, such as learning_rate=1e-3 or lora.r=8. Several are fine.",
    ),
]
Option = Annotated[
    list[str] | None,
    typer.Option(
        "--option", metavar="NAME=VALUE", help="A provider's own option, such as max_length=512. Several are fine."
    ),
]
Columns = Annotated[
    list[str] | None,
    typer.Option("--columns", metavar="OWN=FIELD", help="Which column is which field. Several are fine."),
]
Labels = Annotated[
    list[str] | None, typer.Option("--metadata", metavar="NAME=TEXT", help="A label of your own. Several are fine.")
]


def labels_of(words: Iterable[str]) -> dict[str, str]:
    """Reads labels: "team=blue".

    Raises:
        ConfigurationError: There is no name, or no = after it.
    """
    return dict(_split(word, "label", "team=blue") for word in words)


def method_of(name: str | None, n_epochs: int | None, words: Iterable[str]) -> dict[str, Any]:
    """Reads what the command line says of the method, as a recipe would have it; empty if that is nothing.

    A value that can be read as JSON is what that says; any other is the text itself.

    Args:
        name: The `type` of the method.
        n_epochs: The number of epochs.
        words: Hyperparameters: "learning_rate=1e-3"; those of a table have a point in their name: "lora.r=8".

    Raises:
        ConfigurationError: There is no name, no = after it, or a name is said twice.
    """
    found: dict[str, Any] = {} if name is None else {"type": name}
    for word in (*(() if n_epochs is None else (f"n_epochs={n_epochs}",)), *words):
        path, value = _split(word, "hyperparameter", "learning_rate=1e-3")
        *outer, last = path.split(".")
        place = found
        for part in outer:
            inner: object = place.setdefault(part, {})
            if not isinstance(inner, dict):
                raise _twice(path, part)
            place = cast("dict[str, Any]", inner)
        if last in place:
            raise _twice(path, last)
        place[last] = _value(value)
    return found


def _twice(path: str, part: str) -> ConfigurationError:
    return ConfigurationError(f"--set {path}=...: '{part}' was given already.", hint="Say it once.")


def _split(word: str, what: str, example: str) -> tuple[str, str]:
    name, is_there, value = word.partition("=")
    if not (name and is_there):
        raise ConfigurationError(
            f"'{word}' names no {what} and its value.", hint=f"Write NAME=VALUE, such as {example}."
        )
    return name, value


def _value(text: str) -> object:
    try:
        value: object = json.loads(text)
    except ValueError:
        return text
    return value
