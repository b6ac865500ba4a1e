"""A whole fine-tuning. The programs in this folder differ in one word: the name of the provider."""

from pathlib import Path

from ftkit import Client, Supervised

DATA = Path(__file__).parents[1] / "data" / "sarcasm"

client = Client("autotrain")
method = Supervised(n_epochs=3)

print(client.check(DATA / "training_set.jsonl", model="small", method=method))
job = client.fine_tune("small", DATA / "training_set.jsonl", method=method, suffix="sarcasm", seed=105)
print(f"{job.id}: {job.status.value}, {job.fine_tuned_model}")

with client.deployed(job) as deployment:
    print(client.chat(deployment, "How far is the Moon?", max_tokens=60).text)
print(client.tear_down(job))
