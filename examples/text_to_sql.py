# %% [markdown]
"""
# Tutorial 3: queries from questions

A small model learns to write SQL, from a file of questions to a deployed model: the lesson of fine-tuning with TRL, on
any provider.

    python examples/text_to_sql.py

It trains on this machine, without an account and without a GPU, in minutes. Run it twice, or kill it half-way and run
it again: the same request is the same job. It needs the extras `local` and `plots`.
"""

# %%
import json

from offline import DATA, OUT, at_hand, show

from ftkit import Client, LoRA, Supervised
from ftkit.datasets import split
from ftkit.evaluate import ExecutionMatch, evaluate, exact_match
from ftkit.plots import Run, draw, save

PROVIDER = "huggingface"  # the one word that names a provider

at_hand(PROVIDER)
client = Client(PROVIDER)
method = Supervised(n_epochs=6, batch_size=8, learning_rate=3e-3, lora=LoRA(r=32, alpha=64, dropout=0.1))

# %% [markdown]
"""
## Data

A question, the schema it is about, and the answer become a conversation. 64 rows are kept for testing.
"""

# %%
SYSTEM = "You are a text-to-SQL assistant. Answer with one SQL query for this schema:\n{context}"


def conversation(row: dict[str, str]) -> dict[str, list[dict[str, str]]]:
    """Turns a row (question, context, answer) into a chat example."""
    return {
        "messages": [
            {"role": "system", "content": SYSTEM.format(context=row["context"])},
            {"role": "user", "content": row["question"]},
            {"role": "assistant", "content": row["answer"]},
        ]
    }


OUT.mkdir(exist_ok=True)
chat, train, validation, test = (OUT / f"{name}.jsonl" for name in ("chat", "train", "validation", "test"))
rows = [json.loads(line) for line in (DATA / "text_to_sql.jsonl").read_text(encoding="utf-8").splitlines()]
chat.write_text("".join(json.dumps(conversation(row)) + "\n" for row in rows), encoding="utf-8")
counts = split(chat, {train: 636, validation: 60, test: 64}, seed=7)
print("rows:", {path.name: count for path, count in counts.items()})
show(client.check(train, model="small", method=method))

# %% [markdown]
"""
## Upload and train
"""

# %%
files = [client.upload(path, model="small", method=method) for path in (train, validation)]
job = client.create_job(
    model="small", training_file=files[0], validation_file=files[1], method=method, suffix="text-to-sql", seed=42
)
print(f"job {job.id} is {job.status.value}")
job = client.wait(job)
show(job)

# %% [markdown]
"""
## Events, checkpoints, loss
"""

# %%
for event in [*client.follow(job)][-5:]:
    print(f"{event.created_at:%H:%M:%S} {event.level.value:7} {event.message}")
run = Run.of(client, job)
for checkpoint in run.checkpoints:
    print(f"checkpoint {checkpoint.id} at step {checkpoint.step}")
print(draw(run))
save(OUT / "loss.png", run, title="text-to-SQL")
print(f"picture: {OUT / 'loss.png'}")

# %% [markdown]
"""
## Was it worth it?

What neither has seen is asked of the base model, of the base model with three examples in its prompt, and of the tuned
one. A query is right if it gives the rows that the wanted one gives, in databases made up from the schema.
"""

# %%
found = evaluate(client, test, job, few_shot=train, metric=[ExecutionMatch(), exact_match], max_tokens=120, at_once=8)
show(found)

# %%
for row in found.rows[:3]:
    print(f"Q: {row.asked}\n   wanted: {row.wanted}")
    for name, answer in row.answers.items():
        print(f"   {name}: {(answer or '')[:100]!r}")
print(f"deployments left: {len(client.list_deployments())}")
