"""A recipe for another provider than the one it is written for: by the options that it has, not by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ftkit.errors import UnsupportedError
from ftkit.fitting import carry, no_method
from ftkit.models import Problem, Severity
from ftkit.recipes.keys import FIELDS, drop_fields, key_of, parse_keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pydantic import BaseModel

    from ftkit.client import Client
    from ftkit.recipes.recipe import Recipe

_BLOCK = 1024
"""AutoTrain's own block_size."""


def fitted(recipe: Recipe, client: Client, *, without: str | Iterable[str] = ()) -> Recipe:
    """Returns the recipe as the provider of a client can run it: the same request in that provider's own words.

    What the recipe says is carried over, under the names that the provider's options have. What it does not say is
    left to the provider, whose defaults are not AutoTrain's (LoRA's rank, say, or which tokens are learnt from).

    Args:
        recipe: The recipe.
        client: A client of the provider.
        without: Keys of the recipe to leave out knowingly, such as "params.block_size".

    Raises:
        UnsupportedError: The provider cannot do some of it; every such key is named at once. Nothing was sent.
    """
    recipe = drop_fields(recipe, parse_keys(without))
    problems: list[Problem] = []
    options = _carried(recipe, client.provider.Options, problems)
    model = client.resolve_model(recipe.model)
    found = recipe.model_copy(update={"model": model, "provider_options": options})
    problems += _refused(found, client)
    if problems:
        raise _error(recipe, client, problems)
    return found


def _carried(recipe: Recipe, known: type[BaseModel], problems: list[Problem]) -> dict[str, Any]:
    given, found = dict(recipe.provider_options), list[Problem]()
    if "model_max_length" not in known.model_fields and "max_length" in known.model_fields:
        _cap(given)
    carried = carry(given, known, found)
    problems += (problem.model_copy(update={"field": key_of(problem.field)}) for problem in found)
    return carried


def _cap(given: dict[str, Any]) -> None:
    """Makes one number of two that both bound the length of a row."""
    most: int | None = given.pop("model_max_length", None)
    if most is not None:
        given["block_size"] = min(most, given.get("block_size", _BLOCK))


def _refused(recipe: Recipe, client: Client) -> Iterator[Problem]:
    """Yields what the provider itself refuses, by the keys of the recipe."""
    if type(recipe.method) not in client.provider.methods:
        yield Problem(code="unsupported-method", field="task", message=no_method(client, recipe.method))
        return
    for problem in client.provider.problems(recipe):
        if problem.severity is Severity.ERROR:
            yield problem.model_copy(update={"field": key_of(problem.field)})


def _error(recipe: Recipe, client: Client, problems: list[Problem]) -> UnsupportedError:
    summary = f"the provider '{client.provider.name}' cannot run {recipe.source} as it is; nothing was sent."
    fields = dict.fromkeys(problem.field for problem in problems if problem.field)
    keys, others = [f for f in fields if f in FIELDS], [f for f in fields if f not in FIELDS]
    hints = [f"To leave out, knowingly: --without {','.join(keys)}"] if keys else []
    hints += [f"To change: {', '.join(others)}"] if others else []
    return UnsupportedError(summary, problems, hint="; ".join(hints))
