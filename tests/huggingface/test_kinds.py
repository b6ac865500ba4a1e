"""Other ways to train, each really done: all weights, packing, text, preferences. The jobs run two at a time."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hf_tools import chat, client_of, messages, steps_of, write

from ftkit import DPO, LoRA, Supervised
from ftkit.models import FineTuningJob, JobStatus

if TYPE_CHECKING:
    from pathlib import Path

    from ftkit import Client

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("hf-kinds")]
PROMPTS = [{"prompt": f"{n} and {n} is", "completion": f" {2 * n}" + "." * n} for n in range(12)]
PAIRS = [
    {
        "input": {"messages": [{"role": "user", "content": f"{n}?"}]},
        "preferred_output": [{"role": "assistant", "content": "yes " * n + "yes"}],
        "non_preferred_output": [{"role": "assistant", "content": "no"}],
    }
    for n in range(12)
]
ALL_AT_ONCE = Supervised(n_epochs=5, batch_size=12, learning_rate=1e-3, lora=False)


class Kinds:
    """The jobs, by what they show."""

    def __init__(self, client: Client, folder: Path, model: Path) -> None:
        self.client, self.folder = client, folder
        files = {
            "prompts": write(folder / "prompts.jsonl", PROMPTS),
            "texts": write(folder / "texts.jsonl", [{"text": f"line {n}"} for n in range(10)]),
            "pairs": write(folder / "pairs.jsonl", PAIRS),
            "chats": write(folder / "chats.jsonl", [chat("a", "b")] * 3),
        }
        asked_for: dict[str, dict[str, Any]] = {
            "plain": {"train": files["prompts"], "method": ALL_AT_ONCE, "provider_options": {"max_steps": 2}},
            "packed": {
                "train": files["prompts"],
                "method": ALL_AT_ONCE,
                "provider_options": {"max_steps": 1, "packing": True},
            },
            "text": {
                "train": files["texts"],
                "validation": files["texts"],
                "method": Supervised(n_epochs=2, batch_size=4, learning_rate=1e-3),
                "provider_options": {
                    "gradient_accumulation_steps": 2,
                    "eval_steps": 2,
                    "save_steps": 2,
                    "save_total_limit": 1,
                    "logging_steps": 2,
                    "gradient_checkpointing": True,
                },
            },
            "dpo": {
                "train": files["pairs"],
                "validation": files["pairs"],
                "method": DPO(n_epochs=3, batch_size=12, learning_rate=1e-2, beta=0.2, lora=LoRA(r=4)),
            },
            # What fails, fails in the process that trains: it names a layer that the model has not.
            "wrong": {"train": files["chats"], "method": Supervised(lora=LoRA(target_modules=("no_such_layer",)))},
        }
        self.jobs = {
            name: client.fine_tune(str(model), wait=False, progress=False, seed=3, **asked)
            for name, asked in asked_for.items()
        }

    def __getitem__(self, name: str) -> FineTuningJob:
        return self.client.get_job(self.jobs[name])

    def place(self, name: str) -> Path:
        return self.folder / "jobs" / self.jobs[name].id

    def losses(self, name: str) -> list[float]:
        return [row.train_loss for row in self.client.results(self.jobs[name]) if row.train_loss is not None]


@pytest.fixture(scope="session")
def kinds(shared: Path, model: Path) -> Kinds:
    found = Kinds(client_of(shared / "kinds", slots=2), shared / "kinds", model)
    found.client.wait_all(list(found.jobs.values()), progress=False)
    return found


@pytest.mark.parametrize("name", ["plain", "packed", "text", "dpo"])
def test_each_succeeds(kinds: Kinds, name: str) -> None:
    job = kinds[name]
    assert job.status is JobStatus.SUCCEEDED, job.error
    assert (job.fine_tuned_model or "").endswith(job.id.removeprefix("ftjob-"))
    assert (job.trained_tokens or 0) > 0


def test_all_weights_leave_a_model_and_no_adapter(kinds: Kinds) -> None:
    for name in ("plain", "packed", "text"):
        assert (kinds.place(name) / "model" / "model.safetensors").is_file()
        assert not (kinds.place(name) / "adapter").exists()
        assert "all weights" in " ".join(messages(kinds.client, kinds[name]))


def test_max_steps_ends_it_and_leaves_a_checkpoint(kinds: Kinds) -> None:
    assert (kinds["plain"].step, kinds["plain"].total_steps) == (2, 2)
    # 12 rows at once: a step is an epoch.
    assert [checkpoint.step for checkpoint in kinds.client.list_checkpoints(kinds["plain"])] == [2, 1]


def test_packed_examples_do_not_see_each_other(kinds: Kinds) -> None:
    # The same rows in one step, packed or not: if they saw each other, the loss would be another one.
    assert kinds.losses("packed")[0] == pytest.approx(kinds.losses("plain")[0], rel=1e-4)
    measured = [kinds.client.results(kinds[name])[0].extra["num_tokens"] for name in ("packed", "plain")]
    assert measured[0] == measured[1]


def test_options_of_saving_and_measuring_are_kept(kinds: Kinds) -> None:
    # 10 rows, 4 a step in two parts: three steps an epoch, two epochs.
    assert kinds["text"].total_steps == 6
    assert steps_of(kinds.place("text")) == [2, 4, 6]
    rows = kinds.client.results(kinds["text"])
    assert [row.step for row in rows if row.full_valid_loss is not None] == [2, 4, 6]
    assert [checkpoint.step for checkpoint in kinds.client.list_checkpoints(kinds["text"])] == [6]
    assert rows[-1].train_loss < rows[0].train_loss  # type: ignore[operator]


def test_preferences_are_learnt(kinds: Kinds) -> None:
    rows = kinds.client.results(kinds["dpo"])
    assert rows[0].train_loss == pytest.approx(0.6931, abs=1e-3), "at first, it is no better than a coin"
    assert rows[-1].train_loss < 0.69  # type: ignore[operator]
    assert rows[-1].extra["rewards/margins"] > 0
    assert rows[-1].full_valid_loss is not None
    assert (kinds.place("dpo") / "adapter" / "adapter_model.safetensors").is_file()
    assert (kinds.place("dpo") / "model" / "model.safetensors").is_file()


def test_a_training_that_fails_says_why_and_keeps_its_log(kinds: Kinds) -> None:
    job = kinds["wrong"]
    assert job.status is JobStatus.FAILED
    assert "no_such_layer" in (job.error or "")
    assert "\n" not in (job.error or "")
    assert messages(kinds.client, job, "error") == [f"The job failed: {job.error}"]
    assert "Traceback" in (kinds.place("wrong") / "log.txt").read_text(encoding="utf-8")
    assert json.loads((kinds.place("wrong") / "status.json").read_text())["word"] == "failed"
    assert not (kinds.place("wrong") / "model").exists()
