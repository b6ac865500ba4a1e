"""litellm, with its provider `openai`. It has no calls for events, checkpoints and models."""

import json
import sys
import time
from pathlib import Path

import litellm

MODEL = "gpt-4o-mini-2024-07-18"
QUESTION = {"role": "user", "content": "Which tea is for the morning?"}
OPENAI = {"custom_llm_provider": "openai"}

file = litellm.create_file(file=Path(sys.argv[1]), purpose="fine-tune", **OPENAI)
while litellm.file_retrieve(file.id, **OPENAI).status != "processed":
    time.sleep(1)

job = litellm.create_fine_tuning_job(
    model=MODEL, training_file=file.id, hyperparameters={"n_epochs": 20}, suffix="peers", seed=7, **OPENAI
)
second = litellm.create_fine_tuning_job(model=MODEL, training_file=file.id, **OPENAI)
litellm.cancel_fine_tuning_job(second.id, **OPENAI)

while job.status not in {"succeeded", "failed", "cancelled"}:
    time.sleep(1)
    job = litellm.retrieve_fine_tuning_job(job.id, **OPENAI)
if job.status != "succeeded":
    sys.exit(f"{job.id} is {job.status}: {job.error}")

asked = {"model": f"openai/{job.fine_tuned_model}", "messages": [QUESTION], "temperature": 0, "max_tokens": 20}
reply = litellm.completion(**asked)
chunks = litellm.completion(**asked, stream=True)
results = litellm.file_content(job.result_files[0], **OPENAI).text

seen = {
    "job": job.id,
    "status": job.status,
    "model": job.fine_tuned_model,
    "cancelled": litellm.retrieve_fine_tuning_job(second.id, **OPENAI).status,
    "results": results,
    "answer": reply.choices[0].message.content,
    "streamed": "".join(chunk.choices[0].delta.content or "" for chunk in chunks),
    "jobs": [each.id for each in litellm.list_fine_tuning_jobs(**OPENAI)],
    "files": [each.id for each in litellm.file_list(**OPENAI)],
    "file": file.id,
    "deleted": [litellm.file_delete(file.id, **OPENAI).deleted],
}
json.dump(seen, sys.stdout)
