"""Tutorials 1 and 2, from start to end, through the vendors' own packages, against `ftkit serve`, which trains."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("local training is POSIX only", allow_module_level=True)
if any(importlib.util.find_spec(name) is None for name in ("torch", "trl", "fastapi", "azure")):
    pytest.skip("not everything that they need is installed", allow_module_level=True)

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(script: str, folder: Path, *arguments: str) -> str:
    own = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "AZURE_"))}
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / script), "--out", str(folder), *arguments],
        env={**own, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_recipes_on_openai(tmp_path: Path) -> None:
    said = run("recipes.py", tmp_path)
    assert "`ftkit serve` trains on this machine" in said
    assert "tuned model: ft:gpt-4o-mini-2024-07-18:ftkit:recipe-ner:" in said
    assert said.count("given:") == 3
    again = run("recipes.py", tmp_path)
    jobs = [re.findall(r"^job (ftjob-\w+) is", each, re.MULTILINE) for each in (said, again)]
    assert len(jobs[0]) == 1
    assert jobs[0] == jobs[1], "the same request is the same job, though the port is another"


def test_sarcastic_chatbot_on_azure(tmp_path: Path) -> None:
    said = run("sarcastic_chatbot.py", tmp_path)
    assert "training_set.jsonl: 10 examples" in said
    assert "checkpoint gpt-4o-mini-2024-07-18.ft-" in said
    assert "deployed as sarcastic-chatbot:" in said
    assert "deployments left: 0" in said
