"""jobs, show, cancel, pause, resume, upload: one after the other, for people and for programs."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from lab_provider import Lab, ftkit

from ftkit import Client, FineTuningJob, TrainingFile
from ftkit.models import Asked

if TYPE_CHECKING:
    from ftkit.testing import MemoryVendor


def made(client: Client, suffix: str = "one", model: str = "base") -> FineTuningJob:
    return client.fine_tune(model, "train.jsonl", suffix=suffix, wait=False, progress=False)


def jobs_in(lines: str) -> list[FineTuningJob]:
    return [FineTuningJob.model_validate_json(line) for line in lines.splitlines()]


# -- jobs ----------------------------------------------------------------------------------------------------------


def test_jobs_are_listed_newest_first_by_a_name_that_goes_into_other_commands(night: Client) -> None:
    one, two = made(night, "one"), made(night, "two")
    status, output, errors = ftkit("jobs", "-p", "night")
    rows = [line.split("\t") for line in output.splitlines()]
    assert (status, errors) == (0, "")
    assert [row[0] for row in rows] == [f"night:{two.id}", f"night:{one.id}"]
    assert rows[0][1:5] == ["queued", "base", "-", "3/6"]
    for row in rows:
        assert ftkit("show", row[0]).status == 0
    assert jobs_in(ftkit("jobs", "-p", "night", "--json").output) == [*night.list_jobs().items]


def test_the_rest_of_a_list_is_asked_for_by_the_line_that_is_shown(night: Client) -> None:
    ids = [made(night, word).id for word in ("one", "two", "three")]
    first = ftkit("jobs", "-p", "night", "--limit", 2)
    again = shlex.split(first.errors.partition("There are more: ftkit ")[2])
    assert first.output.count("\n") == 2
    last = ftkit(*again)
    assert last.output.split("\t")[0] == f"night:{ids[0]}"
    assert last.errors == ""
    as_json = ftkit("jobs", "-p", "night", "--limit", 2, "--json")
    assert [*json.loads(as_json.errors)] == ["next"]
    assert ftkit("jobs", "-p", "night", "--after", json.loads(as_json.errors)["next"]).output == last.output


def test_labels_choose_jobs(night: Client) -> None:
    blue = made(night, "blue")
    made(night, "red")
    output = ftkit("jobs", "-p", "night", "--metadata", "team=blue", "--json").output
    assert [job.id for job in jobs_in(output)] == [blue.id]
    assert ftkit("jobs", "-p", "night", "--metadata", "team").status == 2


@pytest.mark.usefixtures("lab")
def test_no_jobs_are_no_lines() -> None:
    assert ftkit("jobs", "-p", "night") == (0, "", "no jobs\n")
    assert ftkit("jobs", "-p", "night", "--json") == (0, "", "")


# -- names ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["show", "wait", "follow", "cancel", "pause", "resume", "checkpoints", "metrics"])
def test_a_wrong_name_is_one_clear_error(night: Client, verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    job = made(night)
    nobody = ftkit(verb, f"nigth:{job.id}")
    assert (nobody.status, nobody.output) == (2, "")
    assert "there is no profile and no provider 'nigth'; did you mean 'night'?" in nobody.errors
    alone = ftkit(verb, job.id)
    assert (alone.status, alone.output) == (2, "")
    assert "Write profile:id" in alone.errors
    missing = ftkit(verb, "night:job-nowhere")
    assert (missing.status, missing.output) == (1, "")
    assert "there is no job 'job-nowhere'" in missing.errors
    wrong = json.loads(ftkit(verb, "--json", "nigth:x").errors)
    assert wrong["error"]["type"] == "UnknownProviderError"
    monkeypatch.setenv("FTKIT_PROFILE", "night")
    assert ftkit("show", job.id).output.splitlines()[0].split() == ["job:", f"night:{job.id}"]
    assert ftkit("show", job.id, "-p", "night").status == 0
    assert ftkit("show", job.id, "-p", "day").status == 1


# -- show ----------------------------------------------------------------------------------------------------------


def test_all_that_is_set_is_shown_and_what_to_do_next(night: Client, vendor: MemoryVendor) -> None:
    job = made(night, "blue")
    name = f"night:{job.id}"
    output = ftkit("show", name).output
    shown = dict(line.split(":", 1) for line in output.splitlines() if ":  " in line)
    assert shown["status"].strip() == "queued (pending)"
    assert (shown["steps"].strip(), shown["metadata.team"].strip()) == ("3/6", "blue")
    assert "tuned model" not in shown
    assert output.endswith(f"next:\n  ftkit wait {name}\n  ftkit follow {name}\n")
    vendor.advance(job.id, "succeeded")
    assert f"  ftkit metrics {name}\n" in ftkit("show", name).output
    assert jobs_in(ftkit("show", name, "--json").output) == [night.get_job(job.id)]


def test_a_vendors_words_are_shown_as_they_are_and_steer_no_terminal(night: Client, vendor: MemoryVendor) -> None:
    job = made(night)
    vendor.fail(job.id, "[red]lost[/red]\nat \x1b[31mstep\x1b[0m 3")
    lines = ftkit("show", f"night:{job.id}").output.splitlines()
    assert [line.strip() for line in lines[2:4]] == ["error:          [red]lost[/red]", r"at \x1b[31mstep\x1b[0m 3"]
    assert "  ftkit run ... --retry-failed" in lines
    vendor.add_event(job.id, "[bold]one\ntwo\x07")
    assert ftkit("follow", f"night:{job.id}").output.splitlines()[-1].split("\t")[2] == r"[bold]one two\x07"


# -- cancel, pause, resume -----------------------------------------------------------------------------------------


def test_the_new_status_is_printed(night: Client) -> None:
    name = f"night:{made(night).id}"
    assert ftkit("pause", name) == (0, "paused\n", "")
    assert f"next:\n  ftkit resume {name}\n" in ftkit("show", name).output
    assert ftkit("resume", name) == (0, "running\n", "")
    assert ftkit("cancel", name) == (0, "cancelled\n", "")
    assert ftkit("cancel", name) == (0, "cancelled\n", "")
    for verb, status in (("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")):
        (job,) = jobs_in(ftkit(verb, f"night:{made(night, verb).id}", "--json").output)
        assert job.status.value == status


def test_what_a_provider_cannot_do_is_refused_as_wrong() -> None:
    refused = ftkit("pause", "memory:job-1")
    assert (refused.status, "memory" in refused.errors) == (2, True)


# -- what is unclear -----------------------------------------------------------------------------------------------


def test_an_unclear_outcome_is_listed_and_settled(
    night: Client, vendor: MemoryVendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["run", "--train", "train.jsonl", "--model", "base", "-p", "night", "--no-wait"]
    vendor.lose_replies(1)
    monkeypatch.setattr(Lab, "blind", True)
    monkeypatch.setattr("ftkit.retrying.ATTEMPTS", 1)  # it stays blind, however often it is asked
    unclear = ftkit(*arguments)
    (job_id,) = vendor.jobs
    assert unclear.status == 7
    asked = [
        Asked.model_validate_json(line)
        for line in ftkit("jobs", "-p", "night", "unclear", "--json").output.splitlines()
    ]
    assert [(each.kind, each.state, each.id, each.model) for each in asked] == [("job", "intended", None, "base")]
    key = f"{asked[0].key}"
    assert f"ftkit jobs resolve {key} -p lab --job ID" in unclear.errors
    assert ftkit("jobs", "unclear", "-p", "night").output.rstrip().endswith(f"\t{key}")
    for said in ([], ["--none", "--job", job_id]):
        assert ftkit("jobs", "resolve", key, "-p", "night", *said).status == 2
    assert ftkit("jobs", "resolve", key, "-p", "day", "--none").status == 1
    (settled,) = jobs_in(ftkit("jobs", "resolve", key, "-p", "night", "--job", job_id, "--json").output)
    assert settled.id == job_id
    assert ftkit("jobs", "resolve", key, "-p", "night", "--job", f"night:{job_id}").output.startswith("Settled: ")
    assert ftkit("jobs", "unclear", "-p", "night") == (0, "", "nothing is unclear\n")
    assert ftkit(*arguments).output.startswith(f"job: {job_id}\n")
    assert ftkit("jobs", "resolve", key, "-p", "night", "--none", "--json") == (0, "", "")
    assert "no job was made" in ftkit("jobs", "resolve", key, "-p", "night", "--none").output
    assert len(night.list_jobs().items) == 1


# -- upload --------------------------------------------------------------------------------------------------------


def test_a_file_is_sent_once_and_its_id_printed(night: Client, vendor: MemoryVendor) -> None:
    arguments = [
        "upload",
        "train.jsonl",
        "--model",
        "base",
        "-p",
        "night",
        "--n-epochs",
        2,
        "--set",
        "learning_rate=1e-3",
    ]
    sent = ftkit(*arguments)
    assert (sent.status, sent.output) == (0, f"{night.list_files().items[0].id}\n")
    again = TrainingFile.model_validate_json(ftkit(*arguments, "--json").output)
    assert (again.id, again.rows) == (sent.output.strip(), 12)
    assert vendor.calls["create_file"] == 1


def test_a_file_that_is_not_sent_is_told_why(vendor: MemoryVendor) -> None:
    Path("bad.jsonl").write_text('{"messages": []}\n')
    refused = ftkit("upload", "bad.jsonl", "--model", "base", "-p", "night")
    assert (refused.status, "bad.jsonl:1" in refused.errors) == (1, True)
    wrong = ftkit("upload", "train.jsonl", "--model", "base", "-p", "night", "--set", "learning_rat=1")
    assert (wrong.status, "did you mean 'learning_rate'?" in wrong.errors) == (2, True)
    for said in ("lora.r=8", "lora=true"):
        twice = ftkit("upload", "train.jsonl", "--model", "base", "-p", "night", "--set", "lora=true", "--set", said)
        assert (twice.status, "'lora' was given already" in twice.errors) == (2, True)
    assert ftkit("upload", "train.jsonl", "--model", "base").status == 2
    assert vendor.calls["create_file"] == 0
