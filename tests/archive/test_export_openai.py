"""What OpenAI tells, through its own package: saved, killed on the way, saved again; and jobs of its taken as ours."""

from __future__ import annotations

import signal
import sys
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest
from scripts import scripts_in
from served_vendor import ServedVendor
from wire_vendor import KEY, WireVendor

from ftkit import Client, Supervised
from ftkit.archive import Archive, export
from ftkit.ledger import Ledger
from ftkit.providers.openai import OpenAIProvider

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MODEL = "gpt-4o-mini-2024-07-18"
ROW = b'{"messages": [{"role": "user", "content": "1?"}, {"role": "assistant", "content": "2."}]}\n'
FETCH = "GET /files/{id}/content"
JOBS = 8


@pytest.fixture
def vendor() -> WireVendor:
    return WireVendor()


@pytest.fixture
def client(vendor: WireVendor) -> Client:
    return Client(OpenAIProvider(vendor.client()))


def by_hand(vendor: WireVendor, word: str = "succeeded") -> str:
    """Makes a job with OpenAI's package alone, which tells numbers in place of "auto" when it has trained."""
    openai = vendor.client()
    file = openai.files.create(file=("train.jsonl", ROW * 12), purpose="fine-tune")
    job = openai.fine_tuning.jobs.create(
        model=MODEL, training_file=file.id, metadata={"team": "blue"}, method={"type": "supervised", "supervised": {}}
    )
    numbers = {"n_epochs": 3, "batch_size": 1, "learning_rate_multiplier": 1.8}
    vendor.jobs[job.id] |= {
        "hyperparameters": numbers,
        "method": {"type": "supervised", "supervised": {"hyperparameters": numbers}},
    }
    for n in range(130):
        vendor.add_event(job.id, f"step {n}")
    vendor.set_status(job.id, word)
    return str(job.id)


def test_a_job_of_openais_is_saved_whole(client: Client, vendor: WireVendor, tmp_path: Path) -> None:
    jobs = [by_hand(vendor) for _ in range(3)]
    done = export(client, tmp_path / "archive", progress=False)
    assert (sorted(done.jobs), done.missing, len(done.files)) == (sorted(jobs), (), 3)
    archive = Archive(tmp_path / "archive")
    for job in jobs:
        saved = archive.get_job(job)
        assert saved == client.get_job(job)
        assert saved.metadata == {"team": "blue"}
        assert len(archive.list_events(job, limit=1000).items) == 131
        assert archive.list_checkpoints(job) == client.list_checkpoints(job)
        assert [row.train_loss for row in archive.results(job)] == [2.5, 1.25]
        assert archive.download_file(str(saved.training_file), tmp_path / "copy").read_bytes() == ROW * 12
    assert not [
        path for path in (tmp_path / "archive").rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()
    ]


def test_an_adopted_job_of_openais_is_the_job_of_its_data(client: Client, vendor: WireVendor, tmp_path: Path) -> None:
    job = by_hand(vendor)
    (tmp_path / "train.jsonl").write_bytes(ROW * 12)
    client.adopt(job, model=MODEL, train=tmp_path / "train.jsonl")
    assert client.fine_tune(MODEL, tmp_path / "train.jsonl", progress=False).id == job
    client.adopt(job)
    method = Supervised(n_epochs=3, batch_size=1, learning_rate_multiplier=1.8)
    again = client.create_job(
        model=MODEL,
        training_file=str(client.get_job(job).training_file),
        method=method,
        seed=vendor.jobs[job]["seed"],
        metadata={"team": "blue"},
    )
    assert again.id == job
    assert {each.id for each in Ledger().asked()} == {job}
    assert (vendor.requests["POST /fine_tuning/jobs"], vendor.requests["POST /files"]) == (1, 1)


@pytest.fixture
def served(vendor: WireVendor) -> Iterator[ServedVendor]:
    server = ServedVendor(vendor)
    yield server
    server.stop()


def exporting(url: str, out: Path) -> None:
    sys.stdout.write(str(export(Client("openai", base_url=f"{url}/v1", api_key=KEY), out, progress=False)))


def test_kill_9_leaves_nothing_half_done_and_the_same_again_goes_on(
    served: ServedVendor, vendor: WireVendor, tmp_path: Path
) -> None:
    """It is killed three times, each time a little later."""
    jobs = {by_hand(vendor) for _ in range(JOBS)}
    out = tmp_path / "archive"
    vendor.watch = lambda _: time.sleep(0.005)
    with scripts_in(tmp_path) as start:
        for n in range(1, 4):
            enough = vendor.requests[FETCH] + n
            script = start(partial(exporting, served.url, out))
            script.until(partial(has_fetched, vendor, enough))
            script.signal(signal.SIGKILL)
            script.end_by(signal.SIGKILL)
            if [*out.glob("*/account.json")]:
                check_what_is_there(out, tmp_path / "copy")
        whole = len(Archive(out).list_jobs(limit=JOBS).items)
        assert 0 < whole < JOBS
        contents = {path: path.stat().st_mtime_ns for path in out.glob("*/files/*/content")}
        vendor.requests.clear()
        last = start(partial(exporting, served.url, out))
        assert last.end() == 0, last.errors
    assert f"{JOBS} jobs ({whole} there already)" in last.output
    assert {job.id for job in Archive(out).list_jobs(limit=JOBS).items} == jobs
    assert vendor.requests["GET /fine_tuning/jobs/{id}/events"] == 2 * (JOBS - whole)
    assert {path: path.stat().st_mtime_ns for path in contents} == contents
    assert not [*out.rglob("*.partial")]
    check_what_is_there(out, tmp_path / "copy")


def has_fetched(vendor: WireVendor, files: int) -> bool:
    return vendor.requests[FETCH] >= files


def check_what_is_there(out: Path, copy: Path) -> None:
    archive = Archive(out)
    for job in archive.list_jobs(limit=JOBS).items:
        assert len(archive.list_events(job, limit=1000).items) == 131
        assert len(archive.results(job)) == 2
        assert archive.download_file(str(job.training_file), copy).read_bytes() == ROW * 12
