"""One process, two, two of which one is killed, and two Ray workers: the same request, and what each has learnt.

    python benchmarks/processes.py

Same base model, rows, seed, steps and batch. Each trains alone, one thread a process. The losses of all steps must be
those of one process.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import psutil
from overhead import write_rows

from ftkit import Client, LoRA, Supervised
from ftkit.ledger import Ledger

METHOD = Supervised(n_epochs=1, batch_size=8, learning_rate=1e-3, lora=LoRA(r=16, alpha=32))
MOST_DIFFERENCE = 1e-4
KILL_AT = 30


def train(folder: Path, rows: Path, compute: str, processes: int, *, kill: bool = False) -> tuple[list[float], float]:
    """Trains, and returns the losses of all steps, and the seconds it took."""
    client = Client("huggingface", compute=compute, jobs_folder=folder / "jobs", ledger=Ledger(folder / "ledger"))
    options: dict[str, Any] = {"save_steps": 20, **({"processes": processes} if processes > 1 else {})}
    begin = time.monotonic()
    job = client.fine_tune("small", rows, method=METHOD, seed=42, provider_options=options, wait=False, progress=False)
    if kill:
        while (client.get_job(job).step or 0) < KILL_AT:
            time.sleep(0.1)
        last_rank(job.id).kill()
    job = client.wait(job, progress=False)
    seconds = time.monotonic() - begin
    return [row.train_loss or 0.0 for row in client.results(job)], seconds


def last_rank(job_id: str) -> psutil.Process:
    """Returns the process of a job's last rank."""
    ranks = [
        process
        for process in psutil.process_iter(["cmdline"])
        if any(job_id in part for part in process.info["cmdline"] or ())
        and "ftkit.providers.huggingface.rank" in process.info["cmdline"]
        and "torch.distributed.run" not in process.info["cmdline"]
    ]
    return max(ranks, key=lambda rank: int(rank.environ()["RANK"]))


def main() -> int:
    """Measures, prints a table, and returns the exit status."""
    kinds: dict[str, dict[str, Any]] = {
        "one process": {"compute": "local", "processes": 1},
        "two processes": {"compute": "local", "processes": 2},
        "two, one of them killed": {"compute": "local", "processes": 2, "kill": True},
        "two Ray workers": {"compute": "ray", "processes": 2},
    }
    with tempfile.TemporaryDirectory() as name:
        rows = Path(name) / "train.jsonl"
        write_rows(rows)
        train(Path(name) / "first", rows, "local", 1)  # so that the base model is there, which is built once
        found = {kind: train(Path(name) / str(n), rows, **how) for n, (kind, how) in enumerate(kinds.items())}
    alone, alone_s = found["one process"]
    print(f"{'':24} {'steps':>5} {'last loss':>9} {'largest difference':>19} {'seconds':>8} {'ratio':>6}")
    worst = 0.0
    for kind, (losses, seconds) in found.items():
        difference = max(abs(a - b) for a, b in zip(alone, losses, strict=True))
        worst = max(worst, difference)
        ratio = seconds / alone_s
        print(f"{kind:24} {len(losses):5} {losses[-1]:9.4f} {difference:19.1e} {seconds:8.1f} {ratio:6.2f}")
    verdict = "equal" if worst <= MOST_DIFFERENCE else "NOT equal"
    print(f"losses of all {len(alone)} steps: {verdict} within {MOST_DIFFERENCE:g} (largest difference {worst:.1e})")
    return int(worst > MOST_DIFFERENCE)


if __name__ == "__main__":
    sys.exit(main())
