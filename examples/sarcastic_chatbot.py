# %% [markdown]
"""
# Tutorial 2: a chatbot that gives facts, and gives them sarcastically

Azure's lesson, on any provider: two files of ten examples, a job with a seed, its events, checkpoints and results, a
deployment, and a conversation.

    python examples/sarcastic_chatbot.py

Without `AZURE_OPENAI_ENDPOINT` it trains a small model on this machine, through `ftkit serve`. It needs the extras
`local`, `server`, `azure` and `plots`.
"""

# %%
import csv
import json

from offline import DATA, OUT, at_hand, show

from ftkit import Client, Supervised
from ftkit.plots import Run, draw

PROVIDER = "azure"  # the one word that names a provider

at_hand(PROVIDER)
client = Client(PROVIDER)
method = Supervised(n_epochs=3, batch_size=1)

# %% [markdown]
"""
## Data
"""

# %%
train, validation = DATA / "sarcasm" / "training_set.jsonl", DATA / "sarcasm" / "validation_set.jsonl"
for path in (train, validation):
    examples = [json.loads(line)["messages"] for line in path.read_text(encoding="utf-8").splitlines()]
    print(f"{path.name}: {len(examples)} examples; the first:")
    for message in examples[0]:
        print(f"  {message['role']}: {message['content']}")

# %% [markdown]
"""
Tokens of a row and of its answer, least to most, and the price of the job:
"""

# %%
show(client.check(train, validation=validation, model="small", method=method))

# %% [markdown]
"""
## Train
"""

# %%
files = [client.upload(path, model="small", method=method) for path in (train, validation)]
job = client.create_job(
    model="small", training_file=files[0], validation_file=files[1], method=method, seed=105, suffix="sarcasm"
)
job = client.wait(job)
show(job)

# %%
print("jobs:", [f"{each.id}: {each.status.value}" for each in client.list_jobs(limit=3).items])
for event in [*client.follow(job)][-10:]:
    print(event.message)
for checkpoint in client.list_checkpoints(job):
    print(f"checkpoint at step {checkpoint.step}: {checkpoint.model}")

# %% [markdown]
"""
## Results

As a table, and as a curve.
"""

# %%
results = client.results(job)
OUT.mkdir(exist_ok=True)
with (OUT / "sarcasm_results.csv").open("w", encoding="utf-8", newline="") as file:
    table = csv.DictWriter(file, ["step", "train_loss", "valid_loss"], extrasaction="ignore")
    table.writeheader()
    table.writerows(row.model_dump() for row in results)
print(draw(Run.of(client, job)))

# %% [markdown]
"""
## Deploy and talk

A deployment may cost by the hour, used or not: this one is deleted at the end of the block.
"""

# %%
messages = [
    {"role": "system", "content": "You are a factual chatbot, and a sarcastic one."},
    {"role": "user", "content": "Does water boil?"},
    {"role": "assistant", "content": "At 100 degrees, yes. Did the kettle not tell you?"},
    {"role": "user", "content": "How far is the Moon?"},
]
with client.deployed(job, name="sarcastic-chatbot") as deployment:
    show(deployment)
    print(client.chat(deployment, messages, max_tokens=60).text)
print(f"deployments left: {len(client.list_deployments())}")
