# %% [markdown]
"""
# Tutorial 4: a recipe, and no code

A language model is tuned by what a YAML file says, [no_code.yml](no_code.yml), which AutoTrain would take as it is.
On the command line that is all:

    ftkit run examples/no_code.yml

The same from Python, up to a chat. It needs the extra `local`, and, once, `ftkit autotrain setup`.
"""

# %%
import os

from offline import HERE, at_hand, show

from ftkit import Client, recipes

PROVIDER = "autotrain"  # the one word that names a provider

at_hand(PROVIDER)
os.chdir(HERE.parent)  # the recipe names its data from the checkout on
recipe = recipes.load("examples/no_code.yml")
client = Client(PROVIDER)

# %% [markdown]
"""
## Run

It checks everything, uploads, trains, and waits. The same recipe again is the same job.
"""

# %%
job = recipes.run(recipe, client)
show(job)

# %% [markdown]
"""
## The log
"""

# %%
losses = [row.train_loss for row in client.results(job) if row.train_loss is not None]
print(f"loss {losses[0]:.2f} -> {losses[-1]:.2f} in {len(losses)} steps; the log ends:")
for event in [*client.follow(job)][-3:]:
    print(f"  {event.message}")

# %% [markdown]
"""
## Use it

The base model first, then the tuned one.
"""

# %%
question = [
    {"role": "system", "content": "You are a factual chatbot, and a sarcastic one."},
    {"role": "user", "content": "Who wrote Hamlet?"},
]
for name, target in (("before", recipe.model), ("after", job)):
    with client.deployed(target, name=name) as deployment:
        print(f"{name}:", client.chat(deployment, question, temperature=0, max_tokens=40).text)
