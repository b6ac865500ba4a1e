"""DSPy, whose `LM.finetune` uploads, waits, and gives back the tuned model as an LM."""

import json
import os
import sys
from pathlib import Path

import dspy
from dspy.clients.utils_finetune import TrainDataFormat

lm = dspy.LM(
    "openai/gpt-4o-mini-2024-07-18",
    api_base=os.environ["OPENAI_BASE_URL"],
    api_key=os.environ["OPENAI_API_KEY"],
    temperature=0,
    max_tokens=20,
    cache=False,
)
rows = [json.loads(line) for line in Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()]

job = lm.finetune(train_data=rows, train_data_format=TrainDataFormat.CHAT, train_kwargs={"n_epochs": 20})
tuned = job.result()
if isinstance(tuned, Exception):
    raise tuned

seen = {
    "job": job.provider_job_id,
    "status": job.status(),
    "model": tuned.model,
    "file": job.provider_file_id,
    "answer": tuned("Which tea is for the morning?")[0],
}
sys.stdout.write("\n" + json.dumps(seen))
