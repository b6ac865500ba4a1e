"""litellm, with its provider `azure`, in the dated dialect and, for one chat, in v1.

It cannot deploy. That is done as Microsoft's guide does it, with a request to Azure Resource Manager.
"""

import json
import os
import sys
import time
from pathlib import Path

import httpx
import litellm

MODEL = "gpt-4o-mini-2024-07-18"
QUESTION = {"role": "user", "content": "Which tea is for the morning?"}
AZURE = {
    "custom_llm_provider": "azure",
    "api_base": os.environ["AZURE_OPENAI_ENDPOINT"],
    "api_key": os.environ["AZURE_OPENAI_API_KEY"],
    "api_version": "2024-10-21",
}
DEPLOYMENT = "litellm-peer"

arm = httpx.Client(
    base_url=os.environ["ARM_ENDPOINT"],
    headers={"Authorization": f"Bearer {os.environ['AZURE_OPENAI_API_KEY']}"},
    params={"api-version": "2024-10-01"},
    timeout=60,
)
DEPLOYMENT_PATH = (
    "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/peers"
    f"/providers/Microsoft.CognitiveServices/accounts/peers/deployments/{DEPLOYMENT}"
)


def deploy(model: str) -> None:
    body = {
        "sku": {"name": "standard", "capacity": 1},
        "properties": {"model": {"format": "OpenAI", "name": model, "version": "1"}},
    }
    state = arm.put(DEPLOYMENT_PATH, json=body).raise_for_status().json()
    while state["properties"]["provisioningState"] != "Succeeded":
        time.sleep(1)
        state = arm.get(DEPLOYMENT_PATH).raise_for_status().json()


file = litellm.create_file(file=Path(sys.argv[1]), purpose="fine-tune", **AZURE)
while litellm.file_retrieve(file.id, **AZURE).status != "processed":
    time.sleep(1)

job = litellm.create_fine_tuning_job(
    model=MODEL, training_file=file.id, hyperparameters={"n_epochs": 20}, suffix="peers", seed=7, **AZURE
)
second = litellm.create_fine_tuning_job(model=MODEL, training_file=file.id, **AZURE)
litellm.cancel_fine_tuning_job(second.id, **AZURE)

while job.status not in {"succeeded", "failed", "cancelled"}:
    time.sleep(1)
    job = litellm.retrieve_fine_tuning_job(job.id, **AZURE)
if job.status != "succeeded":
    sys.exit(f"{job.id} is {job.status}: {job.error}")

deploy(job.fine_tuned_model)
asked = {"model": DEPLOYMENT, "messages": [QUESTION], "temperature": 0, "max_tokens": 20, **AZURE}
reply = litellm.completion(**asked)
reply_of_v1 = litellm.completion(**asked | {"api_version": "v1"})
chunks = litellm.completion(**asked, stream=True)

seen = {
    "job": job.id,
    "status": job.status,
    "model": job.fine_tuned_model,
    "cancelled": litellm.retrieve_fine_tuning_job(second.id, **AZURE).status,
    "results": litellm.file_content(job.result_files[0], **AZURE).text,
    "answer": reply.choices[0].message.content,
    "answer_of_v1": reply_of_v1.choices[0].message.content,
    "streamed": "".join(chunk.choices[0].delta.content or "" for chunk in chunks),
    "jobs": [each.id for each in litellm.list_fine_tuning_jobs(**AZURE)],
    "files": [each.id for each in litellm.file_list(**AZURE)],
    "file": file.id,
    "deleted": [litellm.file_delete(file.id, **AZURE).deleted],
    "deployment_deleted": arm.delete(DEPLOYMENT_PATH).status_code,
}
json.dump(seen, sys.stdout)
