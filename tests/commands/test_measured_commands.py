"""metrics, checkpoints, history."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from lab_provider import MEASURED, ftkit

from ftkit import Checkpoint, Client, Metrics
from ftkit.models import Asked

if TYPE_CHECKING:
    from ftkit.testing import MemoryVendor


@pytest.fixture
def job_id(night: Client, vendor: MemoryVendor) -> str:
    job = night.fine_tune("base", "train.jsonl", wait=False, progress=False)
    vendor.advance(job.id, "succeeded")
    return job.id


def test_the_table_of_metrics_has_a_column_for_each_figure_there_is(job_id: str) -> None:
    done = ftkit("metrics", f"night:{job_id}")
    assert done == (0, "1\t0.5\t2.5\t-\t1.5\n2\t1\t2\t2.25\t-\n", "")
    lines = ftkit("metrics", f"night:{job_id}", "--json").output.splitlines()
    assert [*map(Metrics.model_validate_json, lines)] == MEASURED


def test_a_csv_has_the_names_of_the_fields(job_id: str) -> None:
    done = ftkit("metrics", f"night:{job_id}", "--csv", "-")
    rows = [*csv.reader(io.StringIO(done.output))]
    assert rows == [
        ["step", "epoch", "train_loss", "full_valid_loss", "grad_norm"],
        ["1", "0.5", "2.5", "", "1.5"],
        ["2", "1.0", "2.0", "2.25", ""],
    ]
    assert ftkit("metrics", f"night:{job_id}", "--csv", "m.csv") == (0, "", "wrote m.csv\n")
    assert Path("m.csv").read_text() == done.output
    both = ftkit("metrics", f"night:{job_id}", "--csv", "n.csv", "--json")
    assert both.output.count("\n") == 2
    assert Path("n.csv").read_text() == done.output
    nowhere = ftkit("metrics", f"night:{job_id}", "--csv", "no/folder/m.csv")
    assert (nowhere.status, "cannot be written" in nowhere.errors) == (2, True)


def test_several_jobs_are_told_apart_in_the_table_and_refused_as_json(night: Client, job_id: str) -> None:
    other = night.fine_tune("unmeasured", "train.jsonl", wait=False, progress=False).id
    names = [f"night:{job_id}", f"night:{other}"]
    done = ftkit("metrics", *names)
    assert [line.split("\t")[0] for line in done.output.splitlines()] == [names[0]] * 2
    assert done.errors == f"{names[1]}: nothing was measured so far\n"
    assert ftkit("metrics", *names, "--csv", "-").output.startswith("job,step,")
    refused = ftkit("metrics", *names, "--json")
    assert (refused.status, json.loads(refused.errors)["error"]["type"]) == (2, "ConfigurationError")
    assert ftkit("metrics", names[0], "--plot", "--csv", "-").status == 2


def test_checkpoints_are_listed_newest_first(night: Client, vendor: MemoryVendor, job_id: str) -> None:
    done = ftkit("checkpoints", f"night:{job_id}")
    rows = [line.split("\t") for line in done.output.splitlines()]
    there = night.list_checkpoints(job_id)
    assert [row[0] for row in rows] == [each.id for each in there]
    assert rows[0] == [there[0].id, "20", there[0].model, "2", "2.25", "-"]
    lines = ftkit("checkpoints", f"night:{job_id}", "--json").output.splitlines()
    assert [*map(Checkpoint.model_validate_json, lines)] == there
    vendor.advance(job_id, "running")
    assert ftkit("checkpoints", f"night:{job_id}") == (0, "", f"night:{job_id}: no checkpoints so far\n")


def test_losses_are_drawn_in_a_terminal_and_into_a_file(night: Client, job_id: str) -> None:
    pytest.importorskip("plotext")
    pytest.importorskip("matplotlib")
    other = night.fine_tune("base", "train.jsonl", suffix="other", wait=False, progress=False)
    names = [f"night:{job_id}", f"night:{other.id}"]
    drawn = ftkit("metrics", *names, "--plot", "--png", "loss.png")
    assert (drawn.status, drawn.errors) == (0, "wrote loss.png\n")
    assert "loss" in drawn.output
    assert job_id in drawn.output
    assert "other" in drawn.output
    assert "\x1b" not in drawn.output
    assert Path("loss.png").read_bytes().startswith(b"\x89PNG")
    assert ftkit("metrics", *names, "--png", "loss.docx").status == 2


# -- history -------------------------------------------------------------------------------------------------------


def test_what_was_asked_for_is_told_without_asking_anybody(
    night: Client, lab: dict[str, MemoryVendor], job_id: str
) -> None:
    refused = Client("day")
    lab["day"].lose_requests(1)
    assert ftkit("run", "--train", "train.jsonl", "--model", "other", "-p", "day", "--no-wait").status == 1
    deployment = night.deploy(job_id, name="served")
    Client("memory").fine_tune("third", "train.jsonl", wait=False, progress=False)
    calls = {name: sum(vendor.calls.values()) for name, vendor in lab.items()}
    lines = ftkit("history", "--json").output.splitlines()
    asked = [Asked.model_validate_json(line) for line in lines]
    assert [(each.kind, each.model, each.state, each.attempt) for each in asked] == [
        ("job", "third", "made", 1),
        ("deployment", job_id, "made", None),
        ("job", "other", "absent", 1),
        ("job", "base", "made", 1),
    ]
    assert (asked[1].id, asked[3].id, asked[2].id) == (deployment.name, job_id, None)
    assert (asked[3].identity, asked[2].identity) == (night.identity(), refused.identity())
    assert f"{asked[3].key}".startswith("v1:")
    assert asked == sorted(asked, key=lambda each: each.asked_at, reverse=True)
    rows = [line.split("\t") for line in ftkit("history", "-p", "night").output.splitlines()]
    assert [row[1:5] for row in rows] == [
        ["deployment", "made", job_id, "served"],
        ["job", "absent", "other", "-"],
        ["job", "made", "base", job_id],
    ]
    assert ftkit("history", "--limit", 1, "--json").output.splitlines() == lines[:1]
    assert {name: sum(vendor.calls.values()) for name, vendor in lab.items()} == calls


def test_an_empty_history() -> None:
    assert ftkit("history") == (0, "", "nothing was asked for\n")
    assert ftkit("history", "--json") == (0, "", "")
    assert ftkit("history", "-p", "nobody").status == 2
