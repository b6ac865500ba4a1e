"""The command line that OpenAI's package had until 2.34, as a script drives it.

Its `files.retrieve` and `files.delete` ask for the wrong arguments in that version, so files are only listed.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MODEL = "gpt-4o-mini-2024-07-18"
OPENAI = Path(sys.executable).with_name("openai")


def openai(*arguments: str) -> str:
    return subprocess.run([OPENAI, "api", *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


def shown(*arguments: str) -> dict[str, Any]:
    return json.loads(openai(*arguments))


def listed(*arguments: str) -> Iterator[dict[str, Any]]:
    """What it prints one after the other."""
    text = openai(*arguments).strip()
    while text:
        found, end = json.JSONDecoder().raw_decode(text)
        yield found
        text = text[end:].lstrip()


file = shown("files.create", "-f", sys.argv[1], "-p", "fine-tune")
while next(each for each in listed("files.list") if each["id"] == file["id"])["status"] != "processed":
    time.sleep(1)

job = shown("fine_tuning.jobs.create", "-m", MODEL, "-F", file["id"], "-H", json.dumps({"n_epochs": 20}), "-s", "peers")
while job["status"] not in {"succeeded", "failed", "cancelled"}:
    time.sleep(1)
    job = shown("fine_tuning.jobs.retrieve", "-i", job["id"])
if job["status"] != "succeeded":
    sys.exit(f"{job['id']} is {job['status']}: {job['error']}")

model = job["fine_tuned_model"]
asked = ["-m", model, "-g", "user", "Which tea is for the morning?", "-t", "0", "-M", "20"]
seen = {
    "job": job["id"],
    "status": job["status"],
    "model": model,
    "events": [event["id"] for event in shown("fine_tuning.jobs.list_events", "-i", job["id"])["data"]],
    "answer": openai("chat.completions.create", *asked).strip(),
    "streamed": openai("chat.completions.create", *asked, "--stream").strip(),
    "jobs": [each["id"] for each in shown("fine_tuning.jobs.list", "-l", "100")["data"]],
    "files": [each["id"] for each in listed("files.list")],
    "models": [each["id"] for each in listed("models.list")],
    "file": file["id"],
    "filename": file["filename"],
    "deleted": [shown("models.delete", "-i", model)["deleted"]],
}
json.dump(seen, sys.stdout)
