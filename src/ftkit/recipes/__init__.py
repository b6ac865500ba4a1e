"""A fine-tuning as a file: a recipe of AutoTrain's (for language models), or of ftkit's own, in YAML or TOML.

recipe = load("sft.yml")                            every problem of the file at once: which key, what, how to mend it
job = run(recipe)                                   with AutoTrain, as the file says
job = run(recipe, Client("huggingface"))            or elsewhere: what cannot be carried over is refused by its key
job = run(read("own.toml"))                         either kind: `Plan` is ftkit's own, the keywords of `fine_tune`

Nothing is built here but on the verbs of `Client`.
"""

from __future__ import annotations

from ftkit.recipes.choosing import read
from ftkit.recipes.fitting import fitted
from ftkit.recipes.plan import Plan
from ftkit.recipes.reading import load
from ftkit.recipes.recipe import Recipe
from ftkit.recipes.running import run

__all__ = ["Plan", "Recipe", "fitted", "load", "read", "run"]
