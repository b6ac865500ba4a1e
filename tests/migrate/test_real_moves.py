"""A job that OpenAI's own package made on `ftkit serve` moves: from the server, and from an archive when it is gone."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from served import OWN, Served

from ftkit.archive import Archive
from ftkit.migrate import Move, Moved

if TYPE_CHECKING:
    from collections.abc import Generator

DATA = Path(__file__).parents[2] / "examples" / "data" / "text_to_sql.jsonl"
MODEL = "gpt-4.1-mini-2025-04-14"
PATIENCE_S = 300
ODD = json.loads("""[
    {"messages": [{"role": "user", "content": "Weather?"},
                  {"role": "assistant", "tool_calls": [{"id": "1", "type": "function",
                                                        "function": {"name": "look", "arguments": "{}"}}]}],
     "tools": [{"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}]},
    {"messages": [{"role": "user", "content": "Yes?"}, {"role": "assistant", "content": "No.", "weight": 0},
                  {"role": "user", "content": "Yes!"}, {"role": "assistant", "content": "Yes."}]}
]""")
"""Rows that OpenAI takes, and AutoTrain cannot learn from as they are meant: lines 141 and 142."""

LOCAL = all(importlib.util.find_spec(name) for name in ("torch", "transformers", "trl", "peft", "starlette"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not LOCAL or sys.platform == "win32", reason="local training is not to be had here"),
]


class Done(NamedTuple):
    status: int
    output: str
    errors: str


class House:
    """An account on a server that will be gone, and the folder of who leaves it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = Served(folder / "server", "--model", f"{MODEL}=ftkit/small")
        self.server.start()
        account = {"OPENAI_BASE_URL": f"{self.server.url}/v1", "OPENAI_API_KEY": self.server.key}
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("FTKIT_", "OPENAI_"))}
        self._environment = clean | OWN | account | {"FTKIT_HOME": str(folder / "home")}
        self.job_id = self._tuned()

    def ftkit(self, *words: str) -> Done:
        """Runs a command, as who leaves does."""
        done = subprocess.run(
            [sys.executable, "-m", "ftkit", *words],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            env=self._environment,
            timeout=PATIENCE_S,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def _tuned(self) -> str:
        rows = [json.loads(line) for line in DATA.read_text(encoding="utf-8").splitlines()[:152]]
        talks = [
            {
                "messages": [
                    {"role": "system", "content": row["context"]},
                    {"role": "user", "content": row["question"]},
                    {"role": "assistant", "content": row["answer"]},
                ]
            }
            for row in rows
        ]
        client, ids = self.server.client(), list[str]()
        for name, some in (("train", [*talks[:140], *ODD]), ("validation", talks[140:])):
            path = self.folder / f"{name}.jsonl"
            path.write_text("".join(json.dumps(talk) + "\n" for talk in some))
            ids.append(client.files.create(file=path, purpose="fine-tune").id)
        job = client.fine_tuning.jobs.create(
            model=MODEL,
            training_file=ids[0],
            validation_file=ids[1],
            suffix="sql",
            method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2, "batch_size": 8}}},
        )
        deadline = time.monotonic() + PATIENCE_S
        while job.status not in {"succeeded", "failed", "cancelled"}:
            assert time.monotonic() < deadline
            time.sleep(0.5)
            job = client.fine_tuning.jobs.retrieve(job.id)
        assert job.status == "succeeded", job
        return job.id


@pytest.fixture
def house(tmp_path: Path) -> Generator[House]:
    found = House(tmp_path)
    yield found
    found.server.end()


def move(house: House, to: str, *words: str) -> Moved:
    done = house.ftkit(
        "migrate",
        f"openai:{house.job_id}",
        "--to",
        to,
        "--model",
        "small",
        "--yes",
        "--max-tokens",
        "40",
        "--json",
        *words,
    )
    assert done.status == 0, done.errors
    return Moved.model_validate_json(done.output)


def test_a_move_from_the_server_and_then_from_the_archive(house: House) -> None:
    from_the_server(house)
    what_another_provider_cannot_take(house)
    from_the_archive(house)


def from_the_server(house: House) -> None:
    """The job moves, and is compared."""
    planned = house.ftkit("migrate", f"openai:{house.job_id}", "--to", "huggingface", "--model", "small", "--dry-run")
    assert "carried over: supervised (n_epochs 2, batch_size 8" in planned.output
    assert "price     0 USD" in planned.output
    unsaid = house.ftkit("migrate", f"openai:{house.job_id}", "--to", "huggingface", "--model", "small")
    assert (unsaid.status, "--yes goes on" in unsaid.errors) == (2, True)
    assert "no jobs" in house.ftkit("jobs", "-p", "huggingface").errors
    found = move(house, "huggingface")
    assert found.evaluation is not None
    assert [(each.name, each.asked) for each in found.evaluation.standings] == [
        ("old", 12),
        ("new, untuned", 12),
        ("new", 12),
    ]
    assert found.evaluation.verdict is not None
    assert (found.evaluation.verdict.rival, found.evaluation.verdict.metric) == ("old", "execution match")
    assert found.job.method == found.move.method
    assert found.move.old_seconds is not None


def what_another_provider_cannot_take(house: House) -> None:
    """It is told before anything is sent."""
    words = ["migrate", f"openai:{house.job_id}", "--to", "autotrain", "--model", "small", "--set", "lora.r=8"]
    words += ["--option", "attention=sdpa"]
    planned = house.ftkit(*words, "--dry-run")
    assert planned.status == 1
    assert "validation_file: AutoTrain's trainers" in planned.output
    assert "compared on: at most 100 rows of " in planned.output
    assert "provider_options.attention: it is 'sdpa'" in planned.output
    assert "141" in planned.output
    refused = house.ftkit(*words, "--yes")
    assert refused.status == 1
    assert "autotrain refuses 2 rows of the old data; nothing was sent" in refused.errors
    assert "--drop-errors" in refused.errors
    dropped = house.ftkit(*words, "--drop-errors", "--dry-run", "--json")
    found = Move.model_validate_json(dropped.output)
    assert [each.line for each in found.lost if each.code == "dropped"] == [141, 142]
    assert found.report.ok
    assert "no jobs" in house.ftkit("jobs", "-p", "autotrain").errors


def from_the_archive(house: House) -> None:
    """The server is gone; and it is the same job, since the data are the same, and so is what is asked for."""
    saved = house.ftkit("export", "openai:*", "--answers", "--max-tokens", "40")
    assert (saved.status, "12 answers recorded" in saved.output) == (0, True), saved
    house.server.end()
    gone = house.ftkit("migrate", f"openai:{house.job_id}", "--to", "huggingface", "--model", "small", "--yes")
    assert gone.status == 1
    assert "--archive FOLDER reads the old job" in gone.errors
    before = house.ftkit("jobs", "-p", "huggingface", "--json").output
    found = move(house, "huggingface", "--archive", "ftkit-archive", "--folder", "elsewhere")
    assert [found.job.id in line for line in before.splitlines()] == [True]
    assert len(house.ftkit("jobs", "-p", "huggingface", "--json").output.splitlines()) == 1
    assert found.evaluation is not None
    assert found.evaluation["old"].asked == 12
    assert found.not_compared is None
    recorded = {each.text for each in Archive(house.folder / "ftkit-archive").answers(house.job_id)}
    assert {row.answers["old"] for row in found.evaluation.rows} == recorded


@pytest.mark.full
def test_it_moves_to_autotrain_with_what_is_lost(house: House) -> None:
    saved = house.ftkit("export", "openai:*", "--answers", "--max-tokens", "40")
    assert saved.status == 0, saved
    house.server.end()
    ready = house.ftkit("autotrain", "setup")
    assert ready.status == 0, ready.errors
    found = move(house, "autotrain", "--archive", "ftkit-archive", "--drop-errors")
    assert found.evaluation is not None
    assert [each.name for each in found.evaluation.standings] == ["old", "new, untuned", "new"]
