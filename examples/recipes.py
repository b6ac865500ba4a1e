"""Tutorial 1: teach a chat model to name the generic ingredients of a recipe.

python examples/recipes.py                       # OpenAI; without OPENAI_API_KEY, `ftkit serve` on this machine
python examples/recipes.py --provider NAME       # the same anywhere else

On this machine it needs the extras local, server and openai.
"""

from __future__ import annotations

import argparse
import csv
import json
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from offline import service

from ftkit import Client, Supervised

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA = Path(__file__).parent / "data" / "recipes.csv"
SYSTEM = (
    "You are a helpful recipe assistant. You are to extract the generic ingredients from each of the recipes provided."
)
METHOD = Supervised(n_epochs=3)
TRAIN, VALID, TEST = 101, 100, 100


def messages(row: dict[str, str]) -> list[dict[str, str]]:
    """Turns a recipe into a conversation; the last message is the answer."""
    question = f"Title: {row['title']}\n\nIngredients: {row['ingredients']}\n\nGeneric ingredients: "
    return [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": question},
        {"role": "assistant", "content": row["NER"]},
    ]


def write(path: Path, rows: Iterator[dict[str, str]]) -> Path:
    """Writes chat examples."""
    path.write_text("".join(json.dumps({"messages": messages(row)}) + "\n" for row in rows), encoding="utf-8")
    return path


def run(client: Client, model: str, folder: Path) -> None:
    """Runs the tutorial."""
    folder.mkdir(parents=True, exist_ok=True)
    with DATA.open(encoding="utf-8", newline="") as file:
        rows = iter(list(csv.DictReader(file)))
    train = write(folder / "recipes_train.jsonl", islice(rows, TRAIN))
    valid = write(folder / "recipes_valid.jsonl", islice(rows, VALID))
    test = list(islice(rows, TEST))
    print(client.check(train, model=model, method=METHOD))

    files = [client.upload(path, model=model, method=METHOD) for path in (train, valid)]
    job = client.create_job(
        model=model, training_file=files[0], validation_file=files[1], method=METHOD, suffix="recipe-ner"
    )
    print(f"job {job.id} is {job.status.value}")
    job = client.wait(job)
    events = list(client.follow(job))
    print(f"trained on {job.trained_tokens:,} tokens; the last of {len(events)} events:")
    for event in events[-5:]:
        print(f"  {event.message}")

    print(f"\ntuned model: {job.fine_tuned_model}")
    with client.deployed(job) as deployment:
        for row in test[:3]:
            answer = client.chat(deployment, messages(row)[:-1], temperature=0, max_tokens=100).text
            print(f"  {row['title']}\n    wanted: {row['NER']}\n    given:  {answer}")


def main() -> None:
    """Reads the arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--provider", default="openai", help="a provider or a profile (default: %(default)s)")
    parser.add_argument("--model", default="small", help="the base model, or a role (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path(".demo"), help="where files go (default: %(default)s)")
    arguments = parser.parse_args()
    with service(arguments.provider, arguments.out / "server"):
        run(Client(arguments.provider), arguments.model, arguments.out)


if __name__ == "__main__":
    main()
