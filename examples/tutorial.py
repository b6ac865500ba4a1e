"""Any of the four tutorials on any provider: two words change, and nothing else.

    python examples/tutorial.py --tutorial recipes --provider openai
    python examples/tutorial.py --tutorial sql --provider huggingface

Without an account, OpenAI and Azure are `ftkit serve` on this machine, which trains a small model; `huggingface` and
`autotrain` train here as well (AutoTrain needs `ftkit autotrain setup` once). Run it again, or kill it half-way and run
it again: the same request is the same job.
"""

from __future__ import annotations

import argparse
import csv
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lessons import NAMES, lesson
from offline import service
from pydantic_core import to_json

from ftkit import Client
from ftkit.evaluate import Evaluation, evaluate
from ftkit.fitting import fit
from ftkit.plots import Run, draw, save
from ftkit.reports import render

if TYPE_CHECKING:
    from lessons import Data, Lesson

    from ftkit import Deployment, FineTuningJob, Metrics
    from ftkit.fitting import Fitted


@dataclass
class Cell:
    """What a run came to: a cell of the table that `make tutorials` prints."""

    tutorial: str
    provider: str
    trained: bool = False
    loss_before: float | None = None
    loss_after: float | None = None
    evaluation: Evaluation | None = None
    deployed: bool = False
    answered: bool = False
    cleaned_up: bool = False
    seconds: float = 0.0


def show_data(data: Data) -> None:
    """Counts the examples of each file, and shows the first."""
    for path in (data.train, data.validation):
        lines = path.read_text(encoding="utf-8").splitlines()
        print(f"{path.name}: {len(lines)} examples; the first:\n  {lines[0][:300]}")


def as_fits(client: Client, model: str, wanted: Lesson) -> Fitted:
    """Finds what of the tutorial's method this provider can do, and tells what it cannot."""
    fitted = fit(client, model=model, method=wanted.method, provider_options=wanted.options)
    for problem in fitted.left_out:
        print(f"left out: {problem.field}: {problem.message}")
    print(f"{fitted.method.type}: {fitted.method.hyperparameters()} {fitted.provider_options or ''}")
    return fitted


def train(client: Client, model: str, wanted: Lesson, data: Data) -> FineTuningJob:
    """Checks both files, uploads them, makes the job, and waits for it."""
    fitted = as_fits(client, model, wanted)
    shared = {"model": model, "method": fitted.method, "provider_options": fitted.provider_options}
    checked = client.check(data.train, validation=data.validation, columns=data.columns, **shared)
    print(render(checked))
    training, validation = (
        client.upload(path, columns=data.columns, **shared) for path in (data.train, data.validation)
    )
    print(f"uploaded {training.filename} as {training.id}, {validation.filename} as {validation.id}")
    job = client.create_job(
        training_file=training, validation_file=validation, suffix=wanted.suffix, seed=wanted.seed, **shared
    )
    print(f"job {job.id} is {job.status.value}")
    job = client.wait(job)
    cost = f"{job.trained_tokens:,} tokens" if job.trained_tokens is not None else "tokens it does not tell"
    print(f"tuned model: {job.fine_tuned_model}, trained on {cost}")
    return job


def show_job(client: Client, job: FineTuningJob, folder: Path) -> list[Metrics]:
    """Lists jobs, events and checkpoints; keeps the results as a table and as a picture."""
    for each in client.list_jobs(limit=3).items:
        print(f"job {each.id}: {each.status.value}, {each.model}")
    events = list(client.follow(job))
    print(f"{len(events)} events, the last ten of them, oldest first:")
    for event in events[-10:]:
        print(f"  {event.created_at:%H:%M:%S} {event.message}")
    run = Run.of(client, job)
    for checkpoint in run.checkpoints:
        print(f"checkpoint at step {checkpoint.step}: {checkpoint.model}")
    rows = [metrics.model_dump(exclude={"extra"}) for metrics in run.metrics]
    with (folder / "results.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, rows[0])
        table.writeheader()
        table.writerows(rows)
    save(folder / "curves.png", run)
    print(f"{draw(run)}\nresults: {folder / 'results.csv'}, {folder / 'curves.png'}")
    return list(run.metrics)


def judge(client: Client, model: str, deployment: Deployment, wanted: Lesson, data: Data, folder: Path) -> Evaluation:
    """Asks test conversations of the base model, of that with examples in its prompt, and of the tuned one."""
    found = evaluate(
        client,
        data.test,
        deployment,
        base=model,
        few_shot=data.train,
        shots=2,
        metric=wanted.metric,
        columns=data.columns,
        limit=wanted.asked,
        max_tokens=wanted.max_tokens,
        record=folder / "answers.jsonl",  # run again, it asks nothing again
    )
    print(found)
    for row in found.rows[:2]:
        print(f"  wanted: {row.wanted}\n  given:  {row.answers['tuned']}")
    return found


def converse(client: Client, deployment: Deployment, wanted: Lesson, data: Data) -> bool:
    """Has the conversation of the tutorial, or asks the first test question again, piece by piece."""
    print("  streamed: ", end="", flush=True)
    pieces = 0
    messages = wanted.conversation or data.test[0][:-1]
    for piece in client.stream_chat(deployment, messages, max_tokens=wanted.max_tokens):
        print(piece, end="", flush=True)
        pieces += len(piece.text)
    print()
    return pieces > 0


def clean_up(client: Client, job: FineTuningJob) -> bool:
    """Deletes what the run left behind; the job and its model stay."""
    gone = client.tear_down(job)
    print(f"deleted: {len(gone.deployments)} deployments, {len(gone.files)} files; kept: {len(gone.kept)}")
    return not gone.kept and not client.list_deployments()


def run(client: Client, model: str, wanted: Lesson, folder: Path, cell: Cell) -> None:
    """Runs a tutorial, from its data to an empty account, and writes down what it came to."""
    print(f"-- {wanted.title}: data")
    data = wanted.prepare(folder)
    show_data(data)
    print("\n-- check, upload, train")
    job = train(client, model, wanted, data)
    cell.trained = True
    print("\n-- jobs, events, checkpoints, results")
    losses = [row.train_loss for row in show_job(client, job, folder) if row.train_loss is not None]
    cell.loss_before, cell.loss_after = losses[0], sum(losses[-5:]) / len(losses[-5:])
    print("\n-- deploy and ask")
    with client.deployed(job) as deployment:
        cell.deployed = True
        print(f"  deployed as {deployment.name}")
        cell.evaluation = judge(client, model, deployment, wanted, data, folder)
        cell.answered = converse(client, deployment, wanted, data)
    print("\n-- clean up")
    cell.cleaned_up = clean_up(client, job)


def main() -> None:
    """Reads the arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tutorial", choices=NAMES, required=True)
    parser.add_argument("--provider", required=True, help="a provider or a profile")
    parser.add_argument("--model", default="small", help="the base model, or a role (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path(".demo"), help="where files go (default: %(default)s)")
    parser.add_argument("--report", type=Path, help="where to write what it came to, as JSON")
    given = parser.parse_args()
    folder, started = given.out / f"{given.tutorial}-{given.provider}", time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    cell = Cell(given.tutorial, given.provider)
    try:
        with service(given.provider, given.out / f"server-{given.provider}"):
            run(Client(given.provider), given.model, lesson(given.tutorial), folder, cell)
    finally:
        cell.seconds = time.monotonic() - started
        if given.report is not None:
            given.report.write_bytes(to_json(cell))
    print(f"\n{given.tutorial} on {given.provider}: {cell.seconds:.0f} s, loss {cell.loss_before:.2f} ->", end=" ")
    print(f"{cell.loss_after:.2f}")


if __name__ == "__main__":
    main()
