"""Reads write nothing, and what is damaged harms nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from job_tools import ask_only, await_word, kill, messages, snapshot, start, start_and_hold

from ftkit.errors import NotFoundError, ProviderError
from ftkit.models import JobStatus, Metrics
from ftkit.providers._local_jobs import JobFolder, Reporter

if TYPE_CHECKING:
    from ftkit.providers._local_jobs import JobState, LocalJobs


def in_order(jobs: LocalJobs, *keys: str) -> list[JobFolder]:
    """Makes jobs that are never started, newest first."""
    places = [ask_only(jobs, key) for key in keys]
    for number, place in enumerate(places):
        record = json.loads((place.path / "request.json").read_text())
        record["created_at"] = f"2026-01-01T00:00:{59 - number:02}Z"
        (place.path / "request.json").write_text(json.dumps(record))
    return places


def test_reads_write_nothing(jobs: LocalJobs) -> None:
    done = await_word(jobs, start(jobs, "done", steps=1), "succeeded")
    dead = start_and_hold(jobs, "dead")
    kill(jobs, dead)
    running = start_and_hold(jobs, "running")
    before = snapshot(jobs.folder)
    for job in (done, dead, running):
        jobs.get(job.id)
        assert jobs.events(job.id, None, 10).items
    assert jobs.find("dead") == jobs.get(dead.id)
    assert {job.status for job in jobs.list_jobs(None, 10).items} == {
        JobStatus.SUCCEEDED,
        JobStatus.PAUSED,
        JobStatus.RUNNING,
    }
    assert snapshot(jobs.folder) == before


def test_a_folder_that_is_not_there_is_not_made_by_reading(jobs: LocalJobs) -> None:
    assert jobs.list_jobs(None, 10).items == ()
    assert jobs.find("k") is None
    assert not jobs.folder.exists()


@pytest.mark.parametrize(
    "job_id",
    [
        *("", ".", "..", "../x", "\0", "\udcff", "a" * 100_000, "queue", "ftjob-"),
        *(f"ftjob-{rest}" for rest in ("0" * 24, "0" * 23, "0" * 24 + "\n", "0" * 22 + "\0\0", "\u0663" * 24)),
        "FTJOB-" + "0" * 24,
        "../jobs/ftjob-" + "0" * 24,
    ],
)
def test_what_is_no_id_is_not_found(jobs: LocalJobs, job_id: str) -> None:
    ask_only(jobs)
    for read in (jobs.get, jobs.cancel, jobs.pause, jobs.resume, lambda job: jobs.events(job, None, 10)):
        with pytest.raises(NotFoundError, match="no job") as error:
            read(job_id)
        assert len(str(error.value)) < 1000
    with pytest.raises(NotFoundError):
        jobs.list_jobs(job_id, 10)


@pytest.mark.parametrize("content", [b"", b"{", b"\0" * 100, b'{"word": 3}', b"\xff\xfe", b"[]"])
def test_a_damaged_status_is_one_error_that_names_it(jobs: LocalJobs, content: bytes) -> None:
    place, other = in_order(jobs, "k", "other")
    (place.path / "status.json").write_bytes(content)
    for read in (
        lambda: jobs.get(place.id),
        lambda: jobs.find("k"),
        lambda: start(jobs),
        lambda: jobs.cancel(place.id),
    ):
        with pytest.raises(ProviderError, match=r"status\.json is damaged") as error:
            read()
        assert "Move" in str(error.value)
    assert [job.id for job in jobs.list_jobs(None, 10).items] == [other.id]


def test_a_status_that_is_missing_or_no_file_is_an_error_that_names_it(jobs: LocalJobs) -> None:
    place, other = in_order(jobs, "k", "other")
    (place.path / "status.json").unlink()
    with pytest.raises(ProviderError, match=r"status\.json is missing"):
        jobs.get(place.id)
    (place.path / "status.json").mkdir()
    with pytest.raises(ProviderError, match=r"status\.json cannot be read: Is a directory"):
        jobs.get(place.id)
    assert [job.id for job in jobs.list_jobs(None, 10).items] == [other.id]


def test_damaged_jobs_do_not_hide_those_that_follow(jobs: LocalJobs) -> None:
    places = in_order(jobs, *"abcdef")
    for number in (0, 1, 3):
        (places[number].path / "status.json").write_text("{")
    seen: list[str] = []
    after = None
    while True:
        page = jobs.list_jobs(after, 1)
        seen += [job.id for job in page.items]
        after = page.next
        if after is None:
            break
    assert seen == [places[number].id for number in (2, 4, 5)]


def test_a_damaged_job_is_no_place_to_go_on_from(jobs: LocalJobs) -> None:
    place, other = in_order(jobs, "k", "other")
    (place.path / "status.json").write_text("{")
    assert [job.id for job in jobs.list_jobs(place.id, 10).items] == [other.id]  # its place in the order is known
    (place.path / "request.json").write_text("{")
    with pytest.raises(NotFoundError, match="damaged"):
        jobs.list_jobs(place.id, 10)


def test_a_list_has_pages_newest_first(jobs: LocalJobs) -> None:
    ids = [place.id for place in in_order(jobs, *"abcde")]
    (jobs.folder / "ftjob-notes.txt").touch()
    (jobs.folder / ("ftjob-" + "0" * 24)).touch()  # a file, not a folder
    (jobs.folder / ("ftjob-" + "1" * 24)).mkdir()  # nothing in it
    first = jobs.list_jobs(None, 2)
    second = jobs.list_jobs(first.next, 2)
    third = jobs.list_jobs(second.next, 2)
    assert [[job.id for job in page.items] for page in (first, second, third)] == [ids[:2], ids[2:4], ids[4:]]
    assert (first.next, third.next) == (ids[1], None)
    assert jobs.list_jobs(None, 5).next is None


def test_a_last_word_that_comes_as_it_is_read_is_not_missed(jobs: LocalJobs) -> None:
    class ReadAtTheWrongMoment(JobFolder):
        """Its process writes its last word, and ends, right after the status was read for the first time."""

        raced = False

        def state(self) -> JobState:
            state = super().state()
            if not self.raced:
                self.raced = True
                self.write_state(state.model_copy(update={"word": "succeeded"}))
            return state

    place = ask_only(jobs)
    ended = place.state().asker.model_copy(update={"started": 1.0})
    place.write_state(place.state().model_copy(update={"word": "running", "runner": ended}))
    assert ReadAtTheWrongMoment(place.path).job().status is JobStatus.SUCCEEDED


def test_a_word_of_a_later_version_is_unknown_and_no_queue(jobs: LocalJobs) -> None:
    place = ask_only(jobs)
    place.write_state(place.state().model_copy(update={"word": "dreaming"}))
    job = jobs.get(place.id)
    assert (job.status, job.provider_status) == (JobStatus.UNKNOWN, "dreaming")


def test_events_have_pages_and_go_on_after_an_id_that_was_taken_back(jobs: LocalJobs) -> None:
    place = ask_only(jobs)
    reporter = Reporter(place.path)
    for step in range(1, 6):
        reporter.event(f"Step {step}", metrics=Metrics(step=step))
    page = jobs.events(place.id, None, 4)
    assert [event.message for event in page.items] == ["Step 1", "Step 2", "Step 3", "Step 4"]
    assert page.next == page.items[-1].id
    reporter.go_on_from(2, "Going on")
    reporter.event("Step 3", metrics=Metrics(step=3))
    rest = jobs.events(place.id, page.next, 10)  # the event of that id is no more
    assert [event.message for event in rest.items] == ["Going on", "Step 3"]
    assert rest.next is None
    assert jobs.events(place.id, rest.items[-1].id, 10).items == ()


@pytest.mark.parametrize("after", ["", "x", "-1", "\u0663", "1.0", "9" * 5000])
def test_what_is_no_id_of_an_event_is_not_found(jobs: LocalJobs, after: str) -> None:
    place = ask_only(jobs)
    with pytest.raises(NotFoundError, match="no event"):
        jobs.events(place.id, after, 10)


def test_a_line_that_is_still_being_written_is_not_read(jobs: LocalJobs) -> None:
    place = ask_only(jobs)
    Reporter(place.path).event("whole")
    with (place.path / "events.jsonl").open("ab") as file:
        file.write(b"\0\0\0\n\xff{\n[1]\nnull\n" + b'{"id": "00000002", "created_at": "2026-')
    before = snapshot(place.path)
    assert messages(jobs, jobs.get(place.id)) == ["whole"]
    assert snapshot(place.path) == before
