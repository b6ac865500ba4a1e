"""What the tests beside it share: data, a client of its own folder, ways to wait for a job, and to kill it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local_witness import until

from ftkit import Client, LoRA, Supervised
from ftkit.ledger import Ledger
from ftkit.providers._local_jobs import JobFolder
from ftkit.providers._processes import is_alive

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ftkit.models import FineTuningJob

HERE = Path(__file__).parent
HF_TOKEN = "hf_Nobody4711MustSeeThis"
SUFFIX = "cookies"
LENGTH = 200
METHOD = Supervised(n_epochs=8, batch_size=32, learning_rate=5e-3, lora=LoRA(r=4, alpha=8))
GPU_ONLY: dict[str, Any] = {
    "precision": "fp16",
    "quantization": "4bit",
    "attention": "flash_attention_2",
    "tf32": True,
    "optim": "paged_adamw_8bit",
}
OPTIONS: dict[str, Any] = {"max_length": LENGTH, **GPU_ONLY}
STEPS = 24
CUT, LEFT_OUT = 5, 9
"""Lines of the training file that are too long: in the answer, and before it."""


@dataclass(frozen=True)
class Trained:
    """A job that has succeeded, and who made it."""

    client: Client
    job: FineTuningJob
    folder: Path

    @property
    def place(self) -> Path:
        return self.folder / "jobs" / self.job.id


def run_python(script: Path, *arguments: object, check: bool = True, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, str(script), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    assert not check or done.returncode == 0, done.stderr
    return done.stdout


def write(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    """Writes rows. The file is there at once, as another worker may write the same, and read it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return partial.replace(path)


def chat(question: str, answer: str, **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"messages": messages, **more}


def chats(count: int = 96) -> list[dict[str, Any]]:
    """Long enough that a step takes a while, so that there is time to kill it; one is cut, one left out."""
    rows = [chat(f"{n}? " + "Tell me. " * 9, f"It is {n % 7}. " * 4) for n in range(count)]
    rows[CUT - 1] = chat("Long?", "yes " * 60)
    rows[LEFT_OUT - 1] = chat("Long " * 60, "yes")
    return rows


def client_of(folder: Path, **options: Any) -> Client:
    """A client of a jobs folder and a ledger that nobody else has."""
    return Client("huggingface", ledger=Ledger(folder / "ledger"), jobs_folder=folder / "jobs", **options)


def lora_request(folder: Path, model: Path) -> dict[str, Any]:
    """The arguments of `fine_tune`; the same bytes wherever the folder is."""
    return {
        "model": str(model),
        "train": write(folder / "train.jsonl", chats()),
        "validation": write(folder / "valid.jsonl", chats(12)[9:]),
        "method": METHOD,
        "suffix": SUFFIX,
        "seed": 7,
        "provider_options": OPTIONS,
    }


def train_lora(folder: Path, model: Path) -> Trained:
    client = client_of(folder)
    job = client.fine_tune(**lora_request(folder, model), progress=False)
    return Trained(client, job, folder)


def steps_of(place: Path) -> list[int]:
    """The steps of the training metrics, in the order in which they were told."""
    events = JobFolder(place).events()
    return [e.metrics.step for e in events if e.metrics is not None and e.metrics.train_loss is not None]


def messages(client: Client, job: FineTuningJob | str, level: str | None = None) -> list[str]:
    events = client.list_events(job, limit=1000).items
    return [event.message for event in events if level is None or event.level == level]


def await_step(client: Client, job: FineTuningJob | str, step: int) -> None:
    until(lambda: (client.get_job(job).step or 0) >= step, f"it never came to step {step}")


def end_trainer(place: Path, how: signal.Signals = signal.SIGKILL) -> None:
    """Sends a signal to the process of a job, and waits until it has ended."""
    process = JobFolder(place).state().runner
    assert process is not None
    os.kill(process.pid, how)
    until(lambda: not is_alive(process), "the trainer does not end")


def left_in(folder: Path) -> list[str]:
    """All that is in a jobs folder, but for the files, and the locks that stay."""
    found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*")) if folder.is_dir() else []
    return [name for name in found if name != "files" and not name.startswith(("queue", "slots", "files/file-"))]
