"""What it costs to wait for a thousand jobs: through `Client.wait_all`, and one by one with the bare `openai` package.

    python benchmarks/waiting.py

Both ask the same stand-in, in this process, through the same transport. It counts what arrives; what is measured is a
round: one look at every job. Fails if `wait_all` needs more than ten requests for it.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

import httpx2
import openai

from ftkit import Client
from ftkit.ledger import Ledger
from ftkit.providers.openai import OpenAIProvider

JOBS = 1000
ROUNDS = 5
MOST = 10


class Service:
    """Has jobs that run until they are told to end."""

    def __init__(self) -> None:
        self.requests = 0
        self.rounds = 0
        self.ids = [f"ftjob-{n:024d}" for n in range(JOBS)]

    def handle(self, request: httpx2.Request) -> httpx2.Response:
        """Answers a read of one job, or of a page of them."""
        self.requests += 1
        last = request.url.path.rpartition("/")[2]
        if last != "jobs":
            return httpx2.Response(200, json=self._job(last))
        after, limit = request.url.params.get("after"), int(request.url.params.get("limit", 20))
        self.rounds += after is None
        begin = self.ids.index(after) + 1 if after else 0
        page = self.ids[begin : begin + limit]
        answer = {"object": "list", "data": [self._job(each) for each in page], "has_more": begin + limit < JOBS}
        return httpx2.Response(200, json=answer)

    def client(self) -> openai.OpenAI:
        """Returns the package's client for it."""
        transport = httpx2.Client(transport=httpx2.MockTransport(self.handle))
        return openai.OpenAI(api_key="k", project="p", base_url="https://a.example/v1", http_client=transport)

    def _job(self, job_id: str) -> dict[str, object]:
        job = {"object": "fine_tuning.job", "id": job_id, "model": "m", "created_at": 1, "organization_id": "o"}
        ended = self.rounds >= ROUNDS
        rest = {"result_files": [], "seed": 1, "training_file": "file-1", "hyperparameters": {}}
        return {**job, **rest, "status": "succeeded" if ended else "running"}


def through_ftkit(folder: Path) -> tuple[float, float]:
    """Returns requests, and seconds of the processor, a round."""
    service = Service()
    client = Client(OpenAIProvider(service.client()), ledger=Ledger(folder))
    began = time.process_time()
    client.wait_all(service.ids, poll_s=0.0, progress=False)
    return service.requests / service.rounds, (time.process_time() - began) / service.rounds


def one_by_one() -> tuple[float, float]:
    """Does the same with the package alone, as its guide does."""
    service = Service()
    client = service.client()
    began = time.process_time()
    for _ in range(ROUNDS):
        for job_id in service.ids:
            client.fine_tuning.jobs.retrieve(job_id)
    return service.requests / ROUNDS, (time.process_time() - began) / ROUNDS


def main() -> None:
    """Measures both, and prints a table."""
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = through_ftkit(Path(folder)), one_by_one()
    print(f"{JOBS} jobs, a round")
    print("| | requests | processor, s |\n|---|---|---|")
    for name, (requests, seconds) in {"Client.wait_all": ours, "openai, one by one": theirs}.items():
        print(f"| {name} | {requests:.0f} | {seconds:.3f} |")
    print(f"| ratio | {ours[0] / theirs[0]:.3f} | {ours[1] / theirs[1]:.3f} |")
    if ours[0] > MOST:
        sys.exit(f"{ours[0]:g} requests a round are more than {MOST}: {json.dumps(ours)}")


if __name__ == "__main__":
    main()
