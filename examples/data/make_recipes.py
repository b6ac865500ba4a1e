"""Makes recipes.csv: title, ingredients, directions, and the generic names of the ingredients.

    python examples/data/make_recipes.py

The same rows every time; all of them are made up.
"""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path

ROWS = 301
SEED = 20261125
TARGET = Path(__file__).parent / "recipes.csv"

# generic name -> how a recipe lists it
INGREDIENTS: dict[str, list[str]] = {
    "brown sugar": ["1 c. firmly packed brown sugar", "2 tbsp. brown sugar"],
    "butter": ["1/2 c. butter, melted", "3 tbsp. soft butter"],
    "milk": ["1 c. milk", "1/2 c. warm milk"],
    "flour": ["2 c. sifted flour", "3/4 c. flour"],
    "eggs": ["2 eggs, beaten", "3 large eggs"],
    "salt": ["1/2 tsp. salt", "a pinch of salt"],
    "vanilla": ["1 tsp. vanilla", "2 tsp. vanilla extract"],
    "walnuts": ["1/2 c. chopped walnuts", "1 c. broken walnuts"],
    "rice": ["2 c. cooked rice", "1 c. long grain rice"],
    "onion": ["1 small onion, chopped", "2 onions, sliced"],
    "garlic": ["2 cloves garlic, minced", "1 clove garlic"],
    "tomatoes": ["1 can diced tomatoes", "4 ripe tomatoes"],
    "chicken": ["1 lb. chicken breast", "2 c. cooked chicken, cubed"],
    "cheese": ["1 c. grated cheese", "8 oz. sharp cheese, sliced"],
    "potatoes": ["4 potatoes, peeled", "2 lb. small potatoes"],
    "carrots": ["3 carrots, diced", "1 lb. carrots"],
    "celery": ["2 stalks celery", "1 c. chopped celery"],
    "lemon juice": ["2 tbsp. lemon juice", "juice of 1 lemon"],
    "honey": ["1/4 c. honey", "2 tbsp. honey"],
    "oats": ["1 1/2 c. rolled oats", "2 c. quick oats"],
    "apples": ["3 tart apples, cored", "4 apples, grated"],
    "cinnamon": ["1 tsp. cinnamon", "1/2 tsp. ground cinnamon"],
}
KINDS = ["Bake", "Bars", "Casserole", "Pie", "Salad", "Soup", "Stew", "Supper"]


def recipe(chance: random.Random) -> tuple[str, str, str, str]:
    """Makes up one recipe."""
    names = chance.sample(sorted(INGREDIENTS), chance.randint(3, 6))
    title = f"{names[0].title()} And {names[1].title()} {chance.choice(KINDS)}"
    listed = [chance.choice(INGREDIENTS[name]) for name in names]
    directions = [f"Mix {names[0]} and {names[1]}.", f"Add {' and '.join(names[2:])}.", "Cook until done."]
    return title, json.dumps(listed), json.dumps(directions), json.dumps(names)


def main() -> None:
    """Writes the file."""
    chance = random.Random(SEED)
    with TARGET.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["title", "ingredients", "directions", "NER"])
        table.writerows(recipe(chance) for _ in range(ROWS))


if __name__ == "__main__":
    main()
