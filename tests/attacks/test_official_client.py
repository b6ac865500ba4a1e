"""What the attacks are measured against: the official client, on the same line, pays three times."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from openai import OpenAI
from served_vendor import ServedVendor, openai_at
from wire_vendor import KEY, WireVendor

from ftkit import Client, Supervised
from ftkit.ledger import Ledger
from ftkit.testing.attacks.wire import Spoil, Wire
from ftkit.testing.tally import Tally, record

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

MODEL = "gpt-4o-mini-2024-07-18"


@pytest.fixture
def vendor() -> Generator[ServedVendor]:
    served = ServedVendor(WireVendor())
    yield served
    served.stop()


@pytest.fixture
def line(vendor: ServedVendor) -> Generator[Wire]:
    """A line that loses the replies to two creates."""
    wire = Wire(vendor.url, lambda method, path, _: method == "POST" and path.endswith("/jobs"))
    wire.spoils = [Spoil.RESET, Spoil.SERVER_ERROR]
    yield wire
    wire.stop()


def test_the_official_client_makes_three_jobs_of_one(vendor: ServedVendor, line: Wire) -> None:
    method: Any = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2}}}
    with OpenAI(api_key=KEY, base_url=f"{line.url}/v1") as client:
        file = client.files.create(file=("train.jsonl", b"{}"), purpose="fine-tune")
        job = client.fine_tuning.jobs.create(model=MODEL, training_file=file.id, method=method)
    assert job.id in vendor.vendor.jobs
    assert (len(vendor.vendor.jobs), line.posts) == (3, 3)


def test_ftkit_makes_one(vendor: ServedVendor, line: Wire, tmp_path: Path) -> None:
    data = tmp_path / "train.jsonl"
    row = '{"messages": [{"role": "user", "content": "1?"}, {"role": "assistant", "content": "1."}]}\n'
    data.write_text(row * 10)
    provider = openai_at(line.url)
    client = Client(provider, ledger=Ledger(tmp_path / "ledger"))
    run = partial(client.fine_tune, MODEL, data, method=Supervised(n_epochs=2), wait=False)
    jobs = {run().id for _ in range(3)}
    provider._line.client.close()
    assert jobs == set(vendor.vendor.jobs)
    assert (len(vendor.vendor.jobs), line.posts) == (1, 1)
    record(Tally("two lost replies, where the official client pays 3", "openai", 3, 1, len(vendor.vendor.jobs)))
