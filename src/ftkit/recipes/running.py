"""Running a recipe, through the verbs of a client."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypedDict

from ftkit.client import Client
from ftkit.errors import ConfigurationError
from ftkit.recipes import hub
from ftkit.recipes.columns import settle
from ftkit.recipes.fitting import fitted
from ftkit.recipes.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ftkit.models import FineTuningJob
    from ftkit.progress import Progress
    from ftkit.recipes.recipe import Recipe

logger = logging.getLogger("ftkit")


def run(
    recipe: Recipe | Plan,
    client: Client | None = None,
    *,
    model: str | None = None,
    without: str | Iterable[str] = (),
    retry_failed: bool = False,
    wait: bool = True,
    progress: bool | Progress = True,
) -> FineTuningJob:
    """Makes the job of a recipe, as `Client.fine_tune` does: everything is checked, and the same recipe is one job.

    Args:
        recipe: The recipe, of AutoTrain's or of ftkit's own.
        client: Where to run it; None for the provider that it names.
        model: Another base model, in the provider's own name for it, or a role such as "small".
        without: Keys of a recipe of AutoTrain's to leave out knowingly, such as "params.block_size".
        retry_failed: Make a new attempt if the job of this recipe failed or was cancelled.
        wait: Wait for the end of the job.
        progress: Show how it goes, or where to show it.

    Raises:
        UnsupportedError: The provider cannot do some of it; every such key is named at once. Nothing was sent.
        ConfigurationError: The data set cannot be fetched from the Hub, or does not fit the recipe.
        FtkitError: As from `Client.fine_tune`.
    """
    how = _How(retry_failed=retry_failed, wait=wait, progress=progress)
    if isinstance(recipe, Plan):
        client = Client(recipe.provider) if client is None else client
        return _fine_tune(client, recipe if model is None else recipe.model_copy(update={"model": model}), how)
    client = Client(recipe.provider, **recipe.provider_settings) if client is None else client
    asked = recipe if model is None else recipe.model_copy(update={"model": model})
    ready = fitted(asked, client, without=without)
    train, columns = _data(recipe)
    for note in recipe.notes:
        logger.warning("%s: %s", recipe.source, note)
    ready = ready.model_copy(update={"train": train, "columns": columns})
    return _fine_tune(client, ready, how)


class _How(TypedDict):
    """How to run it: what is no part of a recipe."""

    retry_failed: bool
    wait: bool
    progress: bool | Progress


def _fine_tune(client: Client, asked: Recipe | Plan, how: _How) -> FineTuningJob:
    return client.fine_tune(
        asked.model,
        asked.train,
        validation=asked.validation,
        method=asked.method,
        suffix=asked.suffix,
        seed=asked.seed,
        metadata=asked.metadata,
        columns=asked.columns,
        provider_options=asked.provider_options,
        budget=asked.budget,
        key=asked.key,
        **how,
    )


def _data(recipe: Recipe) -> tuple[str, Mapping[str, str]]:
    """Returns the data, fetched if they are on the Hub, and their columns."""
    if recipe.split is None:
        return recipe.train, recipe.columns
    folder, wrong = str(hub.fetch(recipe.train, recipe.split)), list[str]()
    columns = settle(folder, recipe.columns, recipe.provider_options.get("chat_template"), wrong)
    if wrong:
        lines = "\n".join(f"  {line}" for line in wrong)
        raise ConfigurationError(f"{recipe.source} does not fit the data set '{recipe.train}':\n{lines}")
    return folder, columns
