"""OpenAI's own package, awaited, with a file that goes up in parts."""

import asyncio
import json
import sys
from pathlib import Path

from openai import AsyncOpenAI
from openai.types.fine_tuning import FineTuningJob

MODEL = "gpt-4o-mini-2024-07-18"
QUESTION = {"role": "user", "content": "Which tea is for the morning?"}


async def fine_tune(client: AsyncOpenAI, training_file: str) -> FineTuningJob:
    job = await client.fine_tuning.jobs.create(
        model=MODEL,
        training_file=training_file,
        method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 20}}},
        suffix="peers",
    )
    while job.status not in {"succeeded", "failed", "cancelled"}:
        await asyncio.sleep(1)
        job = await client.fine_tuning.jobs.retrieve(job.id)
    if job.status != "succeeded":
        sys.exit(f"{job.id} is {job.status}: {job.error}")
    return job


async def main() -> None:
    async with AsyncOpenAI(timeout=60) as client:
        upload = await client.uploads.upload_file_chunked(
            file=Path(sys.argv[1]), mime_type="text/jsonl", purpose="fine-tune", part_size=1000
        )
        await client.files.wait_for_processing(upload.file.id, poll_interval=0.5, max_wait_seconds=60)
        job = await fine_tune(client, upload.file.id)

        asked = {"model": job.fine_tuned_model, "messages": [QUESTION], "temperature": 0, "max_tokens": 20}
        reply = await client.chat.completions.create(**asked)
        chunks = await client.chat.completions.create(**asked, stream=True)
        results = await client.files.content(job.result_files[0])

        seen = {
            "job": job.id,
            "status": job.status,
            "model": job.fine_tuned_model,
            "events": [event.id async for event in client.fine_tuning.jobs.list_events(job.id, limit=2)],
            "checkpoints": [each.id async for each in client.fine_tuning.jobs.checkpoints.list(job.id)],
            "results": results.text,
            "answer": reply.choices[0].message.content,
            "streamed": "".join([chunk.choices[0].delta.content or "" async for chunk in chunks if chunk.choices]),
            "jobs": [each.id async for each in client.fine_tuning.jobs.list()],
            "files": [each.id async for each in client.files.list()],
            "models": [each.id async for each in client.models.list()],
            "file": upload.file.id,
            "deleted": [
                (await client.files.delete(upload.file.id)).deleted,
                (await client.models.delete(job.fine_tuned_model)).deleted,
            ],
        }
    json.dump(seen, sys.stdout)


asyncio.run(main())
