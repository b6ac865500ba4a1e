"""What ftkit adds to a training: the same LoRA training through ftkit, and as a bare TRL script, in turn.

    python benchmarks/overhead.py

Same base model, rows, seed, steps and settings, both on one thread. The bare script stops at the merged model; ftkit
also keeps a ledger, writes events and status, and seals its checkpoints. Its time is that from `create_job` to the
moment at which the job is seen to have succeeded. The losses of all steps must be equal.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
HERE = Path(__file__).parent
DATA = HERE.parent / "examples" / "data" / "text_to_sql.jsonl"
SETTINGS: dict[str, Any] = {
    "n_epochs": 3,
    "batch_size": 8,
    "learning_rate": 1e-3,
    "seed": 42,
    "r": 16,
    "alpha": 32,
}
ROWS, ROUNDS = 640, 2
MOST_OVERHEAD = 0.05
MOST_DIFFERENCE = 1e-3  # losses are logged in four digits


def write_rows(path: Path) -> None:
    """Writes the training file: conversations of a question and a query."""
    with path.open("w", encoding="utf-8") as file:
        for line in DATA.read_text(encoding="utf-8").splitlines()[:ROWS]:
            row = json.loads(line)
            messages = [
                {"role": "system", "content": row["context"]},
                {"role": "user", "content": row["question"]},
                {"role": "assistant", "content": row["answer"]},
            ]
            file.write(json.dumps({"messages": messages}) + "\n")


def bare(base: Path, train: Path, folder: Path) -> dict[str, Any]:
    """Runs the bare script; returns what it prints, and the seconds of its process."""
    settings = folder / "settings.json"
    settings.write_text(json.dumps(SETTINGS), encoding="utf-8")
    began = time.perf_counter()
    command = [sys.executable, str(HERE / "bare_trl.py"), str(base), str(train), str(folder), str(settings)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {"wall": seconds, "training": result["seconds"]["training"], "losses": result["losses"]}


def through_ftkit(train: Path, key: str) -> dict[str, Any]:
    """Runs the same job through ftkit."""
    from ftkit import Client, LoRA, Supervised

    client = Client("huggingface")
    lora = LoRA(r=SETTINGS["r"], alpha=SETTINGS["alpha"])
    hyperparameters = {name: SETTINGS[name] for name in ("n_epochs", "batch_size", "learning_rate")}
    method = Supervised(lora=lora, **hyperparameters)
    file = client.upload(train, model="small", method=method)
    began = time.perf_counter()
    job = client.create_job(model="small", training_file=file, method=method, seed=SETTINGS["seed"], key=key)
    job = client.wait(job, progress=False)
    seconds = time.perf_counter() - began
    events = list(client.follow(job))
    first = next(e for e in events if e.message.startswith("Training started"))
    last = [e for e in events if e.message.startswith("Checkpoint")][-1]
    return {
        "wall": seconds,
        "training": (last.created_at - first.created_at).total_seconds(),
        "losses": [row.train_loss for row in client.results(job) if row.train_loss is not None],
    }


def base_model() -> Path:
    """Returns the folder of ftkit/small, built if need be: that is no part of what is measured."""
    from ftkit.home import cache_folder
    from ftkit.providers.huggingface.small import ensure_model

    return ensure_model(cache_folder() / "models")


def main() -> None:
    """Prints a table, and fails if the overhead is too large or the losses differ."""
    base = base_model()
    runs: dict[str, list[dict[str, Any]]] = {"bare": [], "ftkit": []}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FTKIT_CACHE"] = str(base.parent.parent)
        os.environ["FTKIT_HOME"] = folder
        train = Path(folder) / "train.jsonl"
        write_rows(train)
        for n in range(ROUNDS):
            place = Path(folder) / f"bare-{n}"
            place.mkdir()
            runs["bare"].append(bare(base, train, place))
            runs["ftkit"].append(through_ftkit(train, key=f"round {n}"))
    losses = [run["losses"] for name in runs for run in runs[name]]
    difference = max(abs(a - b) for run in losses for a, b in zip(run, losses[0], strict=True))
    best = {name: {what: min(run[what] for run in runs[name]) for what in ("wall", "training")} for name in runs}
    print(f"{len(losses[0])} steps, best of {ROUNDS} runs each, OMP_NUM_THREADS=1")
    print("| | bare TRL | through ftkit | ratio |")
    print("|---|---|---|---|")
    for what, name in (("training", "training alone, s"), ("wall", "start to end, imports included, s")):
        ours, theirs = best["ftkit"][what], best["bare"][what]
        print(f"| {name} | {theirs:.1f} | {ours:.1f} | {ours / theirs:.3f} |")
    print(f"| last loss | {losses[0][-1]:.4f} | {losses[-1][-1]:.4f} | largest difference {difference:.1e} |")
    overhead = best["ftkit"]["training"] / best["bare"]["training"] - 1
    if overhead > MOST_OVERHEAD or difference > MOST_DIFFERENCE:
        sys.exit(f"overhead {overhead:.1%}, largest difference of a loss {difference:.1e}")


if __name__ == "__main__":
    main()
