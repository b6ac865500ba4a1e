"""Running a recipe, through the verbs of a client."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ftkit.client import Client
from ftkit.errors import ConfigurationError
from ftkit.recipes import hub
from ftkit.recipes.columns import settle
from ftkit.recipes.fitting import fitted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ftkit.models import FineTuningJob
    from ftkit.progress import Progress
    from ftkit.recipes.recipe import Recipe

logger = logging.getLogger("ftkit")


def run(
    recipe: Recipe,
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
        recipe: The recipe.
        client: Where to run it; None for the provider that it is written for.
        model: Another base model, in the provider's own name for it, or a role such as "small".
        without: Keys of the recipe to leave out knowingly, such as "params.block_size".
        retry_failed: Make a new attempt if the job of this recipe failed or was cancelled.
        wait: Wait for the end of the job.
        progress: Show how it goes, or where to show it.

    Raises:
        UnsupportedError: The provider cannot do some of it; every such key is named at once. Nothing was sent.
        ConfigurationError: The data set cannot be fetched from the Hub, or does not fit the recipe.
        FtkitError: As from `Client.fine_tune`.
    """
    client = Client(recipe.provider, **recipe.provider_settings) if client is None else client
    asked = recipe if model is None else recipe.model_copy(update={"model": model})
    ready = fitted(asked, client, without=without)
    train, columns = _data(recipe)
    for note in recipe.notes:
        logger.warning("%s: %s", recipe.source, note)
    return client.fine_tune(
        ready.model,
        train,
        method=ready.method,
        suffix=ready.suffix,
        seed=ready.seed,
        metadata=ready.metadata,
        columns=columns,
        provider_options=ready.provider_options,
        retry_failed=retry_failed,
        wait=wait,
        progress=progress,
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
