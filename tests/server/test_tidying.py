"""What has a time, and what becomes of it when that is over; and what the log says of a job."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import openai as sdk
import pytest
from live import MODEL, Live, until

from ftkit.server import files, uploads
from ftkit.server.logs import FIELDS
from ftkit.server.records import now
from ftkit.testing import MemoryVendor

if TYPE_CHECKING:
    from collections.abc import Callable

    from openai import OpenAI

_HOUR = 3600


def pass_time(monkeypatch: pytest.MonkeyPatch, seconds: int) -> None:
    for module in (files, uploads):
        monkeypatch.setattr(module, "now", lambda: now() + seconds)


def test_a_file_whose_time_is_over_is_gone_and_the_others_stay(
    server: Live, openai: OpenAI, rows: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    age = {"anchor": "created_at", "seconds": _HOUR}
    short = openai.files.create(file=("a.jsonl", rows), purpose="fine-tune", expires_after=age)
    long = openai.files.create(file=("b.jsonl", rows), purpose="fine-tune")
    server.office.files.tidy()
    assert {file.id for file in openai.files.list()} == {short.id, long.id}
    pass_time(monkeypatch, _HOUR + 1)
    with pytest.raises(sdk.NotFoundError):
        openai.files.retrieve(short.id)
    server.office.files.tidy()
    assert [file.id for file in openai.files.list()] == [long.id]
    assert [path.stem for path in server.office.settings.files_folder.iterdir()] == [long.id]


def test_an_upload_that_is_not_completed_in_time_is_over_with_its_parts(
    server: Live, openai: OpenAI, rows: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = openai.uploads.create(bytes=len(rows), filename="a.jsonl", mime_type="text/jsonl", purpose="fine-tune")
    part = openai.uploads.parts.create(upload.id, data=rows)
    server.office.uploads.tidy()
    assert len(list(server.office.settings.parts_folder.iterdir())) == 1
    pass_time(monkeypatch, _HOUR + 1)
    server.office.uploads.tidy()
    assert list(server.office.settings.parts_folder.iterdir()) == []
    with pytest.raises(sdk.BadRequestError, match="expired"):
        openai.uploads.complete(upload.id, part_ids=[part.id])


def words(caplog: pytest.LogCaptureFixture, job_id: str) -> list[str]:
    lines = [vars(record)[FIELDS] for record in caplog.records if record.name == "ftkit.server"]
    return [line["is"] for line in lines if line.get("job") == job_id]


def test_the_log_tells_each_change_of_a_job(
    start: Callable[..., Live], rows: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    server = start(vendor=MemoryVendor(finish_after=None))
    with caplog.at_level(logging.INFO, "ftkit.server"), server.openai() as client:
        file = client.files.create(file=("a.jsonl", rows), purpose="fine-tune").id
        job = client.fine_tuning.jobs.create(model=MODEL, training_file=file)
        server.vendor.advance(server.vendor_job().id, "running")
        until(lambda: client.fine_tuning.jobs.retrieve(job.id).status == "running")
        client.fine_tuning.jobs.cancel(job.id)
        until(lambda: client.fine_tuning.jobs.retrieve(job.id).status == "cancelled")
        until(lambda: words(caplog, job.id)[-1:] == ["cancelled"])  # a line is written after the change
    assert words(caplog, job.id) == ["queued", "running", "cancelled"]
