"""Tutorial 4 from start to end, as a user runs it: from the YAML file, and from Python, to an answer in a chat."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ftkit import Client

ROOT = Path(__file__).parent.parent.parent
RECIPE = "examples/no_code.yml"
DATA = ROOT / "examples" / "data" / "sarcasm" / "training_set.jsonl"


def run(*command: str) -> str:
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.usefixtures("autotrain_python")
def test_a_recipe_runs_from_python_and_from_its_file_and_is_one_job() -> None:
    told = run("examples/no_code.py")
    before, after = (told.partition(f"{when}: ")[2].splitlines()[0] for when in ("before", "after"))
    answers = [json.loads(line)["messages"][-1]["content"] for line in DATA.read_text().splitlines()]
    learnt = tuple(answer[:8] for answer in answers)
    assert after.startswith(learnt)  # most often the right one; the model is tiny, and AutoTrain packs
    assert not before.startswith(learnt)
    (job,) = Client("autotrain").list_jobs().items
    assert job.id in run("-m", "ftkit", "run", RECIPE)
    assert len(Client("autotrain").list_jobs().items) == 1
    assert Client("autotrain").list_deployments() == []


@pytest.mark.full
def test_the_same_recipe_runs_elsewhere() -> None:
    assert "succeeded" in run("-m", "ftkit", "run", RECIPE, "--provider", "huggingface")
    assert "Shakespeare" in run("examples/no_code.py", "--provider", "huggingface").partition("after: ")[2]
