"""Tutorial 3: teach a small model to write SQL, from a file of questions to a deployed model.

    python examples/text_to_sql.py                       # trains on this machine, offline
    python examples/text_to_sql.py --provider NAME       # the same anywhere else

The only word here that belongs to a provider is its name. Run it twice, or kill it half-way and run it again: the same
request is the same job.
"""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from ftkit import Client, LoRA, Supervised
from ftkit.datasets import split
from ftkit.plots import loss_curve, save_loss_curve

if TYPE_CHECKING:
    from ftkit import Deployment

DATA = Path(__file__).parent / "data" / "text_to_sql.jsonl"
SYSTEM = "You are a text-to-SQL assistant. Answer with one SQL query for this schema:\n{context}"
METHOD = Supervised(n_epochs=6, batch_size=8, learning_rate=3e-3, lora=LoRA(r=32, alpha=64, dropout=0.1))


def conversation(row: dict[str, str]) -> dict[str, list[dict[str, str]]]:
    """Turns a row (question, context, answer) into a chat example."""
    return {
        "messages": [
            {"role": "system", "content": SYSTEM.format(context=row["context"])},
            {"role": "user", "content": row["question"]},
            {"role": "assistant", "content": row["answer"]},
        ]
    }


def make_data(folder: Path) -> tuple[Path, Path, Path]:
    """Writes the training, validation and test files."""
    folder.mkdir(parents=True, exist_ok=True)
    chat = folder / "chat.jsonl"
    rows = [json.loads(line) for line in DATA.read_text(encoding="utf-8").splitlines()]
    chat.write_text("".join(json.dumps(conversation(row)) + "\n" for row in rows), encoding="utf-8")
    train, valid, test = (folder / f"{name}.jsonl" for name in ("train", "validation", "test"))
    counts = split(chat, {train: 636, valid: 60, test: 64}, seed=7)
    print("rows:", {path.name: count for path, count in counts.items()})
    return train, valid, test


def exact_match(client: Client, deployment: Deployment, test: Path) -> tuple[float, list[str]]:
    """Asks a deployment every test question; returns the share of answers that are right to the letter."""
    examples = [json.loads(line)["messages"] for line in test.read_text(encoding="utf-8").splitlines()]

    def answer(messages: list[dict[str, str]]) -> str:
        return client.chat(deployment, messages[:-1], temperature=0, max_tokens=120).text.strip()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(answer, examples))
    right = [given == messages[-1]["content"] for given, messages in zip(answers, examples, strict=True)]
    return sum(right) / len(right), answers


def main() -> None:
    """Runs the tutorial."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--provider", default="huggingface", help="a provider or a profile (default: %(default)s)")
    parser.add_argument("--model", default="small", help="the base model, or a role (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path(".demo"), help="where files go (default: %(default)s)")
    arguments = parser.parse_args()
    model = arguments.model
    client = Client(arguments.provider)

    print("\n-- data")
    train, valid, test = make_data(arguments.out)
    print(client.check(train, model=model, method=METHOD))

    print("\n-- upload and train")
    files = [client.upload(path, model=model, method=METHOD) for path in (train, valid)]
    job = client.create_job(
        model=model, training_file=files[0], validation_file=files[1], method=METHOD, suffix="text-to-sql", seed=42
    )
    print(f"job {job.id} is {job.status.value}")
    job = client.wait(job)
    print(f"tuned model: {job.fine_tuned_model}, trained on {job.trained_tokens:,} tokens")

    print("\n-- the last events, the checkpoints, the loss")
    for event in list(client.follow(job))[-5:]:
        print(f"  {event.created_at:%H:%M:%S} {event.level.value:7} {event.message}")
    checkpoints = client.list_checkpoints(job)
    for checkpoint in checkpoints:
        print(f"  checkpoint {checkpoint.id} at step {checkpoint.step}")
    metrics = client.results(job)
    print(loss_curve(metrics))
    picture = arguments.out / "loss.png"
    save_loss_curve(metrics, picture, checkpoints=checkpoints, title="text-to-SQL")
    print(f"picture: {picture}")

    print("\n-- deploy and ask: the base model, then the tuned one")
    scores: dict[str, float] = {}
    answers: dict[str, list[str]] = {}
    for name, target in {"base": model, "tuned": job}.items():
        with client.deployed(target) as deployment:
            scores[name], answers[name] = exact_match(client, deployment, test)
    questions = [json.loads(line)["messages"] for line in test.read_text(encoding="utf-8").splitlines()]
    for i in range(3):
        print(f"  Q: {questions[i][-2]['content']}")
        print(f"     base:  {answers['base'][i][:100]!r}")
        print(f"     tuned: {answers['tuned'][i]!r}")

    print(f"\n| model | exact match ({len(questions)} rows not trained on) |")
    print("|-------|---------------------------------------|")
    for name, score in scores.items():
        print(f"| {name:5} | {score:37.1%} |")
    print(f"deployments left: {len(client.list_deployments())}")


if __name__ == "__main__":
    main()
