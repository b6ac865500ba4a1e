"""A recipe of AutoTrain's (its YAML file for language models), read into a request that any provider can be asked.

recipe = load("sft.yml")                            every problem of the file at once: which key, what, how to mend it
job = run(recipe)                                   with AutoTrain, as the file says
job = run(recipe, Client("huggingface"))            or elsewhere: what cannot be carried over is refused by its key

Nothing is built here but on the verbs of `Client`.
"""

from __future__ import annotations

from ftkit.recipes.fitting import fitted
from ftkit.recipes.reading import load
from ftkit.recipes.recipe import Recipe
from ftkit.recipes.running import run

__all__ = ["Recipe", "fitted", "load", "run"]
