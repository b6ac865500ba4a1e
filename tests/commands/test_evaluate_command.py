"""evaluate: what it prints, what it writes, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from lab_provider import ftkit

from ftkit.evaluate import Evaluation, Finding

if TYPE_CHECKING:
    from ftkit import Client
    from ftkit.testing import MemoryVendor


@pytest.fixture
def job(night: Client, vendor: MemoryVendor) -> str:
    made = night.fine_tune("base", "train.jsonl", wait=False, progress=False)
    vendor.advance(made.id, "succeeded")
    lines = [
        {"messages": [{"role": "user", "content": "hm"}, {"role": "assistant", "content": f"echo {n}"}]}
        for n in "abcdefgh"
    ]
    Path("test.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return f"night:{made.id}"


def test_a_table_and_whether_it_paid(job: str) -> None:
    done = ftkit("evaluate", job, "test.jsonl", "--few-shot", "train.jsonl", "--shots", "2")
    assert (done.status, done.errors) == (0, "")
    lines = done.output.splitlines()
    assert [line.split(" ")[0] for line in lines[1:4]] == ["base", "few-shot", "tuned"]
    assert lines[-2].startswith("Did the tuning pay? No: tuned scores 0.00 by exact match, base 0.00")


def test_as_json_and_as_a_file(job: str) -> None:
    done = ftkit("evaluate", job, "test.jsonl", "--metric", "exact", "--json", "-o", "found.html", "--limit", "7")
    found = Evaluation.model_validate_json(done.output)
    assert found.verdict is not None
    assert (found.verdict.finding, len(found.rows)) == (Finding.NO, 7)
    assert "Did the tuning pay?" in Path("found.html").read_text()


def test_answers_that_are_kept_are_not_asked_for(job: str) -> None:
    first = ftkit("evaluate", job, "test.jsonl", "--record", "answers.jsonl")
    kept = Path("answers.jsonl").read_text()
    assert len(kept.splitlines()) == 16
    assert ftkit("evaluate", job, "test.jsonl", "--record", "answers.jsonl") == first
    assert Path("answers.jsonl").read_text() == kept


@pytest.mark.parametrize(
    ("words", "status", "word"),
    [
        (["nowhere.jsonl"], 1, "nowhere.jsonl"),
        (["test.jsonl", "--metric", "exactly"], 2, "there is no metric 'exactly'"),
        (["test.jsonl", "-o", "found.txt"], 2, "none of the endings"),
        (["test.jsonl", "--confidence", "95"], 2, "between 0 and 1"),
        (["test.jsonl", "--metric", "json"], 2, "no JSON"),
    ],
)
def test_what_is_wrong(job: str, words: list[str], status: int, word: str) -> None:
    done = ftkit("evaluate", job, *words, "--record", "answers.jsonl")
    assert not Path("answers.jsonl").exists() or not Path("answers.jsonl").read_text(), "nothing was asked"
    assert (done.status, word in done.errors) == (status, True), done.errors
