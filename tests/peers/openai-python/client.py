"""OpenAI's own package, as its guide to fine-tuning uses it."""

import json
import sys
import time
from pathlib import Path

from openai import OpenAI

MODEL = "gpt-4o-mini-2024-07-18"
QUESTION = {"role": "user", "content": "Which tea is for the morning?"}

client = OpenAI(timeout=60)

file = client.files.create(file=Path(sys.argv[1]), purpose="fine-tune")
client.files.wait_for_processing(file.id, poll_interval=0.5, max_wait_seconds=60)

job = client.fine_tuning.jobs.create(
    model=MODEL,
    training_file=file.id,
    method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 20}}},
    suffix="peers",
    seed=7,
    metadata={"peer": "openai-python"},
)
while job.status not in {"succeeded", "failed", "cancelled"}:
    time.sleep(1)
    job = client.fine_tuning.jobs.retrieve(job.id)
if job.status != "succeeded":
    sys.exit(f"{job.id} is {job.status}: {job.error}")

events = client.fine_tuning.jobs.list_events(job.id, limit=2)
checkpoints = client.fine_tuning.jobs.checkpoints.list(job.id)
results = client.files.content(job.result_files[0]).text

reply = client.chat.completions.create(model=job.fine_tuned_model, messages=[QUESTION], temperature=0, max_tokens=20)
chunks = client.chat.completions.create(
    model=job.fine_tuned_model, messages=[QUESTION], temperature=0, max_tokens=20, stream=True
)

seen = {
    "job": job.id,
    "status": job.status,
    "model": job.fine_tuned_model,
    "events": [event.id for event in events],
    "checkpoints": [checkpoint.fine_tuned_model_checkpoint for checkpoint in checkpoints],
    "results": results,
    "answer": reply.choices[0].message.content,
    "streamed": "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices),
    "jobs": [each.id for each in client.fine_tuning.jobs.list(metadata={"peer": "openai-python"})],
    "files": [each.id for each in client.files.list(purpose="fine-tune")],
    "models": [each.id for each in client.models.list()],
    "file": file.id,
    "deleted": [client.files.delete(file.id).deleted, client.models.delete(job.fine_tuned_model).deleted],
}
json.dump(seen, sys.stdout)
