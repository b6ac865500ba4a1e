"""A LoRA job that was really trained, looked at from all sides."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import pytest
from hf_tools import (
    CUT,
    GPU_ONLY,
    HERE,
    HF_TOKEN,
    LEFT_OUT,
    STEPS,
    SUFFIX,
    lora_request,
    messages,
    run_python,
    steps_of,
)

from ftkit.models import EventLevel, JobStatus
from ftkit.providers.huggingface import checkpoints, huggingface

if TYPE_CHECKING:
    from pathlib import Path

    from hf_tools import Trained

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("hf-lora")]
PICKLES = {".bin", ".pt", ".pth", ".pkl", ".ckpt"}


def test_it_has_succeeded_and_says_all_about_itself(lora: Trained, model: Path) -> None:
    job = lora.client.get_job(lora.job)
    assert job == lora.job
    assert (job.status, job.step, job.total_steps, job.error) == (JobStatus.SUCCEEDED, STEPS, STEPS, None)
    assert job.fine_tuned_model == f"ftkit:{model.name}:{SUFFIX}:{job.id.removeprefix('ftjob-')}"
    assert job.created_at is not None
    assert job.started_at is not None
    assert job.finished_at is not None
    assert job.created_at <= job.started_at <= job.finished_at


def test_every_step_is_measured_once(lora: Trained) -> None:
    assert steps_of(lora.place) == list(range(1, STEPS + 1))
    rows = lora.client.results(lora.job)
    assert [row.step for row in rows] == list(range(1, STEPS + 1))
    for row in rows:
        assert row.train_loss is not None
        assert math.isfinite(row.train_loss)
        assert row.train_mean_token_accuracy is not None
        assert row.learning_rate is not None
        assert row.epoch == pytest.approx(row.step / 3)
    assert rows[-1].train_loss < rows[0].train_loss - 0.1  # type: ignore[operator]  # it has learnt


def test_tokens_are_counted_as_they_were_read(lora: Trained) -> None:
    rows = [json.loads(line) for line in (lora.place / "train.jsonl").read_text(encoding="utf-8").splitlines()]
    method = lora.job.method
    assert method is not None
    counts = list(huggingface().count_tokens(lora.job.model, method, iter(rows)))
    kept = [min(tokens, 200) for line, (tokens, _) in enumerate(counts, start=1) if line != LEFT_OUT]
    assert lora.job.trained_tokens == 8 * sum(kept)
    assert lora.client.results(lora.job)[-1].extra["num_tokens"] == lora.job.trained_tokens


def test_the_validation_file_is_measured_at_the_end_of_each_epoch(lora: Trained) -> None:
    measured = {row.step: row.full_valid_loss for row in lora.client.results(lora.job) if row.full_valid_loss}
    assert list(measured) == [3, 6, 9, 12, 15, 18, 21, 24]
    assert measured[24] < measured[3]


def test_each_replaced_setting_is_a_warning(lora: Trained) -> None:
    warnings = messages(lora.client, lora.job, EventLevel.WARNING)
    for name in GPU_ONLY:
        assert len([warning for warning in warnings if warning.startswith(f"{name} ")]) == 1


def test_rows_that_are_cut_or_left_out_are_a_warning_with_their_number(lora: Trained) -> None:
    warnings = messages(lora.client, lora.job, EventLevel.WARNING)
    cut = "2 of the training examples are longer than max_length=200 tokens, and their ends were cut off"
    assert f"{cut} (lines {CUT}, {LEFT_OUT})" in warnings
    left_out = "1 of the training examples hold nothing to learn within max_length=200 tokens, and are left out"
    assert f"{left_out} (line {LEFT_OUT})" in warnings
    assert len(warnings) == len(GPU_ONLY) + 2


def test_events_tell_the_story_in_order(lora: Trained) -> None:
    told = [m for m in messages(lora.client, lora.job) if not m.startswith(("Step", "Checkpoint"))]
    assert told[-2:] == [f"Training started: {STEPS} steps, LoRA, learning rate 0.005", "The job has succeeded"]
    ids = [event.id for event in lora.client.list_events(lora.job, limit=1000).items]
    assert ids == sorted(set(ids))


def test_checkpoints_are_newest_first_and_only_the_last_three(lora: Trained) -> None:
    found = lora.client.list_checkpoints(lora.job)
    assert [checkpoint.step for checkpoint in found] == [24, 21, 18]
    assert found[0].model == f"{lora.job.fine_tuned_model}:step-24"
    assert found[0].metrics == lora.client.results(lora.job)[-1]
    assert all(checkpoint.created_at is not None for checkpoint in found)
    assert len(list((lora.place / checkpoints.FOLDER).glob("*-*"))) == 3


def test_model_and_adapter_hold_safetensors_and_nothing_that_can_run(lora: Trained) -> None:
    for name in ("model", "adapter"):
        files = [path.name for path in (lora.place / name).iterdir()]
        assert [file for file in files if file.endswith(".safetensors")], name
        assert not [file for file in files if any(file.endswith(end) for end in PICKLES)], name
        assert {"tokenizer.json", "chat_template.jinja"} <= set(files), name
    assert not (lora.place / "model" / "adapter_config.json").exists()
    assert json.loads((lora.place / "adapter" / "adapter_config.json").read_text())["base_model_name_or_path"] == (
        lora.job.model
    )
    assert [path.name for path in lora.place.iterdir() if path.name.startswith(".")] == []


def test_the_merged_model_is_the_base_with_its_adapter(lora: Trained) -> None:
    told = json.loads(run_python(HERE / "compare.py", lora.job.model, lora.place))
    assert told["merged"] < 1e-4
    assert told["newest checkpoint"] < 1e-4
    assert told["base"] > 1e-2, "the adapter does nothing"


def test_the_token_of_the_hub_is_nowhere(lora: Trained) -> None:
    shown = f"{lora.client!r} {lora.client.provider!r} {lora.job!r} {lora.job.model_dump_json()}"
    assert HF_TOKEN not in shown
    for path in lora.folder.rglob("*"):
        assert path.is_dir() or HF_TOKEN.encode() not in path.read_bytes(), path


def test_the_folder_is_for_its_owner_alone(lora: Trained) -> None:
    assert (lora.folder / "jobs").stat().st_mode & 0o077 == 0
    assert lora.place.stat().st_mode & 0o077 == 0


def test_the_same_request_again_is_the_same_job_and_trains_nothing(lora: Trained, model: Path) -> None:
    before = (lora.place / "events.jsonl").read_bytes()
    again = lora.client.fine_tune(**lora_request(lora.folder, model), progress=False)
    assert again == lora.job
    assert (lora.place / "events.jsonl").read_bytes() == before
