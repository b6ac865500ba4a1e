"""Tutorial 4: a recipe of AutoTrain's, run from Python, up to a chat.

python examples/no_code.py                           # AutoTrain; once before: ftkit autotrain setup
python examples/no_code.py --provider huggingface    # the same recipe elsewhere

It needs the extra local.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ftkit import Client, recipes

RECIPE = Path(__file__).with_suffix(".yml")
QUESTION = [
    {"role": "system", "content": "You are a factual chatbot, and a sarcastic one."},
    {"role": "user", "content": "Who wrote Hamlet?"},
]


def run(client: Client, recipe: recipes.Recipe) -> None:
    """Runs the recipe, shows the log, and asks the base model and the tuned one."""
    job = recipes.run(recipe, client)
    losses = [row.train_loss for row in client.results(job) if row.train_loss is not None]
    print(f"{job.fine_tuned_model}: loss {losses[0]:.2f} -> {losses[-1]:.2f} in {len(losses)} steps; the log ends:")
    for event in list(client.follow(job))[-3:]:
        print(f"  {event.message}")
    for name, target in (("before", recipe.model), ("after", job)):
        with client.deployed(target, name=name) as deployment:
            print(f"{name}:", client.chat(deployment, QUESTION, temperature=0, max_tokens=40).text)


def main() -> None:
    """Reads the arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--provider", default="autotrain", help="a provider or a profile (default: %(default)s)")
    arguments = parser.parse_args()
    run(Client(arguments.provider), recipes.load(RECIPE))


if __name__ == "__main__":
    main()
