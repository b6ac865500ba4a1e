"""Tutorial 2: a chatbot that gives facts, and gives them sarcastically.

python examples/sarcastic_chatbot.py                    # Azure; without AZURE_OPENAI_ENDPOINT, on this machine
python examples/sarcastic_chatbot.py --provider NAME    # the same anywhere else

On this machine it needs the extras local, server, azure and plots.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from offline import service

from ftkit import Client, Supervised
from ftkit.plots import loss_curve

if TYPE_CHECKING:
    from ftkit import FineTuningJob

DATA = Path(__file__).parent / "data" / "sarcasm"
METHOD = Supervised(n_epochs=3)
SEED = 105


def show_data(paths: tuple[Path, Path]) -> None:
    """Counts the examples of each file, and shows the first."""
    for path in paths:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        print(f"{path.name}: {len(rows)} examples; the first:")
        for message in rows[0]["messages"]:
            print(f"  {message['role']}: {message['content']}")


def train(client: Client, model: str, paths: tuple[Path, Path]) -> FineTuningJob:
    """Uploads both files, and trains."""
    print(client.check(paths[0], model=model, method=METHOD))
    files = [client.upload(path, model=model, method=METHOD) for path in paths]
    job = client.create_job(
        model=model, training_file=files[0], validation_file=files[1], method=METHOD, seed=SEED, suffix="sarcasm"
    )
    return client.wait(job)


def show_job(client: Client, job: FineTuningJob) -> None:
    """Lists jobs, events and checkpoints, and draws the results."""
    print("jobs:", [f"{each.id}: {each.status.value}" for each in client.list_jobs(limit=3).items])
    for event in list(client.follow(job))[-10:]:
        print(f"  {event.message}")
    for checkpoint in client.list_checkpoints(job):
        print(f"  checkpoint {checkpoint.model} at step {checkpoint.step}")
    print(loss_curve(client.results(job)))


def run(client: Client, model: str) -> None:
    """Runs the tutorial."""
    paths = (DATA / "training_set.jsonl", DATA / "validation_set.jsonl")
    show_data(paths)
    job = train(client, model, paths)
    show_job(client, job)
    system = json.loads(paths[0].read_text(encoding="utf-8").splitlines()[0])["messages"][0]["content"]
    conversation = [
        {"role": "system", "content": system},
        {"role": "user", "content": "Does water boil?"},
        {"role": "assistant", "content": "At 100 degrees, yes. Did the kettle not tell you?"},
        {"role": "user", "content": "How far is the Moon?"},
    ]
    with client.deployed(job, name="sarcastic-chatbot") as deployment:
        print(f"deployed as {deployment.name}:", client.chat(deployment, conversation, max_tokens=60).text)
    print(f"deployments left: {len(client.list_deployments())}")


def main() -> None:
    """Reads the arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--provider", default="azure", help="a provider or a profile (default: %(default)s)")
    parser.add_argument("--model", default="small", help="the base model, or a role (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path(".demo"), help="where files go (default: %(default)s)")
    arguments = parser.parse_args()
    with service(arguments.provider, arguments.out / "server"):
        run(Client(arguments.provider), arguments.model)


if __name__ == "__main__":
    main()
