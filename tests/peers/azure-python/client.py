"""Azure: OpenAI's package for files, jobs and chat, and Microsoft's own for the deployment between them."""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import ResourceNotFoundError
from azure.core.pipeline.policies import AzureKeyCredentialPolicy
from azure.mgmt.cognitiveservices import CognitiveServicesManagementClient
from azure.mgmt.cognitiveservices.models import Deployment, DeploymentModel, DeploymentProperties, Sku
from openai import AzureOpenAI, NotFoundError

MODEL = "gpt-4o-mini-2024-07-18"
QUESTION = {"role": "user", "content": "Which tea is for the morning?"}
KEY = AzureKeyCredential(os.environ["AZURE_OPENAI_API_KEY"])
PLACE = {"resource_group_name": "peers", "account_name": "peers", "deployment_name": "azure-peer"}

client = AzureOpenAI(azure_endpoint=os.environ["AZURE_OPENAI_ENDPOINT"], api_version="2024-10-21", timeout=60)
management = CognitiveServicesManagementClient(
    KEY,
    "00000000-0000-0000-0000-000000000001",
    base_url=os.environ["ARM_ENDPOINT"],
    # Its own policy sends a bearer token over https only, and this server is on loopback.
    authentication_policy=AzureKeyCredentialPolicy(KEY, "Authorization", prefix="Bearer"),
    polling_interval=1,
)

file = client.files.create(file=Path(sys.argv[1]), purpose="fine-tune")
client.files.wait_for_processing(file.id, poll_interval=0.5, max_wait_seconds=60)

job = client.fine_tuning.jobs.create(
    model=MODEL,
    training_file=file.id,
    method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 20}}},
    suffix="peers",
    extra_body={"trainingType": "GlobalStandard"},
)
while job.status not in {"succeeded", "failed", "cancelled"}:
    time.sleep(1)
    job = client.fine_tuning.jobs.retrieve(job.id)
if job.status != "succeeded":
    sys.exit(f"{job.id} is {job.status}: {job.error}")

wanted = Deployment(
    sku=Sku(name="DeveloperTier", capacity=1),
    properties=DeploymentProperties(model=DeploymentModel(format="OpenAI", name=job.fine_tuned_model, version="1")),
)
deployment = management.deployments.begin_create_or_update(**PLACE, deployment=wanted).result()

asked = {"model": deployment.name, "messages": [QUESTION], "temperature": 0, "max_tokens": 20}
reply = client.chat.completions.create(**asked)
chunks = client.chat.completions.create(**asked, stream=True)

seen = {
    "job": job.id,
    "status": job.status,
    "model": job.fine_tuned_model,
    "events": [event.id for event in client.fine_tuning.jobs.list_events(job.id, limit=2)],
    "checkpoints": [each.id for each in client.fine_tuning.jobs.checkpoints.list(job.id)],
    "results": client.files.content(job.result_files[0]).text,
    "deployment": [deployment.name, deployment.properties.provisioning_state, deployment.properties.model.name],
    "deployments": [each.name for each in management.deployments.list("peers", "peers")],
    "answer": reply.choices[0].message.content,
    "streamed": "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices),
    "jobs": [each.id for each in client.fine_tuning.jobs.list()],
    "files": [each.id for each in client.files.list()],
    "models": [each.id for each in client.models.list()],
    "file": file.id,
}

management.deployments.begin_delete(**PLACE).result()
client.files.delete(file.id)
client.models.delete(job.fine_tuned_model)


def is_gone(ask: Callable[..., object], *arguments: str) -> bool:
    try:
        ask(*arguments)
    except (NotFoundError, ResourceNotFoundError):
        return True
    return False


seen["gone"] = [
    is_gone(management.deployments.get, *PLACE.values()),
    is_gone(client.files.retrieve, file.id),
    is_gone(client.models.retrieve, job.fine_tuned_model),
]
json.dump(seen, sys.stdout)
