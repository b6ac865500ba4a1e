"""Which of the two kinds of recipe a file is: AutoTrain's, or ftkit's own. Both may be YAML or TOML."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ftkit.errors import ConfigurationError
from ftkit.methods import parse_method
from ftkit.recipes.document import read_document
from ftkit.recipes.plan import COMMAND_LINE, Plan, Written, merged, plan_of
from ftkit.recipes.reading import load

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ftkit.recipes.recipe import Recipe

_OF_AUTOTRAIN = frozenset({"task", "base_model"})
"""The keys by which a recipe of AutoTrain's is known."""


def read(
    path: str | os.PathLike[str] | None,
    given: Mapping[str, Any] | None = None,
    *,
    without: str | Iterable[str] = (),
) -> Recipe | Plan:
    """Reads a recipe of either kind.

    Args:
        path: The recipe; None if there is none, and `given` says it all.
        given: What wins over the recipe, by the keys of ftkit's own recipes: {"method": {"n_epochs": 3}}, say.
        without: Keys of a recipe of AutoTrain's to leave out, such as "params.unsloth".

    Raises:
        ConfigurationError: Something is wrong; it names every key at once.
    """
    over = {name: value for name, value in (given or {}).items() if value not in (None, {})}
    source = COMMAND_LINE if path is None else os.fspath(path)
    document = {} if path is None else read_document(source)
    if _OF_AUTOTRAIN & document.keys():
        return _with(load(source, without=without), over)
    if without:
        hint = "A recipe of AutoTrain's has the keys `task` and `base_model`; of any other, take the key out yourself."
        raise ConfigurationError(f"--without is for recipes of AutoTrain's, and {source} is none", hint=hint)
    return plan_of(Written(source, document), over)


def _with(recipe: Recipe, over: Mapping[str, Any]) -> Recipe:
    """Lays what was given over a recipe of AutoTrain's."""
    update = dict(over)
    if "method" in update:
        asked = {"type": recipe.method.type, **recipe.method.hyperparameters()}
        update["method"] = parse_method(merged(asked, update["method"]))
    for name in ("metadata", "columns", "provider_options"):
        if name in update:
            update[name] = {**getattr(recipe, name), **update[name]}
    if "train" in update:
        update["split"] = None  # it is a file, and no data set on the Hub
    return recipe.model_copy(update=update)
