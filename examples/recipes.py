# %% [markdown]
"""
# Tutorial 1: the generic ingredients of a recipe

A chat model learns to answer with a JSON list: the lesson of OpenAI's cookbook, on any provider.

    python examples/recipes.py

Without `OPENAI_API_KEY` it trains a small model on this machine, through `ftkit serve`: expect little of what that one
says. It needs the extras `local`, `server` and `openai`.
"""

# %%
import csv
import json

from offline import DATA, OUT, at_hand, show

from ftkit import Client, Supervised
from ftkit.evaluate import evaluate, exact_match, set_f1

PROVIDER = "openai"  # the one word that names a provider

at_hand(PROVIDER)
client = Client(PROVIDER)
method = Supervised(n_epochs=3)

# %% [markdown]
"""
## Data

Each row of the table becomes a conversation: what to extract, a recipe, the answer. 101 to train on, 100 to validate
on, and the next 100 are kept for testing.
"""

# %%
SYSTEM = (
    "You are a helpful recipe assistant. You are to extract the generic ingredients from each of the recipes provided."
)


def conversation(row: dict[str, str]) -> list[dict[str, str]]:
    """Turns a recipe into a conversation; the last message is the answer."""
    question = f"Title: {row['title']}\n\nIngredients: {row['ingredients']}\n\nGeneric ingredients: "
    return [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": question},
        {"role": "assistant", "content": row["NER"]},
    ]


with (DATA / "recipes.csv").open(encoding="utf-8", newline="") as file:
    rows = [conversation(row) for row in csv.DictReader(file)]

OUT.mkdir(exist_ok=True)
train, validation = OUT / "recipes_train.jsonl", OUT / "recipes_validation.jsonl"
for path, part in ((train, rows[:101]), (validation, rows[101:201])):
    path.write_text("".join(json.dumps({"messages": each}) + "\n" for each in part), encoding="utf-8")

# %% [markdown]
"""
## Check

Every mistake at once, the tokens, the price, and how long the model will live. It sends nothing.
"""

# %%
show(client.check(train, validation=validation, model="small", method=method))

# %% [markdown]
"""
## Upload and train

The same request again is the same job, whatever happened in between.
"""

# %%
files = [client.upload(path, model="small", method=method) for path in (train, validation)]
job = client.create_job(
    model="small", training_file=files[0], validation_file=files[1], method=method, suffix="recipe-ner"
)
print(f"job {job.id} is {job.status.value}")
job = client.wait(job)
show(job)

# %%
for event in [*client.follow(job)][-5:]:
    print(event.message)

# %% [markdown]
"""
## Was it worth it?

Recipes that neither has seen are asked of the base model, of the base model with three examples in its prompt, and of
the tuned one. The ingredients are compared as sets. What is deployed for it is taken down afterwards.
"""

# %%
found = evaluate(client, rows[201:233], job, few_shot=train, metric=[set_f1, exact_match], max_tokens=500)
show(found)

# %%
for row in found.rows[:3]:
    print(f"wanted: {row.wanted}\ngiven:  {row.answers['tuned']}")
