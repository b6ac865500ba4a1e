"""wait and follow: what came of jobs is the status, whoever reads it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from lab_provider import Labbook, ftkit

from ftkit import Client, FineTuningJob, JobEvent

if TYPE_CHECKING:
    from ftkit.testing import MemoryVendor

ENDS = {"succeeded": 0, "failed": 3, "cancelled": 4, "paused": 5, "running": 6}
"""The vendor's words -> exit statuses."""


def made(client: Client, suffix: str = "one") -> str:
    return client.fine_tune("base", "train.jsonl", suffix=suffix, wait=False, progress=False).id


def ended(client: Client, vendor: MemoryVendor, word: str) -> str:
    job_id = made(client, word)
    vendor.advance(job_id, word)
    return job_id


@pytest.mark.parametrize(("word", "status"), ENDS.items())
def test_the_status_tells_how_a_job_ended(night: Client, vendor: MemoryVendor, word: str, status: int) -> None:
    name = f"night:{ended(night, vendor, word)}"
    done = ftkit("wait", name, "--timeout-s", 0.05, "--poll-s", 0.01)
    assert done.status == status
    if word == "succeeded":
        tuned = night.get_job(name.removeprefix("night:")).fine_tuned_model
        assert done.output.splitlines() == [
            f"job: {name.removeprefix('night:')}",
            "status: succeeded",
            f"model: {tuned}",
        ]
    else:
        assert done.output == ""
    hint = {"paused": f"-> ftkit resume {name}", "running": f"-> The job goes on. To wait on: ftkit wait {name}"}
    assert hint.get(word, "") in done.errors
    assert "Client(" not in done.errors
    as_json = ftkit("wait", name, "--timeout-s", 0.05, "--poll-s", 0.01, "--json")
    assert as_json.status == status
    assert FineTuningJob.model_validate_json(as_json.output).status.value == word
    if status:
        assert FineTuningJob.model_validate(json.loads(as_json.errors)["error"]["job"]).status.value == word


def test_of_several_the_worst_counts_and_all_are_told(night: Client, lab: dict[str, MemoryVendor]) -> None:
    day = Client("day")
    good, paused = ended(night, lab["night"], "succeeded"), ended(night, lab["night"], "paused")
    failed, cancelled = ended(day, lab["day"], "failed"), ended(day, lab["day"], "cancelled")
    names = [f"day:{cancelled}", f"night:{good}", f"day:{failed}", f"night:{paused}"]
    done = ftkit("wait", *names)
    assert done.status == 3
    rows = [line.split("\t") for line in done.output.splitlines()]
    assert [row[:2] for row in rows] == [
        *([names[0], "cancelled"], [names[1], "succeeded"], [names[2], "failed"], [names[3], "paused"])
    ]
    assert done.errors.count("error: ") == 3
    assert ftkit("wait", *names[:2]).status == 4
    assert ftkit("wait", names[1], names[3]).status == 5
    as_json = ftkit("wait", *names, "--json")
    jobs = [FineTuningJob.model_validate_json(line) for line in as_json.output.splitlines()]
    assert [job.id for job in jobs] == [cancelled, good, failed, paused]
    assert [json.loads(line)["error"]["type"] for line in as_json.errors.splitlines()] == [
        *("JobCancelledError", "JobFailedError", "JobPausedError")
    ]
    assert ftkit("wait", good, good, "-p", "night").status == 0


def test_the_time_is_up_for_all_of_them_together(
    night: Client, lab: dict[str, MemoryVendor], monkeypatch: pytest.MonkeyPatch
) -> None:
    day, given = Client("day"), list[float]()
    wait_all = Client.wait_all

    def noted(self: Client, jobs: list[FineTuningJob | str], **how: Any) -> list[FineTuningJob]:
        given.append(how["timeout_s"])
        return wait_all(self, jobs, **how)

    monkeypatch.setattr(Client, "wait_all", noted)
    still, good = made(night), ended(day, lab["day"], "succeeded")
    done = ftkit("wait", f"night:{still}", f"day:{good}", f"day:{made(day)}", "--timeout-s", 0.05, "--poll-s", 0.01)
    assert done.status == 6
    assert [line.split("\t")[1] for line in done.output.splitlines()] == ["queued", "succeeded", "queued"]
    assert f"ftkit wait night:{still}" in done.errors
    assert given[0] > given[1] == 0  # nothing is left for the second account


def test_a_wrong_name_among_several_is_told_before_the_wait(night: Client, vendor: MemoryVendor) -> None:
    name = f"night:{made(night)}"
    looks = vendor.calls["list_jobs"]
    done = ftkit("wait", name, "day:job-nowhere", "--timeout-s", 0.05, "--poll-s", 0.01)
    assert (done.status, "job-nowhere" in done.errors) == (1, True)
    assert vendor.calls["list_jobs"] == looks


@pytest.mark.parametrize(("word", "status"), [(word, status) for word, status in ENDS.items() if status != 6])
def test_events_are_followed_to_the_end(night: Client, vendor: MemoryVendor, word: str, status: int) -> None:
    job_id = ended(night, vendor, word)
    done = ftkit("follow", f"night:{job_id}")
    events = night.list_events(job_id).items
    rows = [line.split("\t") for line in done.output.splitlines()]
    assert done.status == status
    assert [row[1:] for row in rows] == [["info", event.message] for event in events]
    assert rows[0][0] == f"{events[0].created_at:%Y-%m-%d %H:%M:%S}Z"
    as_json = ftkit("follow", f"night:{job_id}", "--json")
    assert tuple(map(JobEvent.model_validate_json, as_json.output.splitlines())) == events
    assert as_json.status == status


def test_what_is_known_already_is_not_told_again(night: Client, vendor: MemoryVendor) -> None:
    job_id = ended(night, vendor, "succeeded")
    first, *rest = night.list_events(job_id).items
    output = ftkit("follow", f"night:{job_id}", "--after", first.id, "--json").output
    assert [*map(JobEvent.model_validate_json, output.splitlines())] == rest
    wrong = ftkit("follow", f"night:{job_id}", "--after", "event-of-another")
    assert (wrong.status, wrong.output) == (1, "")
    assert "event-of-another" in wrong.errors


def test_metrics_are_sent_on_while_events_are_printed(
    night: Client, vendor: MemoryVendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"night:{ended(night, vendor, 'failed')}"
    plain = ftkit("follow", name)
    assert ftkit("follow", name, "--track", "labbook") == plain
    assert plain.status == 3
    job_id = name.removeprefix("night:")
    assert Labbook.lines == [f"begin {job_id}", "step 1", "step 2", "end failed"]
    wrong = ftkit("follow", name, "--track", "labook")
    assert (wrong.status, wrong.output, "did you mean 'labbook'?" in wrong.errors) == (2, "", True)
    good = f"night:{ended(night, vendor, 'succeeded')}"
    monkeypatch.setattr(Labbook, "broken", True)
    broken = ftkit("follow", good, "--track", "labbook")
    assert (broken.status, broken.output) == (1, ftkit("follow", good).output)
    assert "the page is full" in broken.errors
    both = ftkit("follow", name, "--track", "labbook")
    assert (both.status, "the page is full" in both.errors, f"{job_id} failed" in both.errors) == (3, True, True)
