from __future__ import annotations

from typing import TYPE_CHECKING

from live import MODEL, until

if TYPE_CHECKING:
    from live import Live
    from openai import OpenAI


def test_from_file_to_chat(server: Live, openai: OpenAI, rows: bytes) -> None:
    file = openai.files.create(file=("tea.jsonl", rows), purpose="fine-tune")
    assert openai.files.content(file.id).content == rows
    job = openai.fine_tuning.jobs.create(model=MODEL, training_file=file.id, suffix="tea")
    until(lambda: openai.fine_tuning.jobs.retrieve(job.id).status == "succeeded")
    job = openai.fine_tuning.jobs.retrieve(job.id)
    assert job.fine_tuned_model is not None
    answer = openai.chat.completions.create(
        model=job.fine_tuned_model, messages=[{"role": "user", "content": "Hello?"}]
    )
    assert "Hello?" in str(answer.choices[0].message.content)
    assert server.vendor.calls["create_job"] == 1
