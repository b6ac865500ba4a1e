"""The same recipe through AutoTrain and through TRL: losses side by side, with time and memory.

    python benchmarks/autotrain.py

Both train `ftkit/small` with all weights on the same 101 conversations, through the same verbs of ftkit. They are not
the same training: AutoTrain packs conversations into blocks and learns all of a block, where ftkit's own training
learns the assistant's answers alone. So each has a loss of its own; what can be compared is where each comes from and
goes to, and how well each model then gives the answers: the share of characters, from the beginning, that are right.
"""

from __future__ import annotations

import csv
import json
import os
import sys
import tempfile
import threading
import time
from itertools import takewhile
from pathlib import Path

import psutil

from ftkit import Client, FineTuningJob, Supervised
from ftkit.ledger import Ledger
from ftkit.providers.autotrain import environment

ROOT = Path(__file__).parent.parent
ROWS = 101
ASKED = 20
METHOD = Supervised(n_epochs=6, batch_size=4, learning_rate=1e-3)
OPTIONS = {
    "autotrain": {"block_size": 512, "gradient_accumulation": 1, "scheduler": "cosine"},
    "huggingface": {"max_length": 512, "lr_scheduler_type": "cosine", "warmup_ratio": 0.1},
}
LABELS = ("steps", "first loss", "loss in the middle", "last loss", "answers right, %", "seconds", "most memory, MiB")
LOOK_S = 0.1


def conversations() -> list[list[dict[str, str]]]:
    """Returns the conversations of tutorial 1."""
    with (ROOT / "examples" / "data" / "recipes.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row, _ in zip(csv.DictReader(file), range(ROWS), strict=False)]
    return [
        [
            {"role": "user", "content": f"{row['title']}: {row['ingredients']}"},
            {"role": "assistant", "content": row["NER"]},
        ]
        for row in rows
    ]


class Memory(threading.Thread):
    """Looks at all processes of a jobs folder until it is told to stop; remembers the most memory of all at once."""

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self.peak_bytes = 0
        self.stopped = threading.Event()
        self._folder = str(folder)

    def run(self) -> None:
        """Looks."""
        while not self.stopped.wait(LOOK_S):
            self.peak_bytes = max(self.peak_bytes, sum(map(_memory, self._processes())))

    def _processes(self) -> list[psutil.Process]:
        found: dict[int, psutil.Process] = {}
        for process in psutil.process_iter():
            try:
                if self._folder in " ".join(process.cmdline()):
                    for each in (process, *process.children(recursive=True)):
                        found[each.pid] = each
            except psutil.Error:
                continue
        return list(found.values())


def _memory(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def matched(wanted: str, given: str) -> float:
    """Returns the share of an answer, from its beginning, that is right."""
    same = takewhile(lambda pair: pair[0] == pair[1], zip(wanted, given, strict=False))
    return len(list(same)) / len(wanted)


def measure(provider: str, train: Path, folder: Path) -> list[float]:
    """Trains with one provider, and returns its column of the table."""
    client = Client(provider, ledger=Ledger(folder / "ledger"), jobs_folder=folder / "jobs")
    memory = Memory(folder / "jobs")
    memory.start()
    began = time.perf_counter()
    job: FineTuningJob = client.fine_tune(
        "ftkit/small", train, method=METHOD, seed=7, provider_options=OPTIONS[provider], progress=False
    )
    took_s = time.perf_counter() - began
    memory.stopped.set()
    losses = [row.train_loss for row in client.results(job) if row.train_loss is not None]
    with client.deployed(job) as deployment:
        shares = [
            matched(
                answer["content"],
                client.chat(deployment, [question], temperature=0, max_tokens=150).text,  # type: ignore[list-item]
            )
            for question, answer in conversations()[:ASKED]
        ]
    middle = losses[len(losses) // 2]
    return [len(losses), losses[0], middle, losses[-1], 100 * sum(shares) / ASKED, took_s, memory.peak_bytes / 2**20]


def main() -> int:
    """Measures both, and prints a table."""
    if environment.found() is None:
        print("AutoTrain's environment is not there: ftkit autotrain setup")
        return 1
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        train = folder / "train.jsonl"
        train.write_text("".join(json.dumps({"messages": each}) + "\n" for each in conversations()), encoding="utf-8")
        columns = {provider: measure(provider, train, folder / provider) for provider in OPTIONS}
    print(f"| | {' | '.join(columns)} | ratio |\n|---|{'---|' * (len(columns) + 1)}")
    for label, *values in zip(LABELS, *columns.values(), strict=True):
        print(f"| {label} | {' | '.join(f'{value:.4g}' for value in values)} | {values[0] / values[1]:.2f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
